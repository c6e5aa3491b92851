/* SPDX-License-Identifier: BSD-3-Clause */
/* A DERP client that is ready: frames, packets, signs of life.  How it becomes
 * so is in t_derp_client_start.c. */
#include "test/unit/derp_client_rig.h"

/* One frame in a ready connection, a packet behind it; what happens? */
static int
frame_case(uint8_t type, size_t len, size_t step)
{
	struct derp_client *c = rig_ready_client(true);
	int r;

	rig_put_frame(type, NULL, len);
	rig_put_packet("after");
	r = rig_feed(c, t0, step);
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
	struct derp_client *c = rig_ready_client(false);
	struct fifo *f = derp_client_output(c);
	int64_t limit = (int64_t)fifo_room(f);

	rig_put_frame(DERP_FRAME_PING, "12345678abc", 11);
	EQ_INT(rig_feed(c, t0, 1), 0, "Ping of 11");
	EQ_INT(fifo_len(f), 13, "one Pong");
	EQ_MEM(fifo_peek(f),
	    "\x13\0\0\0\x08"
	    "12345678",
	    13, "8 bytes of it");
	for (int i = 0; i < 30000; i++)
		rig_put_frame(DERP_FRAME_PING, "12345678", 8);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), 0, "Pings nobody drains");
	OK((int64_t)fifo_len(f) <= limit, "output stays bounded");
	derp_client_free(c);
}

static void
test_send(void)
{
	struct derp_client_params p = rig_params(true);
	struct derp_client *c;
	struct fifo *f;
	size_t n = 0;
	int r;

	p.max_output = 1; /* brought up to one packet */
	c = rig_client(&p);
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
	p = rig_params(false);
	c = rig_client(&p);
	EQ_INT(derp_client_set_preferred(c, true), 0, "preferred early");
	fifo_drop(derp_client_output(c), fifo_len(derp_client_output(c)));
	rig_put_handshake(false);
	(void)rig_feed(c, t0, SIZE_MAX);
	f = derp_client_output(c);
	EQ_MEM(fifo_peek(f) + fifo_len(f) - 6, "\x07\0\0\0\1\1", 6,
	    "is told behind ClientInfo");
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
	struct derp_client *c = rig_ready_client(false);
	struct fifo *f = derp_client_output(c);
	int64_t idle = DERP_CLIENT_IDLE_US, ping = DERP_CLIENT_PING_US;
	uint8_t answer[13];

	EQ_INT(derp_client_next_deadline(c).us, rig_after(idle).us, "idle");
	EQ_INT(derp_client_on_timer(c, rig_after(idle - 1)), 0, "early");
	EQ_INT(fifo_len(f), 0, "no Ping yet");
	EQ_INT(derp_client_on_timer(c, rig_after(idle)), 0, "silence");
	EQ_INT(fifo_len(f), 13, "Ping");
	take_output(c, answer, sizeof(answer));
	EQ_INT(answer[0], DERP_FRAME_PING, "its type");
	EQ_INT(derp_client_next_deadline(c).us, rig_after(idle + ping).us,
	    "then 10 s");
	answer[0] = DERP_FRAME_PONG;
	buf_put_bytes(&out, answer, sizeof(answer));
	EQ_INT(rig_feed(c, rig_after(idle + 4000), SIZE_MAX), 0, "Pong");
	OK(seen.pongs == 1 && seen.rtt_us == 4000, "round trip told");
	EQ_INT(derp_client_next_deadline(c).us, rig_after(2 * idle + 4000).us,
	    "idle again");
	buf_put_bytes(&out, answer, sizeof(answer));
	(void)rig_feed(c, rig_after(idle + 5000), SIZE_MAX);
	EQ_INT(seen.pongs, 1, "the same Pong again counts for nothing");
	EQ_INT(derp_client_on_timer(c, rig_after(2 * idle + 5000)), 0, "Ping");
	rig_put_text("\x7f");
	(void)rig_feed(c, rig_after(2 * idle + 6000), SIZE_MAX);
	EQ_INT(derp_client_on_timer(c, rig_after(2 * idle + 5000 + ping)), 0,
	    "part of a frame is a sign of life");
	EQ_INT(derp_client_on_timer(c, rig_after(4 * idle)), 0, "Ping");
	EQ_INT(derp_client_on_timer(c, rig_after(4 * idle + ping)),
	    -DT_ERR_TIMEOUT, "nothing came");
	EQ_STR(derp_client_error_text(c), "relay is silent", "text");
	derp_client_free(c);
}

static void
test_probe(void)
{
	struct derp_client_params p = rig_params(true);
	struct derp_client *c = rig_client(&p);

	EQ_INT(derp_client_probe(c, t0, MONO_SEC), -DT_ERR_STATE, "too soon");
	derp_client_free(c);
	c = rig_ready_client(false);
	EQ_INT(derp_client_probe(c, t0, 3 * MONO_SEC), 0, "probe");
	EQ_INT(fifo_len(derp_client_output(c)), 13, "Ping");
	EQ_INT(
	    derp_client_next_deadline(c).us, rig_after(3 * MONO_SEC).us, "3 s");
	EQ_INT(derp_client_on_timer(c, rig_after(3 * MONO_SEC)),
	    -DT_ERR_TIMEOUT, "no answer");
	derp_client_free(c);
}

int
main(void)
{
	rig_begin();
	test_frames();
	test_ping();
	test_send();
	test_liveness();
	test_probe();
	return rig_done();
}
