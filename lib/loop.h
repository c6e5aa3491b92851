/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The event loop: a thin face over libevent, the only module that includes it.
 * One loop and one thread per process.  The time is read once per wake-up and
 * handed to every callback of that turn.
 *
 * A callback may free any handle, its own included.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/mono.h"

struct loop;
struct loop_io;
struct loop_timer;
struct loop_signal;
struct loop_lookup;

#define LOOP_READ 1u
#define LOOP_WRITE 2u

/** loop_new(): returns NULL when memory or descriptors are out. */
struct loop *loop_new(void);
/** loop_free(): all handles must be freed before.  NULL is fine. */
void loop_free(struct loop *l);

/** loop_run(): dispatch until loop_stop().  Returns 0 or -DT_ERR_INTERNAL. */
int loop_run(struct loop *l);
/** loop_stop(): make loop_run() return after this turn. */
void loop_stop(struct loop *l);
/** loop_now(): the time of this turn (read afresh outside of callbacks). */
struct mono loop_now(struct loop *l);

/**
 * loop_set_turn_end(): run @cb once after the callbacks of each turn, for work
 * worth batching (coalesced writes).  One per loop; NULL removes it.
 */
void loop_set_turn_end(
    struct loop *l, void (*cb)(void *arg, struct mono now), void *arg);

/**
 * loop_io_new(): watch a descriptor; interest starts empty.
 * @fd: stays owned by the caller; free the handle before closing it.
 * @cb: gets the ready ones of LOOP_READ and LOOP_WRITE, in one call or in two
 *      of the same turn (errors and hang-ups are reported as what was asked
 *      for, so that read or write sees them).  Descriptors that cannot be
 *      polled, like /dev/null and regular files, are always ready.
 *
 * Returns NULL when memory is out.
 */
struct loop_io *loop_io_new(struct loop *l, int fd,
    void (*cb)(void *arg, unsigned events, struct mono now), void *arg);
/** loop_io_set(): replace the interest; level-triggered; cheap if unchanged. */
void loop_io_set(struct loop_io *io, unsigned events);
void loop_io_free(struct loop_io *io);

/** loop_timer_new(): a disarmed one-shot timer; NULL when memory is out. */
struct loop_timer *loop_timer_new(
    struct loop *l, void (*cb)(void *arg, struct mono now), void *arg);
/** loop_timer_at(): arm or move; MONO_NEVER disarms; the past fires next turn.
 */
void loop_timer_at(struct loop_timer *t, struct mono at);
/** loop_timer_in(): arm @us microseconds from the time of this turn. */
void loop_timer_in(struct loop_timer *t, int64_t us);
void loop_timer_free(struct loop_timer *t);

/** loop_signal_new(): deliver @signo as an event; NULL when memory is out. */
struct loop_signal *loop_signal_new(struct loop *l, int signo,
    void (*cb)(void *arg, int signo, struct mono now), void *arg);
void loop_signal_free(struct loop_signal *s);

/* Most addresses a lookup gives. */
#define LOOP_MAX_ADDRS 8

/**
 * loop_lookup(): resolve a host name without blocking (hosts file and DNS, A
 * and AAAA; literals answer too).  The first one opens files and sockets, so
 * confined workers cannot.
 * @host: name or literal.
 * @port: copied into every result.
 * @cb: called exactly once, never before loop_lookup() returned, with @n > 0
 *      addresses and r 0, or with @n 0 and -DT_ERR_RESOLVE or -DT_ERR_TIMEOUT
 *      (after 5 s).  The handle is gone when @cb runs.
 *
 * Returns NULL when memory is out.
 */
struct loop_lookup *loop_lookup(struct loop *l, const char *host, uint16_t port,
    void (*cb)(void *arg, int r, const struct addr *addrs, size_t n),
    void *arg);
/** loop_lookup_cancel(): @cb will not be called.  NULL is fine. */
void loop_lookup_cancel(struct loop_lookup *q);

#endif
