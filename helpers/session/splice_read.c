/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes are read straight into the stream's send ring.  With framing the 12
 * bytes before them are filled in afterwards, when the length is known; where
 * the span is too short for that to be worth it, the frame is built in tail[]
 * and copied.
 *
 * We send everything on the first lane: one congestion controller does what
 * several would do, and the receiver accepts any lane.
 */
#include "helpers/session/splice_read.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/session/lane.h"
#include "helpers/session/session.h"
#include "helpers/session/splice.h"
#include "lib/err.h"
#include "proto/quic/quic_stream.h"

/* Per turn and stream, so that one busy socket starves nobody. */
#define READ_BURST ((size_t)256 * 1024)
/* A span shorter than this is not worth a frame of its own. */
#define MIN_SPAN ((size_t)1024)

static_assert(SPLICE_TAIL > STRIPE_FRAME_LEN + MIN_SPAN, "tail has room");

static ssize_t
read_local(struct splice *sp, uint8_t *p, size_t len)
{
	struct iovec iov = { p, len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	do
		n = sp->is_socket ? recvmsg(sp->fd_in, &msg, MSG_DONTWAIT)
				  : read(sp->fd_in, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static struct quic_stream *
first_stream(struct splice *sp)
{
	return sp->lanes[0] != NULL ? sp->lanes[0]->stream : NULL;
}

/* 0 bytes (EOF) or an error; EAGAIN is none. */
static void
end_of_input(struct splice *sp, ssize_t n)
{
	if (n == -EAGAIN)
		return;
	if (n < 0) {
		splice_abort(sp, TUNNEL_CODE_RESET, (int)n);
		return;
	}
	sp->in_end = true;
	for (size_t i = 0; i < sp->n_lanes; i++)
		if (sp->lanes[i] != NULL)
			quic_stream_fin(sp->lanes[i]->stream);
}

static void
count_out(struct splice *sp, size_t n)
{
	sp->bytes_out += n;
	sp->s->counts.bytes_out += n;
	session_wake(sp->s);
}

void
splice_read_tail(struct splice *sp)
{
	struct quic_stream *st = first_stream(sp);
	ssize_t n;

	while (sp->tail_off < sp->tail_len && st != NULL) {
		n = quic_stream_write(
		    st, sp->tail + sp->tail_off, sp->tail_len - sp->tail_off);
		if (n <= 0) {
			sp->in_blocked = n == -EAGAIN;
			if (!sp->in_blocked)
				sp->in_end = true; /* nobody takes it */
			return;
		}
		sp->tail_off += (size_t)n;
	}
	sp->tail_off = 0;
	sp->tail_len = 0;
}

/* A frame by way of tail[].  Returns bytes read, 0 at EOF, -errno. */
static ssize_t
read_copied(struct splice *sp)
{
	ssize_t n;

	if (sp->tail == NULL)
		sp->tail = malloc(SPLICE_TAIL);
	if (sp->tail == NULL)
		return -ENOMEM;
	n = read_local(
	    sp, sp->tail + STRIPE_FRAME_LEN, SPLICE_TAIL - STRIPE_FRAME_LEN);
	if (n <= 0)
		return n;
	stripe_tx_frame(&sp->tx, sp->tail, (size_t)n);
	sp->tail_len = (size_t)n + STRIPE_FRAME_LEN;
	splice_read_tail(sp);
	return n;
}

/* One read into a span of the ring.  As read_copied(). */
static ssize_t
read_span(struct splice *sp, struct quic_stream *st, uint8_t *span, size_t room)
{
	size_t head = sp->framed ? STRIPE_FRAME_LEN : 0;
	ssize_t n;

	if (head + (sp->framed ? MIN_SPAN : 0) > room)
		return read_copied(sp);
	n = read_local(sp, span + head, room - head);
	if (n <= 0)
		return n;
	if (sp->framed)
		stripe_tx_frame(&sp->tx, span, (size_t)n);
	quic_stream_commit(st, head + (size_t)n);
	return n;
}

void
splice_read_some(struct splice *sp)
{
	struct quic_stream *st = first_stream(sp);
	size_t total = 0;

	if (sp->in_end || sp->state != SPLICE_RUNNING || st == NULL)
		return;
	while (total < READ_BURST && sp->tail_len == 0) {
		size_t room;
		uint8_t *span = quic_stream_reserve(st, &room);
		ssize_t n;

		if (span == NULL) {
			sp->in_blocked = quic_stream_can_write(st);
			sp->in_end = !sp->in_blocked;
			break;
		}
		n = read_span(sp, st, span, room);
		if (n <= 0) {
			end_of_input(sp, n);
			break;
		}
		count_out(sp, (size_t)n);
		total += (size_t)n;
		if ((size_t)n < room / 2)
			break; /* drained, most likely */
	}
}
