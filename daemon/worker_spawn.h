/* SPDX-License-Identifier: BSD-3-Clause */
/* fork and exec of a worker with its two channels in place. */
#ifndef DAEMON_WORKER_SPAWN_H
#define DAEMON_WORKER_SPAWN_H

#include <sys/types.h>

#include "proto/ipc/ipc.h"

/* The programs of the workers, open for execution.  Owner: main. */
struct worker_programs {
	int gate;    /* O_PATH */
	int session; /* O_PATH */
};

/**
 * worker_programs_open(): open derptun-gate and derptun-session in @dir.  To be
 * done before root is dropped: the user we become may not reach the folder.
 *
 * Returns 0, or -errno.
 */
int worker_programs_open(const char *dir, struct worker_programs *ret_programs);

/**
 * worker_spawn(): start a worker with @control as fd 3 and @packets as fd 4.
 * Nothing else but standard error survives, the environment is ours, the worker
 * is killed when we die.
 * @role: which of @programs.
 * @control, @packets: the worker's ends; stay the caller's to close.
 *
 * Returns 0 or -errno.  A failed exec shows as exit status WORKER_SPAWN_FAILED.
 */
int worker_spawn(const struct worker_programs *programs, enum ipc_role role,
    int control, int packets, pid_t *ret_pid);

/* As shells say it; above everything in proto/ipc/exitcode.h. */
#define WORKER_SPAWN_FAILED 127

#endif
