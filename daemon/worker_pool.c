/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_pool.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "daemon/worker_state.h"

static void
reaped(struct worker_pool *pool, pid_t pid, int status, struct mono now)
{
	struct worker *w;

	if (worker_spare_reaped(&pool->spare, pid))
		return;
	LIST_FOREACH(w, &pool->workers, entry) {
		if (w->pid == pid) {
			worker_reaped(w, status, now);
			return;
		}
	}
}

static void
on_sigchld(void *arg, int signo, struct mono now)
{
	struct worker_pool *pool = arg;
	int status;
	pid_t pid;

	(void)signo;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		reaped(pool, pid, status, now);
}

struct worker_pool *
worker_pool_new(struct loop *loop, const struct worker_programs *programs)
{
	struct worker_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->loop = loop;
	LIST_INIT(&pool->workers);
	pool->programs = *programs;
	pool->sigchld = loop_signal_new(loop, SIGCHLD, on_sigchld, pool);
	if (pool->sigchld != NULL &&
	    worker_spare_init(&pool->spare, loop, &pool->programs) == 0)
		return pool;
	loop_signal_free(pool->sigchld);
	free(pool);
	return NULL;
}

void
worker_pool_free(struct worker_pool *pool)
{
	struct worker *w, *next;

	if (pool == NULL)
		return;
	LIST_FOREACH_SAFE(w, &pool->workers, entry, next) {
		if (w->pid > 0)
			(void)kill(w->pid, SIGKILL);
		worker_bury(w);
	}
	worker_spare_fini(&pool->spare);
	loop_signal_free(pool->sigchld);
	free(pool);
}

void
worker_pool_prepare(struct worker_pool *pool, bool wanted)
{
	worker_spare_want(&pool->spare, wanted);
}

void
worker_pool_flush(struct worker_pool *pool)
{
	worker_batch_flush(&pool->batch);
}

size_t
worker_pool_count(const struct worker_pool *pool)
{
	return pool->count;
}

void
worker_pool_each(const struct worker_pool *pool,
    void (*cb)(void *arg, enum ipc_role role, uint32_t id, pid_t pid),
    void *arg)
{
	const struct worker *w;

	LIST_FOREACH(w, &pool->workers, entry)
		if (!w->abandoned && w->pid > 0)
			cb(arg, w->p.role, w->p.id, w->pid);
}
