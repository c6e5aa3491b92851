/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The gate of one token: judges claims, holds the token's secrets and the one
 * slot.  Pure: bytes and the time go in, a verdict comes out; the caller does
 * all I/O.  A gate admits one claimer at a time and may admit another after
 * gate_release().
 */
#ifndef PROTO_RENDEZVOUS_GATE_H
#define PROTO_RENDEZVOUS_GATE_H

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/rendezvous/candidate.h"
#include "proto/token/token_derptun.h"
#include "proto/token/token_session.h"

/* Longest decision: 32 candidates of 54 characters and about 300 more. */
#define GATE_MAX_DECISION 4096

enum gate_kind {
	GATE_SESSION = 1, /* share, attach: secret is the token's bearer */
	GATE_DERPTUN = 2, /* secret is the server token's signing secret */
};

/* What a gate must know; nothing of the listener's private keys.  Secret. */
struct gate_params {
	enum gate_kind kind;
	uint8_t version; /* session token version, 5 or 6 */
	struct id16 session_id;
	int64_t expires_unix;
	uint32_t capabilities;
	struct key32 derp_public; /* of the listener */
	struct key32 quic_public; /* of the listener */
	struct key32 secret;
	bool has_route;
	struct token_route route;
	bool allow_loopback; /* candidates; tests on one machine */
};

void gate_params_from_session(
    struct gate_params *ret_params, const struct session_token *token);
void gate_params_from_derptun(
    struct gate_params *ret_params, const struct derptun_server_token *server);

/* Who holds the slot, with all a session needs to know of him.  Secret. */
struct gate_claimer {
	struct key32 derp_public;
	struct key32 quic_public;
	struct id16 client_id; /* zero unless derptun */
	struct id16 session_id;
	struct key32 bearer; /* derptun: of this client */
	struct key32 envelope_key;
	struct key32 disco_key;
	struct candidate_list candidates; /* by the claim policy */
};

enum gate_verdict {
	GATE_SILENCE, /* drop it; unauthenticated, or not for us */
	GATE_REJECT,  /* send gate_build_reject(); slot unchanged */
	GATE_ACCEPT,  /* slot taken: start a session, gate_build_accept() */
	GATE_REPEAT,  /* the holder again: send gate_peek_decision() again */
	GATE_BUSY,    /* a rival: gate_build_reject(), or find the holder dead,
			 gate_release() and judge the same packet again */
};

struct gate_result {
	enum gate_verdict verdict;
	int r;                     /* why: 0 or -DT_ERR_*, for logs */
	const char *code;          /* REJECT, BUSY: wire code, static */
	const char *reason;        /* REJECT, BUSY: wire text, static */
	struct key32 reply_to;     /* all but SILENCE: DERP key */
	struct key32 envelope_key; /* all but SILENCE: for the answer */
};

struct gate;

/** gate_new(): copies @params.  NULL when memory is out. */
struct gate *gate_new(const struct gate_params *params);
/** gate_free(): wipes.  NULL is fine. */
void gate_free(struct gate *g);

/**
 * gate_judge(): one packet of an unknown or known sender.
 * @source: DERP key the packet came from.  derptun insists that it is the
 *          claim's own; session gates answer to the claim's key regardless.
 *
 * Returns 0, or -ENOMEM (treat as silence).
 */
int gate_judge(struct gate *g, int64_t now_unix, const struct key32 *source,
    const void *p, size_t len, struct gate_result *ret_result);

/** gate_peek_claimer(): the holder, or NULL; valid until release. */
const struct gate_claimer *gate_peek_claimer(const struct gate *g);

/**
 * gate_build_accept(): decision for the holder; kept for gate_peek_decision().
 * @own: the listener's candidates, already advertisable; empty for relay only.
 *
 * Returns 0, -DT_ERR_STATE without a holder, -DT_ERR_FULL, -ENOMEM.
 */
int gate_build_accept(
    struct gate *g, struct buf_writer *w, const struct candidate_list *own);

/** gate_peek_decision(): what gate_build_accept() made, or NULL. */
const uint8_t *gate_peek_decision(const struct gate *g, size_t *ret_len);

/** gate_build_reject(): decision for a REJECT or BUSY result.  As above. */
int gate_build_reject(struct buf_writer *w, const struct gate_result *result);

/** gate_release(): the holder is gone; the slot is free again. */
void gate_release(struct gate *g);

#endif
