/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  Two independent directions:
 *
 *   local -> peer: the descriptor is read straight into the stream's send ring
 *   (splice_read.c).  A full ring stops reading.  EOF queues a FIN.
 *
 *   peer -> local: bytes are collected in `out` during a turn and written at
 *   its end, many packets with one write.  Credit goes back to the lanes byte
 *   by byte as they are written, so the peer's window bounds `out`.  FIN makes
 *   shutdown(SHUT_WR), once everything is written.
 *
 * A splice ends when both directions have ended locally and no lane is left:
 * then everything we sent was acknowledged, or the peer is gone.  Events of
 * QUIC and of descriptors only set flags and mark it dirty; splice_settle(), at
 * turn end, draws the conclusions and is the only place that frees it.
 *
 * There is no way to force a TCP reset from inside the sandbox (SO_LINGER needs
 * setsockopt): an aborted socket is closed, which resets it if input was left
 * unread.
 */
#include "helpers/session/splice.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/session/carrier.h"
#include "helpers/session/lane.h"
#include "helpers/session/session.h"
#include "helpers/session/splice_read.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/loop.h"
#include "proto/quic/quic_stream.h"

/* Written before the turn's end when this much has come: keeps the fifo within
 * the 64 KiB it holds on to when idle. */
#define FLUSH_EARLY ((size_t)48 * 1024)

static int deliver(void *arg, size_t index, const uint8_t *p, size_t len);

static int
init_lanes(struct splice *sp, size_t n_lanes)
{
	sp->lanes = calloc(n_lanes, sizeof(struct lane *));
	if (sp->lanes == NULL)
		return -ENOMEM;
	if (sp->framed) {
		sp->rx = stripe_rx_new(
		    n_lanes, SESSION_STREAM_WINDOW_MAX, deliver, sp);
		if (sp->rx == NULL)
			return -ENOMEM;
	}
	return 0;
}

struct splice *
splice_new(struct session *s, size_t n_lanes, bool framed)
{
	struct splice *sp;

	if (s->n_splices >= SESSION_MAX_SPLICES)
		return NULL;
	sp = calloc(1, sizeof(*sp));
	if (sp == NULL)
		return NULL;
	sp->s = s;
	sp->fd_in = -1;
	sp->fd_out = -1;
	sp->n_lanes = n_lanes;
	sp->framed = framed;
	sp->progress = s->now;
	stripe_tx_init(&sp->tx);
	/* The peer's credit keeps it within the lanes' windows. */
	fifo_init(&sp->out, n_lanes * SESSION_STREAM_WINDOW_MAX);
	if (init_lanes(sp, n_lanes) != 0) {
		free(sp->lanes);
		free(sp);
		return NULL;
	}
	sp->id = ++s->last_id;
	s->n_splices++;
	s->counts.streams_total++;
	TAILQ_INSERT_TAIL(&s->splices, sp, link);
	return sp;
}

static void
close_fds(struct splice *sp)
{
	loop_io_free(sp->io_in);
	loop_io_free(sp->io_out);
	sp->io_in = NULL;
	sp->io_out = NULL;
	if (sp->fd_out == sp->fd_in)
		sp->fd_out = -1;
	fd_close(&sp->fd_in);
	fd_close(&sp->fd_out);
}

static void
free_splice(struct splice *sp)
{
	struct session *s = sp->s;

	close_fds(sp);
	if (sp->in_table)
		lane_table_remove(&s->table, &sp->group);
	if (sp->dirty)
		TAILQ_REMOVE(&s->dirty, sp, dirty_link);
	TAILQ_REMOVE(&s->splices, sp, link);
	s->n_splices--;
	stripe_rx_free(sp->rx);
	fifo_fini(&sp->out);
	free(sp->tail);
	free(sp->lanes);
	free(sp);
}

static void
on_in(void *arg, unsigned events, struct mono now)
{
	struct splice *sp = arg;

	sp->s->now = now;
	if ((events & LOOP_READ) != 0 && !sp->aborted)
		splice_read_some(sp);
	splice_touch(sp); /* the write happens there */
}

static void
on_out(void *arg, unsigned events, struct mono now)
{
	struct splice *sp = arg;

	(void)events;
	sp->s->now = now;
	splice_touch(sp);
}

int
splice_set_fds(struct splice *sp, int fd_in, int fd_out)
{
	sp->is_socket = fd_out < 0;
	sp->fd_in = fd_in;
	sp->fd_out = fd_out < 0 ? fd_in : fd_out;
	sp->io_in = loop_io_new(sp->s->loop, fd_in, on_in, sp);
	if (fd_out >= 0)
		sp->io_out = loop_io_new(sp->s->loop, fd_out, on_out, sp);
	if (sp->io_in == NULL || (fd_out >= 0 && sp->io_out == NULL))
		return -ENOMEM;
	return 0;
}

void
splice_join(struct splice *sp, struct lane *l, size_t index)
{
	sp->lanes[index] = l;
	sp->n_live++;
	l->kind = LANE_DATA;
	l->splice = sp;
	l->index = index;
}

void
splice_run(struct splice *sp)
{
	sp->state = SPLICE_RUNNING;
	sp->progress = sp->s->now;
	splice_touch(sp);
}

void
splice_touch(struct splice *sp)
{
	session_wake(sp->s);
	if (sp->dirty)
		return;
	sp->dirty = true;
	TAILQ_INSERT_TAIL(&sp->s->dirty, sp, dirty_link);
}

/* @n bytes left for good: their credit goes back, to any lane that is owed. */
static void
give_credit(struct splice *sp, size_t n)
{
	for (size_t i = 0; i < sp->n_lanes && n > 0; i++)
		if (sp->lanes[i] != NULL)
			n -= lane_credit(sp->lanes[i], n);
}

static ssize_t
write_local(struct splice *sp, const uint8_t *p, size_t len)
{
	struct iovec iov = { (void *)(uintptr_t)p, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = sp->is_socket
			? sendmsg(sp->fd_out, &msg, MSG_NOSIGNAL | MSG_DONTWAIT)
			: write(sp->fd_out, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Write what there is; never frees or aborts, only sets flags. */
static void
flush_out(struct splice *sp)
{
	while (!sp->out_dead && fifo_len(&sp->out) > 0) {
		ssize_t n =
		    write_local(sp, fifo_peek(&sp->out), fifo_len(&sp->out));

		sp->out_full = n == -EAGAIN;
		if (sp->out_full)
			return;
		if (n < 0) {
			sp->out_dead = true;
			if (!sp->is_socket && sp->result == 0)
				sp->result = (int)n;
			break;
		}
		fifo_drop(&sp->out, (size_t)n);
		give_credit(sp, (size_t)n);
		sp->progress = sp->s->now;
	}
	if (sp->out_dead && fifo_len(&sp->out) > 0) {
		give_credit(sp, fifo_len(&sp->out));
		fifo_drop(&sp->out, fifo_len(&sp->out));
	}
}

/* stripe_rx_deliver_fn, and the way of unframed bytes too. */
static int
deliver(void *arg, size_t index, const uint8_t *p, size_t len)
{
	struct splice *sp = arg;
	struct lane *l = sp->lanes[index];
	int r;

	if (p == NULL || sp->out_dead) {
		if (l != NULL)
			quic_stream_consume(l->stream, len);
		return 0;
	}
	r = fifo_put(&sp->out, p, len);
	if (r != 0)
		return r;
	sp->bytes_in += len;
	sp->s->counts.bytes_in += len;
	if (l != NULL)
		l->owed += len;
	if (sp->state == SPLICE_RUNNING && !sp->out_full &&
	    fifo_len(&sp->out) >= FLUSH_EARLY)
		flush_out(sp);
	return 0;
}

void
splice_input(
    struct splice *sp, struct lane *l, const uint8_t *p, size_t len, bool fin)
{
	int r;

	if (sp->framed)
		r = stripe_rx_input(sp->rx, l->index, p, len, fin);
	else
		r = len > 0 ? deliver(sp, 0, p, len) : 0;
	if (r != 0) {
		log_info_r(r, "session", "stream %u broken", sp->id);
		splice_abort(sp, TUNNEL_CODE_PROTOCOL, r);
		return;
	}
	if (sp->framed ? stripe_rx_is_end(sp->rx) : fin)
		sp->out_end = true;
	splice_touch(sp);
}

void
splice_writable(struct splice *sp)
{
	sp->in_blocked = false;
	splice_touch(sp);
}

void
splice_reset(struct splice *sp, unsigned code)
{
	sp->out_cut = true;
	if (sp->result == 0)
		sp->result = code == TUNNEL_CODE_REFUSED
				 ? -DT_ERR_BACKEND_REFUSED
				 : -DT_ERR_STREAM_RESET;
	if (code == TUNNEL_CODE_REFUSED)
		sp->s->counts.streams_refused++;
	/* A reset is no end of data: nothing is worth waiting for. */
	splice_abort(sp, TUNNEL_CODE_RESET, sp->result);
}

void
splice_stopped(struct splice *sp)
{
	/* What the peer sends may still be wanted here. */
	sp->in_end = true;
	if (sp->result == 0)
		sp->result = -DT_ERR_STREAM_RESET;
	splice_touch(sp);
}

void
splice_lane_closed(struct splice *sp, struct lane *l, bool clean)
{
	bool all_said = sp->out_end && quic_stream_unacked(l->stream) == 0;

	sp->lanes[l->index] = NULL;
	sp->n_live--;
	if (!clean) {
		/* With every byte acknowledged and the peer's FIN here, only
		 * our own FIN is missing: nothing was lost. */
		if (!all_said && sp->result == 0)
			sp->result = -DT_ERR_TUNNEL_LOST;
		sp->in_end = true;
		sp->out_cut = true;
	}
	splice_touch(sp);
}

void
splice_abort(struct splice *sp, unsigned code, int result)
{
	if (sp->aborted)
		return;
	sp->aborted = true;
	if (sp->result == 0)
		sp->result = result;
	for (size_t i = 0; i < sp->n_lanes; i++) {
		if (sp->lanes[i] == NULL)
			continue;
		sp->lanes[i]->carrier->n_doomed++;
		lane_kill(sp->lanes[i], code);
		sp->lanes[i] = NULL;
	}
	sp->n_live = 0;
	close_fds(sp);
	splice_touch(sp);
	sp->s->tunnel->splice_aborted(sp->s, sp, code);
}

bool
splice_is_draining(const struct splice *sp)
{
	return !sp->aborted && !sp->out_dead && fifo_len(&sp->out) > 0 &&
	       sp->state != SPLICE_GATHERING;
}

/* The peer's direction has ended and everything is written. */
static void
shut_out(struct splice *sp)
{
	sp->out_shut = true;
	if (sp->is_socket)
		(void)shutdown(sp->fd_out, SHUT_WR); /* fails if reset */
	else {
		loop_io_free(sp->io_out);
		sp->io_out = NULL;
		fd_close(&sp->fd_out);
	}
}

/* The local side takes nothing any more. */
static void
stop_out(struct splice *sp)
{
	sp->out_shut = true;
	for (size_t i = 0; i < sp->n_lanes; i++)
		if (sp->lanes[i] != NULL)
			quic_stream_stop_sending(
			    sp->lanes[i]->stream, TUNNEL_CODE_RESET);
	session_wake(sp->s);
}

static void
watch(struct splice *sp)
{
	bool more_in = !sp->in_end && !sp->in_blocked;
	bool more_out = !sp->out_dead && fifo_len(&sp->out) > 0;

	if (sp->io_in != NULL)
		loop_io_set(sp->io_in,
		    (more_in ? LOOP_READ : 0) |
			(sp->is_socket && more_out ? LOOP_WRITE : 0));
	if (sp->io_out != NULL)
		loop_io_set(sp->io_out, more_out ? LOOP_WRITE : 0);
}

static void
settle_running(struct splice *sp)
{
	if (!sp->in_blocked && sp->tail_len > 0 && !sp->in_end)
		splice_read_tail(sp);
	flush_out(sp);
	if (!sp->out_shut && sp->out_dead)
		stop_out(sp);
	if (!sp->out_shut && (sp->out_end || sp->out_cut) &&
	    fifo_len(&sp->out) == 0)
		shut_out(sp);
	if (sp->in_end && sp->out_shut)
		close_fds(sp);
	watch(sp);
}

void
splice_settle(struct splice *sp)
{
	struct session *s = sp->s;

	if (!sp->aborted && sp->state == SPLICE_RUNNING)
		settle_running(sp);
	/* Lanes that went before all were there will not come again. */
	if (!sp->aborted && sp->state == SPLICE_GATHERING && sp->out_cut)
		splice_abort(sp, TUNNEL_CODE_RESET, sp->result);
	if (sp->aborted || (sp->state == SPLICE_RUNNING && sp->n_live == 0 &&
			       sp->in_end && sp->out_shut)) {
		s->tunnel->splice_done(s, sp);
		local_gone(s, sp);
		free_splice(sp);
	}
}
