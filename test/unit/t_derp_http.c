/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/derp/derp_http.h"
#include "test/tap.h"
#include "test/unit/derp_vector.h"

#define GO_REQUEST                                                             \
	"GET /derp HTTP/1.1\r\n"                                               \
	"Host: derp.example.com\r\n"                                           \
	"User-Agent: Go-http-client/1.1\r\n"                                   \
	"Connection: Upgrade\r\n"                                              \
	"Derp-Fast-Start: 1\r\n"                                               \
	"Ideal-Node: 1a\r\n"                                                   \
	"Upgrade: DERP\r\n"                                                    \
	"\r\n"

static struct derp_http_head head;

/* A right-sized heap copy that stays until the next call. */
static const uint8_t *
copy_of(const char *text, size_t len)
{
	static uint8_t *copy;

	free(copy);
	copy = malloc(len > 0 ? len : 1);
	if (copy == NULL)
		abort();
	memcpy(copy, text, len);
	return copy;
}

static int
request(const char *text)
{
	size_t len = strlen(text);

	return derp_http_parse_request(copy_of(text, len), len, &head);
}

static int
response(const char *text)
{
	size_t len = strlen(text);

	return derp_http_parse_response(copy_of(text, len), len, &head);
}

/* A request with these field lines. */
static int
with(const char *fields)
{
	char text[1024];

	(void)snprintf(text, sizeof(text),
	    "GET /derp HTTP/1.1\r\nHost: x\r\n%s\r\n", fields);
	return request(text);
}

static void
test_go_request(void)
{
	static const char text[] = GO_REQUEST "\x02rest";
	size_t head_len = strlen(GO_REQUEST);

	for (size_t n = 0; n < head_len; n++)
		EQ_INT(derp_http_parse_request(copy_of(text, n), n, &head),
		    -DT_ERR_TRUNCATED, "request cut at %zu", n);
	EQ_INT(request(text), 0, "request of the peer");
	EQ_INT(head.head_len, head_len, "what follows is left");
	OK(derp_http_is(head.method, "GET"), "method");
	OK(derp_http_is(head.path, "/derp"), "path");
	OK(head.query.p == NULL, "no query");
	EQ_INT(head.minor, 1, "version");
	EQ_INT(head.n_fields, 6, "fields");
	EQ_INT(derp_http_upgrade(&head), DERP_HTTP_UPGRADE_DERP, "upgrade");
	OK(derp_http_is_fast_start(&head), "fast start");
	OK(derp_http_is_not_ideal(&head), "not ideal");
	OK(derp_http_is(derp_http_field(&head, "hOST"), "derp.example.com"),
	    "field names have no case");
	OK(derp_http_field(&head, "Cookie").p == NULL, "absent field");
	OK(derp_http_has_token(&head, "connection", "upgrade"), "token");
}

static void
test_targets(void)
{
	EQ_INT(request("GET /derp?q=a?b HTTP/1.1\r\nHost:\r\n\r\n"), 0,
	    "empty Host");
	OK(derp_http_is(head.path, "/derp"), "path before query");
	OK(derp_http_is(head.query, "q=a?b"), "query");
	OK(derp_http_is(head.target, "/derp?q=a?b"), "target");
	EQ_INT(request("GET http://h:1/derp?x HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "absolute form");
	OK(derp_http_is(head.path, "/derp"), "its path");
	OK(derp_http_is(head.query, "x"), "its query");
	EQ_INT(request("GET https://h HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "absolute form without path");
	EQ_INT(head.path.len, 0, "empty path");
	EQ_INT(request("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), 0,
	    "authority form");
	EQ_INT(request("GET / HTTP/1.0\r\n\r\n"), 0, "1.0 needs no Host");
	EQ_INT(head.minor, 0, "is 1.0");
	EQ_INT(request("GET / HTTP/1.1\nHost: x\n\n"), 0, "bare LF");
}

static void
test_bad_requests(void)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{ "GET / HTTP/1.1\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
		    -DT_ERR_SYNTAX },
		{ "\r\nGET / HTTP/1.0\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET /\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET  / HTTP/1.0\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0 \r\n\r\n", -DT_ERR_VERSION },
		{ "GET / HTTP/2.0\r\n\r\n", -DT_ERR_VERSION },
		{ "GET / XTTP/1.0\r\n\r\n", -DT_ERR_SYNTAX },
		{ "G@T / HTTP/1.0\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET /\x7f HTTP/1.0\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\nA : b\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\n: b\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\nnocolon\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\nA: b\rc\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\nA: \x01\r\n\r\n", -DT_ERR_SYNTAX },
		{ "GET / HTTP/1.0\r\nA\xc3: x\r\n\r\n", -DT_ERR_SYNTAX },
	};
	static const char nul[] = "GET / HTTP/1.0\r\nA: \0b\r\n\r\n";

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EQ_INT(
		    request(rows[i].text), rows[i].want, "bad request %zu", i);
	EQ_INT(derp_http_parse_request(
		   copy_of(nul, sizeof(nul) - 1), sizeof(nul) - 1, &head),
	    -DT_ERR_SYNTAX, "NUL in a value");
	EQ_INT(request("GET / HTTP/1.0\r\nA: \xc3\xa4\t;\r\n\r\n"), 0,
	    "tab and high bytes in a value");
}

static void
test_limits(void)
{
	static char text[DERP_HTTP_MAX_HEAD + 64];
	size_t n;

	memset(text, 'a', sizeof(text));
	n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\nA: ");
	text[n] = 'a';
	memcpy(text + DERP_HTTP_MAX_HEAD - 4, "\r\n\r\n", 4);
	EQ_INT(derp_http_parse_request((uint8_t *)text, sizeof(text), &head), 0,
	    "longest head");
	EQ_INT(head.head_len, DERP_HTTP_MAX_HEAD, "its length");
	EQ_INT(derp_http_parse_request(
		   (uint8_t *)text, DERP_HTTP_MAX_HEAD - 1, &head),
	    -DT_ERR_TRUNCATED, "its end missing");
	memcpy(text + DERP_HTTP_MAX_HEAD - 4, "a\r\n\r\n", 5);
	EQ_INT(derp_http_parse_request((uint8_t *)text, sizeof(text), &head),
	    -DT_ERR_TOO_LONG, "one byte longer");
	n = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.0\r\n");
	for (unsigned i = 0; i < DERP_HTTP_MAX_FIELDS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "A: b\r\n");
	memcpy(text + n, "\r\n", 3);
	EQ_INT(request(text), 0, "most fields");
	memcpy(text + n, "A: b\r\n\r\n", 9);
	EQ_INT(request(text), -DT_ERR_LIMIT, "one more");
}

static void
test_upgrades(void)
{
	static const struct {
		const char *fields;
		enum derp_http_upgrade want;
	} rows[] = {
		{ "Upgrade: Derp\r\n", DERP_HTTP_UPGRADE_DERP },
		{ "upgrade:derp \r\n", DERP_HTTP_UPGRADE_DERP },
		{ "Upgrade: DERP\r\n", DERP_HTTP_UPGRADE_DERP },
		{ "Upgrade: foo\r\n", DERP_HTTP_UPGRADE_NONE },
		{ "Upgrade: derp, websocket\r\n", DERP_HTTP_UPGRADE_NONE },
		{ "Upgrade:\r\n", DERP_HTTP_UPGRADE_NONE },
		{ "", DERP_HTTP_UPGRADE_NONE },
		{ "Upgrade: websocket\r\n", DERP_HTTP_UPGRADE_DERP },
		{ "Upgrade: WebSocket\r\nSec-WebSocket-Protocol: derp\r\n",
		    DERP_HTTP_UPGRADE_WEBSOCKET },
		{ "Upgrade: websocket\r\nSec-WebSocket-Protocol: a, derpx\r\n",
		    DERP_HTTP_UPGRADE_WEBSOCKET },
		{ "Upgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\n",
		    DERP_HTTP_UPGRADE_DERP },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		EQ_INT(with(rows[i].fields), 0, "upgrade %zu parses", i);
		EQ_INT(
		    derp_http_upgrade(&head), rows[i].want, "upgrade %zu", i);
	}
	(void)with("Derp-Fast-Start: true\r\nIdeal-Node:\r\n");
	OK(!derp_http_is_fast_start(&head), "fast start is 1 or nothing");
	OK(!derp_http_is_not_ideal(&head), "empty Ideal-Node is none");
	(void)with("Connection: keep-alive,, Upgrade \r\n");
	OK(derp_http_has_token(&head, "Connection", "upgrade"), "in a list");
	OK(!derp_http_has_token(&head, "Connection", "up"), "not a part");
}

static void
test_responses(void)
{
	EQ_INT(response("HTTP/1.1 101 Switching Protocols\r\nA: b\r\n\r\nX"), 0,
	    "101");
	EQ_INT(head.status, 101, "status");
	OK(derp_http_is(head.reason, "Switching Protocols"), "reason");
	EQ_INT(response("HTTP/1.0 403\r\n\r\n"), 0, "no reason");
	EQ_INT(head.status, 403, "status without reason");
	EQ_INT(response("HTTP/1.1 20 OK\r\n\r\n"), -DT_ERR_SYNTAX, "2 digits");
	EQ_INT(
	    response("HTTP/1.1 2000 OK\r\n\r\n"), -DT_ERR_SYNTAX, "4 digits");
	EQ_INT(response("HTTP/1.1 2x0 OK\r\n\r\n"), -DT_ERR_SYNTAX, "letter");
	EQ_INT(response("HTTP/1.1 099 OK\r\n\r\n"), -DT_ERR_SYNTAX, "099");
	EQ_INT(response("HTTP/1.1\r\n\r\n"), -DT_ERR_SYNTAX, "no status");
	EQ_INT(response("HTTP/3 200 OK\r\n\r\n"), -DT_ERR_VERSION, "HTTP/3");
	EQ_INT(response("SSH-2.0-x\r\n\r\n"), -DT_ERR_SYNTAX, "SSH");
}

static void
check_upgrade(const struct derp_http_request *req, const char *want)
{
	char out[DERP_HTTP_MAX_REQUEST + 1];
	struct buf_writer w = buf_writer(out, DERP_HTTP_MAX_REQUEST);

	EQ_INT(derp_http_put_upgrade(&w, req), 0, "upgrade request");
	out[w.len] = '\0';
	EQ_STR(out, want, "its text");
	EQ_INT(request(out), 0, "it parses");
	w = buf_writer(out, w.len - 1);
	EQ_INT(derp_http_put_upgrade(&w, req), -DT_ERR_FULL, "no room");
}

static void
test_put_upgrade(void)
{
	struct derp_http_request req = { .host = "derp.example.com",
		.port = 443,
		.tls = true,
		.path = "/derp" };
	char out[64];
	struct buf_writer w = buf_writer(out, sizeof(out));

	check_upgrade(&req, "GET /derp HTTP/1.1\r\nHost: derp.example.com\r\n"
			    "User-Agent: derptund/" DERPTUND_VERSION
			    "\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n");
	req = (struct derp_http_request){ .host = "2001:db8::1",
		.port = 443,
		.path = "/derp",
		.fast_start = true,
		.ideal_node = "1a" };
	check_upgrade(&req, "GET /derp HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n"
			    "User-Agent: derptund/" DERPTUND_VERSION
			    "\r\nConnection: Upgrade\r\nDerp-Fast-Start: 1\r\n"
			    "Ideal-Node: 1a\r\nUpgrade: DERP\r\n\r\n");
	req.host = "a\r\nX: y";
	EQ_INT(derp_http_put_upgrade(&w, &req), -DT_ERR_SYNTAX, "bad host");
	req.host = "a";
	req.path = "derp";
	EQ_INT(derp_http_put_upgrade(&w, &req), -DT_ERR_SYNTAX, "bad path");
	req.path = "/de rp";
	EQ_INT(derp_http_put_upgrade(&w, &req), -DT_ERR_SYNTAX, "space");
	req.path = "/derp";
	req.ideal_node = "\xc3\xa4";
	EQ_INT(derp_http_put_upgrade(&w, &req), -DT_ERR_SYNTAX, "bad node");
	EQ_INT(w.len, 0, "nothing written");
}

static void
test_put_switching(void)
{
	struct key32 key = vector_key("server_public");
	char out[DERP_HTTP_MAX_SWITCHING + 1];
	struct buf_writer w = buf_writer(out, DERP_HTTP_MAX_SWITCHING);

	derp_http_put_switching(&w, &key);
	out[w.len] = '\0';
	EQ_STR(out,
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\n"
	    "Connection: Upgrade\r\nDerp-Version: 2\r\nDerp-Public-Key: "
	    "79a631eede1bf9c98f12032cdeadd0e7a079398fc786b88cc846ec89af85a51a"
	    "\r\n\r\n",
	    "101");
}

static void
test_put_response(void)
{
	struct derp_http_response resp = { .status = 426,
		.body = "DERP requires connection upgrade\n",
		.body_len = 33,
		.close = true,
		.unix_seconds = 784111777 };
	char out[512];
	struct buf_writer w = buf_writer(out, sizeof(out) - 1);

	EQ_INT(derp_http_put_response(&w, &resp), 0, "426");
	out[w.len] = '\0';
	EQ_STR(out,
	    "HTTP/1.1 426 Upgrade Required\r\n"
	    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: 33\r\nX-Content-Type-Options: nosniff\r\n"
	    "Connection: close\r\n\r\nDERP requires connection upgrade\n",
	    "its text");
	resp.is_head = true;
	w = buf_writer(out, sizeof(out) - 1);
	(void)derp_http_put_response(&w, &resp);
	OK(memcmp(out + w.len - 4, "\r\n\r\n", 4) == 0, "HEAD has no body");
	resp = (struct derp_http_response){ .status = 204,
		.fields = "X-A: b\r\n",
		.body = "no",
		.body_len = 2 };
	w = buf_writer(out, sizeof(out) - 1);
	(void)derp_http_put_response(&w, &resp);
	out[w.len] = '\0';
	EQ_STR(out, "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", "204");
	w = buf_writer(out, 20);
	EQ_INT(derp_http_put_response(&w, &resp), -DT_ERR_FULL, "no room");
	EQ_STR(derp_http_reason(599), "Status", "unknown status");
}

int
main(void)
{
	test_go_request();
	test_targets();
	test_bad_requests();
	test_limits();
	test_upgrades();
	test_responses();
	test_put_upgrade();
	test_put_switching();
	test_put_response();
	(void)copy_of("", 0);
	return tap_done();
}
