/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A worker is BORN by fork and exec with its boot message already queued, RUNS
 * from its BORN message on, and is STOPPING from the first of: STOP, ENDED, a
 * violation, a deadline, EOF.  It is gone when the process was reaped and both
 * channels were read to their end, because its last packets (a close of the
 * QUIC connection) and last words still count.
 *
 * The owner hears of the end once, through gone().  An abandoned worker has no
 * owner; the pool buries it.
 */
#include "daemon/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/worker_exit.h"
#include "daemon/worker_log.h"
#include "daemon/worker_state.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

/* Control messages queued for one worker; boot messages are the largest. */
#define WORKER_MAX_QUEUED ((size_t)256 * 1024)
/* Log lines a second; workers keep to it themselves unless taken over. */
#define WORKER_LOG_RATE 50
#define WORKER_LOG_BURST 200
/* After the process was reaped, for reading what it left. */
#define WORKER_DRAIN_US (200 * MONO_MS)

static void
set_reason(struct worker *w, int code, const char *text)
{
	if (w->has_reason)
		return;
	w->has_reason = true;
	w->reason.code = code;
	(void)snprintf(w->reason.text, sizeof(w->reason.text), "%s", text);
}

static void
close_packets(struct worker *w)
{
	worker_batch_forget(&w->pool->batch, w->packets);
	chan_free(w->packets);
	w->packets = NULL;
}

void
worker_bury(struct worker *w)
{
	struct worker_pool *pool = w->pool;

	close_packets(w);
	LIST_REMOVE(w, entry);
	pool->count--;
	loop_timer_free(w->timer);
	chan_free(w->control);
	free(w);
}

/* For a worker without last words of its own. */
static void
reason_from_status(struct worker *w)
{
	char text[WORKER_EXIT_MAX_TEXT];

	if (w->has_reason)
		return;
	worker_exit_text(w->wait_status, text);
	if (!w->stop_sent)
		log_err("worker", "%s session=%u role=%s pid=%d", text, w->p.id,
		    worker_role_name(w->p.role), (int)w->last_pid);
	set_reason(w, w->stop_sent ? 0 : -DT_ERR_WORKER_LOST, text);
}

/* May free @w. */
static void
check_gone(struct worker *w, struct mono now)
{
	struct ipc_reason reason;

	if (w->pid != 0 || w->control != NULL || w->packets != NULL)
		return;
	reason_from_status(w);
	reason = w->reason;
	if (w->abandoned) {
		worker_bury(w);
		return;
	}
	w->abandoned = true; /* gone() is the last callback */
	w->p.gone(w->p.arg, reason.code, reason.text, now);
	worker_bury(w);
}

static void
close_control(struct worker *w, struct mono now)
{
	chan_free(w->control);
	w->control = NULL;
	check_gone(w, now);
}

static void
begin_stop(struct worker *w, int64_t grace_us)
{
	if (w->stopping)
		return;
	w->stopping = true;
	/* A paused channel would never be read to its end. */
	if (w->packets != NULL)
		chan_pause(w->packets, false);
	loop_timer_in(w->timer, grace_us);
}

static void
kill_now(struct worker *w)
{
	begin_stop(w, WORKER_GRACE_US);
	if (w->pid > 0)
		(void)kill(w->pid, SIGKILL); /* ours and not yet reaped */
}

void
worker_kill(struct worker *w, const char *why)
{
	set_reason(w, -DT_ERR_IPC, why);
	log_err("worker", "killing worker: %s session=%u role=%s pid=%d", why,
	    w->p.id, worker_role_name(w->p.role), (int)w->pid);
	kill_now(w);
}

static void
on_timer(void *arg, struct mono now)
{
	struct worker *w = arg;

	if (w->pid == 0) { /* it left the channels to somebody: cut them */
		close_packets(w);
		close_control(w, now);
		return;
	}
	if (!w->stop_sent)
		set_reason(w, -DT_ERR_WORKER_LOST,
		    w->born ? "worker did not end" : "worker was not born");
	log_warn("worker", "killing worker that %s session=%u role=%s pid=%d",
	    w->born ? "does not end" : "was not born", w->p.id,
	    worker_role_name(w->p.role), (int)w->pid);
	kill_now(w);
}

static int
on_ended(struct worker *w, struct buf_reader *body)
{
	struct ipc_reason reason;
	int r = ipc_get_reason(body, &reason);

	if (r < 0)
		return r;
	if (reason.code > 0)
		return -DT_ERR_IPC;
	set_reason(w, reason.code, reason.text);
	begin_stop(w, WORKER_GRACE_US);
	return 0;
}

static int
on_born(struct worker *w, struct mono now)
{
	if (w->born)
		return -DT_ERR_IPC;
	w->born = true;
	if (w->stopping)
		return 0;
	loop_timer_at(w->timer, MONO_NEVER);
	w->p.born(w->p.arg, now);
	return 0;
}

static void
on_control(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
{
	struct worker *w = arg;
	struct ipc_view view = { IPC_TO_DAEMON, w->p.role,
		w->born ? IPC_STATE_RUNNING : IPC_STATE_BORN };
	struct ipc_header h;
	struct buf_reader body;
	int r = ipc_parse(&view, msg, len, n_fds, &h, &body);

	if (r == 0 && h.type == IPC_LOG) {
		/* One worker must not drown the lines of all others. */
		if (ratelimit_take(&w->logs, now))
			r = worker_log(
			    worker_role_name(w->p.role), w->p.id, &body);
	} else if (r == 0 && h.type == IPC_ENDED)
		r = on_ended(w, &body);
	else if (r == 0 && !w->abandoned && h.type == IPC_BORN)
		r = on_born(w, now);
	else if (r == 0 && !w->abandoned && h.type != IPC_BORN)
		r = w->p.message(w->p.arg, &h, &body, fds, n_fds, now);
	if (r != 0)
		worker_kill(w, "it broke its message table");
}

static void
on_control_closed(void *arg, int r)
{
	struct worker *w = arg;

	(void)r; /* the exit status tells more */
	begin_stop(w, WORKER_GRACE_US);
	close_control(w, loop_now(w->pool->loop));
}

/* NOLINTBEGIN(readability-non-const-parameter): a callback's type */
static void
on_packets(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct worker *w = arg;
	struct buf_reader r = buf_reader(msg, len);
	const uint8_t *key = NULL, *p;
	struct key32 dst;
	size_t n;
	int res = n_fds == 0 ? 1 : -DT_ERR_IPC;

	(void)fds;
	(void)now;
	while (res == 1 && !w->abandoned) {
		res = ipc_packet_next(
		    &r, w->p.role == IPC_ROLE_GATE, &key, &p, &n);
		if (res != 1)
			break;
		if (key != NULL)
			memcpy(dst.b, key, sizeof(dst.b));
		w->p.packet(w->p.arg, key != NULL ? &dst : NULL, p, n);
	}
	if (res < 0)
		worker_kill(w, "it sent a malformed batch");
}

static void
on_packets_closed(void *arg, int r)
{
	struct worker *w = arg;

	(void)r;
	close_packets(w);
	begin_stop(w, WORKER_GRACE_US);
	check_gone(w, loop_now(w->pool->loop));
}

void
worker_reaped(struct worker *w, int status, struct mono now)
{
	w->wait_status = status;
	w->last_pid = w->pid;
	w->pid = 0;
	begin_stop(w, WORKER_DRAIN_US);
	loop_timer_in(w->timer, WORKER_DRAIN_US);
	check_gone(w, now);
}

/* Our ends of the channels; the descriptors are theirs on success. */
static int
make_channels(struct worker *w, int *control, int *packets)
{
	struct chan_params c = {
		.loop = w->pool->loop,
		.fd = *control,
		.max_message = IPC_MAX_MESSAGE,
		.max_queued = WORKER_MAX_QUEUED,
		.full = CHAN_FULL_FAILS,
		.on_message = on_control,
		.on_closed = on_control_closed,
		.arg = w,
	};

	w->control = chan_new(&c);
	if (w->control == NULL)
		return -ENOMEM;
	*control = -1; /* transferred */
	c.fd = *packets;
	c.max_message = IPC_MAX_BATCH;
	c.max_queued = WORKER_MAX_PACKETS;
	c.full = w->p.role == IPC_ROLE_GATE ? CHAN_FULL_FAILS
					    : CHAN_FULL_DROPS_OLDEST;
	c.on_message = on_packets;
	c.on_closed = on_packets_closed;
	w->packets = chan_new(&c);
	if (w->packets == NULL)
		return -ENOMEM;
	*packets = -1; /* transferred */
	return 0;
}

/* @child is the worker's process from here on, even on failure. */
static int
adopt(
    struct worker *w, struct worker_child *child, const struct worker_params *p)
{
	int r = make_channels(w, &child->control, &child->packets);

	if (r == 0)
		r = chan_send(w->control, p->boot, p->boot_len, &p->boot_fd,
		    p->boot_fd >= 0 ? 1 : 0);
	if (r == 0) {
		w->pid = child->pid;
		return 0;
	}
	/* The caller still owns boot_fd; the pool reaps. */
	chan_free(w->control);
	w->control = NULL;
	close_packets(w);
	worker_spawn_close(child);
	return r;
}

static int
give_birth(struct worker *w, const struct worker_params *p)
{
	struct worker_pool *pool = w->pool;
	struct worker_child child;
	int r;

	/* The spare may have died meanwhile, before we were told. */
	if (w->p.role == IPC_ROLE_SESSION &&
	    worker_spare_take(&pool->spare, &child) && adopt(w, &child, p) == 0)
		return 0;
	r = worker_spawn(&pool->programs, w->p.role, &child);
	return r == 0 ? adopt(w, &child, p) : r;
}

int
worker_new(struct worker_pool *pool, const struct worker_params *p,
    struct worker **ret_worker)
{
	struct worker *w;
	int r;

	if (pool->count >= WORKER_MAX)
		return -DT_ERR_LIMIT;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->pool = pool;
	w->p = *p;
	w->p.boot = NULL;
	ratelimit_init(
	    &w->logs, WORKER_LOG_RATE, WORKER_LOG_BURST, loop_now(pool->loop));
	LIST_INSERT_HEAD(&pool->workers, w, entry);
	pool->count++;
	w->timer = loop_timer_new(pool->loop, on_timer, w);
	r = w->timer != NULL ? give_birth(w, p) : -ENOMEM;
	if (r == 0) {
		loop_timer_in(w->timer, WORKER_BIRTH_US);
		log_debug("worker", "started session=%u role=%s pid=%d",
		    w->p.id, worker_role_name(w->p.role), (int)w->pid);
		*ret_worker = w;
		return 0;
	}
	worker_bury(w);
	return r;
}

uint32_t
worker_next_seq(struct worker *w)
{
	return ++w->seq;
}

static int
post(struct worker *w, const struct buf_writer *msg, int *fds, size_t n_fds)
{
	int r = msg->err != 0 ? -DT_ERR_INTERNAL : -DT_ERR_CLOSED;

	if (msg->err == 0 && w->control != NULL)
		r = chan_send(w->control, msg->p, msg->len, fds, n_fds);
	if (r == 0)
		return 0;
	for (size_t i = 0; i < n_fds; i++)
		fd_close(&fds[i]);
	/* If it has left, its last words are still to be read. */
	if (r == -DT_ERR_CLOSED)
		begin_stop(w, WORKER_GRACE_US);
	else if (!w->stopping)
		worker_kill(w, "it does not read its messages");
	return r;
}

int
worker_send_fds(struct worker *w, enum ipc_type type, uint32_t seq,
    const void *body, size_t len, struct worker_fds *fds)
{
	uint8_t msg[IPC_HEADER_LEN + WORKER_MAX_SENT];
	struct buf_writer bw = buf_writer(msg, sizeof(msg));
	int r;

	ipc_begin(&bw, type, w->p.id, seq);
	if (len > 0)
		buf_put_bytes(&bw, body, len);
	r = post(w, &bw, fds->fd, fds->n);
	secret_wipe(msg, bw.len);
	return r;
}

int
worker_send(struct worker *w, enum ipc_type type, uint32_t seq,
    const void *body, size_t len, int fd)
{
	struct worker_fds fds = { { fd }, fd >= 0 ? 1 : 0 };

	return worker_send_fds(w, type, seq, body, len, &fds);
}

void
worker_packet(
    struct worker *w, const struct key32 *key, const uint8_t *p, size_t len)
{
	if (w->packets != NULL)
		worker_batch_put(&w->pool->batch, w->packets,
		    key != NULL ? key->b : NULL, p, len);
}

void
worker_pause(struct worker *w, bool paused)
{
	if (w->packets != NULL && !w->stopping)
		chan_pause(w->packets, paused);
}

void
worker_stop(struct worker *w, int code, const char *text)
{
	uint8_t body[256];
	struct buf_writer bw = buf_writer(body, sizeof(body));

	if (w->stop_sent || w->control == NULL)
		return;
	begin_stop(w, WORKER_GRACE_US);
	w->stop_sent = true;
	ipc_put_reason(&bw, code, text);
	if (bw.err != 0) { /* longer than a STOP may be: the code will do */
		bw = buf_writer(body, sizeof(body));
		ipc_put_reason(&bw, code, "");
	}
	(void)worker_send(w, IPC_STOP, worker_next_seq(w), body, bw.len, -1);
}

void
worker_abandon(struct worker *w)
{
	if (w == NULL)
		return;
	worker_stop(w, 0, "abandoned");
	w->abandoned = true;
}

bool
worker_is_born(const struct worker *w)
{
	return w->born;
}

pid_t
worker_pid(const struct worker *w)
{
	return w->pid;
}

size_t
worker_dropped(const struct worker *w)
{
	return w->packets != NULL ? chan_dropped(w->packets) : 0;
}
