/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/loop_internal.h"
#include "test/tap.h"
#include "test/unit/loop_for.h"

#define N_TIMERS 100

static struct loop *loop;

/* What one callback saw. */
struct seen {
	int n;
	unsigned events;
	struct mono now;
	struct loop_io *io;
	struct loop_timer *timer;
	int fd;
};

static void
on_timer(void *arg, struct mono now)
{
	struct seen *s = arg;

	s->n++;
	s->now = now;
}

static void
test_stop(void)
{
	struct mono before = mono_now();

	loop_stop(loop);
	EQ_INT(loop_run(loop), 0, "stopped before it ran: returns at once");
	EQ_INT(loop_for(loop, 20 * MONO_MS), 0, "and runs again");
	OK(mono_diff(mono_now(), before) >= 20 * MONO_MS, "for its time");
}

static void
test_timer(void)
{
	struct seen s = { 0 };
	struct loop_timer *t = loop_timer_new(loop, on_timer, &s);
	struct mono at;
	int64_t late = INT64_MAX;

	/* A loaded machine gets other tries: lateness is ours only if it
	 * repeats. */
	for (int i = 0; i < 100 && late >= 15 * MONO_MS; i++) {
		s.n = 0;
		at = mono_add(mono_now(), 10 * MONO_MS);
		loop_timer_at(t, at);
		(void)loop_for(loop, 30 * MONO_MS);
		late = mono_diff(s.now, at);
	}
	EQ_INT(s.n, 1, "fires once");
	OK(late >= 0, "not early");
	OK(late < 15 * MONO_MS, "nor late: %lld us", (long long)late);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 1, "is a one-shot");

	loop_timer_in(t, MONO_MS);
	loop_timer_at(t, MONO_NEVER);
	loop_timer_at(t, MONO_NEVER);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 1, "disarmed");

	loop_timer_in(t, MONO_MS);
	loop_timer_in(t, 10 * MONO_SEC);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 1, "moved away");
	loop_timer_in(t, MONO_MS);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 2, "moved nearer");

	loop_timer_at(t, (struct mono){ 0 });
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 3, "the past fires");
	loop_timer_free(t);
	loop_timer_free(NULL);
}

/* Sub-millisecond timers, as QUIC pacing needs them. */
static void
test_timer_precise(void)
{
	struct seen s = { 0 };
	struct loop_timer *t = loop_timer_new(loop, on_timer, &s);
	int64_t late, best = INT64_MAX;

	for (int i = 0; i < 1000 && best >= 500; i++) {
		struct mono at = mono_add(mono_now(), 300);

		loop_timer_at(t, at);
		(void)loop_for(loop, 2 * MONO_MS);
		late = mono_diff(s.now, at);
		best = late >= 0 && late < best ? late : best;
	}
	OK(best < 500, "300 us timer, at best %lld us late", (long long)best);
	loop_timer_free(t);
}

static int order[N_TIMERS];
static int n_order;

static void
on_ordered(void *arg, struct mono now)
{
	(void)now;
	order[n_order++] = *(int *)arg;
}

static void
test_timer_order(void)
{
	struct loop_timer *t[N_TIMERS];
	int key[N_TIMERS];
	struct mono base = mono_add(mono_now(), 2 * MONO_MS);
	bool good = true;

	srandom(1);
	for (int i = 0; i < N_TIMERS; i++) {
		key[i] = (int)(random() % 5000);
		t[i] = loop_timer_new(loop, on_ordered, &key[i]);
		loop_timer_at(t[i], mono_add(base, random() % 5000));
		loop_timer_at(t[i], mono_add(base, key[i]));
	}
	for (int i = 0; i < N_TIMERS; i += 3)
		loop_timer_at(t[i], MONO_NEVER);
	for (int i = 0; i < N_TIMERS; i += 6)
		loop_timer_at(t[i], mono_add(base, key[i]));
	n_order = 0;
	(void)loop_for(loop, 12 * MONO_MS);
	EQ_INT(n_order, N_TIMERS - 17, "all armed ones fire");
	for (int i = 1; i < n_order; i++)
		if (order[i - 1] > order[i])
			good = false;
	OK(good, "in order of time");
	for (int i = 0; i < N_TIMERS; i++)
		loop_timer_free(t[i]);
}

static void
on_rearm(void *arg, struct mono now)
{
	struct seen *s = arg;

	OK(s->n == 0 || mono_before(s->now, now), "next turn has a later time");
	s->now = now;
	if (++s->n < 3)
		loop_timer_at(s->timer, now); /* the past, from inside */
}

static void
on_stop_third(void *arg, struct mono now)
{
	struct seen *s = arg;

	if (++s->n == 3)
		loop_stop(loop);
	else
		loop_timer_at(s->timer, mono_add(now, -1));
}

static void
on_free_self(void *arg, struct mono now)
{
	struct seen *s = arg;

	(void)now;
	s->n++;
	loop_timer_free(s->timer);
}

static void
test_timer_inside(void)
{
	struct seen s = { 0 };

	s.timer = loop_timer_new(loop, on_rearm, &s);
	loop_timer_in(s.timer, 0);
	(void)loop_for(loop, 10 * MONO_MS);
	EQ_INT(s.n, 3, "rearmed in its own callback");
	loop_timer_free(s.timer);

	memset(&s, 0, sizeof(s));
	s.timer = loop_timer_new(loop, on_free_self, &s);
	loop_timer_in(s.timer, 0);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 1, "freed in its own callback");
}

/* What means "next turn" needs neither a wait nor the kernel's timer. */
static void
test_timer_due(void)
{
	struct seen s = { 0 };
	struct mono armed = loop->timers.armed;

	s.timer = loop_timer_new(loop, on_stop_third, &s);
	loop_timer_in(s.timer, -1);
	EQ_INT(loop_timer_arm(loop), 1, "a due timer: no wait");
	EQ_INT(loop->timers.armed.us, armed.us, "the timerfd is left alone");
	EQ_INT(loop_run(loop), 0, "timers of the past alone");
	EQ_INT(s.n, 3, "one after the other");
	loop_timer_free(s.timer);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct seen *s = arg;
	char buf[16];

	s->n++;
	s->events |= events;
	s->now = now;
	if ((events & LOOP_READ) != 0 && read(s->fd, buf, sizeof(buf)) <= 0)
		loop_io_set(s->io, 0);
}

static void
test_io(void)
{
	struct seen s = { 0 };
	int peer;

	if (fd_seqpacket_pair(&s.fd, &peer, 0) < 0)
		return;
	s.io = loop_io_new(loop, s.fd, on_io, &s);
	EQ_INT(write(peer, "x", 1), 1, "a byte is there");
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.n, 0, "no interest at first");
	loop_io_set(s.io, LOOP_READ);
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.n, 1, "readable, until read");
	EQ_INT(s.events, LOOP_READ, "and nothing else");

	s.events = 0;
	loop_io_set(s.io, LOOP_WRITE);
	EQ_INT(write(peer, "y", 1), 1, "a byte is there");
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.events, LOOP_WRITE, "interest replaced");
	OK(s.n > 2, "level-triggered");
	s.events = 0;
	loop_io_set(s.io, LOOP_READ | LOOP_WRITE);
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.events, LOOP_READ | LOOP_WRITE, "both");

	s.n = 0;
	s.events = 0;
	loop_io_set(s.io, LOOP_READ);
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.n, 0, "nothing to read");
	fd_close(&peer);
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.n, 1, "a hang-up is told once, as interest ended");
	EQ_INT(s.events, LOOP_READ, "as what was asked for");
	s.events = 0;
	loop_io_set(s.io, LOOP_WRITE);
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s.events, LOOP_WRITE, "here too");
	loop_io_free(s.io);
	loop_io_free(NULL);
	fd_close(&s.fd);
}

static void
on_io_free_both(void *arg, unsigned events, struct mono now)
{
	struct seen *pair = arg;

	(void)events;
	(void)now;
	pair[0].n++;
	loop_io_free(pair[0].io);
	loop_io_free(pair[1].io);
}

/* Whichever of two ready ones runs first frees itself and the other. */
static void
test_io_free_inside(void)
{
	struct seen s[2] = { { 0 }, { 0 } };

	if (fd_seqpacket_pair(&s[0].fd, &s[1].fd, 0) < 0)
		return;
	for (int i = 0; i < 2; i++) {
		s[i].io = loop_io_new(loop, s[i].fd, on_io_free_both, s);
		EQ_INT(write(s[1 - i].fd, "x", 1), 1, "byte");
	}
	for (int i = 0; i < 2; i++)
		loop_io_set(s[i].io, LOOP_READ | LOOP_WRITE);
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(s[0].n, 1, "no callback after free");
	fd_close(&s[0].fd);
	fd_close(&s[1].fd);
}

static void
on_always(void *arg, unsigned events, struct mono now)
{
	struct seen *s = arg;

	(void)now;
	s->n++;
	s->events |= events;
	if (s->n == 3)
		loop_io_set(s->io, LOOP_READ);
	else if (s->n == 5)
		loop_io_set(s->io, 0);
	else if (s->n == 6)
		loop_io_free(s->io);
}

/* epoll refuses /dev/null; it counts as always ready. */
static void
test_io_always(void)
{
	struct seen s = { .fd = open("/dev/null", O_RDWR | O_CLOEXEC) };

	s.io = loop_io_new(loop, s.fd, on_always, &s);
	loop_io_set(s.io, LOOP_READ | LOOP_WRITE);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 5, "ready each turn until interest ends");
	EQ_INT(s.events, LOOP_READ | LOOP_WRITE, "as asked for");
	loop_io_set(s.io, LOOP_WRITE);
	(void)loop_for(loop, 5 * MONO_MS);
	EQ_INT(s.n, 6, "freed in its callback");
	fd_close(&s.fd);
}

static struct mono turn_times[64];
static int n_turns, n_ends;

static void
on_turn_io(void *arg, unsigned events, struct mono now)
{
	char c;

	(void)events;
	if (n_turns < 64)
		turn_times[n_turns++] = now;
	EQ_INT(read(*(int *)arg, &c, 1), 1, "read one");
	(void)usleep(1000);
	EQ_INT(loop_now(loop).us, now.us, "the time stands still in a turn");
}

static void
on_turn_end(void *arg, struct mono now)
{
	int *calls = arg;

	if (n_turns == 2 && n_ends == 0) {
		n_ends = 1;
		EQ_INT(now.us, turn_times[0].us, "hook gets the turn's time");
		EQ_INT(turn_times[0].us, turn_times[1].us,
		    "as both callbacks did");
	}
	(*calls)++;
}

static void
test_turn(void)
{
	int a[2], b[2], calls = 0, kept;
	struct loop_io *x, *y;
	struct mono before;

	if (pipe(a) != 0 || pipe(b) != 0)
		return;
	x = loop_io_new(loop, a[0], on_turn_io, &a[0]);
	y = loop_io_new(loop, b[0], on_turn_io, &b[0]);
	loop_io_set(x, LOOP_READ);
	loop_io_set(y, LOOP_READ);
	EQ_INT(write(a[1], "1", 1) + write(b[1], "1", 1), 2, "two ready");
	loop_set_turn_end(loop, on_turn_end, &calls);
	(void)loop_for(loop, 10 * MONO_MS);
	EQ_INT(n_ends, 1, "one hook after both callbacks");
	OK(calls >= 2, "and one after the stop");
	loop_set_turn_end(loop, NULL, NULL);
	kept = calls;
	(void)loop_for(loop, MONO_MS);
	EQ_INT(calls, kept, "the hook can be removed");
	before = loop_now(loop);
	(void)usleep(1000);
	OK(mono_before(before, loop_now(loop)), "time runs outside of turns");
	loop_io_free(x);
	loop_io_free(y);
	for (int i = 0; i < 2; i++) {
		fd_close(&a[i]);
		fd_close(&b[i]);
	}
}

static int signals;

static void
on_signal(void *arg, int signo, struct mono now)
{
	struct loop_signal **s = arg;

	OK(now.us > 0, "signal has a time");
	EQ_INT(signo, SIGUSR1, "signal number");
	if (++signals == 2)
		loop_signal_free(*s);
}

static void
test_signal(void)
{
	struct loop_signal *s = loop_signal_new(loop, SIGUSR1, on_signal, &s);

	EQ_INT(raise(SIGUSR1), 0, "raise");
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(signals, 1, "delivered");
	EQ_INT(raise(SIGUSR1), 0, "raise");
	(void)loop_for(loop, 2 * MONO_MS);
	EQ_INT(signals, 2, "freed in its callback");
	loop_signal_free(NULL);
}

int
main(void)
{
	loop = loop_new();
	if (!OK(loop != NULL, "new"))
		return tap_done();
	test_stop();
	test_timer();
	test_timer_precise();
	test_timer_order();
	test_timer_inside();
	test_timer_due();
	test_io();
	test_io_free_inside();
	test_io_always();
	test_turn();
	test_signal();
	loop_free(loop);
	loop_free(NULL);
	return tap_done();
}
