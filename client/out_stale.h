/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a receiver that was killed left behind: files and folders with a hidden
 * name of out_target_temp()'s.  Whoever writes into one holds a lock on it, so
 * that the next receiver knows which are dead.
 */
#ifndef CLIENT_OUT_STALE_H
#define CLIENT_OUT_STALE_H

#include <time.h>

#include "client/out_target.h"

/* In one sweep, which the sender waits for: names that are looked at, some
 * 10 ms, and files and folders that are removed, about 0.2 s; the rest is for
 * the next one. */
#define OUT_STALE_MAX_SEEN 20000
#define OUT_STALE_MAX_REMOVED 20000
/* Seconds in which nothing was written to what may belong to another machine.
 */
#define OUT_STALE_AGE ((time_t)7 * 24 * 3600)
/* Of making something that is not removed at once. */
#define OUT_STALE_TRIES 8

/** out_stale_name(): out_target_temp() for that folder. */
int out_stale_name(
    const struct out_target *target, char ret_name[static OUT_TARGET_TEMP]);

/**
 * out_stale_hold(): @fd, just made under the name @temp, is in use until it and
 * its copies are closed.
 * @temp: "" for a file without a name.
 *
 * Returns 0, also where there are no locks; -EAGAIN: it is being removed, make
 * another one.
 */
int out_stale_hold(const struct out_target *target, const char *temp, int fd);

/**
 * out_stale_sweep(): remove what is ours and dead from the target's folder.
 * Only regular files and folders of this user, with such a name, whose lock is
 * free; only on file systems of this machine, in folders where nobody else can
 * rename them, and not what is mounted there.  What is not of this machine, or
 * from before it was started, must be OUT_STALE_AGE old, too: its lock may be
 * another machine's, whose file system this is over a network.  No link is
 * followed.  Failures are nobody's concern.
 */
void out_stale_sweep(const struct out_target *target);

#endif
