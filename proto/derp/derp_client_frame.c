/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What each frame means to an established client.  Frames that break their size
 * rule are dropped and the stream goes on, as in the Go client; only ServerInfo
 * can be fatal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "proto/derp/derp_client_state.h"

#define PEER_GONE_LEN (DERP_FRAME_KEY_LEN + 1u)

/* Terminated copy of the printable part of foreign text. */
void
derp_client_text(char *out, size_t cap, const uint8_t *p, size_t len)
{
	size_t n = len < cap - 1 ? len : cap - 1;

	for (size_t i = 0; i < n; i++) {
		if (p[i] >= ' ' && p[i] <= '~')
			out[i] = (char)p[i];
		else
			out[i] = p[i] < ' ' ? ' ' : '?';
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	out[n] = '\0';
}

int
derp_client_die(struct derp_client *c, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->error_text, sizeof(c->error_text), fmt, ap);
	va_end(ap); /* a cut text is good enough */
	c->state = CLIENT_DEAD;
	c->error = r;
	secret_wipe(&c->own_private, sizeof(c->own_private));
	return r;
}

static int
on_server_info(struct derp_client *c, const struct derp_frame *f)
{
	struct derp_hello_keys keys = { .own_private = &c->own_private,
		.own_public = &c->own_public,
		.peer_public = &c->server_key };
	int r =
	    derp_hello_open_server_info(f->payload, f->len, &keys, &c->server);

	if (r < 0)
		return derp_client_die(
		    c, r, "unusable ServerInfo: %s", err_str(r));
	secret_wipe(&c->own_private, sizeof(c->own_private)); /* no more use */
	c->state = CLIENT_READY;
	if (c->events->ready != NULL)
		c->events->ready(c->user, &c->server);
	return 0;
}

static void
on_packet(struct derp_client *c, const struct derp_frame *f)
{
	const uint8_t *data;
	struct key32 src;
	size_t len;

	if (derp_frame_get_packet(f, &src, &data, &len) == 0 &&
	    c->events->packet != NULL)
		c->events->packet(c->user, &src, data, len);
}

static void
on_peer_gone(struct derp_client *c, const struct derp_frame *f)
{
	struct key32 peer;
	uint8_t reason;

	if (derp_frame_get_peer_gone(f, &peer, &reason) == 0 &&
	    c->events->peer_gone != NULL)
		c->events->peer_gone(c->user, &peer, reason);
}

/* An answer that finds no room is left out: Pings then come faster than the
 * stream takes bytes, and the bytes under way are a sign of life too. */
static void
on_ping(struct derp_client *c, const struct derp_frame *f)
{
	uint8_t out[DERP_FRAME_HEADER_LEN + DERP_FRAME_PING_LEN];
	uint8_t data[DERP_FRAME_PING_LEN];

	if (derp_frame_get_ping(f, data) == 0)
		(void)fifo_put(
		    &c->out, out, derp_frame_put_ping(out, true, data));
}

static void
on_pong(struct derp_client *c, const struct derp_frame *f, struct mono now)
{
	uint8_t data[DERP_FRAME_PING_LEN];
	int64_t rtt_us = mono_diff(now, c->ping_sent);

	if (derp_frame_get_ping(f, data) < 0 || mono_is_never(c->ping_sent) ||
	    memcmp(data, c->ping_data, sizeof(data)) != 0)
		return;
	c->ping_sent = MONO_NEVER;
	if (c->events->pong != NULL)
		c->events->pong(c->user, rtt_us);
}

static void
on_health(struct derp_client *c, const struct derp_frame *f)
{
	char text[DERP_CLIENT_MAX_TEXT];

	derp_client_text(text, sizeof(text), f->payload, f->len);
	if (c->events->health != NULL)
		c->events->health(c->user, text);
}

static void
on_restarting(struct derp_client *c, const struct derp_frame *f)
{
	uint32_t reconnect_in_ms, try_for_ms;

	if (derp_frame_get_restarting(f, &reconnect_in_ms, &try_for_ms) == 0 &&
	    c->events->restarting != NULL)
		c->events->restarting(c->user, reconnect_in_ms, try_for_ms);
}

size_t
derp_client_wanted(const struct derp_client *c, uint8_t type, size_t len)
{
	size_t max;

	switch (type) {
	case DERP_FRAME_RECV_PACKET: /* too long: nothing, so it is dropped */
		return len <= DERP_FRAME_MAX_SEND ? len : 0;
	case DERP_FRAME_SERVER_INFO: /* only the first one counts */
		return c->state == CLIENT_OPEN ? len : 0;
	case DERP_FRAME_HEALTH:
		max = DERP_CLIENT_MAX_TEXT - 1;
		break;
	case DERP_FRAME_PEER_GONE:
		max = PEER_GONE_LEN;
		break;
	case DERP_FRAME_PING:
	case DERP_FRAME_PONG:
	case DERP_FRAME_RESTARTING:
		max = 8;
		break;
	default:
		return 0;
	}
	return len < max ? len : max;
}

int
derp_client_dispatch(
    struct derp_client *c, const struct derp_frame *f, struct mono now)
{
	switch (f->type) {
	case DERP_FRAME_RECV_PACKET:
		on_packet(c, f);
		break;
	case DERP_FRAME_SERVER_INFO:
		if (c->state == CLIENT_OPEN)
			return on_server_info(c, f);
		break;
	case DERP_FRAME_PEER_GONE:
		on_peer_gone(c, f);
		break;
	case DERP_FRAME_PING:
		on_ping(c, f);
		break;
	case DERP_FRAME_PONG:
		on_pong(c, f, now);
		break;
	case DERP_FRAME_HEALTH:
		on_health(c, f);
		break;
	case DERP_FRAME_RESTARTING:
		on_restarting(c, f);
		break;
	default: /* KeepAlive, a late ServerKey, what servers alone take, and
		  * what has not been invented yet */
		break;
	}
	return 0;
}
