/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Monotonic time in microseconds, as a type that cannot be mixed up with a
 * number of seconds.  mono_now() is the only reader of a clock; everything else
 * gets the time passed in.
 */
#ifndef LIB_MONO_H
#define LIB_MONO_H

#include <stdbool.h>
#include <stdint.h>

/* A point on CLOCK_MONOTONIC; 0 <= us, INT64_MAX means "never". */
struct mono {
	int64_t us;
};

#define MONO_NEVER ((struct mono){ INT64_MAX })
#define MONO_MS ((int64_t)1000)     /* microseconds in a millisecond */
#define MONO_SEC ((int64_t)1000000) /* microseconds in a second */

/** mono_now(): read CLOCK_MONOTONIC.  Cannot fail. */
struct mono mono_now(void);

/** mono_add(): @t + @us; saturates at MONO_NEVER, and NEVER + x is NEVER. */
struct mono mono_add(struct mono t, int64_t us);

/** mono_diff(): microseconds from @earlier to @later; negative if reversed. */
int64_t mono_diff(struct mono later, struct mono earlier);

/** mono_before(): is @a strictly before @b? */
bool mono_before(struct mono a, struct mono b);

/** mono_is_never(): is @t MONO_NEVER? */
bool mono_is_never(struct mono t);

/** mono_min(): the earlier of the two. */
struct mono mono_min(struct mono a, struct mono b);

/**
 * mono_unix_seconds(): wall-clock seconds since 1970, for token expiry and
 * certificate dates only; never for measuring.
 */
int64_t mono_unix_seconds(void);

#endif
