/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which direct UDP address reaches the peer, if any: probes, acks, candidate
 * lists, selection, death and return.  Pure: datagrams, control messages and
 * the time go in; datagrams, control messages and a selection come out.
 *
 * Compatible with the path manager of peer v0.18.2, and better where its wire
 * lets us: sources of valid probes are probed back (peer-reflexive), an
 * unanswered probe is repeated within its second, only what was received counts
 * as life, a selected path that fell silent is given up after
 * DIRECT_DEAD_US and tried again, better addresses are looked for while direct.
 *
 *	turn end:  while (direct_output(d, now, &out)) send it;
 *	           if (direct_generation(d) changed) select direct_selected(d);
 *	           arm a timer for direct_next_deadline(d).
 */
#ifndef PROTO_PATH_DIRECT_H
#define PROTO_PATH_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/path/disco.h"
#include "proto/rendezvous/candidate.h"

#define DIRECT_PROBE_US (1 * MONO_SEC)    /* a probe's life; peer v0.18.2 */
#define DIRECT_SUPPRESS_US (5 * MONO_SEC) /* after it; peer v0.18.2 */
#define DIRECT_CALL_US (1 * MONO_SEC) /* call-me-maybe repeat; peer v0.18.2 */
/* A path in use that was silent this long, although it was probed, is dead:
 * noticed well within 3 s. */
#define DIRECT_DEAD_US (2500 * MONO_MS)
/* Peer-reflexive addresses kept beside the peer's CANDIDATE_MAX_LIST. */
#define DIRECT_MAX_REFLEXIVE 8
/* The most that is ever sent to an address that never answered, per
 * DIRECT_SUPPRESS_US + DIRECT_PROBE_US. */
#define DIRECT_MAX_TRIES 4
/* Largest datagram direct_output() makes: a size probe. */
#define DIRECT_MAX_PACKET 16000

struct direct;

struct direct_params {
	struct key32 disco_key;
	bool has_v4;         /* there is an IPv4 socket */
	bool has_v6;         /* there is an IPv6 socket */
	bool allow_loopback; /* tests on one machine */
};

enum direct_out_kind {
	DIRECT_OUT_PACKET,        /* pkt, len to `to`, by UDP */
	DIRECT_OUT_CANDIDATES,    /* control: direct_peek_own() */
	DIRECT_OUT_CALL_ME_MAYBE, /* control */
};

struct direct_out {
	enum direct_out_kind kind;
	struct addr to;
	const uint8_t *pkt; /* valid until the next call */
	size_t len;
};

/* What was learned about one address, for `why`. */
enum direct_try {
	DIRECT_TRY_NEW,     /* not probed yet */
	DIRECT_TRY_PENDING, /* probe out */
	DIRECT_TRY_ANSWERED,
	DIRECT_TRY_SILENT,  /* unanswered; suppressed for a while */
	DIRECT_TRY_REFUSED, /* the socket would not send; suppressed */
	DIRECT_TRY_SELECTED,
};
struct direct_info {
	struct addr addr;
	enum direct_try state;
	bool reflexive;  /* learned from a probe, not from the peer's list */
	uint32_t probes; /* sent */
	uint32_t acks;   /* received, valid */
	int64_t rtt_us;  /* of the last ack; 0 = none */
	int error;       /* last send error, -errno, or 0 */
};

/** direct_new(): relay first; nothing is due before candidates are known.
 * NULL when memory is out.  @params: copied. */
struct direct *direct_new(const struct direct_params *params, struct mono now);
/** direct_free(): wipes.  NULL is fine. */
void direct_free(struct direct *d);

/** direct_set_native(): the peer is one of ours: size probes make sense. */
void direct_set_native(struct direct *d);

/**
 * direct_set_own(): our own addresses, advertisable; a change is announced at
 * once.  Peer candidates equal to one of them are ignored.
 */
void direct_set_own(
    struct direct *d, const struct candidate_list *own, struct mono now);
const struct candidate_list *direct_peek_own(const struct direct *d);

/**
 * direct_set_peer(): the peer's list (decision, claim, or `candidates`): full
 * replacement; a selected address survives.  New addresses are probed at once.
 */
void direct_set_peer(
    struct direct *d, const struct candidate_list *peer, struct mono now);

/** direct_called(): the peer sent call-me-maybe: announce ours, probe its.
 * Answers are bounded to one per 100 ms however often it calls. */
void direct_called(struct direct *d, struct mono now);

/** direct_network_changed(): addresses or routes changed: everything is tried
 * afresh, the selected path at once and under suspicion. */
void direct_network_changed(struct direct *d, struct mono now);

/**
 * direct_input(): a datagram for which disco_is_ours() holds.  Reflections of
 * our own probes are ignored; acks of valid probes become due, bounded.
 */
void direct_input(struct direct *d, const struct addr *from, const uint8_t *pkt,
    size_t len, struct mono now);

/** direct_accepts(): may a QUIC datagram from @from be believed?  While on the
 * relay from anyone (QUIC authenticates); else selected, candidate or
 * reflexive. */
bool direct_accepts(const struct direct *d, const struct addr *from);

/** direct_is_known(): is @from a candidate of the peer, or has the peer probed
 * from there?  Nobody else begins a QUIC connection: who opens many would take
 * the few places that a listener has. */
bool direct_is_known(const struct direct *d, const struct addr *from);

/** direct_heard(): genuine (QUIC-authenticated) data came directly from @from.
 */
void direct_heard(struct direct *d, const struct addr *from, struct mono now);

/** direct_sent(): something left on the selected path. */
void direct_sent(struct direct *d, struct mono now);

/** direct_send_failed(): the socket refused to send to @to with @error
 * (-errno, not -EMSGSIZE and not a full buffer): it is given up for now. */
void direct_send_failed(
    struct direct *d, const struct addr *to, int error, struct mono now);

/** direct_too_long(): the socket refused @len octets on the selected path
 * (-EMSGSIZE), or QUIC lost large packets only: smaller ones from now on. */
void direct_too_long(struct direct *d, size_t len, struct mono now);

/**
 * direct_output(): the next thing due.  Returns true with *@ret_out; call again
 * until false.  Also lets time pass: expiries, fall-backs.
 */
bool direct_output(
    struct direct *d, struct mono now, struct direct_out *ret_out);
struct mono direct_next_deadline(const struct direct *d);

/** direct_selected(): the address in use, or NULL: relay. */
const struct addr *direct_selected(const struct direct *d);
/** direct_payload(): largest datagram proven to pass on it, at least 1200. */
size_t direct_payload(const struct direct *d);
/** direct_generation(): changes whenever selection or payload do. */
uint32_t direct_generation(const struct direct *d);
/** direct_returns(): how often the selected address answered after it had left
 * probes unanswered, or what was sent for 1 s: what was lost meanwhile can be
 * sent again now. */
uint32_t direct_returns(const struct direct *d);
/** direct_reason(): why the selection is what it is; static text. */
const char *direct_reason(const struct direct *d);

/** direct_info(): the @i-th known address of the peer; false past the end. */
bool direct_info(
    const struct direct *d, size_t i, struct direct_info *ret_info);

#endif
