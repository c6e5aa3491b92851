/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_http.h"

#include "lib/err.h"
#include "test/tap.h"

static char out[RELAY_HTTP_MAX_ANSWER + 1];

/* Parse @request and write the answer to out, NUL-terminated. */
static int
ask(const char *request, bool is_loopback)
{
	static const char counters[] = "{\"n\":1}\n";
	struct relay_http_env env = { is_loopback, counters,
		sizeof(counters) - 1 };
	struct buf_writer w = buf_writer(out, sizeof(out) - 1);
	struct derp_http_head head;
	int r = derp_http_parse_request(
	    (const uint8_t *)request, strlen(request), &head);

	out[0] = '\0';
	if (r < 0)
		return r;
	r = relay_http_answer(&head, &env, &w);
	out[w.len] = '\0';
	return r;
}

static bool
has(const char *text)
{
	return strstr(out, text) != NULL;
}

static void
test_paths(void)
{
	EQ_INT(ask("GET / HTTP/1.1\r\nHost:\r\n\r\n", false), 0, "home");
	OK(has("HTTP/1.1 200 ") && has("text/html") && has("</html>"), "page");
	EQ_INT(ask("POST / HTTP/1.1\r\nHost:\r\n\r\n", false), 0, "home, POST");
	OK(has(" 405 "), "405");
	EQ_INT(ask("GET /x HTTP/1.1\r\nHost:\r\n\r\n", false), 0, "unknown");
	OK(has(" 404 "), "404");
	EQ_INT(ask("GET /robots.txt?q HTTP/1.1\r\nHost:\r\n\r\n", false), 0,
	    "robots, with a query");
	OK(has("Disallow: /"), "text");
	EQ_INT(ask("GET /derp/probe HTTP/1.1\r\nHost:\r\n\r\n", false), 0,
	    "probe");
	OK(has("Access-Control-Allow-Origin: *\r\n"), "field");
	EQ_INT(ask("PUT /derp/probe HTTP/1.1\r\nHost:\r\n\r\n", false), 0,
	    "probe, PUT");
	OK(has(" 405 ") && has("\r\n\r\nbogus probe method\n"), "405");
	OK(has("Connection: close\r\n"), "every answer closes");
}

static void
test_debug(void)
{
	EQ_INT(ask("GET /debug/vars HTTP/1.1\r\nHost:\r\n\r\n", true), 0,
	    "counters from this host");
	OK(has(" 200 ") && has("\r\n\r\n{\"n\":1}\n"), "are given");
	EQ_INT(ask("GET /debug/vars HTTP/1.1\r\nHost:\r\n\r\n", false), 0,
	    "counters from elsewhere");
	OK(has(" 403 ") && !has("{\"n\":1}"), "are not");
	EQ_INT(ask("POST /debug/vars HTTP/1.1\r\nHost:\r\n\r\n", true), 0,
	    "counters, POST");
	OK(has(" 405 "), "405");
}

static void
test_derp(void)
{
	struct derp_http_head head;
	static const char derp[] =
	    "GET /derp HTTP/1.1\r\nHost:\r\nUpgrade: DeRp\r\n\r\n";
	static const char probe[] =
	    "GET /derp/probe HTTP/1.1\r\nHost:\r\nUpgrade: DERP\r\n\r\n";

	OK(derp_http_parse_request(
	       (const uint8_t *)derp, sizeof(derp) - 1, &head) == 0 &&
		relay_http_is_upgrade(&head),
	    "upgrade");
	OK(derp_http_parse_request(
	       (const uint8_t *)probe, sizeof(probe) - 1, &head) == 0 &&
		!relay_http_is_upgrade(&head),
	    "not on another path");
	EQ_INT(
	    ask("GET /derp HTTP/1.1\r\nHost:\r\n\r\n", false), 0, "no upgrade");
	OK(has(" 426 ") && has("DERP requires connection upgrade\n"), "426");
	EQ_INT(ask("GET /derp HTTP/1.1\r\nHost:\r\nUpgrade: websocket\r\n"
		   "Sec-WebSocket-Protocol: derp\r\n\r\n",
		   false),
	    0, "WebSocket");
	OK(has(" 501 "), "501");
}

/* One challenge of @n letters. */
static int
challenge(int n)
{
	char request[512];

	(void)snprintf(request, sizeof(request),
	    "GET /generate_204 HTTP/1.1\r\nHost:\r\n"
	    "X-Tailscale-Challenge: %.*s\r\n\r\n",
	    n,
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aa"
	    "aaaaaaaaaa");
	return ask(request, false);
}

static void
test_204(void)
{
	EQ_INT(ask("GET /generate_204 HTTP/1.1\r\nHost:\r\n\r\n", false), 0,
	    "204");
	OK(has(" 204 ") && has("no-store") && !has("X-Tailscale"), "no echo");
	EQ_INT(challenge(64), 0, "64 letters");
	OK(has("X-Tailscale-Response: response aaaa"), "are echoed");
	EQ_INT(challenge(65), 0, "65 letters");
	OK(!has("X-Tailscale"), "are not");
	EQ_INT(challenge(0), 0, "empty");
	OK(!has("X-Tailscale"), "is not");
	EQ_INT(ask("GET /generate_204 HTTP/1.1\r\nHost:\r\n"
		   "X-Tailscale-Challenge: a/b\r\n\r\n",
		   false),
	    0, "a slash");
	OK(!has("X-Tailscale"), "is not");
}

static void
test_refuse(void)
{
	static const struct {
		int r;
		const char *status;
	} cases[] = {
		{ -DT_ERR_TOO_LONG, " 431 " },
		{ -DT_ERR_LIMIT, " 431 " },
		{ -DT_ERR_VERSION, " 505 " },
		{ -DT_ERR_SYNTAX, " 400 " },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf_writer w = buf_writer(out, sizeof(out) - 1);

		EQ_INT(relay_http_refuse(cases[i].r, &w), 0, "refusal");
		out[w.len] = '\0';
		OK(has(cases[i].status), "status%s", cases[i].status);
	}
}

static void
test_room(void)
{
	struct relay_http_env env = { .is_loopback = false };
	struct derp_http_head head;
	static const char get[] = "GET / HTTP/1.1\r\nHost:\r\n\r\n";
	struct buf_writer w = buf_writer(out, 100);

	(void)derp_http_parse_request(
	    (const uint8_t *)get, sizeof(get) - 1, &head);
	EQ_INT(relay_http_answer(&head, &env, &w), -DT_ERR_FULL, "no room");
}

int
main(void)
{
	test_paths();
	test_debug();
	test_derp();
	test_204();
	test_refuse();
	test_room();
	return tap_done();
}
