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

/* Each returns the value, or 0 with err = -DT_ERR_TRUNCATED. */
uint8_t buf_get_u8(struct buf_reader *r);
uint16_t buf_get_u16(struct buf_reader *r);
uint32_t buf_get_u32(struct buf_reader *r);
uint64_t buf_get_u64(struct buf_reader *r);

/** buf_get_bytes(): copy @n bytes to @dst; zero-fills @dst on error. */
void buf_get_bytes(struct buf_reader *r, void *dst, size_t n);

/**
 * buf_peek_bytes(): borrow the next @n bytes and step over them.
 *
 * Returns a pointer into the reader's memory, or NULL on error.  For @n 0 the
 * pointer may be past the end: do not read through it.
 */
const uint8_t *buf_peek_bytes(struct buf_reader *r, size_t n);

/** buf_remaining(): bytes not yet consumed; 0 after an error. */
size_t buf_remaining(const struct buf_reader *r);

/**
 * buf_reader_end(): finish decoding.
 *
 * Returns 0, the sticky error, or -DT_ERR_TRAILING if bytes are left.
 */
int buf_reader_end(const struct buf_reader *r);

/* Each appends, or sets err = -DT_ERR_FULL and appends nothing. */
void buf_put_u8(struct buf_writer *w, uint8_t v);
void buf_put_u16(struct buf_writer *w, uint16_t v);
void buf_put_u32(struct buf_writer *w, uint32_t v);
void buf_put_u64(struct buf_writer *w, uint64_t v);
void buf_put_bytes(struct buf_writer *w, const void *src, size_t n);
/** buf_put_str(): the characters of @s without the terminator. */
void buf_put_str(struct buf_writer *w, const char *s);

/** buf_u16_at() .. buf_u32_at(): read an integer at @p; caller checked size. */
uint16_t buf_u16_at(const uint8_t *p);
uint32_t buf_u32_at(const uint8_t *p);
uint64_t buf_u64_at(const uint8_t *p);

#endif
