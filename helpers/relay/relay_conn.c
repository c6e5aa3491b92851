/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * Reading: one recv per wake-up, up to 128 KiB, through TLS into the relay's
 * scratch memory; `input` consumes whole frames straight from there.  Only the
 * incomplete rest is kept per connection, in `in`, and while it is not empty
 * new bytes are appended to it.
 *
 * Writing: frames wait in three queues and are handed to TLS a block at a time,
 * only when less than WRITE_AHEAD is on its way to the socket; beyond that they
 * stay in the queues, where the oldest can still be dropped.  Everything queued
 * in one turn of the loop leaves at its end, in full records.  The kernel holds
 * little unsent (TCP_NOTSENT_LOWAT on the listener), so an old packet is not
 * stuck behind megabytes.  A receiver's slowness never reaches the sender.
 *
 * A blocked socket must make progress: bytes it accepts, or bytes the peer
 * acknowledges.  Without any for RELAY_CONN_STALL_US it is killed.
 *
 *   OPEN -> FINISH -> LINGER -> DEAD, each but DEAD may go to DEAD directly.
 */
#include "helpers/relay/relay_conn.h"

#include <assert.h>
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_hello.h"

/* One recv of a busy sender; small ones do not deserve the memory. */
#define READ_BUSY ((size_t)128 * 1024)
#define READ_IDLE ((size_t)8 * 1024)
/* Plaintext handed to TLS before the socket is asked to take it. */
#define WRITE_AHEAD ((size_t)64 * 1024)
/* Longest incomplete thing (ClientInfo) and a read behind it. */
#define MAX_INPUT (DERP_HELLO_MAX_CLIENT_INFO + RELAY_SCRATCH)
/* Plain HTTP: WRITE_AHEAD, passed by at most one frame. */
#define MAX_OUTPUT (2 * WRITE_AHEAD + DERP_FRAME_MAX_SEND)
/* How often a blocked socket is looked at. */
#define STALL_CHECK_US (RELAY_CONN_STALL_US / 4)
/* After our goodbye: time for the peer's, and bytes it may still send. */
#define LINGER_US (2 * MONO_SEC)
#define LINGER_MAX_BYTES ((size_t)1024 * 1024)

static void flush(struct relay_conn *c, struct mono now);

static void
mark_dirty(struct relay_conn *c)
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

	leave_handshakes(c);
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

/* ---- writing ---- */

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
		if (q == &c->control)
			continue;
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

static void
block(struct relay_conn *c, struct mono now)
{
	c->is_blocked = true;
	c->progress = now;
	c->acked = bytes_acked(c);
	loop_io_set(c->io, LOOP_READ | LOOP_WRITE);
	loop_timer_at(c->stall, mono_add(now, STALL_CHECK_US));
}

static void
write_failed(struct relay_conn *c)
{
	c->has_write_error = true;
	relay_conn_kill(c);
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
			return; /* sent by the next round of flush() */
	}
	c->mode = RELAY_CONN_LINGER;
	(void)shutdown(c->fd, SHUT_WR); /* a dead socket reads as closed */
	loop_timer_at(c->stall, mono_add(now, LINGER_US));
}

static void
flush(struct relay_conn *c, struct mono now)
{
	while (!c->is_blocked && c->mode <= RELAY_CONN_FINISH) {
		const uint8_t *p;
		ssize_t n;
		size_t len;

		if (fill(c, now) < 0) {
			write_failed(c);
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
			write_failed(c);
			return;
		}
		if (n > 0)
			pending_drop(c, (size_t)n);
		if (n < (ssize_t)len)
			block(c, now);
	}
}

static void
on_writable(struct relay_conn *c, struct mono now)
{
	c->is_blocked = false;
	loop_io_set(c->io, LOOP_READ);
	loop_timer_at(c->stall, MONO_NEVER);
	flush(c, now);
}

static void
on_stall(void *arg, struct mono now)
{
	struct relay_conn *c = arg;
	uint64_t acked;

	if (c->mode == RELAY_CONN_LINGER) {
		relay_conn_kill(c);
		return;
	}
	if (!c->is_blocked || c->mode == RELAY_CONN_DEAD)
		return;
	acked = bytes_acked(c);
	if (acked != c->acked) {
		c->acked = acked;
		c->progress = now;
	}
	if (mono_diff(now, c->progress) >= RELAY_CONN_STALL_US) {
		c->relay->stats.sclient_write_timeouts++;
		write_failed(c);
		return;
	}
	loop_timer_at(c->stall, mono_add(now, STALL_CHECK_US));
}

/* ---- queueing ---- */

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
		flush(c, now);
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
	mark_dirty(c);
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
	mark_dirty(c);
	return 0;
}

bool
relay_conn_is_control_empty(const struct relay_conn *c)
{
	return c->control.packets == 0;
}

void
relay_conn_finish(struct relay_conn *c)
{
	if (c->mode != RELAY_CONN_OPEN)
		return;
	c->mode = RELAY_CONN_FINISH;
	mark_dirty(c);
}

/* ---- reading ---- */

/* Keep the sum of what strangers make us hold within its bound. */
static void
count_input(struct relay_conn *c)
{
	struct relay *relay = c->relay;
	size_t n = fifo_len(&c->in);

	if (!c->is_handshake)
		return;
	relay->handshake_bytes += n;
	relay->handshake_bytes -= c->counted;
	c->counted = n;
	if (relay->handshake_bytes > RELAY_MAX_HANDSHAKE_BYTES) {
		relay->stats.handshakes_evicted++;
		relay_conn_kill(c);
	}
}

/* Give @len bytes to the reader; sets how many it took. */
static void
give(struct relay_conn *c, const uint8_t *p, size_t len, struct mono now,
    size_t *ret_consumed)
{
	*ret_consumed = len;
	if (c->mode == RELAY_CONN_OPEN) {
		if (c->ops->input(c, p, len, now, ret_consumed) < 0)
			relay_conn_kill(c);
	}
	if (c->mode == RELAY_CONN_OPEN)
		return;
	/* Finishing: whatever else comes is of no interest. */
	*ret_consumed = len;
	c->ignored += len;
	if (c->ignored > LINGER_MAX_BYTES)
		relay_conn_kill(c);
}

/* New bytes lie in the scratch memory: consume them, keep the rest. */
static void
give_scratch(struct relay_conn *c, size_t len, struct mono now)
{
	size_t consumed;

	give(c, c->relay->scratch, len, now, &consumed);
	if (consumed < len &&
	    fifo_put(&c->in, c->relay->scratch + consumed, len - consumed) < 0)
		relay_conn_kill(c);
	count_input(c);
}

/* New bytes were appended to the rest: consume from its front. */
static void
give_rest(struct relay_conn *c, struct mono now)
{
	size_t consumed;

	give(c, fifo_peek(&c->in), fifo_len(&c->in), now, &consumed);
	fifo_drop(&c->in, consumed);
	count_input(c);
}

/* Take what TLS has decrypted.  Returns -EAGAIN when that is all for now, 0 at
 * the peer's goodbye, or an error. */
static ssize_t
drain_tls(struct relay_conn *c, struct mono now)
{
	ssize_t n = 1;

	while (n > 0 && c->mode != RELAY_CONN_DEAD) {
		size_t len = 0, room;
		uint8_t *p;

		if (fifo_len(&c->in) > 0) {
			p = fifo_reserve(&c->in, TLS_MAX_RECORD, &room);
			if (p == NULL)
				return -DT_ERR_FULL;
			n = tls_read(c->tls, p, room);
			if (n > 0) {
				fifo_commit(&c->in, (size_t)n);
				give_rest(c, now);
			}
			continue;
		}
		do {
			n = tls_read(c->tls, c->relay->scratch + len,
			    RELAY_SCRATCH - len);
			if (n > 0)
				len += (size_t)n;
		} while (n > 0 && len < RELAY_SCRATCH);
		if (len > 0)
			give_scratch(c, len, now);
	}
	return n;
}

/* A full read means there is more: take bigger bites. */
static void
adapt_read_size(struct relay_conn *c, size_t got)
{
	if (got >= c->read_size)
		c->read_size = READ_BUSY;
	else if (got < READ_IDLE / 2)
		c->read_size = READ_IDLE;
}

/* The peer sends no more.  An answer still queued is given its chance. */
static void
end_of_input(struct relay_conn *c, struct mono now)
{
	if (c->mode == RELAY_CONN_FINISH)
		flush(c, now);
	relay_conn_kill(c);
}

static void
on_readable_tls(struct relay_conn *c, struct mono now)
{
	size_t room;
	uint8_t *p = tls_input_reserve(c->tls, c->read_size, &room);
	ssize_t n, r;

	if (p == NULL) {
		relay_conn_kill(c);
		return;
	}
	n = recv(c->fd, p, room < READ_BUSY ? room : READ_BUSY, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			end_of_input(c, now);
		return;
	}
	adapt_read_size(c, (size_t)n);
	tls_input_commit(c->tls, (size_t)n);
	mark_dirty(c); /* handshake answers, alerts, key updates */
	r = tls_step(c->tls);
	if (r == 0)
		r = drain_tls(c, now);
	if (r == -EAGAIN || c->mode == RELAY_CONN_DEAD)
		return;
	if (r < 0 && !tls_is_ready(c->tls)) {
		c->relay->stats.tls_failures++;
		log_debug("relay", "TLS failed: %s", tls_error_text(c->tls));
		flush(c, now); /* the alert tells the peer why */
	}
	end_of_input(c, now);
}

static void
on_readable_plain(struct relay_conn *c, struct mono now)
{
	size_t room = READ_BUSY;
	bool is_rest = fifo_len(&c->in) > 0;
	uint8_t *p = is_rest ? fifo_reserve(&c->in, TLS_MAX_RECORD, &room)
			     : c->relay->scratch;
	ssize_t n;

	if (p == NULL) {
		relay_conn_kill(c);
		return;
	}
	n = recv(c->fd, p, room, 0);
	if (n <= 0) {
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			end_of_input(c, now);
		return;
	}
	if (!is_rest) {
		give_scratch(c, (size_t)n, now);
		return;
	}
	fifo_commit(&c->in, (size_t)n);
	give_rest(c, now);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct relay_conn *c = arg;

	if (c->mode == RELAY_CONN_DEAD)
		return;
	if ((events & LOOP_WRITE) != 0)
		on_writable(c, now);
	if ((events & LOOP_READ) == 0 || c->mode == RELAY_CONN_DEAD)
		return;
	if (c->tls != NULL)
		on_readable_tls(c, now);
	else
		on_readable_plain(c, now);
}

int
relay_conn_start(struct relay_conn *c, struct relay *relay, int fd,
    const struct addr *remote, const struct relay_conn_ops *ops)
{
	c->relay = relay;
	c->ops = ops;
	c->mode = RELAY_CONN_OPEN;
	c->remote = *remote;
	c->read_size = READ_IDLE;
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
	fifo_init(&c->out, MAX_OUTPUT);
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
			flush(c, now);
		} else if ((c = TAILQ_FIRST(&relay->dead)) != NULL) {
			destroy(c);
		} else {
			return;
		}
	}
}
