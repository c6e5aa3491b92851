/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TEST_UNIT_LOOP_FOR_H
#define TEST_UNIT_LOOP_FOR_H

#include "lib/loop.h"

/* What is due when the time is over, and what follows from that, still has its
 * turns: on a busy machine the time may pass at once. */
#define LOOP_FOR_TURNS 8

struct loop_for {
	struct loop *loop;
	struct loop_timer *timer;
	int turns;
};

static inline void
loop_for_over(void *arg, struct mono now)
{
	struct loop_for *f = arg;

	if (f->turns-- > 0)
		loop_timer_at(f->timer, now);
	else
		loop_stop(f->loop);
}

/* Turns the loop until something stops it, at most so long.  Returns what
 * loop_run() did. */
static inline int
loop_for(struct loop *loop, int64_t us)
{
	struct loop_for f = { .loop = loop, .turns = LOOP_FOR_TURNS };
	int r;

	f.timer = loop_timer_new(loop, loop_for_over, &f);
	loop_timer_in(f.timer, us);
	r = loop_run(loop);
	loop_timer_free(f.timer);
	return r;
}

#endif
