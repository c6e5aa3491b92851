/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One block of memory with the queued bytes somewhere inside.  Writers extend
 * it at the end; readers move its start.  When the end is reached the bytes are
 * moved to the front if that frees at least half of the block, else the block
 * grows, up to max: so each byte is moved a bounded number of times until the
 * block has its final size.
 */
#include "lib/fifo.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/secret.h"

/* One page: below it malloc gains nothing. */
#define FIFO_MIN_CAP ((size_t)4096)
/* A queue little used keeps at most this much, so that idle ones stay small. */
#define FIFO_MAX_IDLE ((size_t)65536)
/* Giving a block back and faulting it in again for every burst costs more than
 * the bytes in it (measured: three times the cost of TLS), hence patience. */
#define FIFO_QUIET_DRAINS 16

static void
release(struct fifo *f)
{
	if (f->data != NULL)
		secret_wipe(f->data, f->cap);
	free(f->data);
	f->data = NULL;
	f->cap = 0;
	f->start = 0;
	f->quiet = 0;
}

void
fifo_init(struct fifo *f, size_t max)
{
	*f = (struct fifo){ .max = max };
}

void
fifo_fini(struct fifo *f)
{
	release(f);
	f->len = 0;
}

/* Moves the bytes into a block of at least need bytes.  Not realloc: the old
 * block may hold secrets and must be wiped. */
static int
grow(struct fifo *f, size_t need)
{
	uint8_t *data;
	size_t cap = f->cap < FIFO_MIN_CAP ? FIFO_MIN_CAP : f->cap;
	size_t len = f->len;

	while (cap < need && cap <= f->max / 2)
		cap *= 2;
	if (cap < need || cap > f->max)
		cap = f->max;
	data = malloc(cap);
	if (data == NULL)
		return -DT_ERR_FULL;
	if (f->data != NULL)
		memcpy(data, f->data + f->start, len);
	release(f);
	f->data = data;
	f->cap = cap;
	return 0;
}

uint8_t *
fifo_reserve(struct fifo *f, size_t want, size_t *ret_len)
{
	size_t need;

	if (want > f->max - f->len || f->max == 0)
		return NULL;
	need = f->len + want;
	if (f->data != NULL && need <= f->cap - f->start) {
		/* There is room behind the bytes. */
	} else if (f->data != NULL && need <= f->cap &&
		   (f->len <= f->cap / 2 || f->cap == f->max)) {
		memmove(f->data, f->data + f->start, f->len);
		f->start = 0;
	} else if (grow(f, need > f->cap ? need : f->cap + 1) < 0) {
		return NULL;
	}
	*ret_len = f->cap - f->start - f->len;
	return f->data + f->start + f->len;
}

void
fifo_commit(struct fifo *f, size_t n)
{
	assert(n <= f->cap - f->start - f->len);
	f->len += n;
	if (f->len > f->peak)
		f->peak = f->len;
}

int
fifo_put(struct fifo *f, const void *src, size_t n)
{
	uint8_t *p;
	size_t room;

	if (n == 0)
		return 0;
	p = fifo_reserve(f, n, &room);
	if (p == NULL)
		return -DT_ERR_FULL;
	memcpy(p, src, n);
	fifo_commit(f, n);
	return 0;
}

void
fifo_drop(struct fifo *f, size_t n)
{
	assert(n <= f->len);
	f->len -= n;
	f->start += n;
	if (f->len > 0)
		return;
	f->start = 0;
	f->quiet = f->peak < f->cap / 8 ? f->quiet + 1 : 0;
	f->peak = 0;
	if (f->cap > FIFO_MAX_IDLE && f->quiet >= FIFO_QUIET_DRAINS)
		release(f);
}
