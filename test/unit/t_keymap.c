/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/keymap.h"
#include "test/tap.h"

#define N_KEYS 2000

static int cells[N_KEYS];

static struct key32
key_of(uint32_t n)
{
	struct key32 k = { { 0 } };
	struct buf_writer w = buf_writer(k.b + 28, 4);

	buf_put_u32(&w, n);
	return k;
}

static void
test_basics(void)
{
	struct keymap *m = keymap_new(2);
	struct key32 a = key_of(1), b = key_of(2), c = key_of(3);
	int x, y;

	OK(m != NULL, "new");
	EQ_INT(keymap_count(m), 0, "empty");
	OK(keymap_get(m, &a) == NULL, "absent");
	OK(keymap_remove(m, &a) == NULL, "remove absent");
	EQ_INT(keymap_put(m, &a, &x), 0, "put");
	EQ_INT(keymap_put(m, &b, &x), 0, "put up to max");
	EQ_INT(keymap_put(m, &c, &x), -DT_ERR_FULL, "max + 1");
	OK(keymap_get(m, &c) == NULL, "was not put");
	EQ_INT(keymap_put(m, &a, &y), 0, "replace when full");
	OK(keymap_get(m, &a) == &y, "replaced");
	EQ_INT(keymap_count(m), 2, "count");
	OK(keymap_remove(m, &a) == &y, "remove");
	OK(keymap_get(m, &a) == NULL, "is gone");
	EQ_INT(keymap_put(m, &c, &x), 0, "room again");
	keymap_free(m);
	keymap_free(NULL);

	m = keymap_new(0);
	EQ_INT(keymap_put(m, &a, &x), -DT_ERR_FULL, "max 0");
	keymap_free(m);
}

/* Keys differing in any one bit are different keys. */
static void
test_whole_key(void)
{
	struct keymap *m = keymap_new(1);
	struct key32 k = key_of(7);
	int x;
	bool good = true;

	EQ_INT(keymap_put(m, &k, &x), 0, "put");
	for (int bit = 0; bit < 256; bit++) {
		k.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (keymap_get(m, &k) != NULL)
			good = false;
		k.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	OK(good, "every bit counts");
	OK(keymap_get(m, &k) == &x, "the key itself is found");
	keymap_free(m);
}

static void
mark(void *arg, const struct key32 *key, void *value)
{
	int *total = arg;
	int *cell = value;

	if (cells + buf_u32_at(key->b + 28) == cell)
		*cell += 1;
	*total += 1;
}

/* Random puts and removals against a plain array. */
static void
test_random(void)
{
	static bool there[N_KEYS];
	struct keymap *m = keymap_new(N_KEYS);
	size_t count = 0;
	int total = 0;
	bool good = true;

	srandom(1);
	for (int round = 0; round < 100000; round++) {
		uint32_t n = (uint32_t)random() % N_KEYS;
		struct key32 k = key_of(n);
		void *want = there[n] ? &cells[n] : NULL;

		if (keymap_get(m, &k) != want)
			good = false;
		/* Fill at first, then empty: both ways through every load. */
		if (random() % 100 < (round < 50000 ? 70 : 30)) {
			if (keymap_put(m, &k, &cells[n]) != 0)
				good = false;
			count += there[n] ? 0 : 1;
			there[n] = true;
		} else {
			if (keymap_remove(m, &k) != want)
				good = false;
			count -= there[n] ? 1 : 0;
			there[n] = false;
		}
		if (keymap_count(m) != count)
			good = false;
	}
	OK(good, "as a plain array would");
	keymap_each(m, mark, &total);
	EQ_INT(total, count, "each visits all");
	for (int i = 0; i < N_KEYS; i++)
		if (cells[i] != (there[i] ? 1 : 0))
			good = false;
	OK(good, "each once, with key and value");
	keymap_free(m);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_basics();
	test_whole_key();
	test_random();
	return tap_done();
}
