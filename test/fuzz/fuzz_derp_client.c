/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes from a server into the client machine.  First byte of the input: bit 0
 * fast start, bit 1 a good handshake comes first.  The bytes are fed twice, at
 * once and in small pieces: what happens must not depend on that.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/derp/derp_client.h"
#include "proto/derp/derp_http.h"
#include "test/fuzz/derp_keys.h"

#define MAX_HANDSHAKE (DERP_HTTP_MAX_SWITCHING + 2 * DERP_HELLO_MAX_FRAME)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the callbacks saw, in order, as one number. */
struct seen {
	uint64_t sum;
	struct derp_client *client;
};

static void
note(struct seen *s, uint64_t what)
{
	s->sum = s->sum * 1000003 + what;
}

static void
on_ready(void *user, const struct derp_hello_server *info)
{
	note(user, 1 + (uint64_t)info->version);
}

static void
on_packet(void *user, const struct key32 *src, const uint8_t *data, size_t len)
{
	struct seen *s = user;

	note(s, 100 + len);
	for (size_t i = 0; i < len; i++)
		note(s, data[i]);
	(void)derp_client_send(s->client, src, data, len);
}

static void
on_peer_gone(void *user, const struct key32 *peer, uint8_t reason)
{
	note(user, 1000u + peer->b[0] + reason);
}

static void
on_health(void *user, const char *text)
{
	note(user, 2000 + strlen(text));
}

static void
on_restarting(void *user, uint32_t reconnect_in_ms, uint32_t try_for_ms)
{
	note(user, 3000 + (uint64_t)reconnect_in_ms + try_for_ms);
}

static void
on_pong(void *user, int64_t rtt_us)
{
	note(user, 4000 + (uint64_t)rtt_us);
}

static const struct derp_client_events events = { .ready = on_ready,
	.packet = on_packet,
	.peer_gone = on_peer_gone,
	.health = on_health,
	.restarting = on_restarting,
	.pong = on_pong };

/* Feed @size bytes in pieces, each in a right-sized block of its own. */
static int
feed(struct derp_client *c, const uint8_t *data, size_t size, size_t step)
{
	size_t start = 0, end = 0, used;
	struct mono now = { 1000 };
	int r = 0;

	while (end < size && r == 0) {
		uint8_t *copy;

		end += size - end < step ? size - end : step;
		copy = malloc(end - start);
		if (copy == NULL)
			abort();
		memcpy(copy, data + start, end - start);
		used = 0;
		r = derp_client_input(c, now, copy, end - start, &used);
		if (used > end - start)
			abort();
		free(copy);
		start += used;
		if (r == 0 && end - start >= DERP_CLIENT_MIN_BUFFER)
			abort();
	}
	return r;
}

static void
feed_handshake(struct derp_client *c, bool is_fast)
{
	struct derp_hello_keys keys = { .own_private = &server_private,
		.own_public = &server_public,
		.peer_public = &client_public };
	struct derp_hello_server info = { .version = 2 };
	uint8_t out[MAX_HANDSHAKE];
	struct buf_writer w = buf_writer(out, sizeof(out));

	if (!is_fast)
		derp_http_put_switching(&w, &server_public);
	derp_hello_put_server_key(&w, &server_public);
	if (derp_hello_seal_server_info(&w, &keys, &info, NULL) != 0 ||
	    feed(c, out, w.len, w.len) != 0 || !derp_client_is_ready(c))
		abort();
}

static int
run(const uint8_t *data, size_t size, size_t step, uint64_t *ret_sum)
{
	bool is_fast = (data[0] & 1) != 0;
	struct seen seen = { 0 };
	struct derp_client_params params = { .own_private = &client_private,
		.own_public = &client_public,
		.host = "h",
		.port = 443,
		.fast_start_key = is_fast ? &server_public : NULL,
		.max_output = DERP_CLIENT_MIN_BUFFER,
		.events = &events,
		.user = &seen };
	struct derp_client *c;
	int r;

	if (derp_client_new(&params, (struct mono){ 1000 }, &c) != 0)
		abort();
	seen.client = c;
	if ((data[0] & 2) != 0)
		feed_handshake(c, is_fast);
	r = feed(c, data + 1, size - 1, step);
	(void)derp_client_on_timer(c, (struct mono){ INT64_MAX - 1 });
	(void)derp_client_eof(c);
	derp_client_free(c);
	*ret_sum = seen.sum;
	return r;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t sum, sum2;
	int r, r2;

	if (size == 0)
		return 0;
	make_keys();
	r = run(data, size, size, &sum);
	r2 = run(data, size, size / 100 + 1, &sum2);
	if (r != r2 || sum != sum2)
		abort();
	return 0;
}
