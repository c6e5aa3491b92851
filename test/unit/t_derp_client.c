/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/derp/derp_client.h"
#include "proto/derp/derp_http.h"
#include "test/tap.h"
#include "test/unit/derp_vector.h"

#define MAX_STREAM (4u * 1024u * 1024u)

/* What the callbacks saw. */
struct seen {
	int ready, packets, gone, health, restarting, pongs;
	size_t last_len, data_bytes;
	uint8_t last[16];
	struct key32 last_src;
	uint8_t reason;
	char text[DERP_CLIENT_MAX_TEXT];
	uint32_t reconnect_ms, try_ms;
	int64_t rtt_us;
	struct derp_hello_server info;
};

static struct key32 client_private, client_public;
static struct key32 server_private, server_public;
static struct seen seen;
static struct mono t0 = { 1000000 };

/* Bytes a scripted server sends. */
static uint8_t *stream;
static struct buf_writer out;

static void
on_ready(void *user, const struct derp_hello_server *info)
{
	struct seen *s = user;

	s->ready++;
	s->info = *info;
}

static void
on_packet(void *user, const struct key32 *src, const uint8_t *data, size_t len)
{
	struct seen *s = user;

	s->packets++;
	s->last_src = *src;
	s->last_len = len;
	s->data_bytes += len;
	memcpy(s->last, data, len < sizeof(s->last) ? len : sizeof(s->last));
}

static void
on_peer_gone(void *user, const struct key32 *peer, uint8_t reason)
{
	struct seen *s = user;

	s->gone++;
	s->last_src = *peer;
	s->reason = reason;
}

static void
on_health(void *user, const char *text)
{
	struct seen *s = user;

	s->health++;
	(void)snprintf(s->text, sizeof(s->text), "%s", text);
}

static void
on_restarting(void *user, uint32_t reconnect_in_ms, uint32_t try_for_ms)
{
	struct seen *s = user;

	s->restarting++;
	s->reconnect_ms = reconnect_in_ms;
	s->try_ms = try_for_ms;
}

static void
on_pong(void *user, int64_t rtt_us)
{
	struct seen *s = user;

	s->pongs++;
	s->rtt_us = rtt_us;
}

static const struct derp_client_events events = { .ready = on_ready,
	.packet = on_packet,
	.peer_gone = on_peer_gone,
	.health = on_health,
	.restarting = on_restarting,
	.pong = on_pong };

static struct derp_client_params
params(bool fast)
{
	return (struct derp_client_params){ .own_private = &client_private,
		.own_public = &client_public,
		.host = "derp.example.com",
		.port = 443,
		.tls = true,
		.fast_start_key = fast ? &server_public : NULL,
		.can_ack_pings = true,
		.events = &events,
		.user = &seen };
}

static struct derp_client *
new_client(const struct derp_client_params *p)
{
	struct derp_client *c = NULL;

	memset(&seen, 0, sizeof(seen));
	out = buf_writer(stream, MAX_STREAM);
	if (derp_client_new(p, t0, &c) != 0) {
		printf("Bail out! no client\n");
		exit(1);
	}
	return c;
}

static void
put_text(const char *text)
{
	buf_put_str(&out, text);
}

static void
put_frame(uint8_t type, const void *payload, size_t len)
{
	buf_put_u8(&out, type);
	buf_put_u32(&out, (uint32_t)len);
	if (payload != NULL)
		buf_put_bytes(&out, payload, len);
	else
		for (size_t i = 0; i < len; i++)
			buf_put_u8(&out, (uint8_t)i);
}

static void
put_server_info(int64_t rate, int64_t burst)
{
	struct derp_hello_keys keys = { .own_private = &server_private,
		.own_public = &server_public,
		.peer_public = &client_public };
	struct derp_hello_server info = { .version = 2,
		.token_bucket_bytes_per_sec = rate,
		.token_bucket_bytes_burst = burst };

	(void)derp_hello_seal_server_info(&out, &keys, &info, NULL);
}

static void
put_packet(const char *text)
{
	uint8_t head[DERP_FRAME_PACKET_HEADER_LEN];

	buf_put_bytes(&out, head,
	    derp_frame_put_recv(head, &server_public, strlen(text)));
	buf_put_str(&out, text);
}

/*
 * Feed the stream in pieces of at most @step bytes, keeping what is not
 * consumed, in right-sized heap blocks.  Returns the first error or 0.
 */
static int
feed(struct derp_client *c, struct mono now, size_t step)
{
	size_t start = 0, end = 0, used = 0;
	int r = 0;

	while (end < out.len && r == 0) {
		uint8_t *copy;

		end += out.len - end < step ? out.len - end : step;
		copy = malloc(end - start);
		if (copy == NULL)
			abort();
		memcpy(copy, stream + start, end - start);
		r = derp_client_input(c, now, copy, end - start, &used);
		free(copy);
		if (r == 0)
			start += used;
		if (r == 0 && end - start > DERP_CLIENT_MIN_BUFFER)
			r = -DT_ERR_INTERNAL; /* more than promised */
	}
	if (r == 0 && start < out.len)
		r = -DT_ERR_TRUNCATED;
	out.len = 0;
	return r;
}

static void
put_handshake(bool fast)
{
	if (!fast)
		derp_http_put_switching(&out, &server_public);
	derp_hello_put_server_key(&out, &server_public);
	put_server_info(0, 0);
}

/* A connection that is ready, its output empty. */
static struct derp_client *
ready_client(bool fast)
{
	struct derp_client_params p = params(fast);
	struct derp_client *c = new_client(&p);
	struct fifo *f = derp_client_output(c);

	put_handshake(fast);
	EQ_INT(feed(c, t0, SIZE_MAX), 0, "handshake");
	EQ_INT(seen.ready, 1, "ready once");
	fifo_drop(f, fifo_len(f));
	return c;
}

/* The output must be one HTTP request and then whole frames; counts them. */
static size_t
check_output(struct derp_client *c, bool is_start, uint8_t types[static 16])
{
	struct fifo *f = derp_client_output(c);
	const uint8_t *p = fifo_peek(f);
	size_t len = fifo_len(f), n = 0, need;
	struct derp_http_head head;
	struct derp_frame frame;

	if (is_start) {
		if (derp_http_parse_request(p, len, &head) != 0)
			return SIZE_MAX;
		p += head.head_len;
		len -= head.head_len;
	}
	while (len > 0 && n < 16) {
		if (derp_frame_parse(
			p, len, DERP_FRAME_MAX_LEN, &frame, &need) != 0)
			return SIZE_MAX;
		types[n++] = frame.type;
		p += frame.total;
		len -= frame.total;
	}
	fifo_drop(f, fifo_len(f));
	return n;
}

static void
test_normal_start(size_t step)
{
	struct derp_client_params p = params(false);
	struct derp_client *c = new_client(&p);
	uint8_t types[16];

	OK(!derp_client_is_open(c), "not open yet");
	EQ_INT(derp_client_send(c, &server_public, "x", 1), -DT_ERR_STATE,
	    "no packet before ClientInfo");
	EQ_INT(check_output(c, true, types), 0, "the request alone");
	put_handshake(false);
	put_packet("hello");
	EQ_INT(feed(c, t0, step), 0, "handshake in pieces of %zu", step);
	OK(derp_client_is_ready(c) && seen.ready == 1, "ready");
	EQ_MEM(derp_client_server_key(c)->b, server_public.b, 32, "key");
	EQ_INT(derp_client_server_info(c)->version, 2, "ServerInfo");
	EQ_INT(seen.packets, 1, "packet behind it");
	OK(seen.last_len == 5 && memcmp(seen.last, "hello", 5) == 0 &&
		memcmp(&seen.last_src, &server_public, 32) == 0,
	    "its bytes and sender");
	EQ_INT(check_output(c, false, types), 1, "one frame went out");
	EQ_INT(types[0], DERP_FRAME_CLIENT_INFO, "ClientInfo");
	derp_client_free(c);
}

static void
test_fast_start(size_t step)
{
	struct derp_client_params p = params(true);
	struct derp_client *c;
	uint8_t types[16];

	p.preferred = true;
	c = new_client(&p);
	OK(derp_client_is_open(c), "open at once");
	EQ_INT(derp_client_send(c, &server_public, "x", 1), 0, "packet");
	EQ_INT(check_output(c, true, types), 3, "request and three frames");
	EQ_MEM(types, "\x02\x07\x04", 3, "info, preferred, packet");
	put_handshake(true);
	EQ_INT(feed(c, t0, step), 0, "fast start in pieces of %zu", step);
	OK(derp_client_is_ready(c), "ready");
	EQ_INT(check_output(c, false, types), 0, "nothing more to say");
	derp_client_free(c);
}

/* ClientInfo as the server reads it. */
static void
test_client_info(void)
{
	struct derp_client_params p = params(true);
	struct derp_client *c;
	struct derp_hello_client info;
	struct derp_http_head head;
	struct derp_frame f;
	struct key32 from;
	const uint8_t *b;
	size_t len, need;

	p.app_name = "t\x01st";
	p.ideal_node = "1a";
	c = new_client(&p);
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
	struct derp_client_params p = params(fast);
	struct derp_client *c = new_client(&p);
	size_t used;
	int r;

	put_text(text);
	r = feed(c, t0, 1);
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
	struct derp_client_params p = params(true);
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
	c = new_client(&p);
	put_text("HTTP/1.1 426 Upgrade Required\r\nContent-Length: 34\r\n\r\n"
		 "DERP requires\tconnection upgrade\n\xff");
	EQ_INT(feed(c, t0, SIZE_MAX), -DT_ERR_HTTP_STATUS, "426");
	EQ_INT(derp_client_http_status(c), 426, "its number");
	EQ_STR(derp_client_error_text(c),
	    "HTTP 426 Upgrade Required: DERP requires connection upgrade ?",
	    "body explains, printable");
	derp_client_free(c);
	c = new_client(&p);
	put_text("HTTP/1.1 103 Early Hints\r\n\r\n");
	put_handshake(false);
	EQ_INT(feed(c, t0, 1), 0, "fast start answered with 103 and 101");
	OK(derp_client_is_ready(c), "works all the same");
	EQ_INT(derp_client_http_status(c), 0, "no status to complain of");
	derp_client_free(c);
}

/* 101 and then a ServerKey frame with this header and payload. */
static int
server_key_case(uint8_t type, size_t len, bool is_magic_good)
{
	struct derp_client_params p = params(false);
	struct derp_client *c = new_client(&p);
	struct vector v = vector_get("server_key");
	static uint8_t payload[2000];
	int r;

	memcpy(payload, v.p + 5, 40);
	payload[0] = is_magic_good ? 'D' : 'd';
	derp_http_put_switching(&out, &server_public);
	put_frame(type, payload, len);
	r = feed(c, t0, SIZE_MAX);
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
	struct derp_client_params p = params(true);
	struct derp_client *c = new_client(&p);

	put_frame(DERP_FRAME_SERVER_INFO, NULL, 60);
	EQ_INT(feed(c, t0, SIZE_MAX), -DT_ERR_AUTH, "cannot be opened");
	EQ_STR(derp_client_error_text(c),
	    "unusable ServerInfo: authentication failed", "says so");
	derp_client_free(c);
	c = new_client(&p);
	put_frame(DERP_FRAME_SERVER_INFO, NULL, 23);
	EQ_INT(feed(c, t0, SIZE_MAX), -DT_ERR_SYNTAX, "23 bytes");
	derp_client_free(c);
	c = new_client(&p);
	put_frame(DERP_FRAME_SERVER_INFO, NULL, DERP_HELLO_MAX_SERVER_INFO + 1);
	EQ_INT(feed(c, t0, SIZE_MAX), -DT_ERR_TOO_LONG, "too long");
	derp_client_free(c);
	c = new_client(&p);
	put_server_info(1, 74);
	put_frame(DERP_FRAME_SERVER_INFO, NULL, 60);
	EQ_INT(feed(c, t0, SIZE_MAX), 0, "a second one is not looked at");
	EQ_INT(derp_client_server_info(c)->token_bucket_bytes_per_sec, 1,
	    "limit is recorded");
	for (int i = 0; i < 3; i++)
		EQ_INT(derp_client_send(c, &server_public, stream, 1000), 0,
		    "and not applied");
	derp_client_free(c);
}

/* One frame in a ready connection, a packet behind it; what happens? */
static int
frame_case(uint8_t type, size_t len, size_t step)
{
	struct derp_client *c = ready_client(true);
	int r;

	put_frame(type, NULL, len);
	put_packet("after");
	r = feed(c, t0, step);
	if (r == 0 && memcmp(seen.last, "after", 5) != 0)
		r = -DT_ERR_INTERNAL;
	derp_client_free(c);
	return r;
}

static void
test_frames(void)
{
	EQ_INT(frame_case(0x7f, DERP_FRAME_MAX_LEN, 100000), 0, "1 MiB");
	EQ_INT(frame_case(0x7f, DERP_FRAME_MAX_LEN + 1, SIZE_MAX),
	    -DT_ERR_TOO_LONG, "1 MiB and a byte");
	EQ_INT(frame_case(0x7f, 0, SIZE_MAX), 0, "unknown, empty");
	EQ_INT(frame_case(0x7f, 100000, 999), 0, "unknown, 100000");
	EQ_INT(frame_case(5, 31, SIZE_MAX), 0, "RecvPacket of 31");
	EQ_INT(seen.packets, 1, "is dropped");
	EQ_INT(frame_case(5, 32, 1), 0, "RecvPacket of 32");
	EQ_INT(seen.packets, 2, "is delivered");
	EQ_INT(frame_case(5, 65568, 4096), 0, "RecvPacket of 65568");
	EQ_INT(seen.data_bytes, 65536 + 5, "is delivered whole");
	EQ_INT(frame_case(5, 65569, 4096), 0, "RecvPacket of 65569");
	EQ_INT(seen.packets, 1, "is dropped too");
	EQ_INT(frame_case(8, 31, SIZE_MAX), 0, "PeerGone of 31");
	EQ_INT(seen.gone, 0, "is dropped");
	EQ_INT(frame_case(8, 32, SIZE_MAX), 0, "PeerGone of 32");
	OK(seen.gone == 1 && seen.reason == 0, "has reason 0");
	EQ_INT(frame_case(8, 500, 7), 0, "PeerGone of 500");
	OK(seen.gone == 1 && seen.reason == 32, "has its reason");
	EQ_INT(frame_case(0x12, 7, SIZE_MAX), 0, "Ping of 7");
	EQ_INT(frame_case(0x13, 7, SIZE_MAX), 0, "Pong of 7");
	EQ_INT(frame_case(0x13, 8, SIZE_MAX), 0, "Pong nobody asked for");
	EQ_INT(seen.pongs, 0, "is not told");
	EQ_INT(frame_case(0x15, 7, SIZE_MAX), 0, "Restarting of 7");
	EQ_INT(seen.restarting, 0, "is dropped");
	EQ_INT(frame_case(0x15, 9, 1), 0, "Restarting of 9");
	OK(seen.restarting == 1 && seen.reconnect_ms == 0x00010203 &&
		seen.try_ms == 0x04050607,
	    "is told");
	EQ_INT(frame_case(0x14, 70000, 5000), 0, "Health of 70000");
	OK(seen.health == 1 && strlen(seen.text) <= DERP_CLIENT_MAX_TEXT - 1,
	    "is cut");
	EQ_INT(frame_case(0x14, 0, SIZE_MAX), 0, "empty Health");
	OK(seen.health == 1 && seen.text[0] == '\0', "is healthy");
	for (uint8_t type = 0; type < 0x20; type++)
		if (type != DERP_FRAME_RECV_PACKET)
			EQ_INT(frame_case(type, 51, 3), 0, "type %02x", type);
	EQ_INT(frame_case(6, 9, SIZE_MAX), 0, "KeepAlive with bytes");
}

static void
test_ping(void)
{
	struct derp_client *c = ready_client(false);
	struct fifo *f = derp_client_output(c);
	int64_t limit = (int64_t)fifo_room(f);

	put_frame(DERP_FRAME_PING, "12345678abc", 11);
	EQ_INT(feed(c, t0, 1), 0, "Ping of 11");
	EQ_INT(fifo_len(f), 13, "one Pong");
	EQ_MEM(fifo_peek(f),
	    "\x13\0\0\0\x08"
	    "12345678",
	    13, "8 bytes of it");
	for (int i = 0; i < 30000; i++)
		put_frame(DERP_FRAME_PING, "12345678", 8);
	EQ_INT(feed(c, t0, SIZE_MAX), 0, "Pings nobody drains");
	OK((int64_t)fifo_len(f) <= limit, "output stays bounded");
	derp_client_free(c);
}

static void
test_send(void)
{
	struct derp_client_params p = params(true);
	struct derp_client *c;
	struct fifo *f;
	size_t n = 0;
	int r;

	p.max_output = 1; /* brought up to one packet */
	c = new_client(&p);
	f = derp_client_output(c);
	fifo_drop(f, fifo_len(f));
	EQ_INT(derp_client_room(c), DERP_FRAME_MAX_PACKET, "room for one");
	EQ_INT(derp_client_send(c, &server_public, stream, 65537),
	    -DT_ERR_TOO_LONG, "65537 bytes");
	EQ_INT(derp_client_send(c, &server_public, stream, 65536), 0, "65536");
	EQ_INT(fifo_len(f), 65573, "with its header");
	EQ_MEM(fifo_peek(f), "\x04\0\1\0\x20", 5, "header");
	EQ_INT(derp_client_room(c), 0, "no room");
	EQ_INT(derp_client_send(c, &server_public, NULL, 0), -DT_ERR_FULL,
	    "not even for an empty one");
	EQ_INT(fifo_len(f), 65573, "nothing was queued");
	EQ_INT(derp_client_set_preferred(c, true), 0, "control still fits");
	EQ_INT(fifo_len(f), 65579, "NotePreferred");
	EQ_INT(derp_client_set_preferred(c, true), 0, "no news");
	EQ_INT(fifo_len(f), 65579, "no frame");
	fifo_drop(f, fifo_len(f));
	do
		r = derp_client_send(c, &server_public, "0123456789", 10);
	while (r == 0 && ++n < 100000);
	EQ_INT(r, -DT_ERR_FULL, "full in the end");
	EQ_INT(n, 65573 / 47, "after as many as fit");
	derp_client_free(c);
	p = params(false);
	c = new_client(&p);
	EQ_INT(derp_client_set_preferred(c, true), 0, "preferred early");
	fifo_drop(derp_client_output(c), fifo_len(derp_client_output(c)));
	put_handshake(false);
	(void)feed(c, t0, SIZE_MAX);
	f = derp_client_output(c);
	EQ_MEM(fifo_peek(f) + fifo_len(f) - 6, "\x07\0\0\0\1\1", 6,
	    "is told behind ClientInfo");
	derp_client_free(c);
}

static struct mono
after(int64_t us)
{
	return mono_add(t0, us);
}

static void
test_connect_timeout(void)
{
	struct derp_client_params p = params(false);
	struct derp_client *c = new_client(&p);
	int64_t budget = DERP_CLIENT_CONNECT_US;

	EQ_INT(derp_client_next_deadline(c).us, after(budget).us, "10 s");
	put_text("HTTP/1.1 101 ");
	(void)feed(c, after(5 * MONO_SEC), SIZE_MAX);
	EQ_INT(derp_client_next_deadline(c).us, after(budget).us,
	    "dripping does not move it");
	EQ_INT(derp_client_on_timer(c, after(budget - 1)), 0, "early");
	EQ_INT(
	    derp_client_on_timer(c, after(budget)), -DT_ERR_TIMEOUT, "in time");
	EQ_STR(derp_client_error_text(c), "no DERP handshake in time", "text");
	derp_client_free(c);
	p.connect_deadline = after(3);
	c = new_client(&p);
	EQ_INT(derp_client_next_deadline(c).us, after(3).us, "caller's own");
	derp_client_free(c);
}

/* Copies the first @n bytes of the output and leaves them there. */
static void
take_output(struct derp_client *c, uint8_t *dst, size_t n)
{
	struct fifo *f = derp_client_output(c);
	const uint8_t *p = fifo_peek(f);

	memset(dst, 0, n);
	if (p != NULL && fifo_len(f) >= n)
		memcpy(dst, p, n);
}

static void
test_liveness(void)
{
	struct derp_client *c = ready_client(false);
	struct fifo *f = derp_client_output(c);
	int64_t idle = DERP_CLIENT_IDLE_US, ping = DERP_CLIENT_PING_US;
	uint8_t answer[13];

	EQ_INT(derp_client_next_deadline(c).us, after(idle).us, "idle");
	EQ_INT(derp_client_on_timer(c, after(idle - 1)), 0, "early");
	EQ_INT(fifo_len(f), 0, "no Ping yet");
	EQ_INT(derp_client_on_timer(c, after(idle)), 0, "silence");
	EQ_INT(fifo_len(f), 13, "Ping");
	take_output(c, answer, sizeof(answer));
	EQ_INT(answer[0], DERP_FRAME_PING, "its type");
	EQ_INT(derp_client_next_deadline(c).us, after(idle + ping).us,
	    "then 10 s");
	answer[0] = DERP_FRAME_PONG;
	buf_put_bytes(&out, answer, sizeof(answer));
	EQ_INT(feed(c, after(idle + 4000), SIZE_MAX), 0, "Pong");
	OK(seen.pongs == 1 && seen.rtt_us == 4000, "round trip told");
	EQ_INT(derp_client_next_deadline(c).us, after(2 * idle + 4000).us,
	    "idle again");
	buf_put_bytes(&out, answer, sizeof(answer));
	(void)feed(c, after(idle + 5000), SIZE_MAX);
	EQ_INT(seen.pongs, 1, "the same Pong again counts for nothing");
	EQ_INT(derp_client_on_timer(c, after(2 * idle + 5000)), 0, "Ping");
	put_text("\x7f");
	(void)feed(c, after(2 * idle + 6000), SIZE_MAX);
	EQ_INT(derp_client_on_timer(c, after(2 * idle + 5000 + ping)), 0,
	    "part of a frame is a sign of life");
	EQ_INT(derp_client_on_timer(c, after(4 * idle)), 0, "Ping");
	EQ_INT(derp_client_on_timer(c, after(4 * idle + ping)), -DT_ERR_TIMEOUT,
	    "nothing came");
	EQ_STR(derp_client_error_text(c), "relay is silent", "text");
	derp_client_free(c);
}

static void
test_probe(void)
{
	struct derp_client_params p = params(true);
	struct derp_client *c = new_client(&p);

	EQ_INT(derp_client_probe(c, t0, MONO_SEC), -DT_ERR_STATE, "too soon");
	derp_client_free(c);
	c = ready_client(false);
	EQ_INT(derp_client_probe(c, t0, 3 * MONO_SEC), 0, "probe");
	EQ_INT(fifo_len(derp_client_output(c)), 13, "Ping");
	EQ_INT(derp_client_next_deadline(c).us, after(3 * MONO_SEC).us, "3 s");
	EQ_INT(derp_client_on_timer(c, after(3 * MONO_SEC)), -DT_ERR_TIMEOUT,
	    "no answer");
	derp_client_free(c);
}

static void
test_eof(void)
{
	struct derp_client_params p = params(false);
	struct derp_client *c = new_client(&p);

	EQ_INT(derp_client_eof(c), -DT_ERR_NOT_RELAY, "before the response");
	EQ_INT(derp_client_eof(c), -DT_ERR_NOT_RELAY, "again");
	derp_client_free(c);
	c = new_client(&p);
	derp_http_put_switching(&out, &server_public);
	derp_hello_put_server_key(&out, &server_public);
	(void)feed(c, t0, SIZE_MAX);
	EQ_INT(derp_client_eof(c), -DT_ERR_PEER_REJECTED, "not admitted");
	derp_client_free(c);
	c = ready_client(true);
	EQ_INT(derp_client_eof(c), -DT_ERR_CLOSED, "closed");
	derp_client_free(c);
}

static void
test_new_errors(void)
{
	static const struct key32 zero, one = { { 1 } };
	struct derp_client_params p = params(false);
	struct derp_client *c = NULL;

	p.own_private = &zero;
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_KEY, "no private key");
	p = params(false);
	p.own_public = &zero;
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_KEY, "no public key");
	p = params(false);
	p.fast_start_key = &one;
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_KEY, "low-order key");
	p = params(false);
	p.host = "a b";
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_SYNTAX, "bad host");
	p = params(false);
	p.path = "derp";
	EQ_INT(derp_client_new(&p, t0, &c), -DT_ERR_SYNTAX, "bad path");
	OK(c == NULL, "nothing returned");
	derp_client_free(NULL);
	/* nobody listens */
	p = params(false);
	p.events = NULL;
	c = new_client(&p);
	put_handshake(false);
	for (uint8_t type = 0; type < 0x20; type++)
		put_frame(type, NULL, 51);
	EQ_INT(feed(c, t0, SIZE_MAX), 0, "no callbacks at all");
	derp_client_free(c);
}

int
main(void)
{
	stream = malloc(MAX_STREAM);
	if (stream == NULL)
		abort();
	memset(stream, 0, MAX_STREAM);
	client_private = vector_key("client_private");
	client_public = vector_key("client_public");
	server_private = vector_key("server_private");
	server_public = vector_key("server_public");
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
	test_frames();
	test_ping();
	test_send();
	test_connect_timeout();
	test_liveness();
	test_probe();
	test_eof();
	test_new_errors();
	free(stream);
	return tap_done();
}
