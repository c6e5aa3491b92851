/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Timers: a binary heap of our own over one timerfd, rather than libevent's,
 * whose clock is coarse and whose precise mode costs a system call every turn.
 * The timerfd is set, to an absolute time, only when the earliest deadline
 * comes before what it is set to.  A deadline that moved away leaves it alone:
 * it then fires once in vain, which is cheaper than moving it for every packet.
 * A deadline that has come when the loop would wait leaves it alone too: that
 * turn only looks at the descriptors.  Setting a timer costs a virtual machine
 * tens of microseconds, and many timers mean "next turn".
 *
 * A deadline at or before the time of the turn is moved just after it, so that
 * a callback which arms its own timer runs next turn, not for ever in this one.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>

#include <event2/event.h>

#include "lib/fd.h"
#include "lib/loop_internal.h"

/* Timers a loop starts with room for. */
#define LOOP_MIN_TIMERS ((size_t)8)
/* Position of a timer that is not in the heap. */
#define LOOP_DISARMED SIZE_MAX

struct loop_timer {
	struct loop *l;
	struct mono at;
	size_t pos; /* index in the heap, or LOOP_DISARMED */
	void (*cb)(void *arg, struct mono now);
	void *arg;
};

static void
place(struct loop_timers *ts, struct loop_timer *t, size_t pos)
{
	ts->heap[pos] = t;
	t->pos = pos;
}

/* Puts t where it belongs, starting at the free place pos. */
static void
sift(struct loop_timers *ts, struct loop_timer *t, size_t pos)
{
	size_t child;

	while (pos > 0 && mono_before(t->at, ts->heap[(pos - 1) / 2]->at)) {
		place(ts, ts->heap[(pos - 1) / 2], pos);
		pos = (pos - 1) / 2;
	}
	while ((child = 2 * pos + 1) < ts->n) {
		if (child + 1 < ts->n &&
		    mono_before(ts->heap[child + 1]->at, ts->heap[child]->at))
			child++;
		if (!mono_before(ts->heap[child]->at, t->at))
			break;
		place(ts, ts->heap[child], pos);
		pos = child;
	}
	place(ts, t, pos);
}

static void
disarm(struct loop_timer *t)
{
	struct loop_timers *ts = &t->l->timers;
	size_t pos = t->pos;
	struct loop_timer *last;

	if (pos == LOOP_DISARMED)
		return;
	t->pos = LOOP_DISARMED;
	last = ts->heap[--ts->n];
	if (last != t)
		sift(ts, last, pos);
}

/* It ends the wait; the loop runs what is due. */
static void
on_timerfd(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd; /* edge-triggered: need not be read */
	(void)what;
	l->timers.armed = MONO_NEVER;
}

void
loop_timer_run(struct loop *l)
{
	struct loop_timers *ts = &l->timers;
	struct loop_timer *t;

	while (ts->n > 0 && !mono_before(loop_turn_now(l), ts->heap[0]->at)) {
		t = ts->heap[0];
		disarm(t);
		t->cb(t->arg, l->now);
	}
}

int
loop_timer_setup(struct loop *l)
{
	struct loop_timers *ts = &l->timers;
	int r;

	ts->armed = MONO_NEVER;
	ts->fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (ts->fd < 0)
		return -errno;
	ts->cap = LOOP_MIN_TIMERS;
	ts->heap = calloc(ts->cap, sizeof(struct loop_timer *));
	ts->event = event_new(
	    l->base, ts->fd, EV_READ | EV_ET | EV_PERSIST, on_timerfd, l);
	if (ts->heap == NULL || ts->event == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	if (event_add(ts->event, NULL) != 0) {
		r = -errno;
		goto fail;
	}
	return 0;
fail:
	loop_timer_teardown(l);
	return r;
}

void
loop_timer_teardown(struct loop *l)
{
	struct loop_timers *ts = &l->timers;

	if (ts->event != NULL)
		event_free(ts->event);
	ts->event = NULL;
	free(ts->heap);
	ts->heap = NULL;
	fd_close(&ts->fd);
}

int
loop_timer_arm(struct loop *l)
{
	struct loop_timers *ts = &l->timers;
	struct itimerspec spec = { 0 };
	struct mono at;

	if (ts->n == 0)
		return 0;
	at = ts->heap[0]->at;
	if (!mono_before(mono_now(), at))
		return 1;
	if (!mono_before(at, ts->armed))
		return 0;
	spec.it_value.tv_sec = (time_t)(at.us / MONO_SEC);
	spec.it_value.tv_nsec = (long)(at.us % MONO_SEC) * 1000;
	if (timerfd_settime(ts->fd, TFD_TIMER_ABSTIME, &spec, NULL) != 0)
		return -errno;
	ts->armed = at;
	return 0;
}

struct loop_timer *
loop_timer_new(
    struct loop *l, void (*cb)(void *arg, struct mono now), void *arg)
{
	struct loop_timers *ts = &l->timers;
	struct loop_timer **heap, *t;

	/* Room for every timer there is, so that arming cannot fail. */
	if (ts->total == ts->cap) {
		heap = reallocarray(
		    ts->heap, ts->cap * 2, sizeof(struct loop_timer *));
		if (heap == NULL)
			return NULL;
		ts->heap = heap;
		ts->cap *= 2;
	}
	t = malloc(sizeof(*t));
	if (t == NULL)
		return NULL;
	*t = (struct loop_timer){
		.l = l, .pos = LOOP_DISARMED, .cb = cb, .arg = arg
	};
	ts->total++;
	return t;
}

void
loop_timer_at(struct loop_timer *t, struct mono at)
{
	struct loop *l = t->l;
	struct loop_timers *ts = &l->timers;

	if (mono_is_never(at)) {
		disarm(t);
		return;
	}
	if (l->now_valid && !mono_before(l->now, at))
		at = mono_add(l->now, 1);
	t->at = at;
	if (t->pos == LOOP_DISARMED)
		t->pos = ts->n++;
	sift(ts, t, t->pos);
}

void
loop_timer_in(struct loop_timer *t, int64_t us)
{
	loop_timer_at(t, mono_add(loop_now(t->l), us));
}

void
loop_timer_free(struct loop_timer *t)
{
	if (t == NULL)
		return;
	disarm(t);
	t->l->timers.total--;
	free(t);
}
