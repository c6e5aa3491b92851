/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_UNIT_LOOP_FOR_H
#define TEST_UNIT_LOOP_FOR_H

#include "lib/loop.h"

static inline void
loop_for_over(void *arg, struct mono now)
{
	(void)now;
	loop_stop(arg);
}

/* Turns the loop until something stops it, at most so long.  Returns what
 * loop_run() did. */
static inline int
loop_for(struct loop *loop, int64_t us)
{
	struct loop_timer *t = loop_timer_new(loop, loop_for_over, loop);
	int r;

	loop_timer_in(t, us);
	r = loop_run(loop);
	loop_timer_free(t);
	return r;
}

#endif
