/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * derptun credentials: the server token (dts1_, dts2_) and the client tokens
 * (DT1, DT2) minted from it.  The server stores no list of clients: bearer
 * secret and proof are derived from its signing secret.
 */
#ifndef PROTO_TOKEN_DERPTUN_H
#define PROTO_TOKEN_DERPTUN_H

#include "lib/secret.h"
#include "proto/token/token_route.h"
#include "proto/token/token_session.h"
#include "proto/token/token_text.h"

#define TOKEN_DERPTUN_VERSION_PUBLIC 1 /* dts1_, DT1 */
#define TOKEN_DERPTUN_VERSION_ROUTE 2  /* dts2_, DT2 */
/* Longest text we write, with terminator: JSON of about 1000 octets. */
#define TOKEN_DERPTUN_MAX_SERVER_TEXT 2048
/* Longest text we read: unknown members are allowed, megabytes are not. */
#define TOKEN_DERPTUN_MAX_INPUT 16384
/* "DT2", base-41 of 186 + 258 octets, terminator. */
#define TOKEN_DERPTUN_MAX_CLIENT_TEXT                                          \
	(3 + TOKEN_TEXT_BASE41_LEN(186 + TOKEN_ROUTE_MAX_WIRE) + 1)
/* "client-" and 8 hex digits and terminator. */
#define TOKEN_DERPTUN_CLIENT_NAME_LEN 16
#define TOKEN_DERPTUN_SERVER_DAYS 180 /* default life */
#define TOKEN_DERPTUN_CLIENT_DAYS 90

/* Secret as a whole: wipe it.  Invariant: has_route iff version is 2, public
 * halves match private ones. */
struct derptun_server_token {
	uint8_t version;
	struct id16 session_id;
	int64_t expires_unix;
	struct key32 derp_private;
	struct key32 derp_public; /* derived */
	struct key32 quic_seed;   /* Ed25519 seed */
	struct key32 quic_public;
	struct key32 signing_secret;
	bool has_route;
	struct token_route route;
};

/* Secret as a whole: wipe it.  Invariant: has_route iff version is 2. */
struct derptun_client_token {
	uint8_t version;
	struct id16 session_id;
	struct id16 client_id;
	struct id16 token_id;
	int64_t expires_unix;
	struct key32 derp_public; /* of the server */
	struct key32 quic_public; /* of the server */
	struct key32 bearer;      /* for this client_id */
	struct key32 proof;       /* cannot be checked by the client */
	bool has_route;
	struct token_route route;
};

/**
 * token_derptun_mint_server(): fresh keys, ids and secrets.
 * @route: NULL for public relays; copied.
 *
 * Returns 0, or -DT_ERR_EXPIRED ("expiry must be in the future").
 */
int token_derptun_mint_server(struct derptun_server_token *ret_token,
    int64_t now_unix, int64_t expires_unix, const struct token_route *route,
    struct token_error *ret_error);

/** token_derptun_encode_server(): canonical text.  Cannot fail. */
void token_derptun_encode_server(const struct derptun_server_token *token,
    char out[static TOKEN_DERPTUN_MAX_SERVER_TEXT]);

/**
 * token_derptun_decode_server(): also refuses an all-zero DERP key and a QUIC
 * key whose halves disagree, which the Go tools let through.
 * @text: terminated.
 *
 * Returns 0, -DT_ERR_SYNTAX, -DT_ERR_VERSION (prefix, version and route
 * disagree), -DT_ERR_KEY, -DT_ERR_TOO_LONG, -DT_ERR_EXPIRED, -ENOMEM.
 */
int token_derptun_decode_server(struct derptun_server_token *ret_token,
    const char *text, int64_t now_unix, struct token_error *ret_error);

/**
 * token_derptun_mint_client(): fresh client and token id, route of the server.
 *
 * Returns 0, or -DT_ERR_EXPIRED: "expiry must be in the future" or "client
 * expiry exceeds server expiry".
 */
int token_derptun_mint_client(struct derptun_client_token *ret_token,
    const struct derptun_server_token *server, int64_t now_unix,
    int64_t expires_unix, struct token_error *ret_error);

/** token_derptun_encode_client(): canonical text.  Cannot fail. */
void token_derptun_encode_client(const struct derptun_client_token *token,
    char out[static TOKEN_DERPTUN_MAX_CLIENT_TEXT]);

/**
 * token_derptun_decode_client(): strict; the proof stays unchecked.
 *
 * Returns 0, -DT_ERR_SYNTAX, -DT_ERR_KEY (a zero id or key), -DT_ERR_EXPIRED.
 */
int token_derptun_decode_client(struct derptun_client_token *ret_token,
    const char *text, int64_t now_unix, struct token_error *ret_error);

/**
 * token_derptun_expiry(): "--days N" from now.
 * @days: 0 means @default_days.
 *
 * Returns 0, or -DT_ERR_LIMIT ("days must be at least 1").
 */
int token_derptun_expiry(int64_t *ret_unix, int64_t now_unix, int64_t days,
    int64_t default_days, struct token_error *ret_error);

/** token_derptun_bearer(): the secret of one client. */
void token_derptun_bearer(struct key32 *ret_bearer,
    const struct key32 *signing_secret, const struct id16 *client_id);

/**
 * token_derptun_proof(): what the server expects of a client.
 * @token: every field but proof is read; its bearer is covered.
 * @name: client name of @name_len characters, at most
 *        TOKEN_DERPTUN_MAX_NAME; the rest of a longer one would not be hashed,
 *        so callers refuse it.
 */
#define TOKEN_DERPTUN_MAX_NAME 64
void token_derptun_proof(struct key32 *ret_proof,
    const struct key32 *signing_secret,
    const struct derptun_client_token *token, const char *name,
    size_t name_len);

/** token_derptun_client_name(): "client-" + hex of 4 octets. */
void token_derptun_client_name(char out[static TOKEN_DERPTUN_CLIENT_NAME_LEN],
    const struct id16 *client_id);

void token_derptun_wipe_server(struct derptun_server_token *token);
void token_derptun_wipe_client(struct derptun_client_token *token);

#endif
