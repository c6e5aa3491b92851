/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who waits for an answer, when there is room for few: no uid may have all the
 * places, and the last ones are for those whose business it is.
 */
#ifndef DAEMON_PLACES_H
#define DAEMON_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PLACES_MAX 16
/* Of one uid other than root's and the daemon's. */
#define PLACES_MAX_UID 4
/* Left for root, the daemon's uid and the owner's. */
#define PLACES_RESERVED 4

/* Owner: the embedding struct.  Zeroed: all are free. */
struct places {
	size_t n;
	uid_t uids[PLACES_MAX];
};

/**
 * places_take(): the next one, p->n before, for @uid.
 * @owner: whose thing it is about.
 * @own: the daemon's uid.
 *
 * Returns whether there was one.
 */
bool places_take(struct places *p, uid_t uid, uid_t owner, uid_t own);

#endif
