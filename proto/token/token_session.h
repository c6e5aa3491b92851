/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Session tokens ("receive codes"): what listen, send, share and ssh invite
 * print.  Version 5 is for public relays, version 6 names a custom one.
 */
#ifndef PROTO_TOKEN_SESSION_H
#define PROTO_TOKEN_SESSION_H

#include "lib/secret.h"
#include "proto/token/token_route.h"
#include "proto/token/token_text.h"

#define TOKEN_SESSION_VERSION_PUBLIC 5
#define TOKEN_SESSION_VERSION_ROUTE 6
/* Octets of a version 6 token with the longest host. */
#define TOKEN_SESSION_MAX_WIRE (127 + TOKEN_ROUTE_MAX_WIRE + 4)
/* Characters with terminator. */
#define TOKEN_SESSION_MAX_TEXT                                                 \
	(TOKEN_TEXT_BASE64_LEN(TOKEN_SESSION_MAX_WIRE) + 1)
/* "XXXX-XXXX-XXXX" and terminator. */
#define TOKEN_SESSION_VERIFICATION_LEN 15
/* Seconds from minting to expiry. */
#define TOKEN_SESSION_LIFE 3600

/* Capability bits. */
#define TOKEN_CAP_STDIO 0x01u       /* listener receives a stream */
#define TOKEN_CAP_SHARE 0x02u       /* listener shares a TCP service */
#define TOKEN_CAP_ATTACH 0x04u      /* ssh invite */
#define TOKEN_CAP_STDIO_OFFER 0x08u /* listener sends */
#define TOKEN_CAP_WEB_FILE 0x10u    /* browser offer */
#define TOKEN_CAP_DERPTUN_TCP 0x20u /* claims of derptun only */
#define TOKEN_CAP_TRANSFER_V2 0x80u /* companion of the two stdio bits */

/* Holds a secret: wipe it.  Invariant: has_route iff version is 6. */
struct session_token {
	uint8_t version; /* TOKEN_SESSION_VERSION_* */
	struct id16 session_id;
	int64_t expires_unix;
	uint16_t region; /* where to meet; ignored with a route */
	struct key32 derp_public;
	struct key32 quic_public;
	struct key32 bearer; /* secret */
	uint32_t capabilities;
	bool has_route;
	struct token_route route;
};

/**
 * token_session_mint(): fresh session id and bearer secret.
 * @region: of the relay the listener is attached to; with @route it becomes
 *          TOKEN_ROUTE_REGION.
 * @route: NULL for public relays; copied.
 */
void token_session_mint(struct session_token *ret_token, int64_t expires_unix,
    uint16_t region, const struct token_route *route, uint32_t capabilities);

/**
 * token_session_encode(): canonical text, terminated.
 *
 * Returns 0, -DT_ERR_VERSION when version and route disagree ("token
 * unsupported version").
 */
int token_session_encode(
    const struct session_token *token, char out[static TOKEN_SESSION_MAX_TEXT]);

/**
 * token_session_decode(): leniency as token_text_base64_decode().
 * @text: terminated; keep it for token_session_verification().
 * @ret_error: may be NULL.
 *
 * Returns 0, or in this precedence: -DT_ERR_SYNTAX (base64), -DT_ERR_TRUNCATED
 * (empty), -DT_ERR_VERSION, -DT_ERR_TRUNCATED or -DT_ERR_TRAILING (length),
 * -DT_ERR_CHECKSUM, -DT_ERR_SYNTAX (route), -DT_ERR_EXPIRED when
 * @now_unix >= expiry.
 */
int token_session_decode(struct session_token *ret_token, const char *text,
    int64_t now_unix, struct token_error *ret_error);

/**
 * token_session_verification(): the string both ends compare in file headers.
 * @text: the token exactly as it was given; its characters are hashed.
 */
void token_session_verification(
    const char *text, char out[static TOKEN_SESSION_VERIFICATION_LEN]);

/** token_session_wipe(): forget everything. */
void token_session_wipe(struct session_token *token);

#endif
