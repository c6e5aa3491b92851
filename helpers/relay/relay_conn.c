/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 *   OPEN -> FINISH -> LINGER -> DEAD, each but DEAD may go to DEAD directly.
 *
 * Whoever queues something marks the connection dirty; everything queued in one
 * turn of the loop leaves at its end, in full records.  Only a receiver whose
 * queue is full is flushed earlier, unless its socket is blocked: then its
 * oldest packets go.  A receiver's slowness never reaches the sender.
 */
#include "helpers/relay/relay_conn.h"

#include <errno.h>
#include <string.h>

#include "helpers/relay/relay_conn_read.h"
#include "helpers/relay/relay_conn_write.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_hello.h"

/* Longest incomplete thing (ClientInfo) and a read behind it. */
#define MAX_INPUT (DERP_HELLO_MAX_CLIENT_INFO + RELAY_SCRATCH)

void
relay_conn_mark_dirty(struct relay_conn *c)
{
	if (c->is_dirty || c->mode == RELAY_CONN_DEAD)
		return;
	c->is_dirty = true;
	TAILQ_INSERT_TAIL(&c->relay->dirty, c, in_dirty);
}

static void
leave_handshakes(struct relay_conn *c)
{
	struct relay *relay = c->relay;

	if (!c->is_handshake)
		return;
	c->is_handshake = false;
	TAILQ_REMOVE(&relay->handshakes, c, in_handshakes);
	relay->stats.gauge_current_handshakes--;
	relay->handshake_bytes -= c->counted;
	c->counted = 0;
}

void
relay_conn_admit(struct relay_conn *c)
{
	leave_handshakes(c);
}

void
relay_conn_kill(struct relay_conn *c)
{
	struct relay *relay = c->relay;

	if (c->mode == RELAY_CONN_DEAD)
		return;
	c->mode = RELAY_CONN_DEAD;
	leave_handshakes(c);
	if (c->is_dirty)
		TAILQ_REMOVE(&relay->dirty, c, in_dirty);
	c->is_dirty = false;
	TAILQ_INSERT_TAIL(&relay->dead, c, in_dirty);
	loop_io_set(c->io, 0);
}

static void
count_leftovers(struct relay_conn *c, struct relay_queue *q)
{
	enum relay_stats_drop why = c->has_write_error
					? RELAY_STATS_DROP_WRITE_ERROR
					: RELAY_STATS_DROP_GONE_DISCONNECTED;
	size_t len;

	while (relay_queue_oldest(q, &len) != NULL) {
		relay_stats_drop(&c->relay->stats, why, q == &c->disco,
		    len - DERP_FRAME_PACKET_HEADER_LEN);
		relay_queue_drop_oldest(q);
	}
}

static void
destroy(struct relay_conn *c)
{
	struct relay *relay = c->relay;

	TAILQ_REMOVE(&relay->all, c, in_all);
	TAILQ_REMOVE(&relay->dead, c, in_dirty);
	relay->n_conns--;
	relay->stats.gauge_current_connections--;
	count_leftovers(c, &c->disco);
	count_leftovers(c, &c->data);
	relay_queue_fini(&c->control);
	relay_queue_fini(&c->disco);
	relay_queue_fini(&c->data);
	loop_io_free(c->io);
	loop_timer_free(c->stall);
	tls_free(c->tls);
	fifo_fini(&c->in);
	fifo_fini(&c->out);
	fd_close(&c->fd);
	c->ops->closed(c);
}

void
relay_conn_put_packet(struct relay_conn *c, const struct key32 *src,
    const uint8_t *data, size_t len, struct mono now)
{
	struct relay_stats *stats = &c->relay->stats;
	bool is_disco = derp_frame_is_disco(data, len);
	struct relay_queue *q = is_disco ? &c->disco : &c->data;
	size_t total = DERP_FRAME_PACKET_HEADER_LEN + len;
	uint8_t *p;

	if (!relay_queue_fits(q, total) && !c->is_blocked)
		relay_conn_write_flush(c, now);
	if (c->mode != RELAY_CONN_OPEN) {
		relay_stats_drop(
		    stats, RELAY_STATS_DROP_GONE_DISCONNECTED, is_disco, len);
		return;
	}
	while (!relay_queue_fits(q, total)) {
		size_t old = 0;

		(void)relay_queue_oldest(q, &old); /* for its length */
		relay_stats_drop(stats, RELAY_STATS_DROP_QUEUE_HEAD, is_disco,
		    old - DERP_FRAME_PACKET_HEADER_LEN);
		relay_queue_drop_oldest(q);
	}
	p = relay_queue_add(q, total, now);
	if (p == NULL) {
		relay_stats_drop(
		    stats, RELAY_STATS_DROP_QUEUE_TAIL, is_disco, len);
		return;
	}
	p += derp_frame_put_recv(p, src, len);
	if (len > 0)
		memcpy(p, data, len);
	relay_conn_mark_dirty(c);
}

int
relay_conn_put_control(
    struct relay_conn *c, const void *p, size_t len, struct mono now)
{
	uint8_t *dst;

	if (c->mode != RELAY_CONN_OPEN)
		return -DT_ERR_CLOSED;
	if (!relay_queue_fits(&c->control, len))
		return -DT_ERR_FULL;
	dst = relay_queue_add(&c->control, len, now);
	if (dst == NULL)
		return -ENOMEM;
	memcpy(dst, p, len);
	relay_conn_mark_dirty(c);
	return 0;
}

int
relay_conn_put_pong(
    struct relay_conn *c, const void *p, size_t len, struct mono now)
{
	int r;

	if (c->has_pong)
		return -DT_ERR_FULL;
	r = relay_conn_put_control(c, p, len, now);
	c->has_pong = r == 0;
	return r;
}

void
relay_conn_finish(struct relay_conn *c)
{
	if (c->mode != RELAY_CONN_OPEN)
		return;
	c->mode = RELAY_CONN_FINISH;
	relay_conn_mark_dirty(c);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct relay_conn *c = arg;

	if (c->mode == RELAY_CONN_DEAD)
		return;
	if ((events & LOOP_WRITE) != 0)
		relay_conn_write_ready(c, now);
	if ((events & LOOP_READ) == 0 || c->mode == RELAY_CONN_DEAD)
		return;
	relay_conn_read_ready(c, now);
}

static void
on_stall(void *arg, struct mono now)
{
	relay_conn_write_stalled(arg, now);
}

int
relay_conn_start(struct relay_conn *c, struct relay *relay, int fd,
    const struct addr *remote, const struct relay_conn_ops *ops)
{
	c->relay = relay;
	c->ops = ops;
	c->mode = RELAY_CONN_OPEN;
	c->remote = *remote;
	c->read_size = RELAY_CONN_READ_IDLE;
	c->io = loop_io_new(relay->loop, fd, on_io, c);
	c->stall = loop_timer_new(relay->loop, on_stall, c);
	if (c->io == NULL || c->stall == NULL ||
	    (relay->tls != NULL && tls_new_server(&c->tls, relay->tls) < 0)) {
		loop_io_free(c->io);
		loop_timer_free(c->stall);
		return -ENOMEM;
	}
	c->fd = fd;
	fifo_init(&c->in, MAX_INPUT);
	fifo_init(&c->out, RELAY_CONN_MAX_OUTPUT);
	/* A control frame has at least five bytes: bytes bound the count. */
	relay_queue_init(&c->control, &relay->pool, RELAY_MAX_CONTROL_BYTES,
	    RELAY_MAX_CONTROL_BYTES);
	relay_queue_init(&c->disco, &relay->pool, RELAY_MAX_DISCO_PACKETS,
	    RELAY_MAX_DISCO_BYTES);
	relay_queue_init(&c->data, &relay->pool, relay->queue_packets,
	    RELAY_MAX_QUEUE_BYTES);
	TAILQ_INSERT_TAIL(&relay->all, c, in_all);
	TAILQ_INSERT_TAIL(&relay->handshakes, c, in_handshakes);
	c->is_handshake = true;
	relay->n_conns++;
	relay->stats.gauge_current_connections++;
	relay->stats.gauge_current_handshakes++;
	loop_io_set(c->io, LOOP_READ);
	return 0;
}

void
relay_conn_turn_end(struct relay *relay, struct mono now)
{
	struct relay_conn *c;

	/* Freeing one may queue frames for others, so until both are empty. */
	for (;;) {
		if ((c = TAILQ_FIRST(&relay->dirty)) != NULL) {
			TAILQ_REMOVE(&relay->dirty, c, in_dirty);
			c->is_dirty = false;
			relay_conn_write_flush(c, now);
		} else if ((c = TAILQ_FIRST(&relay->dead)) != NULL) {
			destroy(c);
		} else {
			return;
		}
	}
}

void
relay_conn_kill_all(struct relay *relay, struct mono now)
{
	struct relay_conn *c = TAILQ_FIRST(&relay->all);

	for (; c != NULL; c = TAILQ_NEXT(c, in_all))
		relay_conn_kill(c);
	relay_conn_turn_end(relay, now);
}
