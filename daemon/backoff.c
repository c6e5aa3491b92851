/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/backoff.h"

#include "lib/secret.h"

void
backoff_init(struct backoff *b, int64_t first_us, int64_t max_us, bool at_once)
{
	b->first_us = first_us;
	b->max_us = max_us;
	b->at_once = at_once;
	backoff_reset(b);
}

void
backoff_reset(struct backoff *b)
{
	b->next_us = b->first_us;
	b->used = false;
}

int64_t
backoff_next(struct backoff *b)
{
	int64_t base;

	if (b->at_once && !b->used) {
		b->used = true;
		return 0;
	}
	base = b->next_us;
	b->next_us = base <= b->max_us / 2 ? base * 2 : b->max_us;
	/* Jitter, so that many clients of a restarted relay spread out. */
	return base * (750 + (int64_t)secret_random_below(501)) / 1000;
}
