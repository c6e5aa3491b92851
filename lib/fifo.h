/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded byte queue in one contiguous block: what lies between a socket and
 * a parser or writer.  The maximum is fixed at creation.  Bytes are moved to
 * the front when room at the end runs out, so that peek and reserve always give
 * one contiguous span.
 */
#ifndef LIB_FIFO_H
#define LIB_FIFO_H

#include <stddef.h>
#include <stdint.h>

/* Owner: the embedding struct.  Invariant: start + len <= cap <= max. */
struct fifo {
	uint8_t *data;
	size_t cap;     /* bytes allocated now */
	size_t max;     /* never more than this */
	size_t start;   /* first used byte */
	size_t len;     /* used bytes */
	size_t peak;    /* most bytes since it was last empty */
	unsigned quiet; /* times in a row it became empty after little use */
};

/** fifo_init(): an empty queue of at most @max bytes; allocates nothing. */
void fifo_init(struct fifo *f, size_t max);

/** fifo_fini(): wipe and release the memory.  The struct is empty afterwards */
void fifo_fini(struct fifo *f);

/**
 * fifo_reserve(): room for writing at the end.
 * @want: bytes wanted.
 * @ret_len: receives how many are really there, at least @want on success.
 *
 * Returns the span, valid until the next call on @f, or NULL when len + @want
 * exceeds max or memory is out.  Follow with fifo_commit().
 */
uint8_t *fifo_reserve(struct fifo *f, size_t want, size_t *ret_len);

/** fifo_commit(): @n bytes of the reserved span are now part of the queue. */
void fifo_commit(struct fifo *f, size_t n);

/** fifo_put(): append a copy.  Returns 0, or -DT_ERR_FULL (nothing taken). */
int fifo_put(struct fifo *f, const void *src, size_t n);

/** fifo_peek(): the first byte of fifo_len() contiguous ones; do not
 * read through it when that is 0. */
static inline const uint8_t *
fifo_peek(const struct fifo *f)
{
	return f->data != NULL ? f->data + f->start : NULL;
}

/** fifo_len(): bytes queued. */
static inline size_t
fifo_len(const struct fifo *f)
{
	return f->len;
}

/** fifo_room(): bytes that can still be put. */
static inline size_t
fifo_room(const struct fifo *f)
{
	return f->max - f->len;
}

/** fifo_drop(): remove the first @n bytes (@n <= fifo_len()).  A block above
 * 64 KiB is released once the queue became empty 16 times in a row without
 * having needed an eighth of it: busy queues keep theirs, idle ones do not. */
void fifo_drop(struct fifo *f, size_t n);

#endif
