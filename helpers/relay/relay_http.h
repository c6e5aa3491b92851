/* SPDX-License-Identifier: BSD-3-Clause */
/* What the relay answers to HTTP requests; upgrades to DERP go elsewhere. */
#ifndef HELPERS_RELAY_RELAY_HTTP_H
#define HELPERS_RELAY_RELAY_HTTP_H

#include <stdbool.h>

#include "lib/buf.h"
#include "proto/derp/derp_http.h"

/* Bytes that relay_http_answer() writes at most: the counters and a head. */
#define RELAY_HTTP_MAX_ANSWER 12288

/* What the answer may depend on besides the request. */
struct relay_http_env {
	bool is_loopback;     /* the request comes from this host */
	const char *counters; /* JSON text for /debug/vars */
	size_t counters_len;
};

/** relay_http_is_upgrade(): does this ask to speak DERP frames? */
bool relay_http_is_upgrade(const struct derp_http_head *h);

/** relay_http_is_debug(): will the answer need the counters? */
bool relay_http_is_debug(const struct derp_http_head *h);

/**
 * relay_http_answer(): append the whole response; the connection is closed
 * behind it.  Returns 0 or -DT_ERR_FULL.
 */
int relay_http_answer(const struct derp_http_head *h,
    const struct relay_http_env *env, struct buf_writer *w);

/**
 * relay_http_refuse(): append the response to a head that does not parse.
 * @r: what derp_http_parse_request() returned.
 */
int relay_http_refuse(int r, struct buf_writer *w);

#endif
