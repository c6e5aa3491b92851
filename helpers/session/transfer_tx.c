/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes are read straight into the send buffer of a stream.  All go into the
 * first one: streams share a connection and its congestion controller, and what
 * is in order leaves nothing to put in order.  The others carry warm-ups and
 * FINs, which peers wait for.
 *
 * The source is read ahead of the network by twice the congestion window and a
 * bit, no more, so that what is sent is still in the cache and memory is flat.
 * A stream (pipe, terminal, socket) is non-blocking and watched; a file is read
 * by offset, a share in each turn.  The room is looked at in every turn:
 * acknowledgements make turns.
 */
#include "helpers/session/transfer_tx.h"

#include <errno.h>
#include <unistd.h>

#include "helpers/session/carrier.h"
#include "helpers/session/session.h"
#include "helpers/session/transfer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_stream.h"

/* Bytes per turn, so that packets and timers get theirs. */
#define TURN_BYTES ((size_t)512 * 1024)
/* Read ahead of the network, with twice its window. */
#define AHEAD_LEAST ((size_t)256 * 1024)
/* Below the endpoint's send buffer by more than a span. */
#define AHEAD_MOST ((size_t)32 << 20)

void
transfer_tx_init(struct transfer *t)
{
	t->tx = (struct transfer_tx){ .fd = -1, .left = -1 };
	stripe_tx_init(&t->tx.stripe);
}

void
transfer_tx_fini(struct transfer *t)
{
	loop_io_free(t->tx.io);
	t->tx.io = NULL;
	fd_close(&t->tx.fd);
}

static void
on_readable(void *arg, unsigned events, struct mono now)
{
	struct transfer *t = arg;

	(void)events;
	t->s->now = now;
	t->tx.readable = true;
	session_wake(t->s);
}

int
transfer_tx_source(struct transfer *t, const struct ipc_source *m, int fd)
{
	struct transfer_tx *tx = &t->tx;

	if (tx->had_source || t->is_stopped) {
		fd_close(&fd);
		return t->is_stopped ? 0 : -DT_ERR_STATE;
	}
	tx->had_source = true;
	tx->fd = fd;
	tx->positioned = m->positioned;
	tx->offset = m->offset;
	/* Of a stream the size is a guess: a folder may change after it was
	 * measured.  It ends when it ends. */
	tx->left = m->positioned ? m->size : -1;
	if (m->positioned)
		return 0;
	tx->io = loop_io_new(t->s->loop, fd, on_readable, t);
	if (tx->io == NULL)
		transfer_fail(t, -ENOMEM, err_str(-ENOMEM));
	return 0;
}

bool
transfer_tx_has_source(const struct transfer_tx *tx)
{
	return tx->had_source;
}

static struct quic_stream *
first_stream(const struct transfer *t)
{
	return t->streams[0].quic;
}

/* Bytes that may be read for the streams now. */
static size_t
room(const struct transfer *t)
{
	struct quic_stream *q = first_stream(t);
	struct quic_stats stats;
	size_t most = AHEAD_LEAST;
	size_t held;

	if (q == NULL || !quic_stream_can_write(q))
		return 0;
	quic_conn_stats(quic_stream_conn(q), &stats);
	if (stats.cwnd < AHEAD_MOST / 2)
		most += 2 * (size_t)stats.cwnd;
	if (most > AHEAD_MOST || stats.cwnd >= AHEAD_MOST / 2)
		most = AHEAD_MOST;
	held = quic_stream_unacked(q);
	return held < most ? most - held : 0;
}

/* What stands before the source's bytes.  Room is there: nothing was written
 * before. */
static void
begin(struct transfer *t, const struct transfer_plan *plan)
{
	const struct ipc_boot_transfer *b = &t->s->boot.transfer;
	uint8_t frame[STRIPE_FRAME_LEN];
	struct transfer_tx *tx = &t->tx;

	tx->is_begun = true;
	if (plan->encoding == TRANSFER_BLOCKS) {
		blocks_tx_init(&tx->blocks, plan->size, plan->chunk_size);
		return;
	}
	if (plan->encoding == TRANSFER_STRIPED) {
		stripe_tx_warm_up(frame);
		for (unsigned i = 0; i < t->n_streams; i++)
			(void)quic_stream_write(
			    t->streams[i].quic, frame, sizeof(frame));
	}
	if (b->header_len == 0)
		return;
	if (plan->encoding == TRANSFER_STRIPED) {
		stripe_tx_frame(&tx->stripe, frame, b->header_len);
		(void)quic_stream_write(first_stream(t), frame, sizeof(frame));
	}
	(void)quic_stream_write(first_stream(t), b->header, b->header_len);
}

/* Session bytes that went into the streams, as the flow counts them. */
static int64_t
moved(const struct transfer *t, const struct transfer_plan *plan)
{
	return t->tx.taken + (plan->encoding == TRANSFER_BLOCKS
				     ? 0
				     : (int64_t)t->s->boot.transfer.header_len);
}

static void
finish(struct transfer *t, const struct transfer_plan *plan)
{
	struct session *s = t->s;

	t->tx.is_end = true;
	transfer_tx_fini(t);
	transfer_flow_moved(t->flow, moved(t, plan), s->now);
	transfer_flow_finished(t->flow, s->now);
	for (unsigned i = 0; i < t->n_streams; i++)
		if (t->streams[i].quic != NULL)
			quic_stream_fin(t->streams[i].quic);
}

static ssize_t
read_source(struct transfer_tx *tx, uint8_t *p, size_t len)
{
	ssize_t n;

	do
		n = tx->positioned ? pread(tx->fd, p, len, (off_t)tx->offset)
				   : read(tx->fd, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The frame of the next block is due.  False: there is none. */
static bool
next_block(struct transfer *t)
{
	uint8_t frame[BLOCKS_FRAME_LEN];
	struct transfer_tx *tx = &t->tx;
	int64_t offset; /* blocks come in order */

	if (tx->block_left > 0)
		return true;
	if (!blocks_tx_next(&tx->blocks, frame, &offset, &tx->block_left))
		return false;
	(void)quic_stream_write(first_stream(t), frame, sizeof(frame));
	return true;
}

/* How much one read may bring. */
static size_t
limit(const struct transfer_tx *tx, enum transfer_encoding encoding, size_t n)
{
	if (tx->left >= 0 && (int64_t)n > tx->left)
		n = (size_t)tx->left;
	if (encoding == TRANSFER_BLOCKS && n > tx->block_left)
		n = tx->block_left;
	return n;
}

/* One read into a span.  Returns bytes, 0 at the end, -errno. */
static ssize_t
read_some(struct transfer *t, enum transfer_encoding encoding)
{
	struct transfer_tx *tx = &t->tx;
	struct quic_stream *q = first_stream(t);
	size_t head = encoding == TRANSFER_STRIPED ? STRIPE_FRAME_LEN : 0;
	size_t len;
	uint8_t *p;
	ssize_t n;

	if (tx->left == 0 || (encoding == TRANSFER_BLOCKS && !next_block(t)))
		return 0;
	p = quic_stream_reserve(q, &len);
	if (p == NULL || len <= head)
		return -EAGAIN;
	n = read_source(tx, p + head, limit(tx, encoding, len - head));
	if (n < 0)
		return n;
	if (n == 0)
		return tx->left > 0 ? -ENODATA : 0;
	if (head > 0)
		stripe_tx_frame(&tx->stripe, p, (size_t)n);
	quic_stream_commit(q, head + (size_t)n);
	return n;
}

static void
count(struct transfer_tx *tx, size_t n, enum transfer_encoding encoding)
{
	tx->taken += (int64_t)n;
	tx->offset += (int64_t)n;
	if (tx->left >= 0)
		tx->left -= (int64_t)n;
	if (encoding == TRANSFER_BLOCKS)
		tx->block_left -= (uint32_t)n;
}

static void
fail(struct transfer *t, ssize_t r)
{
	if (r == -ENODATA)
		transfer_fail(t, -EIO, "the source is shorter than announced");
	else
		transfer_fail(t, (int)r, err_str((int)r));
}

/* Read until @most, the end, or nothing is there. */
static void
fill(struct transfer *t, const struct transfer_plan *plan, size_t most)
{
	struct transfer_tx *tx = &t->tx;
	size_t total = 0;
	ssize_t n = 1;

	while (total < most && n > 0) {
		n = read_some(t, plan->encoding);
		if (n <= 0)
			break;
		count(tx, (size_t)n, plan->encoding);
		total += (size_t)n;
	}
	t->s->counts.bytes_out += total;
	tx->readable = n > 0;
	tx->has_more = n > 0 && tx->positioned && most == TURN_BYTES;
	if (n == 0) {
		finish(t, plan);
		return;
	}
	transfer_flow_moved(t->flow, moved(t, plan), t->s->now);
	if (n < 0 && n != -EAGAIN)
		fail(t, n);
}

void
transfer_tx_run(struct transfer *t)
{
	const struct transfer_plan *plan = transfer_flow_peek_plan(t->flow);
	struct transfer_tx *tx = &t->tx;
	size_t n = 0;

	tx->has_more = false;
	if (tx->is_end || !tx->had_source)
		return;
	if (transfer_is_moving(t) && t->n_streams == plan->streams) {
		if (!tx->is_begun)
			begin(t, plan);
		n = room(t);
	}
	if (n > 0 && (tx->positioned || tx->readable || tx->left == 0))
		fill(t, plan, n < TURN_BYTES ? n : TURN_BYTES);
	if (tx->io != NULL)
		loop_io_set(tx->io, n > 0 ? LOOP_READ : 0);
}

struct mono
transfer_tx_next_deadline(const struct transfer *t)
{
	return t->tx.has_more ? t->s->now : MONO_NEVER;
}
