/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The only byte parser and serialiser.  Both views borrow memory of the caller
 * and never allocate.  Errors are sticky: after the first one every get returns
 * zeros and every put does nothing, so a decoder checks once, at its end.
 *
 * All integers are big-endian (network order).
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Invariant: off <= len.  err is 0 or the first error. */
struct buf_reader {
	const uint8_t *p;
	size_t len; /* bytes in p */
	size_t off; /* bytes consumed */
	int err;
};

/* Invariant: len <= cap.  err is 0 or the first error. */
struct buf_writer {
	uint8_t *p;
	size_t cap; /* bytes in p */
	size_t len; /* bytes written */
	int err;
};

/** buf_reader(): a reader over @len bytes at @p (may be NULL if @len is 0). */
struct buf_reader buf_reader(const void *p, size_t len);

/** buf_writer(): a writer into @cap bytes at @p. */
struct buf_writer buf_writer(void *p, size_t cap);

/* Most integer calls below are inline: they are most of a relay's parsing. */

/** buf_u16_at() .. buf_u64_at(): read an integer at @p; caller checked size. */
static inline uint16_t
buf_u16_at(const uint8_t *p)
{
	return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t
buf_u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	       (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t
buf_u64_at(const uint8_t *p)
{
	return (uint64_t)buf_u32_at(p) << 32 | buf_u32_at(p + 4);
}

/** buf_reader_fail(): make @err the sticky error unless there is one. */
void buf_reader_fail(struct buf_reader *r, int err);
/** buf_writer_fail(): make @err the sticky error unless there is one. */
void buf_writer_fail(struct buf_writer *w, int err);

/**
 * buf_peek_bytes(): borrow the next @n bytes and step over them.
 *
 * Returns a pointer into the reader's memory, or NULL on error.  For @n 0 the
 * pointer may be past the end: do not read through it.
 */
static inline const uint8_t *
buf_peek_bytes(struct buf_reader *r, size_t n)
{
	const uint8_t *p;

	if (r->err != 0 || n > r->len - r->off) {
		buf_reader_fail(r, -DT_ERR_TRUNCATED);
		return NULL;
	}
	if (r->p == NULL)
		return (const uint8_t *)""; /* n is 0, and NULL means error */
	p = r->p + r->off;
	r->off += n;
	return p;
}

/* Each returns the value, or 0 with err = -DT_ERR_TRUNCATED. */
static inline uint8_t
buf_get_u8(struct buf_reader *r)
{
	const uint8_t *p = buf_peek_bytes(r, 1);

	return p != NULL ? *p : 0;
}

static inline uint16_t
buf_get_u16(struct buf_reader *r)
{
	const uint8_t *p = buf_peek_bytes(r, 2);

	return p != NULL ? buf_u16_at(p) : 0;
}

static inline uint32_t
buf_get_u32(struct buf_reader *r)
{
	const uint8_t *p = buf_peek_bytes(r, 4);

	return p != NULL ? buf_u32_at(p) : 0;
}

static inline uint64_t
buf_get_u64(struct buf_reader *r)
{
	const uint8_t *p = buf_peek_bytes(r, 8);

	return p != NULL ? buf_u64_at(p) : 0;
}

/** buf_get_bytes(): copy @n bytes to @dst; zero-fills @dst on error. */
void buf_get_bytes(struct buf_reader *r, void *dst, size_t n);

/** buf_remaining(): bytes not yet consumed; 0 after an error. */
static inline size_t
buf_remaining(const struct buf_reader *r)
{
	return r->err == 0 ? r->len - r->off : 0;
}

/**
 * buf_reader_end(): finish decoding.
 *
 * Returns 0, the sticky error, or -DT_ERR_TRAILING if bytes are left.
 */
int buf_reader_end(const struct buf_reader *r);

/**
 * buf_extend(): append @n bytes for the caller to fill at once.
 *
 * Returns them, or NULL with err = -DT_ERR_FULL.
 */
static inline uint8_t *
buf_extend(struct buf_writer *w, size_t n)
{
	uint8_t *p;

	if (w->err != 0 || n > w->cap - w->len) {
		buf_writer_fail(w, -DT_ERR_FULL);
		return NULL;
	}
	if (n == 0)
		return w->p; /* NULL for a writer without memory */
	p = w->p + w->len;
	w->len += n;
	return p;
}

/* Each appends, or sets err = -DT_ERR_FULL and appends nothing. */
static inline void
buf_put_u8(struct buf_writer *w, uint8_t v)
{
	uint8_t *p = buf_extend(w, 1);

	if (p != NULL)
		p[0] = v;
}

static inline void
buf_put_u16(struct buf_writer *w, uint16_t v)
{
	uint8_t *p = buf_extend(w, 2);

	if (p == NULL)
		return;
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void
buf_put_u32(struct buf_writer *w, uint32_t v)
{
	uint8_t *p = buf_extend(w, 4);

	if (p == NULL)
		return;
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

void buf_put_u64(struct buf_writer *w, uint64_t v);
void buf_put_bytes(struct buf_writer *w, const void *src, size_t n);
/** buf_put_str(): the characters of @s without the terminator. */
void buf_put_str(struct buf_writer *w, const char *s);

#endif
