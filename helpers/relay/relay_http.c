/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_http.h"

#include <string.h>

#include "lib/err.h"
#include "lib/mono.h"

/* Longest challenge that is echoed, as in the reference server. */
#define MAX_CHALLENGE 64

#define NO_CACHE                                                               \
	"Cache-Control: no-cache, no-store, must-revalidate, no-transform, "   \
	"max-age=0\r\n"
#define BROWSER_FIELDS                                                         \
	"Strict-Transport-Security: max-age=63072000; includeSubDomains\r\n"   \
	"Content-Security-Policy: default-src 'self'; frame-ancestors "        \
	"'none'; form-action 'self'; base-uri 'self'\r\n"                      \
	"X-Frame-Options: DENY\r\n"

static const char home_page[] =
    "<!DOCTYPE html>\n"
    "<html lang=\"en\"><head><meta charset=\"utf-8\">"
    "<title>DERP relay</title></head>\n"
    "<body><h1>DERP relay</h1>\n"
    "<p>This host relays end-to-end encrypted packets between machines that "
    "cannot reach each other directly. There is nothing to browse.</p>\n"
    "</body></html>\n";

struct route {
	const char *path;
	void (*answer)(const struct derp_http_head *h,
	    const struct relay_http_env *env, struct derp_http_response *resp);
};

static void
set_text(struct derp_http_response *resp, int status, const char *body)
{
	resp->status = status;
	resp->body = body;
	resp->body_len = strlen(body);
}

static bool
is_get_or_head(const struct derp_http_head *h)
{
	return derp_http_is(h->method, "GET") ||
	       derp_http_is(h->method, "HEAD");
}

static void
answer_probe(const struct derp_http_head *h, const struct relay_http_env *env,
    struct derp_http_response *resp)
{
	(void)env; /* part of every answer's signature */
	if (!is_get_or_head(h)) {
		set_text(resp, 405, "bogus probe method\n");
		return;
	}
	resp->status = 200;
	resp->fields = "Access-Control-Allow-Origin: *\r\n";
}

static bool
is_challenge(struct derp_http_text t)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._:-";

	if (t.p == NULL || t.len == 0 || t.len > MAX_CHALLENGE)
		return false;
	for (size_t i = 0; i < t.len; i++) {
		if (memchr(allowed, t.p[i], sizeof(allowed) - 1) == NULL)
			return false;
	}
	return true;
}

/* The fields of a /generate_204 answer, which may echo a challenge. */
static void
put_204_fields(const struct derp_http_head *h, struct buf_writer *w)
{
	struct derp_http_text challenge =
	    derp_http_field(h, "X-Tailscale-Challenge");

	buf_put_str(w, NO_CACHE);
	if (is_challenge(challenge)) {
		buf_put_str(w, "X-Tailscale-Response: response ");
		buf_put_bytes(w, challenge.p, challenge.len);
		buf_put_str(w, "\r\n");
	}
	buf_put_u8(w, 0);
}

static void
answer_robots(const struct derp_http_head *h, const struct relay_http_env *env,
    struct derp_http_response *resp)
{
	(void)h;
	(void)env; /* both: part of every answer's signature */
	resp->fields = BROWSER_FIELDS;
	set_text(resp, 200, "User-agent: *\nDisallow: /\n");
}

static void
answer_home(const struct derp_http_head *h, const struct relay_http_env *env,
    struct derp_http_response *resp)
{
	(void)env; /* part of every answer's signature */
	if (!is_get_or_head(h)) {
		set_text(resp, 405, "method not allowed\n");
		return;
	}
	resp->fields = BROWSER_FIELDS;
	resp->type = "text/html; charset=utf-8";
	set_text(resp, 200, home_page);
}

static void
answer_debug(const struct derp_http_head *h, const struct relay_http_env *env,
    struct derp_http_response *resp)
{
	if (!env->is_loopback) {
		set_text(resp, 403, "debug access denied\n");
		return;
	}
	if (!is_get_or_head(h)) {
		set_text(resp, 405, "method not allowed\n");
		return;
	}
	resp->status = 200;
	resp->type = "application/json; charset=utf-8";
	resp->body = env->counters;
	resp->body_len = env->counters_len;
}

static void
answer_derp(const struct derp_http_head *h, const struct relay_http_env *env,
    struct derp_http_response *resp)
{
	(void)env; /* part of every answer's signature */
	if (derp_http_upgrade(h) == DERP_HTTP_UPGRADE_WEBSOCKET)
		set_text(resp, 501,
		    "this relay does not speak DERP over WebSocket\n");
	else
		set_text(resp, 426, "DERP requires connection upgrade\n");
}

static const struct route routes[] = {
	{ "/", answer_home },
	{ "/robots.txt", answer_robots },
	{ "/derp", answer_derp },
	{ "/derp/probe", answer_probe },
	{ "/derp/latency-check", answer_probe },
	{ "/debug/vars", answer_debug },
};

bool
relay_http_is_upgrade(const struct derp_http_head *h)
{
	return derp_http_is(h->path, "/derp") &&
	       derp_http_upgrade(h) == DERP_HTTP_UPGRADE_DERP;
}

bool
relay_http_is_debug(const struct derp_http_head *h)
{
	return derp_http_is(h->path, "/debug/vars");
}

int
relay_http_answer(const struct derp_http_head *h,
    const struct relay_http_env *env, struct buf_writer *w)
{
	struct derp_http_response resp = {
		.is_head = derp_http_is(h->method, "HEAD"),
		.close = true,
		.unix_seconds = mono_unix_seconds(),
	};
	uint8_t fields[sizeof(NO_CACHE) + MAX_CHALLENGE + 64];
	struct buf_writer fw = buf_writer(fields, sizeof(fields));

	if (derp_http_is(h->path, "/generate_204")) {
		put_204_fields(h, &fw);
		resp.status = 204;
		resp.fields = (const char *)fields;
		return derp_http_put_response(w, &resp);
	}
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (!derp_http_is(h->path, routes[i].path))
			continue;
		routes[i].answer(h, env, &resp);
		return derp_http_put_response(w, &resp);
	}
	set_text(&resp, 404, "not found\n");
	return derp_http_put_response(w, &resp);
}

int
relay_http_refuse(int r, struct buf_writer *w)
{
	struct derp_http_response resp = {
		.close = true,
		.unix_seconds = mono_unix_seconds(),
	};

	switch (r) {
	case -DT_ERR_TOO_LONG:
	case -DT_ERR_LIMIT:
		set_text(&resp, 431, "request header is too large\n");
		break;
	case -DT_ERR_VERSION:
		set_text(&resp, 505, "HTTP/1.1 please\n");
		break;
	default:
		set_text(&resp, 400, "bad request\n");
		break;
	}
	return derp_http_put_response(w, &resp);
}
