/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Closing descriptors that came from others, which may take for ever, without
 * the loop waiting for it.  One per process.
 *
 * While it is there, fd_close() hands what was adopted to it and closes all
 * else itself.
 */
#ifndef DAEMON_CLOSER_H
#define DAEMON_CLOSER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/loop.h"

/* Users whose descriptors are closed apart from those of others, times kinds;
 * those beyond share the last.  With all their threads and all workers the
 * daemon stays below TasksMax= of its unit. */
#define CLOSER_MAX_LANES 32
/* Calls of close() that may hang for one user before no more is taken: one file
 * system of an honest user that is away shall not end the service. */
#define CLOSER_MAX_THREADS 4
/* Nor when so many wait: before the threads are known to hang, they must not
 * use up all descriptors.  Far more than ever wait otherwise. */
#define CLOSER_MAX_WAITING 256
/* What takes longer than this gets another thread beside it. */
#define CLOSER_STALL_US (100 * MONO_MS)
/* Threads that have nothing to do end after this. */
#define CLOSER_LINGER_S 1
/* closer_fini() waits so long for what is being closed. */
#define CLOSER_END_US (100 * MONO_MS)

enum closer_kind {
	CLOSER_GIVEN,     /* what somebody attached to a line */
	CLOSER_CONNECTION /* a UNIX socket, which may hold such unread */
};

/** closer_init(): begin.  Returns 0 or -ENOMEM. */
int closer_init(struct loop *loop);
/**
 * closer_fini(): end, before the loop does; adopted descriptors are like all
 * others from then on.
 *
 * Returns how many threads hang in close().  The process cannot end before they
 * do, and must not call what waits for threads, as exit() may.
 */
size_t closer_fini(void);

/**
 * closer_adopt(): @fd came from @uid.
 * Returns 0 or -ENOMEM: it is closed as all others then.
 */
int closer_adopt(int fd, uid_t uid, enum closer_kind kind);

/** closer_may_take(): may more come from @uid?  Not while as many as we allow
 * hang, or wait; from nobody when as many as one line can have might bring
 * those that came from others to half of all that this process may have: the
 * kernel would release what finds no room, in this thread. */
bool closer_may_take(uid_t uid);
/** closer_connections(): of @uid, that wait to be closed. */
size_t closer_connections(uid_t uid);
/** closer_waiting(): descriptors of all users, not yet being closed. */
size_t closer_waiting(enum closer_kind kind);

#endif
