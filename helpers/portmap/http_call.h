/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One HTTP request on a connection that somebody else makes: a deadline for all
 * of it, and a limit to what is read.
 */
#ifndef HELPERS_PORTMAP_HTTP_CALL_H
#define HELPERS_PORTMAP_HTTP_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop.h"
#include "proto/portmap/http_reply.h"
#include "proto/portmap/soap.h"

/* From asking for the connection to the last byte.  Gateways are slow, people
 * are waiting. */
#define HTTP_CALL_US (3 * MONO_SEC)

struct http_call; /* owner: the worker, for its whole life */

/**
 * http_call_new(): @done: once for each http_call_begin(), from the loop, with
 * @r 0 or a negative error; @body is borrowed.
 * @max_body: longer ones are an error.
 *
 * Returns NULL when memory is out.
 */
struct http_call *http_call_new(struct loop *loop, size_t max_body,
    void (*done)(void *arg, int r, int status, const void *body, size_t len,
	struct mono now),
    void *arg);
void http_call_free(struct http_call *c);

/** http_call_begin(): keep the request, up to SOAP_MAX_REQUEST bytes, and wait
 * for the connection.  Only when idle. */
void http_call_begin(struct http_call *c, const void *request, size_t len);
/** http_call_connected(): here it is (non-blocking; taken), or @r < 0.  Only
 * between begin and done. */
void http_call_connected(struct http_call *c, int r, int fd, struct mono now);
bool http_call_is_waiting(const struct http_call *c);

#endif
