/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/mono.h"

#include <stdlib.h>
#include <time.h>

struct mono
mono_now(void)
{
	struct timespec ts;

	/* Fails only for clocks the kernel does not know. */
	if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
		abort();
	return (struct mono){ (int64_t)ts.tv_sec * MONO_SEC +
			      (int64_t)ts.tv_nsec / 1000 };
}

struct mono
mono_add(struct mono t, int64_t us)
{
	if (mono_is_never(t) || (us > 0 && t.us > INT64_MAX - us))
		return MONO_NEVER;
	/* t.us >= 0, so a negative us cannot overflow. */
	return (struct mono){ t.us + us < 0 ? 0 : t.us + us };
}

int64_t
mono_diff(struct mono later, struct mono earlier)
{
	return later.us - earlier.us;
}

bool
mono_before(struct mono a, struct mono b)
{
	return a.us < b.us;
}

bool
mono_is_never(struct mono t)
{
	return t.us == INT64_MAX;
}

struct mono
mono_min(struct mono a, struct mono b)
{
	return a.us < b.us ? a : b;
}

int64_t
mono_unix_seconds(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_REALTIME, &ts) != 0)
		abort();
	return (int64_t)ts.tv_sec;
}
