/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the loop share; for lib/loop*.c and their test only. */
#ifndef LIB_LOOP_INTERNAL_H
#define LIB_LOOP_INTERNAL_H

#include <stdbool.h>
#include <sys/stat.h>

#include "lib/loop.h"
#include "lib/queue.h"

struct event;
struct event_base;
struct evdns_base;
struct loop_query;

/* Armed timers as a binary heap, earliest first, behind one timerfd. */
struct loop_timers {
	struct loop_timer **heap;
	size_t n;          /* armed */
	size_t cap;        /* room in heap; at least total */
	size_t total;      /* timers that exist */
	int fd;            /* timerfd */
	struct mono armed; /* what fd is set to; MONO_NEVER after it fired */
	struct event *event;
};

/* The resolver; dns is NULL until the first name is looked up. */
struct loop_dns {
	struct evdns_base *dns;
	bool has_servers;
	const char *resolv_conf;
	const char *hosts;
	struct stat resolv_conf_stat; /* of what dns was made from */
	struct stat hosts_stat;
	/* Those evdns still knows. */
	LIST_HEAD(loop_query_list, loop_query) queries;
};

struct loop {
	struct event_base *base;
	bool stop;
	bool now_valid; /* now is the time of this turn */
	struct mono now;
	void (*turn_end)(void *arg, struct mono now);
	void *turn_end_arg;
	struct loop_timers timers;
	struct loop_dns dns;
};

/** loop_turn_now(): for callbacks: the time of this turn, read if need be. */
struct mono loop_turn_now(struct loop *l);

/** loop_timer_setup(): 0 or -errno; on failure nothing is left to undo. */
int loop_timer_setup(struct loop *l);
void loop_timer_teardown(struct loop *l);
/** loop_timer_arm(): before waiting: set the timerfd.  Returns 0, 1 if a timer
 * is due already (do not wait), or -errno. */
int loop_timer_arm(struct loop *l);
/** loop_timer_run(): call the timers that are due. */
void loop_timer_run(struct loop *l);

void loop_lookup_setup(struct loop *l);
/** loop_lookup_set_files(): for tests; static strings. */
void loop_lookup_set_files(
    struct loop *l, const char *resolv_conf, const char *hosts);
void loop_lookup_teardown(struct loop *l);

#endif
