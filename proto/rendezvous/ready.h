/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two-phase v2_data_plane_ready conversation, the same on both sides.  It
 * must be held even to decline raw direct paths: a Go peer that is not answered
 * within 5 s gives up, and a Go server exits.  Pure.
 */
#ifndef PROTO_RENDEZVOUS_READY_H
#define PROTO_RENDEZVOUS_READY_H

#include "lib/buf.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/rendezvous/candidate.h"
#include "proto/rendezvous/message.h"

#define READY_MAX_SETS 16 /* the peer's most streams, one socket each */
/* The smallest buffer for ready_output(): a whole envelope. */
#define READY_MAX_PACKET 16384

enum ready_state {
	READY_CANDIDATES, /* waiting for the peer's candidates */
	READY_SELECTING,  /* both can: caller punches, then ready_set_verdict()
			   */
	READY_SELECTION,  /* waiting for the peer's verdict */
	READY_DONE,       /* decided; keep feeding input and taking output */
};

/* One list per socket. */
struct ready_sets {
	size_t n;
	struct candidate_list set[READY_MAX_SETS];
};

struct ready;

/**
 * ready_new(): enter the conversation; the first packet is due at once.
 * @envelope_key: copied.
 * @local: our raw sockets' candidates; NULL declines.
 *
 * Returns NULL when memory is out.
 */
struct ready *ready_new(const struct key32 *envelope_key,
    const struct ready_sets *local, struct mono now);
/** ready_free(): wipes.  NULL is fine. */
void ready_free(struct ready *r);

/**
 * ready_input(): a verified v2_data_plane_ready body of the peer, at any time,
 * in any order, early, late or repeated; others are ignored.
 */
void ready_input(
    struct ready *r, const struct message_ready *body, struct mono now);

/**
 * ready_output(): write the next due packet into @w.
 * Returns 1 when one was written (call again), 0 when none is due, -DT_ERR_FULL
 * or -ENOMEM.  Also moves the machine when a deadline has passed.
 */
int ready_output(struct ready *r, struct mono now, struct buf_writer *w);

/** ready_next_deadline(): when to call ready_output(); MONO_NEVER if idle. */
struct mono ready_next_deadline(const struct ready *r);

/** ready_set_verdict(): outcome of punching; ignored outside SELECTING. */
void ready_set_verdict(struct ready *r, bool raw_direct, struct mono now);

enum ready_state ready_state(const struct ready *r);
/** ready_is_raw_direct(): DONE and both sides said yes. */
bool ready_is_raw_direct(const struct ready *r);
/** ready_is_peer_silent(): a phase ended by the 5 s limit.  Not an error: the
 * peer may be relay-only; use the relay. */
bool ready_is_peer_silent(const struct ready *r);
/** ready_peek_peer_sets(): the peer's lists (empty until heard). */
const struct ready_sets *ready_peek_peer_sets(const struct ready *r);

#endif
