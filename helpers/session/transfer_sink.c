/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes are collected and written many packets at a time.  A file gets them in
 * pieces of FILE_PIECE by pwrite(2), or what there is after FILE_DELAY_US;
 * anything else at the end of each turn, without blocking.  The peer's credit
 * bounds what waits.
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
/* Holes are worth a seek on a disk, and nothing in memory. */
#define HOLE_UNIT ((size_t)64 * 1024)
/* Credit given, and the chunks of 16 streams beside it. */
#define MOST ((size_t)TRANSFER_WINDOW_MAX + ((size_t)16 << 20))

void
transfer_sink_init(struct transfer_sink *k)
{
	*k = (struct transfer_sink){ .fd = -1 };
	fifo_init(&k->out, MOST);
}

void
transfer_sink_fini(struct transfer_sink *k)
{
	loop_io_free(k->io);
	k->io = NULL;
	fd_close(&k->fd);
	fifo_fini(&k->out);
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
write_new(struct transfer_sink *k, const uint8_t *p, size_t len)
{
	bool zero = false;
	ssize_t n = (ssize_t)run_length(p, len, &zero);

	if (!zero) {
		do
			n = pwrite(
			    k->fd, p, (size_t)n, (off_t)(k->base + k->at));
		while (n < 0 && errno == EINTR);
		if (n < 0)
			return -errno;
		k->length = most(k->length, k->at + n);
	}
	k->reached = most(k->reached, k->at + n);
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
write_out(struct transfer_sink *k)
{
	const uint8_t *p = fifo_peek(&k->out);
	size_t len = fifo_len(&k->out);
	ssize_t n;

	if (k->positioned && len > FILE_PIECE)
		len = FILE_PIECE;
	if (k->sparse)
		return write_new(k, p, len);
	do
		n = k->positioned
			? pwrite(k->fd, p, len, (off_t)(k->base + k->at))
			: write(k->fd, p, len);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

int
transfer_sink_flush(struct transfer_sink *k)
{
	k->is_full = false;
	while (k->is_there && fifo_len(&k->out) > 0) {
		ssize_t n = write_out(k);

		if (n == -EAGAIN) {
			k->is_full = true;
			break;
		}
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		fifo_drop(&k->out, (size_t)n);
		k->at += n;
		k->written += n;
	}
	if (k->io != NULL)
		loop_io_set(k->io, k->is_full ? LOOP_WRITE : 0);
	return 0;
}

int
transfer_sink_put(struct transfer_sink *k, int64_t offset, const uint8_t *p,
    size_t len, struct mono now)
{
	size_t held = fifo_len(&k->out);
	int r = 0;

	/* Only blocks jump, and their sink is positioned: all is taken. */
	if (held > 0 && offset != k->at + (int64_t)held)
		r = transfer_sink_flush(k);
	if (fifo_len(&k->out) == 0) {
		k->at = offset;
		k->since = now;
	}
	if (r == 0)
		r = fifo_put(&k->out, p, len);
	if (r == 0 && k->is_there && !k->is_full &&
	    fifo_len(&k->out) >= FILE_PIECE)
		r = transfer_sink_flush(k);
	return r;
}

bool
transfer_sink_is_due(const struct transfer_sink *k, struct mono now)
{
	if (!k->is_there || k->is_full || fifo_len(&k->out) == 0)
		return false;
	return !k->positioned || FILE_DELAY_US <= mono_diff(now, k->since);
}

struct mono
transfer_sink_next_deadline(const struct transfer_sink *k)
{
	if (!k->positioned || fifo_len(&k->out) == 0)
		return MONO_NEVER;
	return mono_add(k->since, FILE_DELAY_US);
}
