/* SPDX-License-Identifier: BSD-3-Clause */
/* Waiting times between attempts: doubling, capped, with jitter.  Pure. */
#ifndef DAEMON_BACKOFF_H
#define DAEMON_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

struct backoff {
	int64_t first_us; /* first real waiting time */
	int64_t max_us;
	int64_t next_us; /* base of the next one */
	bool at_once;    /* the first retry does not wait */
	bool used;       /* at_once was given since the last reset */
};

/**
 * backoff_init(): @first_us doubles up to @max_us.
 * @at_once: the first waiting time after a reset is 0.
 */
void backoff_init(
    struct backoff *b, int64_t first_us, int64_t max_us, bool at_once);

/** backoff_next(): how long to wait now, within 75 % .. 125 % of the base. */
int64_t backoff_next(struct backoff *b);

/** backoff_reset(): things went well. */
void backoff_reset(struct backoff *b);

#endif
