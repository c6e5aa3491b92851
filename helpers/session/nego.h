/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From claim to QUIC: the claimer's claim, the listener's decision, and what
 * either says before QUIC stands; nothing but the claim can fail the session.
 */
#ifndef HELPERS_SESSION_NEGO_H
#define HELPERS_SESSION_NEGO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/ratelimit.h"
#include "lib/secret.h"

struct claimer;
struct session;

/* Owner: the session. */
struct nego {
	struct claimer *claimer; /* until it was accepted */
	bool must_claim;         /* claimer: there is no claim yet */
	bool claim_sent;
	bool is_accepted;
	bool is_native;            /* the peer is one of ours */
	bool has_dialled;          /* claimer: QUIC was started */
	struct mono deadline;      /* QUIC must stand by then */
	struct mono next_decision; /* derptun listener: resend */
	struct mono heard;         /* last authentic envelope */
	struct key32 claim_digest; /* listener: of the claim served */
	struct ratelimit back;     /* claims handed back to the gate */
};

/** nego_start(): listener: answer; claimer: start to claim.  0 or negative. */
int nego_start(struct session *s);
void nego_fini(struct session *s);

/** nego_input(): a packet of the peer.  Returns true if it was an envelope,
 * false if it may be a QUIC datagram. */
bool nego_input(struct session *s, const uint8_t *pkt, size_t len);

/** nego_run(): send what is due, judge the deadline. */
void nego_run(struct session *s);
struct mono nego_next_deadline(const struct session *s);

/** nego_done(): QUIC stands. */
void nego_done(struct session *s);
/** nego_is_polite(): would leaving now leave nobody waiting for us? */
bool nego_is_polite(const struct session *s);

#endif
