/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: frames wait in three queues and are handed to TLS a
 * block at a time, only when less than WRITE_AHEAD is on its way to the socket;
 * beyond that they stay in the queues, where the oldest can still be dropped.
 * The kernel holds little unsent (TCP_NOTSENT_LOWAT on the listener), so an old
 * packet is not stuck behind megabytes.
 *
 * A blocked socket must make progress: bytes it accepts, or bytes the peer
 * acknowledges.  It is killed when RELAY_CONN_STALL_LOOKS in a row found none:
 * looks, not time, or a machine that stood still would be the peer's fault.
 *
 * A socket that takes no more is not dead yet: what the peer sent before it
 * left is still to be read.
 */
#include "helpers/relay/relay_conn_write.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "proto/derp/derp_frame.h"

/* Plaintext handed to TLS before the socket is asked to take it.  With the
 * block that passes it and the record headers it stays below the 64 KiB that a
 * queue of TLS keeps when it is empty; larger ones would be allocated and wiped
 * anew each time. */
#define WRITE_AHEAD ((size_t)12 * 1024)
/* After our goodbye: time for the peer's. */
#define LINGER_US (2 * MONO_SEC)

static_assert(RELAY_CONN_MAX_OUTPUT >=
		  WRITE_AHEAD + DERP_FRAME_HEADER_LEN + DERP_FRAME_MAX_SEND,
    "one frame may go beyond");

/* The queue to serve next: ours first, then disco and data in turn. */
static struct relay_queue *
next_queue(struct relay_conn *c)
{
	if (c->control.packets > 0)
		return &c->control;
	c->is_turn_disco = !c->is_turn_disco;
	if (c->disco.packets > 0 && (c->is_turn_disco || c->data.packets == 0))
		return &c->disco;
	return c->data.packets > 0 ? &c->data : NULL;
}

static int
write_bytes(struct relay_conn *c, const uint8_t *p, size_t len)
{
	ssize_t n;

	if (c->tls == NULL)
		return fifo_put(&c->out, p, len);
	for (size_t off = 0; off < len; off += (size_t)n) {
		n = tls_write(c->tls, p + off, len - off);
		if (n <= 0)
			return n < 0 ? (int)n : -DT_ERR_INTERNAL;
	}
	return 0;
}

/* Move blocks from the queues towards the socket. */
static int
fill(struct relay_conn *c, struct mono now)
{
	struct relay_stats *stats = &c->relay->stats;
	struct relay_queue *q;
	size_t filled = 0;
	struct mono since;

	if (c->tls != NULL && !tls_is_ready(c->tls))
		return 0;
	while (filled < WRITE_AHEAD && (q = next_queue(c)) != NULL) {
		size_t len, packets;
		const uint8_t *p = relay_queue_peek(q, &len, &since);
		int r = write_bytes(c, p, len);

		if (r < 0)
			return r;
		packets = relay_queue_drop_block(q);
		filled += len;
		if (q == &c->control) {
			c->has_pong = c->has_pong && q->packets > 0;
			continue;
		}
		stats->packets_sent += packets;
		stats->bytes_sent +=
		    len - packets * DERP_FRAME_PACKET_HEADER_LEN;
		relay_stats_queued(stats, mono_diff(now, since));
	}
	return 0;
}

static const uint8_t *
pending(struct relay_conn *c, size_t *ret_len)
{
	if (c->tls != NULL)
		return tls_output(c->tls, ret_len);
	*ret_len = fifo_len(&c->out);
	return fifo_peek(&c->out);
}

static void
pending_drop(struct relay_conn *c, size_t n)
{
	if (c->tls != NULL)
		tls_output_drop(c->tls, n);
	else
		fifo_drop(&c->out, n);
}

/* Bytes the peer has acknowledged; any change counts as progress. */
static uint64_t
bytes_acked(const struct relay_conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
		return 0;
	return info.tcpi_bytes_acked;
}

/* The socket took @n bytes and wants no more for now. */
static void
block(struct relay_conn *c, ssize_t n, struct mono now)
{
	c->is_blocked = true;
	if (n > 0)
		c->idle_looks = 0;
	if (c->is_waiting)
		return;
	c->is_waiting = true;
	c->idle_looks = 0;
	c->acked = bytes_acked(c);
	loop_io_set(c->io, LOOP_READ | LOOP_WRITE);
	loop_timer_at(c->stall, mono_add(now, RELAY_CONN_LOOK_US));
}

/* Nothing leaves any more; reading will see the end, or the timer. */
static void
write_failed(struct relay_conn *c, struct mono now)
{
	c->has_write_error = true;
	c->is_blocked = true;
	loop_io_set(c->io, LOOP_READ);
	loop_timer_at(c->stall, mono_add(now, RELAY_CONN_LOOK_US));
}

/* Everything is out, and there will be no more: say goodbye once. */
static void
say_goodbye(struct relay_conn *c, struct mono now)
{
	size_t n;

	if (c->tls != NULL) {
		tls_close(c->tls);
		(void)pending(c, &n); /* only: is there something? */
		if (n > 0)
			return; /* sent by the next round */
	}
	c->mode = RELAY_CONN_LINGER;
	(void)shutdown(c->fd, SHUT_WR); /* a dead socket reads as closed */
	loop_timer_at(c->stall, mono_add(now, LINGER_US));
}

void
relay_conn_write_flush(struct relay_conn *c, struct mono now)
{
	while (!c->is_blocked && c->mode <= RELAY_CONN_FINISH) {
		const uint8_t *p;
		ssize_t n;
		size_t len;

		(void)pending(c, &len); /* only: how much? */
		if (len < WRITE_AHEAD && fill(c, now) < 0) {
			relay_conn_kill(c);
			return;
		}
		p = pending(c, &len);
		if (len == 0) {
			if (c->mode != RELAY_CONN_FINISH)
				return;
			say_goodbye(c, now);
			continue;
		}
		n = send(c->fd, p, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR) {
			write_failed(c, now);
			return;
		}
		if (n > 0)
			pending_drop(c, (size_t)n);
		if (n < (ssize_t)len)
			block(c, n, now);
	}
}

void
relay_conn_write_ready(struct relay_conn *c, struct mono now)
{
	c->is_blocked = false;
	relay_conn_write_flush(c, now);
	if (c->is_blocked || c->mode == RELAY_CONN_DEAD)
		return;
	/* Only now: while it blocks again and again nothing needs changing. */
	c->is_waiting = false;
	loop_io_set(c->io, LOOP_READ);
	if (c->mode != RELAY_CONN_LINGER)
		loop_timer_at(c->stall, MONO_NEVER);
}

void
relay_conn_write_stalled(struct relay_conn *c, struct mono now)
{
	uint64_t acked;

	if (c->mode == RELAY_CONN_LINGER || c->has_write_error) {
		relay_conn_kill(c);
		return;
	}
	if (!c->is_blocked || c->mode == RELAY_CONN_DEAD)
		return;
	acked = bytes_acked(c);
	c->idle_looks++;
	if (acked != c->acked) {
		c->acked = acked;
		c->idle_looks = 0;
	}
	if (c->idle_looks == RELAY_CONN_STALL_LOOKS) {
		c->relay->stats.sclient_write_timeouts++;
		c->has_write_error = true;
		relay_conn_kill(c);
		return;
	}
	loop_timer_at(c->stall, mono_add(now, RELAY_CONN_LOOK_US));
}
