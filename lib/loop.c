/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A turn is one return of event_base_loop(): wait, run what is ready, then the
 * timers that are due and the turn-end hook.  The clock is read by the first
 * callback of a turn, through loop_turn_now(), and forgotten after the hook.
 *
 * libevent holds two events per watched descriptor, one for each direction, so
 * that changing the interest costs one epoll_ctl(2).  A descriptor that epoll
 * refuses (/dev/null and regular files: EPERM) is always ready by definition;
 * for it a timer that fires every turn takes the place of the events.
 *
 * libevent calls back through the trampolines on_*; they touch nothing after
 * the user's callback, which may have freed the handle.
 */
#include "lib/loop.h"

#include <stdlib.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/loop_internal.h"

struct loop_io {
	struct loop *l;
	struct event reader;
	struct event writer;
	unsigned interest;
	struct loop_timer *always; /* not NULL: epoll refused the descriptor */
	void (*cb)(void *arg, unsigned events, struct mono now);
	void *arg;
};

struct loop_signal {
	struct loop *l;
	struct event event;
	void (*cb)(void *arg, int signo, struct mono now);
	void *arg;
};

static void
on_log(int severity, const char *msg)
{
	if (severity >= EVENT_LOG_ERR)
		log_err("loop", "%s", msg);
	else
		log_debug("loop", "%s", msg);
}

static struct event_base *
new_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	event_set_log_callback(on_log);
	if (config == NULL)
		return NULL;
	/* One thread; no behaviour from the environment. */
	if (event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0 &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV) == 0)
		base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

struct loop *
loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->base = new_base();
	if (l->base == NULL) {
		free(l);
		return NULL;
	}
	if (loop_timer_setup(l) < 0) {
		event_base_free(l->base);
		free(l);
		return NULL;
	}
	loop_lookup_setup(l);
	return l;
}

void
loop_free(struct loop *l)
{
	if (l == NULL)
		return;
	loop_lookup_teardown(l);
	loop_timer_teardown(l);
	event_base_free(l->base);
	free(l);
}

static int
turn(struct loop *l)
{
	int r = loop_timer_arm(l);
	int how = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

	if (r > 0)
		how |= EVLOOP_NONBLOCK;
	if (r < 0 || event_base_loop(l->base, how) < 0)
		return -DT_ERR_INTERNAL;
	loop_timer_run(l);
	if (l->turn_end != NULL)
		l->turn_end(l->turn_end_arg, loop_turn_now(l));
	return 0;
}

int
loop_run(struct loop *l)
{
	int r = 0;

	while (!l->stop && r == 0) {
		r = turn(l);
		l->now_valid = false;
	}
	l->stop = false;
	return r;
}

void
loop_stop(struct loop *l)
{
	l->stop = true;
}

struct mono
loop_turn_now(struct loop *l)
{
	if (!l->now_valid) {
		l->now = mono_now();
		l->now_valid = true;
	}
	return l->now;
}

struct mono
loop_now(struct loop *l)
{
	return l->now_valid ? l->now : mono_now();
}

void
loop_set_turn_end(
    struct loop *l, void (*cb)(void *arg, struct mono now), void *arg)
{
	l->turn_end = cb;
	l->turn_end_arg = arg;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;

	(void)fd;
	(void)what;
	io->cb(io->arg, LOOP_READ, loop_turn_now(io->l));
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct loop_io *io = arg;

	(void)fd;
	(void)what;
	io->cb(io->arg, LOOP_WRITE, loop_turn_now(io->l));
}

static void
on_always(void *arg, struct mono now)
{
	struct loop_io *io = arg;

	/* Before the call, which may free io or end its interest. */
	loop_timer_at(io->always, now);
	io->cb(io->arg, io->interest, now);
}

struct loop_io *
loop_io_new(struct loop *l, int fd,
    void (*cb)(void *arg, unsigned events, struct mono now), void *arg)
{
	struct loop_io *io = calloc(1, sizeof(*io));

	if (io == NULL)
		return NULL;
	io->l = l;
	io->cb = cb;
	io->arg = arg;
	if (event_assign(&io->reader, l->base, fd, EV_READ | EV_PERSIST,
		on_readable, io) != 0 ||
	    event_assign(&io->writer, l->base, fd, EV_WRITE | EV_PERSIST,
		on_writable, io) != 0) {
		free(io);
		return NULL;
	}
	return io;
}

/* Adds or removes one event.  Returns 0, or -1 when epoll refused. */
static int
toggle(struct event *ev, bool on)
{
	return on ? event_add(ev, NULL) : event_del(ev);
}

void
loop_io_set(struct loop_io *io, unsigned events)
{
	unsigned changed = io->interest ^ events;
	bool failed = false;

	if (changed == 0)
		return;
	io->interest = events;
	if (io->always == NULL) {
		if ((changed & LOOP_READ) != 0 &&
		    toggle(&io->reader, (events & LOOP_READ) != 0) < 0)
			failed = true;
		if ((changed & LOOP_WRITE) != 0 &&
		    toggle(&io->writer, (events & LOOP_WRITE) != 0) < 0)
			failed = true;
		if (!failed)
			return;
		(void)event_del(&io->reader); /* whichever was accepted */
		(void)event_del(&io->writer);
		io->always = loop_timer_new(io->l, on_always, io);
		if (io->always == NULL) {
			log_err("loop", "descriptor cannot be watched");
			return;
		}
	}
	if (events != 0)
		loop_timer_in(io->always, 0);
	else
		loop_timer_at(io->always, MONO_NEVER);
}

void
loop_io_free(struct loop_io *io)
{
	if (io == NULL)
		return;
	(void)event_del(&io->reader); /* fails only for bad arguments */
	(void)event_del(&io->writer);
	loop_timer_free(io->always);
	free(io);
}

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	struct loop_signal *s = arg;

	(void)what;
	s->cb(s->arg, (int)signo, loop_turn_now(s->l));
}

struct loop_signal *
loop_signal_new(struct loop *l, int signo,
    void (*cb)(void *arg, int signo, struct mono now), void *arg)
{
	struct loop_signal *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->l = l;
	s->cb = cb;
	s->arg = arg;
	if (event_assign(&s->event, l->base, signo, EV_SIGNAL | EV_PERSIST,
		on_signal, s) != 0 ||
	    event_add(&s->event, NULL) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

void
loop_signal_free(struct loop_signal *s)
{
	if (s == NULL)
		return;
	(void)event_del(&s->event); /* fails only for bad arguments */
	free(s);
}
