/* SPDX-License-Identifier: BSD-3-Clause */
/* A DERP client until it is ready, or must give up. */
#include "test/unit/derp_client_rig.h"

static void
test_normal_start(size_t step)
{
	struct derp_client_params p = rig_params(false);
	struct derp_client *c = rig_client(&p);
	uint8_t types[16];

	OK(!derp_client_is_open(c), "not open yet");
	EQ_INT(derp_client_send(c, &server_public, "x", 1), -DT_ERR_STATE,
	    "no packet before ClientInfo");
	EQ_INT(rig_check_output(c, true, types), 0, "the request alone");
	rig_put_handshake(false);
	rig_put_packet("hello");
	EQ_INT(rig_feed(c, t0, step), 0, "handshake in pieces of %zu", step);
	OK(derp_client_is_ready(c) && seen.ready == 1, "ready");
	EQ_MEM(derp_client_server_key(c)->b, server_public.b, 32, "key");
	EQ_INT(derp_client_server_info(c)->version, 2, "ServerInfo");
	EQ_INT(seen.packets, 1, "packet behind it");
	OK(seen.last_len == 5 && memcmp(seen.last, "hello", 5) == 0 &&
		memcmp(&seen.last_src, &server_public, 32) == 0,
	    "its bytes and sender");
	EQ_INT(rig_check_output(c, false, types), 1, "one frame went out");
	EQ_INT(types[0], DERP_FRAME_CLIENT_INFO, "ClientInfo");
	derp_client_free(c);
}

static void
test_fast_start(size_t step)
{
	struct derp_client_params p = rig_params(true);
	struct derp_client *c;
	uint8_t types[16];

	p.preferred = true;
	c = rig_client(&p);
	OK(derp_client_is_open(c), "open at once");
	EQ_INT(derp_client_send(c, &server_public, "x", 1), 0, "packet");
	EQ_INT(rig_check_output(c, true, types), 3, "request and three frames");
	EQ_MEM(types, "\x02\x07\x04", 3, "info, preferred, packet");
	rig_put_handshake(true);
	EQ_INT(rig_feed(c, t0, step), 0, "fast start in pieces of %zu", step);
	OK(derp_client_is_ready(c), "ready");
	EQ_INT(rig_check_output(c, false, types), 0, "nothing more to say");
	derp_client_free(c);
}

/* ClientInfo as the server reads it. */
static void
test_client_info(void)
{
	struct derp_client_params p = rig_params(true);
	struct derp_client *c;
	struct derp_hello_client info;
	struct derp_http_head head;
	struct derp_frame f;
	struct key32 from;
	const uint8_t *b;
	size_t len, need;

	p.app_name = "t\x01st";
	p.ideal_node = "1a";
	c = rig_client(&p);
	b = fifo_peek(derp_client_output(c));
	len = fifo_len(derp_client_output(c));
	(void)derp_http_parse_request(b, len, &head);
	OK(derp_http_is_fast_start(&head) && derp_http_is_not_ideal(&head) &&
		derp_http_upgrade(&head) == DERP_HTTP_UPGRADE_DERP &&
		derp_http_is(head.path, "/derp"),
	    "request");
	(void)derp_frame_parse(b + head.head_len, len - head.head_len,
	    DERP_FRAME_MAX_LEN, &f, &need);
	EQ_INT(derp_hello_open_client_info(
		   f.payload, f.len, &server_private, &from, &info),
	    0, "server opens it");
	EQ_MEM(from.b, client_public.b, 32, "our key");
	OK(info.version == 2 && info.can_ack_pings && !info.has_mesh_key,
	    "fields");
	EQ_STR(info.app_name, "t st", "name made printable");
	derp_client_free(c);
}

/* Feed @text to a fresh client and expect it to die of @want. */
static void
expect_death(bool fast, const char *text, int want, const char *detail)
{
	struct derp_client_params p = rig_params(fast);
	struct derp_client *c = rig_client(&p);
	size_t used;
	int r;

	rig_put_text(text);
	r = rig_feed(c, t0, 1);
	EQ_INT(r, want, "%s: error", detail);
	EQ_STR(derp_client_error_text(c), detail, "its text");
	EQ_INT(derp_client_input(c, t0, (const uint8_t *)"x", 1, &used), want,
	    "stays dead");
	EQ_INT(derp_client_send(c, &server_public, "", 0), -DT_ERR_STATE,
	    "and sends nothing");
	EQ_INT(derp_client_on_timer(c, t0), want, "timer says so too");
	OK(mono_is_never(derp_client_next_deadline(c)), "no deadline");
	derp_client_free(c);
}

static void
test_http_errors(void)
{
	struct derp_client_params p = rig_params(true);
	struct derp_client *c;

	expect_death(false, "HTTP/1.1 403 Forbidden\r\nA: b\r\n\r\n",
	    -DT_ERR_HTTP_STATUS, "HTTP 403 Forbidden");
	expect_death(true, "HTTP/1.1 502 Bad Gateway\r\n\r\n",
	    -DT_ERR_HTTP_STATUS, "HTTP 502 Bad Gateway");
	expect_death(false, "SSH-2.0-OpenSSH\r\n", -DT_ERR_NOT_RELAY,
	    "no HTTP response");
	expect_death(false, "HTTP/2 200\r\n\r\n", -DT_ERR_NOT_RELAY,
	    "malformed HTTP response: unsupported version");
	/* 'H' alone does not make it HTTP: 0x48 is a frame type as well */
	expect_death(
	    true, "HTTX/", -DT_ERR_TOO_LONG, "frame of 1414813743 bytes");
	c = rig_client(&p);
	rig_put_text(
	    "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 34\r\n\r\n"
	    "DERP requires\tconnection upgrade\n\xff");
	EQ_INT(rig_feed(c, t0, SIZE_MAX), -DT_ERR_HTTP_STATUS, "426");
	EQ_INT(derp_client_http_status(c), 426, "its number");
	EQ_STR(derp_client_error_text(c),
	    "HTTP 426 Upgrade Required: DERP requires connection upgrade ?",
	    "body explains, printable");
	derp_client_free(c);
	c = rig_client(&p);
	rig_put_text("HTTP/1.1 103 Early Hints\r\n\r\n");
	rig_put_handshake(false);
	EQ_INT(rig_feed(c, t0, 1), 0, "fast start answered with 103 and 101");
	OK(derp_client_is_ready(c), "works all the same");
	EQ_INT(derp_client_http_status(c), 0, "no status to complain of");
	derp_client_free(c);
}

/* 101 and then a ServerKey frame with this header and payload. */
static int
server_key_case(uint8_t type, size_t len, bool is_magic_good)
{
	struct derp_client_params p = rig_params(false);
	struct derp_client *c = rig_client(&p);
	struct vector v = vector_get("server_key");
	static uint8_t payload[2000];
	int r;

	memcpy(payload, v.p + 5, 40);
	payload[0] = is_magic_good ? 'D' : 'd';
	derp_http_put_switching(&out, &server_public);
	rig_put_frame(type, payload, len);
	r = rig_feed(c, t0, SIZE_MAX);
	derp_client_free(c);
	return r;
}

static void
test_server_key(void)
{
	EQ_INT(server_key_case(1, 40, true), 0, "40 bytes");
	EQ_INT(server_key_case(1, 100, true), 0, "100 bytes");
	EQ_INT(server_key_case(1, 1024, true), 0, "1024 bytes");
	EQ_INT(server_key_case(1, 1025, true), -DT_ERR_NOT_RELAY, "1025");
	EQ_INT(server_key_case(1, 39, true), -DT_ERR_NOT_RELAY, "39");
	EQ_INT(server_key_case(2, 40, true), -DT_ERR_NOT_RELAY, "type 2");
	EQ_INT(server_key_case(1, 40, false), -DT_ERR_NOT_RELAY, "magic");
}

static void
test_server_info(void)
{
	struct derp_client_params p = rig_params(true);
	struct derp_client *c = rig_client(&p);

	rig_put_frame(DERP_FRAME_SERVER_INFO, NULL, 60);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), -DT_ERR_AUTH, "cannot be opened");
	EQ_STR(derp_client_error_text(c),
	    "unusable ServerInfo: authentication failed", "says so");
	derp_client_free(c);
	c = rig_client(&p);
	rig_put_frame(DERP_FRAME_SERVER_INFO, NULL, 23);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), -DT_ERR_SYNTAX, "23 bytes");
	derp_client_free(c);
	c = rig_client(&p);
	rig_put_frame(
	    DERP_FRAME_SERVER_INFO, NULL, DERP_HELLO_MAX_SERVER_INFO + 1);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), -DT_ERR_TOO_LONG, "too long");
	derp_client_free(c);
	c = rig_client(&p);
	rig_put_server_info(1, 74);
	rig_put_frame(DERP_FRAME_SERVER_INFO, NULL, 60);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), 0, "a second one is not looked at");
	EQ_INT(derp_client_server_info(c)->token_bucket_bytes_per_sec, 1,
	    "limit is recorded");
	for (int i = 0; i < 3; i++)
		EQ_INT(derp_client_send(c, &server_public, stream, 1000), 0,
		    "and not applied");
	derp_client_free(c);
}

static void
test_connect_timeout(void)
{
	struct derp_client_params p = rig_params(false);
	struct derp_client *c = rig_client(&p);
	int64_t budget = DERP_CLIENT_CONNECT_US;

	EQ_INT(derp_client_next_deadline(c).us, rig_after(budget).us, "10 s");
	rig_put_text("HTTP/1.1 101 ");
	(void)rig_feed(c, rig_after(5 * MONO_SEC), SIZE_MAX);
	EQ_INT(derp_client_next_deadline(c).us, rig_after(budget).us,
	    "dripping does not move it");
	EQ_INT(derp_client_on_timer(c, rig_after(budget - 1)), 0, "early");
	EQ_INT(derp_client_on_timer(c, rig_after(budget)), -DT_ERR_TIMEOUT,
	    "in time");
	EQ_STR(derp_client_error_text(c), "no DERP handshake in time", "text");
	derp_client_free(c);
	p.connect_deadline = rig_after(3);
	c = rig_client(&p);
	EQ_INT(
	    derp_client_next_deadline(c).us, rig_after(3).us, "caller's own");
	derp_client_free(c);
}

static void
test_eof(void)
{
	struct derp_client_params p = rig_params(false);
	struct derp_client *c = rig_client(&p);

	EQ_INT(derp_client_eof(c), -DT_ERR_NOT_RELAY, "before the response");
	EQ_INT(derp_client_eof(c), -DT_ERR_NOT_RELAY, "again");
	derp_client_free(c);
	c = rig_client(&p);
	derp_http_put_switching(&out, &server_public);
	derp_hello_put_server_key(&out, &server_public);
	(void)rig_feed(c, t0, SIZE_MAX);
	EQ_INT(derp_client_eof(c), -DT_ERR_PEER_REJECTED, "not admitted");
	derp_client_free(c);
	c = rig_ready_client(true);
	EQ_INT(derp_client_eof(c), -DT_ERR_CLOSED, "closed");
	derp_client_free(c);
}

static void
test_new_errors(void)
{
	static const struct key32 zero, one = { { 1 } };
	struct derp_client_params p = rig_params(false);
	struct derp_client *c = NULL;

	p.own_private = &zero;
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_KEY, "no private key");
	p = rig_params(false);
	p.own_public = &zero;
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_KEY, "no public key");
	p = rig_params(false);
	p.fast_start_key = &one;
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_KEY, "low-order key");
	p = rig_params(false);
	p.host = "a b";
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_SYNTAX, "bad host");
	p = rig_params(false);
	p.path = "derp";
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_SYNTAX, "bad path");
	OK(c == NULL, "nothing returned");
	derp_client_free(NULL);
	/* nobody listens */
	p = rig_params(false);
	p.events = NULL;
	c = rig_client(&p);
	rig_put_handshake(false);
	for (uint8_t type = 0; type < 0x20; type++)
		rig_put_frame(type, NULL, 51);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), 0, "no callbacks at all");
	derp_client_free(c);
}

int
main(void)
{
	rig_begin();
	for (size_t step = 1; step < 8; step += 3) {
		test_normal_start(step);
		test_fast_start(step);
	}
	test_normal_start(SIZE_MAX);
	test_fast_start(SIZE_MAX);
	test_client_info();
	test_http_errors();
	test_server_key();
	test_server_info();
	test_connect_timeout();
	test_eof();
	test_new_errors();
	return rig_done();
}
