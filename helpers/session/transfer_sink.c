/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes are collected and written many packets at a time.  A file gets them in
 * pieces of FILE_PIECE by pwrite(2), or what there is after FILE_DELAY_US;
 * streams that bring different blocks take turns packet by packet, so that each
 * has a piece of its own.  Anything else at the end of each turn, without
 * blocking.  The peer's credit bounds what waits.
 *
 * A new file need not be told of zeros: units of them are skipped, which leaves
 * holes, and one zero at the very end makes up the length.
 */
#include "helpers/session/transfer_sink.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "proto/transfer/transfer_window.h"

/* As large as what a cache holds, and no system call is noticed any more. */
#define FILE_PIECE ((size_t)256 * 1024)
#define FILE_DELAY_US (20 * MONO_MS)
/* Of many lanes; as many as there can be are a quarter of a cache's MiBs. */
#define FILE_PIECE_LEAST ((size_t)64 * 1024)
/* Holes are worth a seek on a disk, and nothing in memory. */
#define HOLE_UNIT ((size_t)64 * 1024)
/* Credit given, and the chunks of 16 streams beside it. */
#define MOST ((size_t)TRANSFER_WINDOW_MAX + ((size_t)16 << 20))

void
transfer_sink_init(struct transfer_sink *k)
{
	*k = (struct transfer_sink){ .fd = -1, .most = FILE_PIECE };
	for (size_t i = 0; i < TRANSFER_MAX_STREAMS; i++)
		fifo_init(&k->pieces[i].out, MOST);
}

void
transfer_sink_fini(struct transfer_sink *k)
{
	loop_io_free(k->io);
	k->io = NULL;
	fd_close(&k->fd);
	for (size_t i = 0; i < TRANSFER_MAX_STREAMS; i++)
		fifo_fini(&k->pieces[i].out);
}

void
transfer_sink_share(struct transfer_sink *k, unsigned n)
{
	k->most = FILE_PIECE / (n > 0 ? n : 1);
	if (k->most < FILE_PIECE_LEAST)
		k->most = FILE_PIECE_LEAST;
}

size_t
transfer_sink_held(const struct transfer_sink *k)
{
	size_t n = 0;

	for (size_t i = 0; i < TRANSFER_MAX_STREAMS; i++)
		n += fifo_len(&k->pieces[i].out);
	return n;
}

int
transfer_sink_set(struct transfer_sink *k, struct loop *l, int fd,
    bool positioned, int64_t offset,
    void (*on_writable)(void *arg, unsigned events, struct mono now), void *arg)
{
	k->fd = fd;
	k->is_there = true;
	k->positioned = positioned;
	k->base = offset;
	if (positioned)
		return 0;
	k->io = loop_io_new(l, fd, on_writable, arg);
	return k->io != NULL ? 0 : -ENOMEM;
}

static bool
is_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/* How much of @len, whole units as far as they go, is of one kind: zeros or
 * not. */
static size_t
run_length(const uint8_t *p, size_t len, bool *ret_zero)
{
	size_t n = 0;

	while (n < len) {
		size_t unit = len - n < HOLE_UNIT ? len - n : HOLE_UNIT;
		bool zero = is_zero(p + n, unit);

		if (n == 0)
			*ret_zero = zero;
		else if (zero != *ret_zero)
			break;
		n += unit;
	}
	return n;
}

static int64_t
most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static ssize_t
write_new(struct transfer_sink *k, int64_t at, const uint8_t *p, size_t len)
{
	bool zero = false;
	ssize_t n = (ssize_t)run_length(p, len, &zero);

	if (!zero) {
		do
			n = pwrite(k->fd, p, (size_t)n, (off_t)(k->base + at));
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		k->length = most(k->length, at + n);
	}
	k->reached = most(k->reached, at + n);
	return n;
}

int
transfer_sink_end(struct transfer_sink *k)
{
	ssize_t n;

	if (k->reached <= k->length)
		return 0;
	do
		n = pwrite(k->fd, "", 1, (off_t)(k->base + k->reached - 1));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	k->length = k->reached;
	return n == 1 ? 0 : -EIO;
}

static ssize_t
write_out(struct transfer_sink *k, const struct transfer_piece *piece)
{
	const uint8_t *p = fifo_peek(&piece->out);
	size_t len = fifo_len(&piece->out);
	ssize_t n;

	if (k->positioned && len > FILE_PIECE)
		len = FILE_PIECE;
	if (k->sparse)
		return write_new(k, piece->at, p, len);
	do
		n = k->positioned
			? pwrite(k->fd, p, len, (off_t)(k->base + piece->at))
			: write(k->fd, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

static int
flush_piece(struct transfer_sink *k, struct transfer_piece *piece)
{
	while (fifo_len(&piece->out) > 0) {
		ssize_t n = write_out(k, piece);

		if (n == -EAGAIN && !k->positioned) {
			k->is_full = true;
			return 0;
		}
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		fifo_drop(&piece->out, (size_t)n);
		piece->at += n;
		k->written += n;
	}
	return 0;
}

int
transfer_sink_flush(struct transfer_sink *k)
{
	int r = 0;

	k->is_full = false;
	for (size_t i = 0; i < TRANSFER_MAX_STREAMS && r == 0; i++)
		if (k->is_there)
			r = flush_piece(k, &k->pieces[i]);
	if (r == 0 && k->io != NULL)
		loop_io_set(k->io, k->is_full ? LOOP_WRITE : 0);
	return r;
}

int
transfer_sink_put(struct transfer_sink *k, unsigned lane, int64_t offset,
    const uint8_t *p, size_t len, struct mono now)
{
	struct transfer_piece *piece = &k->pieces[lane];
	size_t held = fifo_len(&piece->out);
	int r = 0;

	/* Only blocks jump, and their sink is positioned: all is taken. */
	if (held > 0 && offset != piece->at + (int64_t)held)
		r = flush_piece(k, piece);
	if (fifo_len(&piece->out) == 0) {
		piece->at = offset;
		piece->since = now;
	}
	if (r == 0)
		r = fifo_put(&piece->out, p, len);
	if (r == 0 && k->is_there && !k->is_full &&
	    fifo_len(&piece->out) >= k->most)
		r = k->positioned ? flush_piece(k, piece)
				  : transfer_sink_flush(k);
	return r;
}

/* When the oldest byte came; MONO_NEVER: none waits. */
static struct mono
oldest(const struct transfer_sink *k)
{
	struct mono at = MONO_NEVER;

	for (size_t i = 0; i < TRANSFER_MAX_STREAMS; i++)
		if (fifo_len(&k->pieces[i].out) > 0)
			at = mono_min(at, k->pieces[i].since);
	return at;
}

bool
transfer_sink_is_due(const struct transfer_sink *k, struct mono now)
{
	struct mono since = oldest(k);

	if (!k->is_there || k->is_full || mono_is_never(since))
		return false;
	return !k->positioned || FILE_DELAY_US <= mono_diff(now, since);
}

struct mono
transfer_sink_next_deadline(const struct transfer_sink *k)
{
	struct mono since = oldest(k);

	if (!k->positioned || mono_is_never(since))
		return MONO_NEVER;
	return mono_add(since, FILE_DELAY_US);
}
