/* SPDX-License-Identifier: BSD-3-Clause */
/* A DERP client, the bytes that a scripted server sends it, and what its
 * callbacks saw. */
#ifndef TEST_UNIT_DERP_CLIENT_RIG_H
#define TEST_UNIT_DERP_CLIENT_RIG_H

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

static inline void
on_ready(void *user, const struct derp_hello_server *info)
{
	struct seen *s = user;

	s->ready++;
	s->info = *info;
}

static inline void
on_packet(void *user, const struct key32 *src, const uint8_t *data, size_t len)
{
	struct seen *s = user;

	s->packets++;
	s->last_src = *src;
	s->last_len = len;
	s->data_bytes += len;
	memcpy(s->last, data, len < sizeof(s->last) ? len : sizeof(s->last));
}

static inline void
on_peer_gone(void *user, const struct key32 *peer, uint8_t reason)
{
	struct seen *s = user;

	s->gone++;
	s->last_src = *peer;
	s->reason = reason;
}

static inline void
on_health(void *user, const char *text)
{
	struct seen *s = user;

	s->health++;
	(void)snprintf(s->text, sizeof(s->text), "%s", text);
}

static inline void
on_restarting(void *user, uint32_t reconnect_in_ms, uint32_t try_for_ms)
{
	struct seen *s = user;

	s->restarting++;
	s->reconnect_ms = reconnect_in_ms;
	s->try_ms = try_for_ms;
}

static inline void
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

static inline struct derp_client_params
rig_params(bool fast)
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

static inline struct derp_client *
rig_client(const struct derp_client_params *p)
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

static inline void
rig_put_text(const char *text)
{
	buf_put_str(&out, text);
}

static inline void
rig_put_frame(uint8_t type, const void *payload, size_t len)
{
	buf_put_u8(&out, type);
	buf_put_u32(&out, (uint32_t)len);
	if (payload != NULL)
		buf_put_bytes(&out, payload, len);
	else
		for (size_t i = 0; i < len; i++)
			buf_put_u8(&out, (uint8_t)i);
}

static inline void
rig_put_server_info(int64_t rate, int64_t burst)
{
	struct derp_hello_keys keys = { .own_private = &server_private,
		.own_public = &server_public,
		.peer_public = &client_public };
	struct derp_hello_server info = { .version = 2,
		.token_bucket_bytes_per_sec = rate,
		.token_bucket_bytes_burst = burst };

	(void)derp_hello_seal_server_info(&out, &keys, &info, NULL);
}

static inline void
rig_put_packet(const char *text)
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
static inline int
rig_feed(struct derp_client *c, struct mono now, size_t step)
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

static inline void
rig_put_handshake(bool fast)
{
	if (!fast)
		derp_http_put_switching(&out, &server_public);
	derp_hello_put_server_key(&out, &server_public);
	rig_put_server_info(0, 0);
}

/* A connection that is ready, its output empty. */
static inline struct derp_client *
rig_ready_client(bool fast)
{
	struct derp_client_params p = rig_params(fast);
	struct derp_client *c = rig_client(&p);
	struct fifo *f = derp_client_output(c);

	rig_put_handshake(fast);
	EQ_INT(rig_feed(c, t0, SIZE_MAX), 0, "handshake");
	EQ_INT(seen.ready, 1, "ready once");
	fifo_drop(f, fifo_len(f));
	return c;
}

/* The output must be one HTTP request and then whole frames; counts them. */
static inline size_t
rig_check_output(struct derp_client *c, bool is_start, uint8_t types[static 16])
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

static inline struct mono
rig_after(int64_t us)
{
	return mono_add(t0, us);
}

/* Keys and the stream; rig_done() at the end. */
static inline void
rig_begin(void)
{
	stream = malloc(MAX_STREAM);
	if (stream == NULL)
		abort();
	memset(stream, 0, MAX_STREAM);
	client_private = vector_key("client_private");
	client_public = vector_key("client_public");
	server_private = vector_key("server_private");
	server_public = vector_key("server_public");
}

static inline int
rig_done(void)
{
	free(stream);
	return tap_done();
}

#endif
