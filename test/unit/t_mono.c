/* SPDX-License-Identifier: BSD-3-Clause */
#include <time.h>
#include <unistd.h>

#include "lib/mono.h"
#include "test/tap.h"

static void
test_add(void)
{
	const struct mono t = { 100 };

	EQ_INT(mono_add(t, 5).us, 105, "add");
	EQ_INT(mono_add(t, -5).us, 95, "add a negative");
	EQ_INT(mono_add(t, -101).us, 0, "never before the epoch");
	EQ_INT(mono_add(t, INT64_MIN).us, 0, "smallest addend");
	EQ_INT(mono_add(t, INT64_MAX).us, INT64_MAX, "saturates");
	EQ_INT(mono_add((struct mono){ INT64_MAX - 1 }, 1).us, INT64_MAX,
	    "reaches never exactly");
	EQ_INT(mono_add((struct mono){ INT64_MAX - 2 }, 1).us, INT64_MAX - 1,
	    "one short of never");
	OK(mono_is_never(mono_add(MONO_NEVER, -1)), "never stays never");
	OK(!mono_is_never(t), "a time is not never");
}

static void
test_compare(void)
{
	const struct mono a = { 1 }, b = { 2 };

	OK(mono_before(a, b), "a before b");
	OK(!mono_before(b, a), "b not before a");
	OK(!mono_before(a, a), "before is strict");
	OK(mono_before(b, MONO_NEVER), "all is before never");
	EQ_INT(mono_min(a, b).us, 1, "min, first");
	EQ_INT(mono_min(b, a).us, 1, "min, second");
	EQ_INT(mono_diff(b, a), 1, "diff");
	EQ_INT(mono_diff(a, b), -1, "diff reversed");
	EQ_INT(mono_diff(MONO_NEVER, (struct mono){ 0 }), INT64_MAX,
	    "diff to never");
}

static void
test_clocks(void)
{
	struct mono a = mono_now(), b;
	int64_t before = (int64_t)time(NULL);
	int64_t wall = mono_unix_seconds();
	int64_t after = (int64_t)time(NULL);

	OK(a.us > 0, "the clock runs");
	(void)usleep(2000);
	b = mono_now();
	OK(mono_diff(b, a) >= 2000, "microseconds: %lld passed",
	    (long long)mono_diff(b, a));
	OK(mono_diff(b, a) < 10 * MONO_SEC, "and not nanoseconds");
	/* time() reads a coarser clock. */
	OK(before - 1 <= wall && wall <= after + 1, "wall clock");
}

int
main(void)
{
	test_add();
	test_compare();
	test_clocks();
	return tap_done();
}
