/* SPDX-License-Identifier: BSD-3-Clause */
/* Token bucket on monotonic time. */
#ifndef LIB_RATELIMIT_H
#define LIB_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mono.h"

/* Counted in millionths of a token, so that every rate is exact. */
struct ratelimit {
	int64_t rate_per_sec;
	int64_t micro_burst;  /* when full */
	int64_t micro_tokens; /* now */
	struct mono filled; /* when micro_tokens was last brought up to date */
};

/**
 * ratelimit_init(): a full bucket.
 * @rate_per_sec: tokens a second, 1 .. 1000000.
 * @burst: capacity, 1 .. 1000000000.
 */
void ratelimit_init(
    struct ratelimit *l, int64_t rate_per_sec, int64_t burst, struct mono now);

/** ratelimit_take(): take one token if there is one; false if not. */
bool ratelimit_take(struct ratelimit *l, struct mono now);

#endif
