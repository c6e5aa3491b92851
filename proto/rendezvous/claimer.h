/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The claiming side of the claim dialect (open, ssh accept, derptun open): one
 * claim, resent unchanged until the listener decides.  Pure.
 */
#ifndef PROTO_RENDEZVOUS_CLAIMER_H
#define PROTO_RENDEZVOUS_CLAIMER_H

#include "lib/buf.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/rendezvous/candidate.h"
#include "proto/token/token_derptun.h"
#include "proto/token/token_session.h"

#define CLAIMER_MAX_PACKET 8192 /* 32 candidates and every key: under 3 KiB */
#define CLAIMER_MAX_REASON 256  /* of the peer's text, sanitised */

/* Secret. */
struct claimer_params {
	uint8_t version;
	struct id16 session_id;
	struct key32 bearer;
	uint32_t capabilities;
	struct key32 peer_derp; /* the listener */
	struct key32 own_derp_public;
	struct key32 own_quic_public;
	struct candidate_list candidates; /* unfit ones are left out */
	bool has_client;                  /* derptun */
	struct id16 client_id;
	struct id16 token_id;
	int64_t client_expires_unix;
	struct key32 proof;
	bool allow_loopback; /* candidates; tests on one machine */
};

/** claimer_params_from_session(): all but own keys and candidates. */
void claimer_params_from_session(
    struct claimer_params *ret_params, const struct session_token *token);
/** claimer_params_from_client(): likewise, for derptun. */
void claimer_params_from_client(struct claimer_params *ret_params,
    const struct derptun_client_token *token);

enum claimer_state {
	CLAIMER_WAITING,
	CLAIMER_ACCEPTED, /* see claimer_peek_candidates() */
	CLAIMER_REJECTED, /* see claimer_reject_code() and claimer_reason() */
	CLAIMER_ABORTED,  /* peer aborted; claimer_reason() */
	CLAIMER_BROKEN,   /* accepted something we did not claim */
};

struct claimer;

/** claimer_new(): builds the claim; it is due at once.  NULL: no memory. */
struct claimer *claimer_new(
    const struct claimer_params *params, struct mono now);
/** claimer_free(): wipes.  NULL is fine. */
void claimer_free(struct claimer *c);

enum claimer_state claimer_state(const struct claimer *c);

/** claimer_next_deadline(): when claimer_output() has something next. */
struct mono claimer_next_deadline(const struct claimer *c);

/**
 * claimer_output(): the claim, if it is due; to be sent to peer_derp.
 * Returns true with *@ret_p and *@ret_len, valid until claimer_free(); false
 * when nothing is due.
 */
bool claimer_output(
    struct claimer *c, struct mono now, const uint8_t **ret_p, size_t *ret_len);

/**
 * claimer_input(): a packet from @source that looks like an envelope.
 *
 * Returns true if it was an authentic decision or abort of the listener (the
 * state tells more); false if it is not for us (other sources, bad MACs, other
 * kinds, anything after the decision).
 */
bool claimer_input(
    struct claimer *c, const struct key32 *source, const void *p, size_t len);

/** claimer_retry(): after a rejection: claim again, the same claim. */
void claimer_retry(struct claimer *c, struct mono now);

/** claimer_result(): 0 while waiting or accepted, else -DT_ERR_PEER_*. */
int claimer_result(const struct claimer *c);
/** claimer_reason(): text for the user, never NULL. */
const char *claimer_reason(const struct claimer *c);
/** claimer_reject_code(): "claimed" and so on; "" if there is none. */
const char *claimer_reject_code(const struct claimer *c);
/** claimer_peek_candidates(): the listener's, without echoes of our own. */
const struct candidate_list *claimer_peek_candidates(const struct claimer *c);
/** claimer_peek_envelope_key(): key of the session's envelopes. */
const struct key32 *claimer_peek_envelope_key(const struct claimer *c);
/** claimer_disco_key(): key of direct-path probes. */
void claimer_disco_key(const struct claimer *c, struct key32 *ret_key);

#endif
