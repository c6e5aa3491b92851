/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * As much of HTTP/1.1 as carries DERP: message heads read and written, no
 * bodies.  Parsed heads borrow the caller's bytes.  Bytes behind the head
 * (head_len) belong to the next protocol and must be kept by the caller.
 */
#ifndef PROTO_DERP_HTTP_H
#define PROTO_DERP_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/secret.h"

/* A head longer than this is refused; browsers send about 2 KiB. */
#define DERP_HTTP_MAX_HEAD 16384u
/* Header fields in one head. */
#define DERP_HTTP_MAX_FIELDS 64u
/* Bytes that derp_http_put_upgrade() can write: fixed text, host, path. */
#define DERP_HTTP_MAX_REQUEST 2048u
/* Bytes that derp_http_put_switching() writes at most. */
#define DERP_HTTP_MAX_SWITCHING 256u

/* A stretch of the parsed head; not terminated.  p is NULL when absent. */
struct derp_http_text {
	const char *p;
	size_t len;
};

struct derp_http_field {
	struct derp_http_text name;
	struct derp_http_text value; /* without white space around it */
};

/* Request: method .. query are set, status is 0.  Response: the reverse. */
struct derp_http_head {
	struct derp_http_text method;
	struct derp_http_text target; /* as sent */
	struct derp_http_text path;   /* of target, without query */
	struct derp_http_text query;  /* behind '?'; absent if there is none */
	int status;                   /* 100 .. 999 */
	struct derp_http_text reason;
	int minor; /* HTTP/1.minor: 0 or 1 */
	struct derp_http_field fields[DERP_HTTP_MAX_FIELDS];
	size_t n_fields;
	size_t head_len; /* bytes consumed, the empty line included */
};

/**
 * derp_http_parse_request(): parse one request head.
 * @len: bytes there are; those behind the head are not looked at.
 *
 * Lines may end in CRLF or LF.  The Host field may be empty, but HTTP/1.1 must
 * have exactly one.  Bodies are not supported: a request that announces one
 * parses, and its body is left to the caller.
 *
 * Returns 0, -DT_ERR_TRUNCATED (no empty line yet), -DT_ERR_TOO_LONG (head
 * above DERP_HTTP_MAX_HEAD), -DT_ERR_LIMIT (too many fields), -DT_ERR_VERSION
 * (not HTTP/1.0 or 1.1) or -DT_ERR_SYNTAX.
 */
int derp_http_parse_request(
    const uint8_t *p, size_t len, struct derp_http_head *ret_head);

/** derp_http_parse_response(): parse one response head; results as above. */
int derp_http_parse_response(
    const uint8_t *p, size_t len, struct derp_http_head *ret_head);

/**
 * derp_http_field(): value of the first field called @name in any case.
 *
 * Returns a span with p NULL when there is none; an empty value has len 0.
 */
struct derp_http_text derp_http_field(
    const struct derp_http_head *h, const char *name);

/** derp_http_is(): is @t exactly @s, compared with case? */
bool derp_http_is(struct derp_http_text t, const char *s);
/** derp_http_is_nocase(): is @t @s but for ASCII case? */
bool derp_http_is_nocase(struct derp_http_text t, const char *s);
/** derp_http_has_token(): is @token in a comma-separated field @name?  All
 * fields of that name are looked at; ASCII case does not matter. */
bool derp_http_has_token(
    const struct derp_http_head *h, const char *name, const char *token);

enum derp_http_upgrade {
	DERP_HTTP_UPGRADE_NONE,      /* answer 426 */
	DERP_HTTP_UPGRADE_DERP,      /* frames follow the head */
	DERP_HTTP_UPGRADE_WEBSOCKET, /* frames in binary messages */
};

/**
 * derp_http_upgrade(): what a request to /derp asks for.  "Upgrade: websocket"
 * without "derp" in Sec-WebSocket-Protocol is plain DERP (old clients).
 */
enum derp_http_upgrade derp_http_upgrade(const struct derp_http_head *h);
/** derp_http_is_fast_start(): the client wants no response text. */
bool derp_http_is_fast_start(const struct derp_http_head *h);
/** derp_http_is_not_ideal(): the client would rather be on another node. */
bool derp_http_is_not_ideal(const struct derp_http_head *h);

/* A client's upgrade request.  Strings are borrowed for the call. */
struct derp_http_request {
	const char *host; /* name or address literal, no brackets */
	uint16_t port;
	bool tls;               /* decides the default port: 443 or 80 */
	const char *path;       /* "/derp" in almost all cases */
	bool fast_start;        /* only when the server's key is known */
	const char *ideal_node; /* or NULL */
};

/**
 * derp_http_put_upgrade(): append the client's request.  Host is written
 * without port when it is the scheme's default; IPv6 literals get brackets.
 *
 * Returns 0, -DT_ERR_FULL, or -DT_ERR_SYNTAX when host, path or ideal_node hold
 * anything but printable ASCII, or path does not begin with '/'.
 */
int derp_http_put_upgrade(
    struct buf_writer *w, const struct derp_http_request *req);

/** derp_http_put_switching(): append the server's 101 for plain DERP. */
void derp_http_put_switching(
    struct buf_writer *w, const struct key32 *server_public);

/* A whole, final response.  Strings are borrowed for the call. */
struct derp_http_response {
	int status;         /* 200 .. 599 */
	const char *fields; /* extra "Name: value\r\n" lines, or NULL */
	const char *type;   /* Content-Type; NULL: text/plain; charset=utf-8 */
	const char *body;   /* or NULL */
	size_t body_len;
	bool is_head;         /* answer to HEAD: lengths, but no body */
	bool close;           /* say "Connection: close" */
	int64_t unix_seconds; /* for Date; 0 leaves it out */
};

/**
 * derp_http_put_response(): append status line, Content-Length,
 * X-Content-Type-Options: nosniff, the rest as asked, and the body.  204 has
 * neither length nor type nor body.
 *
 * Returns 0 or -DT_ERR_FULL.
 */
int derp_http_put_response(
    struct buf_writer *w, const struct derp_http_response *resp);

/** derp_http_reason(): "Not Found" and the like; "Status" if not known. */
const char *derp_http_reason(int status);

#endif
