/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "proto/derp/derp_frame.h"
#include "test/tap.h"
#include "test/unit/derp_vector.h"

static struct key32 client, server;
static uint8_t big[DERP_FRAME_MAX_FORWARD + 2];

/* The frame in a vector. */
static struct derp_frame
parse(const struct vector *v)
{
	struct derp_frame f = { 0 };
	size_t need;

	EQ_INT(derp_frame_parse(v->p, v->len, DERP_FRAME_MAX_LEN, &f, &need), 0,
	    "type %02x parses", v->p[0]);
	EQ_INT(f.type, v->p[0], "type");
	EQ_INT(f.total, v->len, "total");
	EQ_INT(f.len, v->len - DERP_FRAME_HEADER_LEN, "length");
	return f;
}

static void
test_truncation(void)
{
	struct vector v = vector_get("peer_present");
	struct derp_frame f;

	for (size_t n = 0; n < v.len; n++) {
		uint8_t *copy = malloc(n > 0 ? n : 1);
		size_t need = 0;

		if (copy == NULL)
			abort();
		memcpy(copy, v.p, n);
		EQ_INT(derp_frame_parse(copy, n, 100, &f, &need),
		    -DT_ERR_TRUNCATED, "cut at %zu", n);
		EQ_INT(need, n < 5 ? 5 : v.len, "needed at %zu", n);
		free(copy);
	}
}

static void
test_limits(void)
{
	uint8_t h[DERP_FRAME_HEADER_LEN];
	struct derp_frame f;
	size_t need;

	(void)derp_frame_put_header(h, 0x7f, 1000);
	EQ_INT(derp_frame_parse(h, 5, 1000, &f, &need), -DT_ERR_TRUNCATED,
	    "at the caller's maximum");
	EQ_INT(need, 1005, "need of it");
	EQ_INT(derp_frame_parse(h, 5, 999, &f, &need), -DT_ERR_TOO_LONG,
	    "above the caller's maximum");
	memset(h + 1, 0xff, 4);
	EQ_INT(derp_frame_parse(h, 5, SIZE_MAX, &f, &need), -DT_ERR_TOO_LONG,
	    "4 GiB are above every maximum");
	(void)derp_frame_put_header(h, 0x7f, DERP_FRAME_MAX_LEN);
	EQ_INT(derp_frame_parse(h, 5, SIZE_MAX, &f, &need), -DT_ERR_TRUNCATED,
	    "1 MiB is legal");
	(void)derp_frame_put_header(h, 0, 0);
	EQ_INT(derp_frame_parse(h, 5, 0, &f, &need), 0, "empty frame");
	EQ_INT(f.total, 5, "empty frame has a header only");
}

static void
test_packets(void)
{
	struct vector v = vector_get("send_hi");
	uint8_t out[DERP_FRAME_FORWARD_HEADER_LEN];
	struct derp_frame f = parse(&v);
	struct key32 key, key2;
	const uint8_t *data;
	size_t len;

	EQ_INT(derp_frame_put_send(out, &server, 2), 37, "SendPacket head");
	EQ_MEM(out, v.p, 37, "SendPacket bytes");
	EQ_INT(derp_frame_get_packet(&f, &key, &data, &len), 0, "SendPacket");
	EQ_MEM(key.b, server.b, 32, "destination");
	OK(len == 2 && memcmp(data, "hi", 2) == 0 && data == v.p + 37,
	    "data is borrowed");
	v = vector_get("recv_hi");
	EQ_INT(derp_frame_put_recv(out, &client, 2), 37, "RecvPacket head");
	EQ_MEM(out, v.p, 37, "RecvPacket bytes");

	EQ_INT(derp_frame_put_forward(out, &client, &server, 2), 69,
	    "ForwardPacket head");
	EQ_INT(out[0], DERP_FRAME_FORWARD_PACKET, "ForwardPacket type");
	EQ_INT(buf_u32_at(out + 1), 66, "ForwardPacket length");
	memcpy(big, out + 5, 64);
	f = (struct derp_frame){ .payload = big, .len = 66 };
	EQ_INT(derp_frame_get_forward(&f, &key, &key2, &data, &len), 0,
	    "ForwardPacket");
	OK(memcmp(key.b, client.b, 32) == 0 &&
		memcmp(key2.b, server.b, 32) == 0 && len == 2 &&
		data == big + 64,
	    "ForwardPacket body");
}

/* Does each body decoder keep its size rule, at its edges? */
static void
test_sizes(void)
{
	struct derp_frame f = { .payload = big };
	struct key32 k, k2;
	const uint8_t *data;
	uint32_t ms, ms2;
	uint8_t ping[8], u8;
	struct addr a;
	size_t len;
	bool yes;

#define AT(n, expr, want)                                                      \
	do {                                                                   \
		f.len = (n);                                                   \
		EQ_INT((expr), (want), "%s at %zu", #expr, f.len);             \
	} while (0)
	AT(31, derp_frame_get_packet(&f, &k, &data, &len), -DT_ERR_SYNTAX);
	AT(32, derp_frame_get_packet(&f, &k, &data, &len), 0);
	EQ_INT(len, 0, "empty packet");
	AT(65568, derp_frame_get_packet(&f, &k, &data, &len), 0);
	EQ_INT(len, DERP_FRAME_MAX_PACKET, "largest packet");
	AT(65569, derp_frame_get_packet(&f, &k, &data, &len), -DT_ERR_SYNTAX);
	AT(63, derp_frame_get_forward(&f, &k, &k2, &data, &len),
	    -DT_ERR_SYNTAX);
	AT(64, derp_frame_get_forward(&f, &k, &k2, &data, &len), 0);
	AT(65600, derp_frame_get_forward(&f, &k, &k2, &data, &len), 0);
	AT(65601, derp_frame_get_forward(&f, &k, &k2, &data, &len),
	    -DT_ERR_SYNTAX);
	AT(31, derp_frame_get_peer_gone(&f, &k, &u8), -DT_ERR_SYNTAX);
	AT(31, derp_frame_get_peer_present(&f, &k, &a, &u8), -DT_ERR_SYNTAX);
	AT(7, derp_frame_get_ping(&f, ping), -DT_ERR_SYNTAX);
	AT(8, derp_frame_get_ping(&f, ping), 0);
	AT(1000, derp_frame_get_ping(&f, ping), 0);
	AT(0, derp_frame_get_note_preferred(&f, &yes), -DT_ERR_SYNTAX);
	AT(1, derp_frame_get_note_preferred(&f, &yes), 0);
	AT(2, derp_frame_get_note_preferred(&f, &yes), -DT_ERR_SYNTAX);
	AT(31, derp_frame_get_close_peer(&f, &k), -DT_ERR_SYNTAX);
	AT(32, derp_frame_get_close_peer(&f, &k), 0);
	AT(33, derp_frame_get_close_peer(&f, &k), -DT_ERR_SYNTAX);
	AT(7, derp_frame_get_restarting(&f, &ms, &ms2), -DT_ERR_SYNTAX);
	AT(9, derp_frame_get_restarting(&f, &ms, &ms2), 0);
#undef AT
}

static void
test_peers(void)
{
	struct vector gone = vector_get("peer_gone");
	struct vector present = vector_get("peer_present");
	struct derp_frame f = parse(&gone);
	struct addr a, none = { 0 }, got;
	uint8_t out[64], flags, reason;
	struct key32 key;

	EQ_INT(derp_frame_put_peer_gone(out, &client, DERP_FRAME_GONE_NOT_HERE),
	    gone.len, "PeerGone length");
	EQ_MEM(out, gone.p, gone.len, "PeerGone bytes");
	EQ_INT(derp_frame_get_peer_gone(&f, &key, &reason), 0, "PeerGone");
	EQ_INT(reason, DERP_FRAME_GONE_NOT_HERE, "reason");
	f.len = 32;
	EQ_INT(derp_frame_get_peer_gone(&f, &key, &reason), 0, "no reason");
	EQ_INT(reason, DERP_FRAME_GONE_DISCONNECTED, "reads as 0");

	(void)addr_parse(&a, "192.0.2.33:40000");
	EQ_INT(derp_frame_put_peer_present(
		   out, &client, &a, DERP_FRAME_PRESENT_REGULAR),
	    present.len, "PeerPresent length");
	EQ_MEM(out, present.p, present.len, "PeerPresent bytes");
	f = parse(&present);
	EQ_INT(derp_frame_get_peer_present(&f, &key, &got, &flags), 0,
	    "PeerPresent");
	OK(addr_equal(&got, &a), "address is unmapped");
	EQ_INT(flags, DERP_FRAME_PRESENT_REGULAR, "flags");
	EQ_MEM(key.b, client.b, 32, "key");
	f.len = 50;
	EQ_INT(derp_frame_get_peer_present(&f, &key, &got, &flags), 0, "50");
	OK(addr_equal(&got, &a) && flags == 0, "without flags");
	f.len = 49;
	EQ_INT(derp_frame_get_peer_present(&f, &key, &got, &flags), 0, "49");
	OK(got.family == 0 && flags == 0, "without address");
	(void)derp_frame_put_peer_present(out, &client, &none, 0);
	f.payload = out + 5;
	f.len = 51;
	(void)derp_frame_get_peer_present(&f, &key, &got, &flags);
	EQ_INT(got.family, 0, "unknown address stays unknown");
	(void)addr_parse(&a, "[2001:db8::1]:443");
	(void)derp_frame_put_peer_present(out, &client, &a, 0x0a);
	(void)derp_frame_get_peer_present(&f, &key, &got, &flags);
	OK(addr_equal(&got, &a) && flags == 0x0a, "IPv6 and two flags");
}

static void
test_small(void)
{
	static const uint8_t data[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct vector disco = vector_get("disco_ping");
	uint8_t out[64];
	struct derp_frame f = { .payload = out + 5, .len = 8 };
	uint32_t a, b;
	bool yes;

	EQ_INT(derp_frame_put_keep_alive(out), 5, "KeepAlive");
	EQ_MEM(out, "\x06\0\0\0\0", 5, "KeepAlive bytes");
	EQ_INT(derp_frame_put_watch_conns(out), 5, "WatchConns");
	EQ_MEM(out, "\x10\0\0\0\0", 5, "WatchConns bytes");
	EQ_INT(derp_frame_put_ping(out, false, data), 13, "Ping");
	EQ_MEM(out, "\x12\0\0\0\x08\1\2\3\4\5\6\7\x08", 13, "Ping bytes");
	EQ_INT(derp_frame_put_ping(out, true, data), 13, "Pong");
	EQ_INT(out[0], DERP_FRAME_PONG, "Pong type");
	EQ_INT(derp_frame_put_note_preferred(out, true), 6, "NotePreferred");
	EQ_MEM(out, "\x07\0\0\0\1\1", 6, "NotePreferred bytes");
	f.len = 1;
	OK(derp_frame_get_note_preferred(&f, &yes) == 0 && yes, "home");
	out[5] = 0;
	OK(derp_frame_get_note_preferred(&f, &yes) == 0 && !yes, "not home");
	EQ_INT(derp_frame_put_close_peer(out, &client), 37, "ClosePeer");
	EQ_INT(out[0], DERP_FRAME_CLOSE_PEER, "ClosePeer type");
	EQ_INT(derp_frame_put_restarting(out, 1500, 70000), 13, "Restarting");
	f.len = 8;
	OK(derp_frame_get_restarting(&f, &a, &b) == 0 && a == 1500 &&
		b == 70000,
	    "Restarting body");
	EQ_INT(derp_frame_put_health(out, 300), 5, "Health");
	EQ_MEM(out, "\x14\0\0\1\x2c", 5, "Health bytes");
	OK(derp_frame_is_disco(disco.p, disco.len), "disco");
	OK(derp_frame_is_disco(disco.p, 62), "shortest disco");
	OK(!derp_frame_is_disco(disco.p, 61), "too short for disco");
	disco.p[5]++;
	OK(!derp_frame_is_disco(disco.p, disco.len), "no magic, no disco");
}

int
main(void)
{
	client = vector_key("client_public");
	server = vector_key("server_public");
	test_truncation();
	test_limits();
	test_packets();
	test_sizes();
	test_peers();
	test_small();
	return tap_done();
}
