/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * DIALING, then OPEN: the request is sent, the answer gathered until the server
 * closes or Content-Length is reached, then judged as a whole.  One timer ends
 * it all.
 */
#include "daemon/http_get.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/relay_dial.h"
#include "daemon/relay_target.h"
#include "daemon/stream.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/derp/derp_http.h"

/* Path and query of an URL. */
#define HTTP_GET_MAX_PATH 512
#define HTTP_GET_MAX_WHY 480

struct http_get {
	struct loop *loop;
	struct tls_ctx *tls; /* NULL for http */
	struct relay_target target;
	char path[HTTP_GET_MAX_PATH];
	void (*cb)(
	    void *arg, int r, const char *body, size_t len, const char *why);
	void *arg;
	struct relay_dial *dial;
	struct stream *stream;
	struct loop_timer *limit;
	char *answer; /* gathered so far */
	size_t len;
	size_t cap;
};

void
http_get_cancel(struct http_get *g)
{
	if (g == NULL)
		return;
	relay_dial_cancel(g->dial);
	stream_free(g->stream);
	loop_timer_free(g->limit);
	free(g->answer);
	free(g);
}

static void
finish(struct http_get *g, int r, const char *body, size_t len, const char *why)
{
	char answer_why[HTTP_GET_MAX_WHY], host[RELAY_TARGET_MAX_TEXT];

	relay_target_text(&g->target, host);
	(void)snprintf(answer_why, sizeof(answer_why), "%s: %.200s", host,
	    why[0] != '\0' ? why : err_str(r));
	g->cb(g->arg, r, body, len, answer_why);
	http_get_cancel(g);
}

static void
fail(struct http_get *g, int r, const char *why)
{
	finish(g, r, NULL, 0, why);
}

/* Undo "Transfer-Encoding: chunked" in place; false if malformed. */
static bool
unchunk(char *p, size_t *len)
{
	size_t in = 0, out = 0;

	for (;;) {
		char *end = memchr(p + in, '\n', *len - in);
		char *stop;
		unsigned long n;

		if (end == NULL)
			return false;
		n = strtoul(p + in, &stop, 16);
		if (stop == p + in || n > HTTP_GET_MAX_BODY)
			return false;
		in = (size_t)(end - p) + 1;
		if (n == 0) {
			*len = out;
			return true;
		}
		if (*len - in < n + 2)
			return false;
		memmove(p + out, p + in, n);
		out += n;
		in += n + 2; /* CRLF behind the chunk */
	}
}

static size_t
content_length(const struct derp_http_head *h)
{
	struct derp_http_text t = derp_http_field(h, "Content-Length");
	char text[24];

	if (t.p == NULL || t.len == 0 || t.len >= sizeof(text) ||
	    t.p[0] < '0' || t.p[0] > '9')
		return SIZE_MAX;
	memcpy(text, t.p, t.len);
	text[t.len] = '\0';
	return strtoul(text, NULL, 10);
}

static void
judge(struct http_get *g, const struct derp_http_head *h, bool closed)
{
	bool chunked = derp_http_has_token(h, "Transfer-Encoding", "chunked");
	char *body = g->answer + h->head_len;
	size_t len = g->len - h->head_len;
	size_t want = chunked ? SIZE_MAX : content_length(h);
	char why[64];

	if (h->status != 200) {
		(void)snprintf(why, sizeof(why), "HTTP status %d", h->status);
		fail(g, -DT_ERR_HTTP_STATUS, why);
	} else if (!closed && len < want)
		return;
	else if ((want != SIZE_MAX && len < want) ||
		 (chunked && !unchunk(body, &len)))
		fail(g, -DT_ERR_TRUNCATED, "");
	else
		finish(g, 0, body, want != SIZE_MAX ? want : len, "");
}

static void
look(struct http_get *g, bool closed)
{
	struct derp_http_head h;
	int r =
	    derp_http_parse_response((const uint8_t *)g->answer, g->len, &h);

	if (r == 0)
		judge(g, &h, closed);
	else if (r != -DT_ERR_TRUNCATED || closed)
		fail(g, r, "");
}

static int
gather(struct http_get *g, const void *p, size_t len)
{
	size_t want = g->len + len + 1;
	char *grown;

	if (want > HTTP_GET_MAX_BODY + DERP_HTTP_MAX_HEAD)
		return -DT_ERR_TOO_LONG;
	if (want > g->cap) {
		want = want * 2;
		grown = realloc(g->answer, want);
		if (grown == NULL)
			return -ENOMEM;
		g->answer = grown;
		g->cap = want;
	}
	memcpy(g->answer + g->len, p, len);
	g->len += len;
	g->answer[g->len] = '\0'; /* strtoul() in unchunk() stops here */
	return 0;
}

static ssize_t
on_input(void *arg, const uint8_t *p, size_t len, struct mono now)
{
	struct http_get *g = arg;
	int r = gather(g, p, len);

	(void)now;
	if (r < 0)
		return r;
	look(g, false);
	return (ssize_t)len;
}

static void
on_closed(void *arg, int r, const char *text, struct mono now)
{
	struct http_get *g = arg;

	(void)now;
	if (g->len > 0 && (r == 0 || r == -DT_ERR_TRUNCATED))
		look(g, true);
	else
		fail(g, r < 0 ? r : -DT_ERR_CLOSED, text);
}

static void
on_ready(void *arg, struct mono now)
{
	struct http_get *g = arg;
	char request[HTTP_GET_MAX_PATH + ADDR_MAX_HOST + 256];
	char host[RELAY_TARGET_MAX_TEXT];
	int n;

	if (g->target.port == (g->tls != NULL ? 443 : 80) &&
	    strchr(g->target.host, ':') == NULL)
		(void)snprintf(host, sizeof(host), "%s", g->target.host);
	else
		relay_target_text(&g->target, host);
	n = snprintf(request, sizeof(request),
	    "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: "
	    "derptund/" DERPTUND_VERSION "\r\nAccept: application/json\r\n"
	    "Connection: close\r\n\r\n",
	    g->path, host);
	(void)stream_write(g->stream, request, (size_t)n); /* queue is empty */
	stream_flush(g->stream, now);
}

static void
on_drained(void *arg, struct mono now)
{
	(void)arg;
	(void)now;
}

static void
on_dialed(void *arg, int r, int fd)
{
	struct http_get *g = arg;
	struct stream_params p = {
		.loop = g->loop,
		.fd = fd,
		.tls = g->tls,
		.host = g->target.host,
		.max_input = (size_t)64 * 1024,
		.on_ready = on_ready,
		.on_input = on_input,
		.on_drained = on_drained,
		.on_closed = on_closed,
		.arg = g,
	};

	g->dial = NULL;
	if (r == 0)
		r = stream_new(&p, &g->stream);
	if (r < 0) {
		fd_close(&fd);
		fail(g, r, "");
	}
}

static void
on_limit(void *arg, struct mono now)
{
	(void)now;
	fail(arg, -DT_ERR_TIMEOUT, "");
}

/* Only what a map's address may contain. */
static bool
is_clean(const char *url)
{
	for (const char *c = url; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == '#')
			return false;
	return true;
}

/* Split the URL. */
static int
parse_url(struct http_get *g, const char *url, struct tls_ctx *tls)
{
	char authority[ADDR_MAX_HOST + 8];
	bool https = false;
	const char *host;
	size_t n;

	if (strncmp(url, "http://", 7) == 0)
		host = url + 7;
	else if (strncmp(url, "https://", 8) == 0) {
		https = true;
		host = url + 8;
	} else
		return -DT_ERR_SYNTAX;
	n = strcspn(host, "/?#");
	if (!is_clean(url) || n == 0 || n >= ADDR_MAX_HOST ||
	    memchr(host, '@', n) != NULL ||
	    strlen(host + n) + 2 > sizeof(g->path))
		return -DT_ERR_SYNTAX;
	(void)snprintf(g->path, sizeof(g->path), "%s%s",
	    host[n] == '/' ? "" : "/", host + n);
	(void)snprintf(authority, sizeof(authority), "%.*s", (int)n, host);
	if (host[n - 1] == ']' || memchr(host, ':', n) == NULL)
		(void)snprintf(authority + n, sizeof(authority) - n, "%s",
		    https ? ":443" : ":80");
	g->tls = https ? tls : NULL;
	g->target.use_dns = true;
	return addr_split_host_port(authority, g->target.host, &g->target.port);
}

int
http_get_new(struct loop *loop, const char *url, struct tls_ctx *tls,
    void (*cb)(void *arg, int r, const char *body, size_t len, const char *why),
    void *arg, struct http_get **ret_get)
{
	struct http_get *g = calloc(1, sizeof(*g));
	int r;

	if (g == NULL)
		return -ENOMEM;
	g->loop = loop;
	g->cb = cb;
	g->arg = arg;
	r = parse_url(g, url, tls);
	if (r == 0) {
		g->limit = loop_timer_new(loop, on_limit, g);
		g->dial = relay_dial_new(loop, &g->target, on_dialed, g);
		if (g->limit == NULL || g->dial == NULL)
			r = -ENOMEM;
	}
	if (r < 0) {
		http_get_cancel(g);
		return r;
	}
	loop_timer_in(g->limit, HTTP_GET_LIMIT_US);
	*ret_get = g;
	return 0;
}
