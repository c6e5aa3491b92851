/* SPDX-License-Identifier: BSD-3-Clause */
/* All workers of the daemon: kept, reaped, counted; and one to spare. */
#ifndef DAEMON_WORKER_POOL_H
#define DAEMON_WORKER_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/worker_spawn.h"
#include "lib/loop.h"
#include "proto/ipc/ipc.h"

struct worker_pool;

/**
 * worker_pool_new(): @programs is copied; the descriptors stay the caller's.
 * Returns NULL when memory is out.
 */
struct worker_pool *worker_pool_new(
    struct loop *loop, const struct worker_programs *programs);
/** worker_pool_free(): kills what is left and does not wait for it. */
void worker_pool_free(struct worker_pool *pool);

/**
 * worker_pool_prepare(): have a session worker started that waits for its boot
 * message, as worker_spare_want().
 */
void worker_pool_prepare(struct worker_pool *pool, bool wanted);

/** worker_pool_flush(): at the end of each turn. */
void worker_pool_flush(struct worker_pool *pool);
/** worker_pool_count(): processes not yet reaped. */
size_t worker_pool_count(const struct worker_pool *pool);
/** worker_pool_each(): visit all that have an owner. */
void worker_pool_each(const struct worker_pool *pool,
    void (*cb)(void *arg, enum ipc_role role, uint32_t id, pid_t pid),
    void *arg);

#endif
