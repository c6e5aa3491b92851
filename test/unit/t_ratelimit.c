/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/ratelimit.h"
#include "test/tap.h"

/* Takes as many as there are; returns how many. */
static int
drain(struct ratelimit *l, struct mono now)
{
	int n = 0;

	while (ratelimit_take(l, now))
		n++;
	return n;
}

/* Tokens given in ten seconds when asked every 10 ms and too often. */
static int
given(int64_t rate)
{
	struct ratelimit l;
	struct mono now = { 5 * MONO_SEC };
	int n = 0;

	ratelimit_init(&l, rate, rate, now);
	(void)drain(&l, now);
	for (int i = 0; i < 1000; i++) {
		now = mono_add(now, 10 * MONO_MS);
		n += drain(&l, now);
	}
	return n;
}

static void
test_burst(void)
{
	struct ratelimit l;
	struct mono now = { 1000 };

	ratelimit_init(&l, 10, 3, now);
	EQ_INT(drain(&l, now), 3, "full at first");
	EQ_INT(drain(&l, mono_add(now, 99999)), 0, "not yet");
	EQ_INT(drain(&l, mono_add(now, 100000)), 1, "one after a tenth");
	EQ_INT(drain(&l, mono_add(now, 349999)), 2, "the rest is not lost");
	EQ_INT(drain(&l, mono_add(now, 400000)), 1, "and adds up");
	EQ_INT(drain(&l, mono_add(now, 3600 * MONO_SEC)), 3, "never above");
	EQ_INT(drain(&l, (struct mono){ INT64_MAX - 1 }), 3, "no overflow");
}

static void
test_backwards(void)
{
	struct ratelimit l;
	struct mono now = { MONO_SEC };

	ratelimit_init(&l, 1, 1, now);
	EQ_INT(drain(&l, now), 1, "the token");
	EQ_INT(drain(&l, (struct mono){ 0 }), 0, "an earlier time gives none");
	EQ_INT(drain(&l, mono_add(now, MONO_SEC)), 1, "nor delays the next");
}

static void
test_rates(void)
{
	EQ_INT(given(1), 10, "1 a second");
	EQ_INT(given(3), 30, "3 a second, although it does not divide");
	EQ_INT(given(7000), 70000, "7000 a second");
	EQ_INT(given(700000), 7000000, "700000 a second");
	EQ_INT(given(1000000), 10000000, "the highest rate");
}

static void
test_largest(void)
{
	struct ratelimit l;
	struct mono now = { 0 };

	ratelimit_init(&l, 1000000, 1000000000, now);
	for (int i = 0; i < 10; i++)
		(void)ratelimit_take(&l, now);
	EQ_INT(l.micro_tokens, 999999990 * MONO_SEC, "largest burst");
	OK(ratelimit_take(&l, MONO_NEVER), "at the end of time");
	EQ_INT(l.micro_tokens, 999999999 * MONO_SEC, "full again, less one");
}

int
main(void)
{
	test_burst();
	test_backwards();
	test_rates();
	test_largest();
	return tap_done();
}
