/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/buf.h"

#include <string.h>

struct buf_reader
buf_reader(const void *p, size_t len)
{
	return (struct buf_reader){ .p = p, .len = len };
}

struct buf_writer
buf_writer(void *p, size_t cap)
{
	return (struct buf_writer){ .p = p, .cap = cap };
}

void
buf_reader_fail(struct buf_reader *r, int err)
{
	if (r->err == 0)
		r->err = err;
}

void
buf_writer_fail(struct buf_writer *w, int err)
{
	if (w->err == 0)
		w->err = err;
}

void
buf_get_bytes(struct buf_reader *r, void *dst, size_t n)
{
	const uint8_t *p = buf_peek_bytes(r, n);

	if (n == 0)
		return; /* dst may be NULL then */
	if (p != NULL)
		memcpy(dst, p, n);
	else
		memset(dst, 0, n);
}

int
buf_reader_end(const struct buf_reader *r)
{
	if (r->err != 0)
		return r->err;
	return r->off == r->len ? 0 : -DT_ERR_TRAILING;
}

void
buf_put_u64(struct buf_writer *w, uint64_t v)
{
	uint8_t *p = buf_extend(w, 8);

	for (int shift = 56; p != NULL && shift >= 0; shift -= 8)
		*p++ = (uint8_t)(v >> shift);
}

void
buf_put_bytes(struct buf_writer *w, const void *src, size_t n)
{
	uint8_t *p = buf_extend(w, n);

	if (p != NULL && n > 0)
		memcpy(p, src, n);
}

void
buf_put_str(struct buf_writer *w, const char *s)
{
	buf_put_bytes(w, s, strlen(s));
}
