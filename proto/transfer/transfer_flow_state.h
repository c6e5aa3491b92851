/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside transfer_flow: what its four files share.  Not for others. */
#ifndef PROTO_TRANSFER_TRANSFER_FLOW_STATE_H
#define PROTO_TRANSFER_TRANSFER_FLOW_STATE_H

#include "proto/rendezvous/envelope.h"
#include "proto/transfer/transfer_flow.h"
#include "proto/transfer/transfer_header.h"

/* Envelopes of a v0.18.2 peer that nobody reads fill a queue of about 80, and a
 * full one stops its whole relay connection: everything repeated is counted. */
#define FLOW_CLAIM_REPEAT_US (1 * MONO_SEC) /* peer v0.18.2: never */
#define FLOW_CLAIM_REPEATS 10
/* Then slower, for an issuer that lost its relay for longer, or a claimant. */
#define FLOW_CLAIM_SLOW_US (5 * MONO_SEC)
#define FLOW_CLAIM_SLOW_REPEATS 40
/* And then, for one that waits for longer; all together do not fill such a
 * queue. */
#define FLOW_CLAIM_RARE_US (300 * MONO_SEC)
#define FLOW_CLAIM_RARE_REPEATS 24
/* The first repeat is sooner: a listener of ours may just be reaching its
 * relay, which drops what comes for it before. */
#define FLOW_CLAIM_FIRST_US (250 * MONO_MS)
#define FLOW_ACCEPT_REPEAT_US (1 * MONO_SEC) /* peer v0.18.2: never */
#define FLOW_ACCEPT_REPEATS 5
/* Answers to repeated claims, which only our own claimants send. */
#define FLOW_ANSWERS 16
#define FLOW_ANSWER_US (200 * MONO_MS)
#define FLOW_PROGRESS_US (500 * MONO_MS)        /* peer v0.18.2 */
#define FLOW_COMPLETE_REPEAT_US (500 * MONO_MS) /* peer v0.18.2: never */
#define FLOW_COMPLETE_REPEATS 10                /* 5 s, its sender's wait */
/* A refusal or an abort goes out at once, and again against its loss. */
#define FLOW_ABORT_SECOND_US (100 * MONO_MS)
#define FLOW_ABORT_LINGER_US (150 * MONO_MS) /* peer v0.18.2 */
/* Once more while no QUIC close can tell: a flow A receiver of v0.18.2 does
 * not listen for aborts while it negotiates. */
#define FLOW_ABORT_THIRD_US (1 * MONO_SEC)
#define FLOW_ABORT_LONG_LINGER_US (1050 * MONO_MS)
#define FLOW_LANES_US (750 * MONO_MS) /* peer v0.18.2: candidates of lanes */
/* The peer was silent for so long between accept and QUIC: it is dead. */
#define FLOW_CONNECT_US (15 * MONO_SEC)
/* And it cannot keep us waiting longer by talking: v0.18.2 needs 12 s. */
#define FLOW_CONNECT_MOST_US (60 * MONO_SEC)
/* A sender of v0.18.2 that failed may FIN before it closes with 1. */
#define FLOW_TRUNCATION_US (150 * MONO_MS)
/* An envelope may still explain what broke QUIC; peer v0.18.2. */
#define FLOW_GRACE_US (1 * MONO_SEC)
/* It has written all, says nothing more, and QUIC lives. */
#define FLOW_CONFIRM_US (60 * MONO_SEC)
#define FLOW_STALL_US (30 * MONO_SEC) /* shown, not acted on */

/* Something that is sent several times. */
struct flow_repeat {
	struct mono next; /* NEVER: nothing to send */
	unsigned left;    /* sendings after the next */
};

struct transfer_flow {
	struct transfer_params params; /* header: of own_header */
	bool issuer;
	bool sender;
	enum transfer_state state;
	struct candidate_list own;
	struct candidate_list peer;
	bool has_peer;
	bool native; /* the peer is one of ours */
	struct key32 peer_derp;
	struct key32 peer_quic;
	struct key32 claim_digest; /* issuer: SHA-256 of the claim served */

	/* What the claim offered, until the accept is made. */
	bool claim_relay_capable;
	struct transfer_parallel parallel;
	bool blocks;
	int64_t block_size;
	uint32_t chunk_size;

	bool has_plan;
	struct transfer_plan plan;
	bool quic_up;
	bool finished;
	bool no_raw;   /* the budget for raw lanes is spent */
	bool declined; /* our candidates phase says: no lanes */
	bool verdict;  /* our selection phase says yes */
	struct ready *ready;
	struct mono lanes_by;   /* lanes are refused from then on */
	struct mono budget_by;  /* of raw_direct_budget_ms */
	struct mono accept_by;  /* claimant */
	struct mono connect_by; /* moves with every sign of life */
	struct mono connect_most;
	struct mono confirm_by; /* CONFIRMING ends */
	bool received;          /* by a receiver that has yet to save it */
	struct mono grace_by;   /* QUIC is gone: judged then */
	bool grace_orderly;
	int grace_result;
	char grace_reason[TRANSFER_FLOW_MAX_REASON];

	/* Claim, accept or refusal: built once, sent unchanged. */
	struct flow_repeat announce;
	unsigned answers;
	struct mono announced;
	struct flow_repeat abort;
	struct flow_repeat complete;
	struct flow_repeat progress;
	bool final_progress; /* due before the first complete */
	bool quiet;
	struct mono quiet_by;

	int64_t moved;      /* through the streams */
	int64_t total;      /* session bytes, or -1 */
	struct mono first;  /* receiver: first byte written */
	uint64_t sequence;  /* of progress: last sent, or last seen */
	int64_t reported;   /* sender: session bytes the receiver has */
	int64_t elapsed_ms; /* sender: of the receiver's clock */
	struct mono grew;   /* sender: when reported last did */

	int result;
	char reason[TRANSFER_FLOW_MAX_REASON];
	uint8_t own_header[TRANSFER_HEADER_MAX_OWN];
	size_t peer_header_len;
	uint8_t *peer_header; /* owned */
	size_t announce_len;
	uint8_t announce_packet[TRANSFER_FLOW_MAX_PACKET];
};

/* transfer_flow_message.c */
int transfer_flow_build_claim(struct transfer_flow *f);
int transfer_flow_build_accept(struct transfer_flow *f);
int transfer_flow_build_refusal(struct transfer_flow *f);
int transfer_flow_build_progress(
    struct transfer_flow *f, struct mono now, struct buf_writer *w);
int transfer_flow_build_complete(
    const struct transfer_flow *f, struct buf_writer *w);
int transfer_flow_build_abort(
    const struct transfer_flow *f, struct buf_writer *w);

/* transfer_flow_begin.c: up to MOVING */
void transfer_flow_on_claim(struct transfer_flow *f,
    const struct message_v2_claim *claim, const struct key32 *source,
    struct mono now);
void transfer_flow_on_accept(struct transfer_flow *f,
    const struct message_v2_accept *accept, struct mono now);
void transfer_flow_on_ready(
    struct transfer_flow *f, const struct message_ready *body, struct mono now);
/** transfer_flow_repeat_claim(): the claim that was served came again. */
void transfer_flow_repeat_claim(struct transfer_flow *f, struct mono now);
/** transfer_flow_alive(): an authentic envelope came. */
void transfer_flow_alive(struct transfer_flow *f, struct mono now);
/** transfer_flow_step_begin(): time passed. */
void transfer_flow_step_begin(struct transfer_flow *f, struct mono now);

/* transfer_flow_end.c: from MOVING on */
void transfer_flow_on_progress(struct transfer_flow *f,
    const struct message_progress *body, struct mono now);
void transfer_flow_on_complete(struct transfer_flow *f,
    const struct message_v2_complete *body, struct mono now);
void transfer_flow_on_abort(
    struct transfer_flow *f, const struct message_abort *body, struct mono now);
void transfer_flow_step_end(struct transfer_flow *f, struct mono now);
/**
 * transfer_flow_break(): FAILED, unless it is over.
 * @tell: the peer does not know yet.
 */
void transfer_flow_break(struct transfer_flow *f, int r, bool tell,
    const char *reason, struct mono now);
/** transfer_flow_session_bytes(): moved, and a header that came apart. */
int64_t transfer_flow_session_bytes(const struct transfer_flow *f);
/** transfer_flow_is_over(): DONE or FAILED. */
bool transfer_flow_is_over(const struct transfer_flow *f);

#endif
