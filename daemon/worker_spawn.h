/* SPDX-License-Identifier: BSD-3-Clause */
/* Fork and exec of workers with their two channels in place. */
#ifndef DAEMON_WORKER_SPAWN_H
#define DAEMON_WORKER_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/ipc/ipc.h"

/* The programs of the workers, open for execution.  Owner: main. */
struct worker_programs {
	int gate;    /* O_PATH */
	int session; /* O_PATH */
	int portmap; /* O_PATH */
};

/**
 * worker_programs_open(): open derptun-gate and its like in @dir.  To be done
 * before root is dropped: the user we become may not reach the folder.  And
 * before descriptors come from others: the lowest 64 numbers are taken, so that
 * none of those lands there.
 *
 * Returns 0, or -errno.
 */
int worker_programs_open(const char *dir, struct worker_programs *ret_programs);

/* A process that waits for its boot message.  Owner: whoever started it. */
struct worker_child {
	pid_t pid;   /* 0: none */
	int control; /* our ends of the channels */
	int packets;
};

/**
 * worker_spawn(): start a worker with the channels as its fds 3 and 4.  Nothing
 * else but standard error survives, the environment is ours, the worker is
 * killed when we die.
 * @role: which of @programs.
 *
 * Returns 0 or -errno.  A failed exec shows as exit status WORKER_SPAWN_FAILED.
 */
int worker_spawn(const struct worker_programs *programs, enum ipc_role role,
    struct worker_child *ret_child);

/** worker_role_name(): "gate", "session", "portmap". */
const char *worker_role_name(enum ipc_role role);

extern const struct worker_child worker_spawn_none;

/** worker_spawn_take(): move @child, leaving none; false if there is none. */
bool worker_spawn_take(
    struct worker_child *child, struct worker_child *ret_child);

/** worker_spawn_close(): kill and forget a child, which is still to be reaped.
 * None is fine. */
void worker_spawn_close(struct worker_child *child);

/** worker_spawn_reaped(): was it this child?  Forgets it then. */
bool worker_spawn_reaped(struct worker_child *child, pid_t pid);

/* As shells say it; above everything in proto/ipc/exitcode.h. */
#define WORKER_SPAWN_FAILED 127

#endif
