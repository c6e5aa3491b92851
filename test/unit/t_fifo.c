/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/err.h"
#include "lib/fifo.h"
#include "test/tap.h"

static void
test_basics(void)
{
	struct fifo f;
	size_t room = 99;
	uint8_t *p;

	fifo_init(&f, 10);
	EQ_INT(fifo_len(&f), 0, "empty");
	EQ_INT(fifo_room(&f), 10, "room");
	OK(f.data == NULL, "allocates nothing");
	EQ_INT(fifo_put(&f, NULL, 0), 0, "put nothing");
	EQ_INT(fifo_put(&f, "abc", 3), 0, "put");
	EQ_INT(fifo_put(&f, "defg", 4), 0, "put more");
	EQ_MEM(fifo_peek(&f), "abcdefg", 7, "contiguous");
	EQ_INT(fifo_put(&f, "wxyz", 4), -DT_ERR_FULL, "max + 1");
	EQ_INT(fifo_len(&f), 7, "nothing taken");
	OK(fifo_reserve(&f, 4, &room) == NULL, "reserve max + 1");
	EQ_INT(room, 99, "no partial output");
	OK(fifo_reserve(&f, SIZE_MAX, &room) == NULL, "no overflow");
	p = fifo_reserve(&f, 3, &room);
	OK(p != NULL && room >= 3 && room <= 3, "reserve up to max");
	memcpy(p, "hij", 3);
	fifo_commit(&f, 3);
	EQ_INT(fifo_room(&f), 0, "full");
	p = fifo_reserve(&f, 0, &room);
	OK(p != NULL && room == 0, "reserve nothing when full");
	fifo_drop(&f, 8);
	EQ_MEM(fifo_peek(&f), "ij", 2, "drop");
	EQ_INT(fifo_put(&f, "klmnopqr", 8), 0, "put after a move to the front");
	EQ_MEM(fifo_peek(&f), "ijklmnopqr", 10, "order is kept");
	fifo_drop(&f, 0);
	fifo_drop(&f, 10);
	EQ_INT(fifo_len(&f), 0, "empty again");
	OK(f.data != NULL, "a small block is kept");
	fifo_fini(&f);
	OK(f.data == NULL && fifo_len(&f) == 0, "fini empties");
	EQ_INT(fifo_put(&f, "a", 1), 0, "and may be used again");
	fifo_fini(&f);
	fifo_fini(&f);
}

static void
test_zero_max(void)
{
	struct fifo f;
	size_t room;

	fifo_init(&f, 0);
	EQ_INT(fifo_put(&f, "", 0), 0, "max 0 takes nothing");
	EQ_INT(fifo_put(&f, "a", 1), -DT_ERR_FULL, "max 0 takes no byte");
	OK(fifo_reserve(&f, 0, &room) == NULL, "max 0 has no span");
	fifo_fini(&f);
}

static void
test_release(void)
{
	static const uint8_t zero[65537];
	struct fifo f;

	fifo_init(&f, 1 << 20);
	EQ_INT(fifo_put(&f, zero, 65536), 0, "64 KiB");
	EQ_INT(f.cap, 65536, "block as large");
	fifo_drop(&f, 65536);
	OK(f.data != NULL, "is kept when empty");
	EQ_INT(fifo_put(&f, zero, 65537), 0, "one byte more");
	fifo_drop(&f, 65536);
	OK(f.data != NULL, "is kept while used");
	fifo_drop(&f, 1);
	OK(f.data != NULL, "a large one too, while bursts need it");
	for (int i = 0; i < 16; i++) {
		(void)fifo_put(&f, zero, 100);
		fifo_drop(&f, 100);
	}
	OK(f.data == NULL && f.cap == 0, "until it is little used for long");
	fifo_fini(&f);
}

/* Random puts and drops against a counter: byte i of the stream is i mod 251.
 */
static void
test_stream(size_t max)
{
	struct fifo f;
	size_t n, room, written = 0, read = 0;
	bool good = true, bounded = true;
	uint8_t *p;

	srandom(1);
	fifo_init(&f, max);
	for (int round = 0; round < 20000; round++) {
		n = (size_t)random() % (max / 3 + 1);
		p = fifo_reserve(&f, n, &room);
		if ((p != NULL) != (n <= max - (written - read)))
			good = false;
		if (p != NULL) {
			for (size_t i = 0; i < n; i++)
				p[i] = (uint8_t)(written++ % 251);
			fifo_commit(&f, n);
		}
		n = (size_t)random() % (fifo_len(&f) + 1);
		for (size_t i = 0; i < n; i++)
			if (fifo_peek(&f)[i] != read++ % 251)
				good = false;
		fifo_drop(&f, n);
		if (f.cap > max || fifo_len(&f) != written - read)
			bounded = false;
	}
	OK(good, "every byte in order, max %zu", max);
	OK(bounded, "memory bounded");
	fifo_fini(&f);
}

int
main(void)
{
	test_basics();
	test_zero_max();
	test_release();
	test_stream(7);
	test_stream(5000);
	test_stream(70000);
	return tap_done();
}
