/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of workers share; for daemon/worker.c and worker_pool.c. */
#ifndef DAEMON_WORKER_STATE_H
#define DAEMON_WORKER_STATE_H

#include "daemon/worker.h"
#include "daemon/worker_batch.h"
#include "daemon/worker_pool.h"
#include "daemon/worker_spare.h"
#include "lib/chan.h"
#include "lib/queue.h"
#include "lib/ratelimit.h"

/* Owner: the pool. */
struct worker {
	LIST_ENTRY(worker) entry;
	struct worker_pool *pool;
	struct worker_params p; /* boot is NULL after birth */
	pid_t pid;              /* 0: reaped */
	pid_t last_pid;         /* for the log, once reaped */
	int wait_status;
	struct chan *control;     /* NULL: closed */
	struct chan *packets;     /* NULL: closed */
	struct loop_timer *timer; /* birth, then kill, then drain */
	struct ratelimit logs;
	uint32_t seq;
	bool born;
	bool stopping;
	bool stop_sent;
	bool abandoned;
	bool has_reason; /* by ENDED or by our verdict; the first one counts */
	struct ipc_reason reason;
};

struct worker_pool {
	struct loop *loop;
	struct loop_signal *sigchld;
	LIST_HEAD(worker_list, worker) workers;
	size_t count;
	struct worker_programs programs;
	struct worker_spare spare; /* of a session */
	struct worker_batch batch;
};

/** worker_reaped(): its process ended with @status; may free it. */
void worker_reaped(struct worker *w, int status, struct mono now);
/** worker_bury(): free it, and its place in the pool. */
void worker_bury(struct worker *w);

#endif
