/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One transfer of peer v0.18.2's kind, seen from one end: claim, accept, ready
 * conversation, progress, completion, abort, and every limit on waiting.  Pure:
 * envelopes, reports of the caller and the time go in; envelopes, a plan and a
 * state come out.  The caller moves the bytes.
 *
 *	packet of the peer:  transfer_flow_input(); FOREIGN is for QUIC
 *	turn end:            while (transfer_flow_output() == 1) send it;
 *	                     look at transfer_flow_state(), _plan(), _want_*();
 *	                     arm a timer for transfer_flow_next_deadline().
 *
 *	LISTENING  issuer: no claim yet          CLAIMING  claimant: no accept
 *	   | claim                                  | accept
 *	OPENING    the caller opens source or output: transfer_flow_opened()
 *	   |           (skipped when params.is_open)
 *	CONNECTING the plan is known; QUIC may start as soon as plan.path is
 *	   |       decided: transfer_flow_connected()
 *	MOVING     transfer_flow_moved(), transfer_flow_finished()
 *	   |
 *	CONFIRMING sender: waits for v2_complete; receiver: 150 ms for an abort
 *	   |
 *	DONE       the receiver has all; transfer_flow_is_quiet() before leaving
 *	FAILED     from anywhere; likewise
 */
#ifndef PROTO_TRANSFER_TRANSFER_FLOW_H
#define PROTO_TRANSFER_TRANSFER_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/rendezvous/candidate.h"
#include "proto/rendezvous/ready.h"
#include "proto/transfer/transfer_params.h"
#include "proto/transfer/transfer_policy.h"

#define TRANSFER_FLOW_MAX_PACKET 16384 /* an envelope */
#define TRANSFER_FLOW_MAX_REASON 256
/* Reason of a CONNECTION_CLOSE when all went well; peer v0.18.2. */
#define TRANSFER_FLOW_COMPLETE "complete"

struct transfer_flow;

/**
 * transfer_flow_new(): the claim of a claimant is due at once.
 * @own: our candidates so far; NULL or empty is fine, and so is more later.
 *
 * Returns NULL when memory is out.
 */
struct transfer_flow *transfer_flow_new(const struct transfer_params *params,
    const struct candidate_list *own, struct mono now);
/** transfer_flow_free(): wipes.  NULL is fine. */
void transfer_flow_free(struct transfer_flow *f);

/** transfer_flow_set_candidates(): for a claim or accept not yet sent. */
void transfer_flow_set_candidates(
    struct transfer_flow *f, const struct candidate_list *own);

enum transfer_input {
	TRANSFER_INPUT_FOREIGN,    /* no envelope: maybe a QUIC datagram */
	TRANSFER_INPUT_IGNORED,    /* wrong source, MAC, kind or time */
	TRANSFER_INPUT_TAKEN,      /* look at the state */
	TRANSFER_INPUT_CANDIDATES, /* see transfer_flow_peek_candidates() */
	TRANSFER_INPUT_CALL_ME_MAYBE,
	TRANSFER_INPUT_NATIVE, /* the peer is one of ours */
};

/** transfer_flow_input(): one relayed packet from @source. */
enum transfer_input transfer_flow_input(struct transfer_flow *f,
    struct mono now, const struct key32 *source, const void *p, size_t len);

/**
 * transfer_flow_output(): the next due envelope, for transfer_flow_peer_derp().
 * Returns 1 when one was written (call again), 0 when none is due, -DT_ERR_FULL
 * (@w needs TRANSFER_FLOW_MAX_PACKET).  Also lets time pass.
 */
int transfer_flow_output(
    struct transfer_flow *f, struct mono now, struct buf_writer *w);
struct mono transfer_flow_next_deadline(const struct transfer_flow *f);

enum transfer_state transfer_flow_state(const struct transfer_flow *f);

/** transfer_flow_peek_plan(): NULL before claim and accept were exchanged; then
 * everything in it is final but path and quic_server.  An issuer has it from
 * CONNECTING on, a claimant from OPENING on.  OPENING: see also
 * transfer_flow_peek_header(). */
const struct transfer_plan *transfer_flow_peek_plan(
    const struct transfer_flow *f);
/** transfer_flow_peek_header(): receiver, from OPENING on: the header of a file
 * that comes in blocks, or NULL: it comes in the stream, or not at all. */
const uint8_t *transfer_flow_peek_header(
    const struct transfer_flow *f, size_t *ret_len);
/** transfer_flow_offered_size(): receiver in OPENING: payload bytes of a file
 * that will come in blocks, or -1. */
int64_t transfer_flow_offered_size(const struct transfer_flow *f);

/** transfer_flow_peer_derp(): where output goes; zero while LISTENING. */
const struct key32 *transfer_flow_peer_derp(const struct transfer_flow *f);
/** transfer_flow_peer_quic(): issuer: the claimant's identity, to pin. */
const struct key32 *transfer_flow_peer_quic(const struct transfer_flow *f);
/** transfer_flow_peek_candidates(): the peer's, newest; empty if relay only. */
const struct candidate_list *transfer_flow_peek_candidates(
    const struct transfer_flow *f);

/* Reports of the caller.  Those that do not fit the state are ignored. */

/** transfer_flow_opened(): leave OPENING. */
void transfer_flow_opened(struct transfer_flow *f, struct mono now);

/** transfer_flow_wants_lanes(): raw lanes were promised and are due now; after
 * 750 ms they count as refused. */
bool transfer_flow_wants_lanes(const struct transfer_flow *f);
/** transfer_flow_set_lanes(): the candidates of raw sockets, one set for each;
 * publish exactly one.  NULL: none. */
void transfer_flow_set_lanes(
    struct transfer_flow *f, const struct ready_sets *lanes, struct mono now);
/** transfer_flow_wants_verdict(): punch towards
 * transfer_flow_peek_peer_lanes(), plan.punch_delay_us late, and report within
 * 3 s. */
bool transfer_flow_wants_verdict(const struct transfer_flow *f);
const struct ready_sets *transfer_flow_peek_peer_lanes(
    const struct transfer_flow *f);
void transfer_flow_set_verdict(
    struct transfer_flow *f, bool usable, struct mono now);

/** transfer_flow_connected(): QUIC stands, on every connection. */
void transfer_flow_connected(struct transfer_flow *f, struct mono now);

/** transfer_flow_moved(): bytes that went through the streams so far, framing
 * excluded.  Sender: taken from the source.  Receiver: written out. */
void transfer_flow_moved(
    struct transfer_flow *f, int64_t bytes, struct mono now);

/** transfer_flow_set_total(): receiver: session bytes to come, once a header in
 * the stream told (transfer_intake_total()). */
void transfer_flow_set_total(struct transfer_flow *f, int64_t bytes);

/** transfer_flow_received(): receiver: all has come and is being saved; what
 * decides is _finished() or _fail(), not whether the sender still lives. */
void transfer_flow_received(struct transfer_flow *f);

/**
 * transfer_flow_finished(): sender: the source is exhausted; call it before the
 * FINs are given to QUIC.  Receiver: all streams ended, nothing is missing, and
 * the output is safe (written, synced, renamed).  After transfer_flow_moved().
 */
void transfer_flow_finished(struct transfer_flow *f, struct mono now);

/**
 * transfer_flow_disconnected(): QUIC is gone, or a stream was reset.
 * @orderly: closed by the peer's application with code 0.
 * @r: else why, negative.  @reason: the peer's words or ours; may be "".
 *
 * The state may wait up to 1 s for an envelope that explains it.
 */
void transfer_flow_disconnected(struct transfer_flow *f, bool orderly, int r,
    const char *reason, struct mono now);

/** transfer_flow_fail(): something of ours went wrong; the peer is told.
 * @r: negative.  @reason: for the peer and the user. */
void transfer_flow_fail(
    struct transfer_flow *f, int r, const char *reason, struct mono now);
/** transfer_flow_cancel(): the user interrupts (-ECANCELED). */
void transfer_flow_cancel(struct transfer_flow *f, struct mono now);

/* The outcome. */

/** transfer_flow_result(): 0 unless FAILED.  See PROTOCOL.transfer.md for exit
 * codes. */
int transfer_flow_result(const struct transfer_flow *f);
/** transfer_flow_reason(): for the user, escaped; "" unless FAILED. */
const char *transfer_flow_reason(const struct transfer_flow *f);

/**
 * transfer_flow_may_close(): DONE or FAILED, and QUIC may be closed now.
 * @ret_code: 0 or 1.  @ret_reason: for the CONNECTION_CLOSE.
 */
bool transfer_flow_may_close(
    const struct transfer_flow *f, uint64_t *ret_code, const char **ret_reason);
/** transfer_flow_is_quiet(): nothing is left to be said; the user's answer need
 * not wait for this. */
bool transfer_flow_is_quiet(const struct transfer_flow *f);

/* What the receiver has, as the sender knows it. */
struct transfer_report {
	int64_t payload;    /* bytes written there, header excluded; never
			       falls, never more than we sent */
	int64_t elapsed_ms; /* of its clock, since its first byte; 0: unknown */
	bool final;         /* it has confirmed all */
	bool stalled;       /* nothing moved there for 30 s; for the display */
};
/** transfer_flow_report(): sender only; zeros at first. */
void transfer_flow_report(const struct transfer_flow *f, struct mono now,
    struct transfer_report *ret_report);

#endif
