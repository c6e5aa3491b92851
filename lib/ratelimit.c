/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/ratelimit.h"

#include <assert.h>

/* Keeps burst * MICRO far from overflow. */
#define RATELIMIT_MAX_BURST ((int64_t)1000000000)
#define MICRO ((int64_t)1000000)

void
ratelimit_init(
    struct ratelimit *l, int64_t rate_per_sec, int64_t burst, struct mono now)
{
	assert(rate_per_sec >= 1 && rate_per_sec <= 1000000);
	assert(burst >= 1 && burst <= RATELIMIT_MAX_BURST);
	*l = (struct ratelimit){
		.rate_per_sec = rate_per_sec,
		.micro_burst = burst * MICRO,
		.micro_tokens = burst * MICRO,
		.filled = now,
	};
}

bool
ratelimit_take(struct ratelimit *l, struct mono now)
{
	int64_t missing = l->micro_burst - l->micro_tokens;
	int64_t us = mono_diff(now, l->filled);

	/* One microsecond brings rate_per_sec millionths of a token. */
	if (us > 0) {
		if (us > missing / l->rate_per_sec)
			l->micro_tokens = l->micro_burst;
		else
			l->micro_tokens += us * l->rate_per_sec;
		l->filled = now;
	}
	if (l->micro_tokens < MICRO)
		return false;
	l->micro_tokens -= MICRO;
	return true;
}
