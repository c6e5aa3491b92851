/* SPDX-License-Identifier: BSD-3-Clause */
/* A single GET over http or https, for DERP maps: small, bounded, no redirects.
 */
#ifndef DAEMON_HTTP_GET_H
#define DAEMON_HTTP_GET_H

#include <stddef.h>

#include "lib/loop.h"
#include "proto/tls/tls_ctx.h"

struct http_get;

/* The public DERP map has 20 KiB. */
#define HTTP_GET_MAX_BODY ((size_t)1024 * 1024)
#define HTTP_GET_LIMIT_US (5 * MONO_SEC)

/**
 * http_get_new(): begin.
 * @url: http:// or https://, no credentials.
 * @tls: roots for https; outlives the request.
 * @cb: called once, never before this returned: r 0 and the body of a 200, or
 *      a negative error (-DT_ERR_HTTP_STATUS, -DT_ERR_TIMEOUT, ...) with a text
 *      for people.  The handle is gone when it runs.
 *
 * Returns 0, -DT_ERR_SYNTAX for an unusable URL, -ENOMEM.
 */
int http_get_new(struct loop *loop, const char *url, struct tls_ctx *tls,
    void (*cb)(void *arg, int r, const char *body, size_t len, const char *why),
    void *arg, struct http_get **ret_get);
/** http_get_cancel(): no callback.  NULL is fine. */
void http_get_cancel(struct http_get *g);

#endif
