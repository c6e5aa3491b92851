/* SPDX-License-Identifier: BSD-3-Clause */
/* State of struct direct, for its files only. */
#ifndef PROTO_PATH_DIRECT_STATE_H
#define PROTO_PATH_DIRECT_STATE_H

#include "lib/ratelimit.h"
#include "proto/path/direct.h"

/* Addresses that left the peer's list are remembered as long as what was sent
 * to them counts, so that a list that flips gains nothing. */
#define DIRECT_MAX_GONE 64
#define DIRECT_MAX_ENTRIES                                                     \
	(CANDIDATE_MAX_LIST + DIRECT_MAX_REFLEXIVE + DIRECT_MAX_GONE)
/* An unproven address gets DIRECT_MAX_TRIES probes in this time. */
#define DIRECT_BUDGET_US (DIRECT_PROBE_US + DIRECT_SUPPRESS_US)
/* Our probes: to know their acks, and reflections of them; above what four
 * tries to every live address make. */
#define DIRECT_MAX_OUTSTANDING 192
/* Acks that wait for direct_output(); a turn reads fewer datagrams. */
#define DIRECT_MAX_ACKS 64
/* Nonces of the peer that were seen, by 8 bits of themselves. */
#define DIRECT_SEEN 256
/* An ack proves life this long after the probe: queues of a loaded uplink. */
#define DIRECT_PROOF_US (3 * MONO_SEC)
/* The selected path did not answer this long: another may take over. */
#define DIRECT_QUIET_US (500 * MONO_MS)
#define DIRECT_RETRY_US (1 * MONO_SEC)     /* of an address that worked once */
#define DIRECT_MIN_PAYLOAD 1200            /* what QUIC needs */
#define DIRECT_HYSTERESIS_US (5 * MONO_MS) /* peer v0.18.2 */

/*
 * An address of the peer.  Live while listed or reflexive; else it only
 * remembers what was sent.  The selected entry is always live.
 */
struct direct_entry {
	struct addr addr;
	bool used;
	bool listed;    /* by the peer */
	bool reflexive; /* seen as a source */
	bool refused;   /* by the socket, at the last try */
	bool probation; /* died twice lately: two answers in a row */
	bool credit;    /* it was heard: one probe beyond the budget */
	uint8_t rank;   /* order of probing, 0 first */
	uint8_t left;   /* probes still to go in this burst */
	uint8_t step;   /* probes gone in this burst */
	uint8_t bursts; /* unanswered in a row */
	uint8_t streak; /* answers in a row */
	int error;
	uint32_t probes; /* also the index into sent[] */
	uint32_t acks;
	int64_t rtt_us;     /* of the last ack */
	int64_t smooth_us;  /* of the last acks */
	int64_t retry_us;   /* until the next try of a path that died */
	struct mono burst;  /* start of this or the last burst */
	struct mono next;   /* next probe, or NEVER */
	struct mono seen;   /* last valid packet from there */
	struct mono acked;  /* last ack */
	struct mono died;   /* while selected, last; NEVER = did not */
	struct mono narrow; /* not selected before: it carries small packets */
	int64_t narrow_us; /* the last time so long; 0: it carries large ones */
	struct mono sent[DIRECT_MAX_TRIES];
	struct ratelimit answers; /* acks we owe it */
};

/* A probe of ours. */
struct direct_sent {
	struct disco_nonce nonce;
	struct addr to;
	struct mono at;
	uint16_t size; /* 0: not a size probe */
	bool open;     /* not answered yet */
};

struct direct_ack {
	struct addr to;
	struct disco_nonce nonce;
	uint16_t size; /* 0: not of a size probe */
};

/* A nonce of the peer and where it came from. */
struct direct_seen {
	uint64_t nonce;
	struct addr from;
};

/* How the selected path is doing; all NEVER and 0 on the relay. */
struct direct_life {
	struct mono sent;   /* last datagram there, probes and acks too */
	struct mono used;   /* last one of the caller */
	struct mono silent; /* first of the caller's since it was heard */
	struct mono proof;  /* last ack */
	struct mono prove;  /* first probe since the last ack */
	struct mono probed; /* last probe */
	struct mono told;   /* the probe whose ack last told the distance */
	unsigned unanswered;
	bool suspect;       /* there is a hint that it died */
	bool ask;           /* probe now */
	struct mono better; /* when others are looked at */
	int64_t better_us;  /* until the time after */
};

/* Search for the largest payload; indices into the ladder of direct_size.c. */
struct direct_size {
	int good;      /* proven, -1 = none */
	int bad;       /* the smallest that failed, or the ladder's end */
	int trying;    /* -1 = nothing */
	bool checking; /* good is tried, not something new */
	unsigned tries;
	struct mono begun; /* first of these tries */
	struct mono next;  /* next try, or next look */
	struct mono checked;
	int64_t look_us; /* until larger ones are tried again */
	struct mono look;
};

struct direct {
	struct direct_params params;
	bool native;
	bool has_own;
	bool unadmitted; /* entries were missing for part of peer */
	struct candidate_list own;
	struct candidate_list peer;
	struct direct_entry entry[DIRECT_MAX_ENTRIES];
	struct direct_entry *selected;
	struct direct_life life;
	struct direct_size size;
	size_t payload;
	uint32_t generation;
	uint32_t returns;
	const char *reason;

	struct direct_sent out[DIRECT_MAX_OUTSTANDING];
	size_t out_next;
	struct direct_seen seen[DIRECT_SEEN];
	struct direct_ack ack[DIRECT_MAX_ACKS];
	size_t ack_first, ack_n;
	struct ratelimit answers;   /* to known addresses */
	struct ratelimit strangers; /* to others, and to copies */
	struct ratelimit triggers;  /* probes beyond a budget */

	struct mono relay_since;
	struct mono calm_since; /* controls become rarer with its age */
	struct mono round;      /* next candidates and call */
	struct mono own_due;    /* candidates */
	struct mono own_sent;
	struct mono call_due;
	struct mono call_sent;
	struct mono called;
	struct mono turn; /* pacing: probes of this millisecond */
	unsigned turn_n;
	struct mono admit; /* next try to find room for unadmitted ones */
	struct mono clock; /* of the last direct_output() */
	struct mono wake;  /* nothing is due before */
	uint8_t pkt[DIRECT_MAX_PACKET];
};

#endif
