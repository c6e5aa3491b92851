/* SPDX-License-Identifier: BSD-3-Clause */
/* fork and exec of a worker with its two channels in place. */
#ifndef DAEMON_WORKER_SPAWN_H
#define DAEMON_WORKER_SPAWN_H

#include <sys/types.h>

/**
 * worker_spawn(): start @dir/derptun-@role with @control as fd 3 and @packets
 * as fd 4. Nothing else but standard error survives, the environment is ours,
 * the worker is killed when we die.
 * @control, @packets: the worker's ends; stay the caller's to close.
 *
 * Returns 0 or -errno.  A failed exec shows as exit status WORKER_SPAWN_FAILED.
 */
int worker_spawn(const char *dir, const char *role, int control, int packets,
    pid_t *ret_pid);

/* "DIR/derptun-ROLE" */
#define WORKER_SPAWN_MAX_PATH 544

/* As shells say it; above everything in proto/ipc/exitcode.h. */
#define WORKER_SPAWN_FAILED 127

#endif
