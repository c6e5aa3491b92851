/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One HTTP/1.x response, as its bytes come in: status and body, nothing else.
 * Memory is the caller's body buffer and one line; work is linear in the bytes.
 * Redirects are answers like any other: who gets one gives up.
 */
#ifndef PROTO_PORTMAP_HTTP_REPLY_H
#define PROTO_PORTMAP_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REPLY_MAX_LINE 1024u
/* Status line, header and chunk overhead together. */
#define HTTP_REPLY_MAX_OVERHEAD 16384u

enum http_reply_state {
	HTTP_REPLY_STATUS,
	HTTP_REPLY_HEADER,
	HTTP_REPLY_LENGTH, /* body of a known length */
	HTTP_REPLY_TO_END, /* body until the connection ends */
	HTTP_REPLY_CHUNK_SIZE,
	HTTP_REPLY_CHUNK,
	HTTP_REPLY_CHUNK_END,
	HTTP_REPLY_TRAILER,
	HTTP_REPLY_DONE,
	HTTP_REPLY_FAILED,
};

struct http_reply {
	enum http_reply_state state;
	int err;    /* why it FAILED */
	int status; /* valid from HEADER on */
	bool chunked;
	bool has_length;
	size_t left;     /* of the body or the chunk */
	size_t overhead; /* bytes of lines so far */
	uint8_t *body;   /* the caller's */
	size_t body_cap;
	size_t body_len;
	size_t line_len;
	char line[HTTP_REPLY_MAX_LINE];
};

/** http_reply_init(): @body is borrowed; a longer body is an error. */
void http_reply_init(struct http_reply *h, void *body, size_t body_cap);

/**
 * http_reply_input(): the next bytes; what follows a complete response is
 * ignored.
 *
 * Returns 1 when the response is complete, 0 to go on, -DT_ERR_SYNTAX,
 * -DT_ERR_TOO_LONG; the same again from then on.
 */
int http_reply_input(struct http_reply *h, const void *p, size_t len);

/** http_reply_end(): the connection ended.  0 if the response is complete,
 * -DT_ERR_TRUNCATED, or the error from before. */
int http_reply_end(struct http_reply *h);

#endif
