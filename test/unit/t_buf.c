/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "test/tap.h"

static const uint8_t bytes[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	0x09, 0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xaa, 0xbb };

static void
test_get(void)
{
	struct buf_reader r = buf_reader(bytes, sizeof(bytes));
	uint8_t two[2];

	EQ_INT(buf_get_u8(&r), 0x01, "u8");
	EQ_INT(buf_get_u16(&r), 0x0203, "u16");
	EQ_INT(buf_get_u32(&r), 0x04050607, "u32");
	OK(buf_get_u64(&r) == 0x0809f0f1f2f3f4f5, "u64");
	EQ_INT(buf_remaining(&r), 4, "remaining");
	EQ_INT(buf_reader_end(&r), -DT_ERR_TRAILING, "bytes are left");
	buf_get_bytes(&r, two, 2);
	EQ_MEM(two, "\xf6\xf7", 2, "bytes");
	OK(buf_peek_bytes(&r, 2) == bytes + 17, "peek borrows");
	OK(buf_peek_bytes(&r, 0) != NULL, "peek of nothing at the end");
	EQ_INT(buf_reader_end(&r), 0, "end");
}

/* One of everything from n bytes; returns the result. */
static int
get_all(const uint8_t *p, size_t n)
{
	struct buf_reader r = buf_reader(p, n);
	uint8_t two[2];

	(void)buf_get_u8(&r);
	(void)buf_get_u16(&r);
	(void)buf_get_u32(&r);
	(void)buf_get_u64(&r);
	buf_get_bytes(&r, two, 2);
	(void)buf_peek_bytes(&r, 2);
	return buf_reader_end(&r);
}

static void
test_truncated(void)
{
	EQ_INT(get_all(bytes, sizeof(bytes)), 0, "complete");
	for (size_t n = 0; n < sizeof(bytes); n++) {
		uint8_t *copy = malloc(n > 0 ? n : 1); /* for sanitizers */

		if (copy == NULL)
			abort();
		memcpy(copy, bytes, n);
		EQ_INT(get_all(copy, n), -DT_ERR_TRUNCATED, "cut to %zu", n);
		free(copy);
	}
}

static void
test_get_sticky(void)
{
	struct buf_reader r = buf_reader(bytes, 3);
	uint8_t out[4] = { 1, 1, 1, 1 };

	EQ_INT(buf_get_u32(&r), 0, "too short gives 0");
	EQ_INT(r.err, -DT_ERR_TRUNCATED, "and the error");
	EQ_INT(buf_get_u8(&r), 0, "later gets give 0 although bytes exist");
	EQ_INT(buf_remaining(&r), 0, "nothing remains after an error");
	OK(buf_peek_bytes(&r, 0) == NULL, "peek of nothing fails too");
	buf_get_bytes(&r, out, 4);
	EQ_MEM(out, "\0\0\0\0", 4, "bytes are zero-filled");
	EQ_INT(buf_reader_end(&r), -DT_ERR_TRUNCATED, "the first error stays");
	buf_reader_fail(&r, -DT_ERR_SYNTAX);
	EQ_INT(r.err, -DT_ERR_TRUNCATED, "fail keeps the first error");

	r = buf_reader(bytes, 3);
	OK(buf_peek_bytes(&r, SIZE_MAX) == NULL, "huge length");
	r = buf_reader(bytes, 3);
	(void)buf_get_u8(&r);
	OK(buf_peek_bytes(&r, SIZE_MAX) == NULL, "huge length, no overflow");
	r = buf_reader(bytes, 3);
	buf_reader_fail(&r, -DT_ERR_SYNTAX);
	EQ_INT(buf_reader_end(&r), -DT_ERR_SYNTAX, "caller's own error");
}

static void
test_empty(void)
{
	struct buf_reader r = buf_reader(NULL, 0);

	OK(buf_peek_bytes(&r, 0) != NULL, "peek nothing of nothing");
	buf_get_bytes(&r, NULL, 0);
	EQ_INT(buf_reader_end(&r), 0, "empty input is complete");
	EQ_INT(buf_get_u8(&r), 0, "no byte");
	EQ_INT(buf_reader_end(&r), -DT_ERR_TRUNCATED, "truncated");
}

static void
test_put(void)
{
	uint8_t out[sizeof(bytes)];
	struct buf_writer w = buf_writer(out, sizeof(out));

	buf_put_u8(&w, 0x01);
	buf_put_u16(&w, 0x0203);
	buf_put_u32(&w, 0x04050607);
	buf_put_u64(&w, 0x0809f0f1f2f3f4f5);
	buf_put_bytes(&w, "\xf6\xf7", 2);
	buf_put_bytes(&w, NULL, 0);
	buf_put_str(&w, "\xaa\xbb");
	EQ_INT(w.err, 0, "all fits");
	EQ_INT(w.len, sizeof(bytes), "length");
	EQ_MEM(out, bytes, sizeof(bytes), "content");
	buf_put_str(&w, "");
	EQ_INT(w.err, 0, "nothing still fits");
	buf_put_u8(&w, 1);
	EQ_INT(w.err, -DT_ERR_FULL, "one more does not");
	EQ_INT(w.len, sizeof(bytes), "length is kept");
}

static void
put_kind(struct buf_writer *w, int kind)
{
	switch (kind) {
	case 0:
		buf_put_u8(w, 0x11);
		break;
	case 1:
		buf_put_u16(w, 0x1111);
		break;
	case 2:
		buf_put_u32(w, 0x11111111);
		break;
	case 3:
		buf_put_u64(w, 0x1111111111111111);
		break;
	default:
		buf_put_bytes(w, "\x11\x11\x11", 3);
		break;
	}
}

static void
test_put_full(void)
{
	static const size_t size[] = { 1, 2, 4, 8, 3 };
	uint8_t out[9];

	for (int kind = 0; kind < 5; kind++) {
		struct buf_writer w;

		memset(out, 0, sizeof(out));
		w = buf_writer(out, size[kind] - 1);
		put_kind(&w, kind);
		EQ_INT(w.err, -DT_ERR_FULL, "one byte short, kind %d", kind);
		EQ_INT(w.len, 0, "nothing taken");
		EQ_INT(out[0], 0, "nothing written");
		buf_put_bytes(&w, NULL, 0);
		EQ_INT(w.err, -DT_ERR_FULL, "sticky");
		w = buf_writer(out, size[kind]);
		put_kind(&w, kind);
		EQ_INT(w.err, 0, "exact room, kind %d", kind);
		EQ_INT(out[size[kind]], 0, "no byte beyond");
	}
}

static void
test_put_sticky(void)
{
	uint8_t out[4];
	struct buf_writer w = buf_writer(out, sizeof(out));

	buf_put_bytes(&w, "abcde", 5);
	buf_put_u8(&w, 1);
	EQ_INT(w.len, 0, "what would fit after an error is not put");
	w = buf_writer(out, sizeof(out));
	buf_put_u8(&w, 1);
	OK(buf_extend(&w, SIZE_MAX) == NULL, "huge length, no overflow");
	w = buf_writer(NULL, 0);
	buf_put_bytes(&w, NULL, 0);
	EQ_INT(w.err, 0, "writer without memory takes nothing");
	buf_put_u8(&w, 1);
	EQ_INT(w.err, -DT_ERR_FULL, "and no byte");
	w = buf_writer(out, sizeof(out));
	buf_writer_fail(&w, -DT_ERR_LIMIT);
	buf_put_u8(&w, 1);
	EQ_INT(w.err, -DT_ERR_LIMIT, "caller's own error");
	EQ_INT(w.len, 0, "stops the writer");
}

static void
test_at(void)
{
	EQ_INT(buf_u16_at(bytes + 1), 0x0203, "u16 at odd address");
	EQ_INT(buf_u32_at(bytes + 9), 0xf0f1f2f3, "u32 with the top bit");
	OK(buf_u64_at(bytes + 9) == 0xf0f1f2f3f4f5f6f7, "u64 with the top bit");
}

int
main(void)
{
	test_get();
	test_truncated();
	test_get_sticky();
	test_empty();
	test_put();
	test_put_full();
	test_put_sticky();
	test_at();
	return tap_done();
}
