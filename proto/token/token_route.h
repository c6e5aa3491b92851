/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Custom relay route of a token: where its DERP and STUN server is.  Holds no
 * secret.  A valid route is always canonical.
 */
#ifndef PROTO_TOKEN_ROUTE_H
#define PROTO_TOKEN_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "proto/token/token_text.h"

/* Host octets, from the wire format (a DNS name without the final dot). */
#define TOKEN_ROUTE_MAX_HOST 253
/* Length octet, host, two ports. */
#define TOKEN_ROUTE_MAX_WIRE (1 + TOKEN_ROUTE_MAX_HOST + 4)
/* "https://[" host "]:65535/derp" and terminator, rounded up. */
#define TOKEN_ROUTE_MAX_URL 288
/* Region number under which the Go tools file a custom relay. */
#define TOKEN_ROUTE_REGION 900
#define TOKEN_ROUTE_DEFAULT_DERP_PORT 443
#define TOKEN_ROUTE_DEFAULT_STUN_PORT 3478 /* RFC 8489 */

struct token_route {
	char host[TOKEN_ROUTE_MAX_HOST + 1]; /* IP literal or DNS name */
	uint16_t derp_port;                  /* not 0 */
	uint16_t stun_port;                  /* not 0 */
};

/**
 * token_route_init(): canonicalise @host (lower case, one final dot removed,
 * RFC 5952) and check everything.
 * @host: @host_len characters, no brackets.
 * @ret_error: may be NULL; text is the bare reason.
 *
 * Returns 0 or -DT_ERR_SYNTAX.
 */
int token_route_init(struct token_route *ret_route, const char *host,
    size_t host_len, uint16_t derp_port, uint16_t stun_port,
    struct token_error *ret_error);

/**
 * token_route_from_url(): from the text of DERPHOLE_DERP_SERVER, an https URL.
 * The STUN port becomes 3478.  An empty variable means public relays: do not
 * call this then.
 *
 * Returns 0 or -DT_ERR_SYNTAX; the text begins "invalid DERPHOLE_DERP_SERVER: "
 * and never quotes the URL.
 */
int token_route_from_url(struct token_route *ret_route, const char *url,
    struct token_error *ret_error);

/** token_route_put(): the route extension of tokens and proofs. */
void token_route_put(struct buf_writer *w, const struct token_route *route);

/**
 * token_route_get(): read a route extension; it must be canonical.
 * @r: advanced over the extension; bytes behind it are the caller's.
 *
 * Returns 0 or -DT_ERR_SYNTAX; text is "route host length is invalid" or
 * "invalid route wire: REASON".
 */
int token_route_get(struct buf_reader *r, struct token_route *ret_route,
    struct token_error *ret_error);

/** token_route_url(): "https://HOST[:PORT]/derp" as the Go tools dial it. */
void token_route_url(
    const struct token_route *route, char out[static TOKEN_ROUTE_MAX_URL]);

/** token_route_host_port(): "HOST:PORT", an IPv6 host in brackets. */
void token_route_host_port(const struct token_route *route, uint16_t port,
    char out[static TOKEN_ROUTE_MAX_URL]);

bool token_route_equal(
    const struct token_route *a, const struct token_route *b);

#endif
