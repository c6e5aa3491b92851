/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_queue.h"

#include <string.h>

#include "test/tap.h"

static const struct mono t0 = { 1000 };

/* Append a frame of @len bytes in all, its payload filled with @tag. */
static bool
put(struct relay_queue *q, size_t len, uint8_t tag)
{
	uint8_t *p = relay_queue_add(q, len, t0);

	if (p == NULL)
		return false;
	p[0] = tag;
	p[1] = (uint8_t)((len - 5) >> 24);
	p[2] = (uint8_t)((len - 5) >> 16);
	p[3] = (uint8_t)((len - 5) >> 8);
	p[4] = (uint8_t)(len - 5);
	memset(p + 5, tag, len - 5);
	return true;
}

static void
test_order(void)
{
	struct relay_pool pool;
	struct relay_queue q;
	struct mono since;
	const uint8_t *p;
	size_t len = 0;

	relay_pool_init(&pool, 4);
	relay_queue_init(&q, &pool, 100, 1 << 20);
	OK(relay_queue_peek(&q, &len, &since) == NULL, "empty: nothing");
	OK(relay_queue_oldest(&q, &len) == NULL, "empty: no oldest");
	OK(put(&q, 5, 1) && put(&q, 100, 2) && put(&q, 6, 3), "three frames");
	p = relay_queue_peek(&q, &len, &since);
	OK(p != NULL && len == 111, "one block of three frames");
	OK(p[0] == 1 && p[5] == 2 && p[105] == 3 && p[110] == 3, "in order");
	OK(since.us == t0.us, "time of the oldest");
	OK(relay_queue_drop_block(&q) == 3, "three frames dropped");
	OK(q.bytes == 0 && q.packets == 0, "empty again");
	OK(pool.n_free == 1, "block went back to the pool");
	relay_queue_fini(&q);
	relay_pool_fini(&pool);
	OK(pool.n_free == 0, "pool is empty");
}

static void
test_bounds(void)
{
	struct relay_pool pool;
	struct relay_queue q;

	relay_pool_init(&pool, 4);
	relay_queue_init(&q, &pool, 3, 1000);
	OK(relay_queue_fits(&q, 1000), "all bytes fit");
	OK(!relay_queue_fits(&q, 1001), "one more does not");
	OK(put(&q, 400, 1) && put(&q, 400, 2), "two frames");
	OK(relay_queue_fits(&q, 200), "the rest fits");
	OK(!relay_queue_fits(&q, 201), "more does not");
	OK(put(&q, 5, 3), "third frame");
	OK(!relay_queue_fits(&q, 5), "no fourth packet");
	relay_queue_fini(&q);
	relay_pool_fini(&pool);
}

static void
test_drop_oldest(void)
{
	struct relay_pool pool;
	struct relay_queue q;
	struct mono since;
	const uint8_t *p;
	size_t len = 0;
	bool in_order = true;

	relay_pool_init(&pool, 2);
	relay_queue_init(&q, &pool, 8, 1 << 20);
	/* 18000 bytes: two in a block, so drops cross block borders. */
	for (uint8_t i = 0; i < 100; i++) {
		while (!relay_queue_fits(&q, 18000))
			relay_queue_drop_oldest(&q);
		in_order = in_order && put(&q, 18000, i);
	}
	OK(in_order && q.packets == 8 && q.bytes == 144000, "eight are left");
	p = relay_queue_oldest(&q, &len);
	OK(p != NULL && p[0] == 92 && len == 18000, "the oldest is the 92nd");
	for (uint8_t i = 92; i < 100;) {
		p = relay_queue_peek(&q, &len, &since);
		in_order = in_order && p != NULL && len % 18000 == 0;
		for (size_t off = 0; in_order && off < len; off += 18000)
			in_order = p[off] == i++;
		if (!in_order)
			break;
		(void)relay_queue_drop_block(&q);
	}
	OK(in_order && q.packets == 0, "the newest eight, in order");
	OK(pool.n_free == 2, "the pool keeps two blocks and no more");
	relay_queue_fini(&q);
	relay_pool_fini(&pool);
}

static void
test_large(void)
{
	struct relay_pool pool;
	struct relay_queue q;
	struct mono since;
	const uint8_t *p;
	size_t len = 0;

	relay_pool_init(&pool, 4);
	relay_queue_init(&q, &pool, 8, 1 << 20);
	OK(put(&q, 10, 1) && put(&q, 65573, 2) && put(&q, 10, 3),
	    "small, large, small");
	p = relay_queue_peek(&q, &len, &since);
	OK(p != NULL && p[0] == 1 && len == 10, "small alone");
	(void)relay_queue_drop_block(&q);
	p = relay_queue_peek(&q, &len, &since);
	OK(p != NULL && p[0] == 2 && len == 65573 && p[65572] == 2,
	    "large in one piece");
	(void)relay_queue_drop_block(&q);
	p = relay_queue_peek(&q, &len, &since);
	OK(p != NULL && p[0] == 3 && len == 10, "small behind it");
	relay_queue_drop_oldest(&q);
	OK(q.packets == 0 && q.bytes == 0, "empty");
	OK(pool.n_free == 2, "the large block was not kept");
	relay_pool_fini(&pool);
}

int
main(void)
{
	test_order();
	test_bounds();
	test_drop_oldest();
	test_large();
	return tap_done();
}
