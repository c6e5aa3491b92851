/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session's program that was started before it is needed: confined, it waits
 * for its boot message.  Starting it takes longer than all the rest of a
 * session's birth.
 */
#ifndef DAEMON_WORKER_SPARE_H
#define DAEMON_WORKER_SPARE_H

#include <stdbool.h>
#include <sys/types.h>

#include "daemon/worker_spawn.h"
#include "lib/loop.h"

/* After one was taken, before the next is started: the session that took it is
 * being set up, and every processor may be busy with that. */
#define WORKER_SPARE_PAUSE_US (50 * MONO_MS)
/* How long it is kept by a daemon without anything to do. */
#define WORKER_SPARE_KEEP_US (60 * MONO_SEC)

/* Owner: the pool of workers. */
struct worker_spare {
	const struct worker_programs *programs;
	struct worker_child child;
	struct loop_timer *birth;
	struct loop_timer *leave;
	bool wanted;
};

/** worker_spare_init(): none yet, not wanted.  @programs: must live as long.
 * Returns 0 or -ENOMEM. */
int worker_spare_init(struct worker_spare *s, struct loop *loop,
    const struct worker_programs *programs);
/** worker_spare_fini(): kills it. */
void worker_spare_fini(struct worker_spare *s);

/**
 * worker_spare_want(): may be called any number of times.
 * @wanted: true: start one now, unless there is one; a failure only means that
 * it is not ready.  false: nothing needs one now; it goes, or is started no
 * more, after WORKER_SPARE_KEEP_US of that.
 */
void worker_spare_want(struct worker_spare *s, bool wanted);

/** worker_spare_take(): it, if there is one: false if not.  Another one follows
 * after WORKER_SPARE_PAUSE_US. */
bool worker_spare_take(struct worker_spare *s, struct worker_child *ret_child);

/** worker_spare_reaped(): was it this process?  Forgets it then. */
bool worker_spare_reaped(struct worker_spare *s, pid_t pid);

#endif
