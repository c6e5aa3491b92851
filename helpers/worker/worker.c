/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/chan.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "proto/ipc/exitcode.h"
#include "proto/ipc/ipc_body.h"

/* Control messages waiting for the daemon: far more than a session makes. */
#define WORKER_MAX_CONTROL_QUEUED ((size_t)256 * 1024)
/* Packets waiting for the daemon, two batches; then the source must wait. */
#define WORKER_MAX_PACKETS_QUEUED ((size_t)2 * IPC_MAX_BATCH)
/* How long last words may take. */
#define WORKER_LAST_WORDS_MS 500

struct worker {
	const struct worker_params *p;
	struct loop *loop;
	struct chan *control;
	struct chan *packets;
	uint32_t session;
	int name_fd; /* our own name, or -1 */
	int exit_status;
	bool ending;
};

/* Log lines leave on fd 3, before and after the channel exists. */
static void
log_to_daemon(void *arg, enum log_level level, const char *line, size_t len)
{
	struct worker *w = arg;
	uint8_t msg[IPC_HEADER_LEN + sizeof(struct ipc_log) + 8];
	struct buf_writer b = buf_writer(msg, sizeof(msg));

	ipc_begin(&b, IPC_LOG, w->session, 0);
	ipc_put_log(&b, (uint8_t)level, line, len);
	if (w->control != NULL)
		(void)chan_send(w->control, msg, b.len, NULL, 0);
	else
		(void)fd_send(IPC_FD_CONTROL, msg, b.len, NULL, 0);
}

static void
quit(struct worker *w, int status)
{
	w->exit_status = status;
	w->ending = true;
	if (w->loop != NULL)
		loop_stop(w->loop);
}

static void
handle_stop(struct worker *w, struct buf_reader *body, struct mono now)
{
	struct ipc_reason reason;

	if (ipc_get_reason(body, &reason) != 0)
		quit(w, EXIT_WORKER_IPC);
	else
		w->p->stop(w->p->arg, reason.code, reason.text, now);
}

static void
on_control(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
{
	struct worker *w = arg;
	struct ipc_view view = { IPC_TO_WORKER, w->p->role, IPC_STATE_RUNNING };
	struct ipc_header header;
	struct buf_reader body;

	if (w->ending)
		return;
	if (ipc_parse(&view, msg, len, n_fds, &header, &body) != 0) {
		log_err("worker", "message not permitted");
		quit(w, EXIT_WORKER_IPC);
	} else if (header.type == IPC_STOP) {
		handle_stop(w, &body, now);
	} else if (w->p->message(w->p->arg, &header, &body, fds, n_fds, now) !=
		   0) {
		log_err("worker", "bad message %s", ipc_name(header.type));
		quit(w, EXIT_WORKER_IPC);
	}
}

static void
on_packets(void *arg, const void *msg, size_t len, int *fds, size_t n_fds,
    struct mono now)
{
	struct worker *w = arg;
	struct buf_reader batch = buf_reader(msg, len);

	(void)fds;
	if (w->ending)
		return;
	if (n_fds != 0 || w->p->packets(w->p->arg, &batch, now) != 0) {
		log_err("worker", "bad packet batch");
		quit(w, EXIT_WORKER_IPC);
	}
}

static void
on_packets_writable(void *arg, struct mono now)
{
	struct worker *w = arg;

	if (!w->ending && w->p->packets_writable != NULL)
		w->p->packets_writable(w->p->arg, now);
}

static void
on_daemon_gone(void *arg, int r)
{
	(void)r;
	quit(arg, EXIT_WORKER_OK);
}

/* Started from a descriptor, a process is named after its number. */
static void
rename_to(struct worker *w, const char *what)
{
	char name[16]; /* the kernel keeps no more */
	int n = snprintf(name, sizeof(name), "derptun-%s", what);

	/* Should it fail, people see an odd name. */
	if (w->name_fd >= 0 && n > 0)
		(void)!write(w->name_fd, name, (size_t)n);
}

static bool
is_boot_there(int timeout_ms)
{
	struct pollfd p = { .fd = IPC_FD_CONTROL, .events = POLLIN };

	return poll(&p, 1, timeout_ms) == 1;
}

static int
read_boot(struct worker *w)
{
	struct ipc_view view = { IPC_TO_WORKER, w->p->role, IPC_STATE_BORN };
	uint8_t *msg = malloc(IPC_MAX_MESSAGE);
	struct ipc_header header;
	struct buf_reader body;
	int fds[FD_MAX_PASSED];
	size_t n_fds = 0;
	ssize_t n = -ETIMEDOUT;
	int r;

	if (msg == NULL)
		return EXIT_WORKER_MEMORY;
	/* It comes when the daemon needs us; without the daemon, its end. */
	if (is_boot_there(-1))
		n = fd_recv(IPC_FD_CONTROL, msg, IPC_MAX_MESSAGE, fds, &n_fds);
	r = n <= 0 ? -DT_ERR_IPC
		   : ipc_parse(&view, msg, (size_t)n, n_fds, &header, &body);
	if (r == 0 && header.type != (uint16_t)w->p->boot_type)
		r = -DT_ERR_IPC;
	if (r == 0) {
		rename_to(w, w->p->name);
		fd_close(&w->name_fd);
		w->session = header.session;
		r = w->p->boot(w->p->arg, w, w->session, &body, fds, n_fds);
	}
	for (size_t i = 0; i < n_fds; i++)
		fd_close(&fds[i]);
	if (n > 0)
		secret_wipe(msg, (size_t)n);
	free(msg);
	return r == 0 ? EXIT_WORKER_OK : EXIT_WORKER_BOOT;
}

static int
open_channels(struct worker *w)
{
	struct chan_params control = {
		.loop = w->loop,
		.fd = IPC_FD_CONTROL,
		.max_message = IPC_MAX_MESSAGE,
		.max_queued = WORKER_MAX_CONTROL_QUEUED,
		.full = CHAN_FULL_FAILS,
		.on_message = on_control,
		.on_closed = on_daemon_gone,
		.arg = w,
	};
	struct chan_params packets = control;

	packets.fd = IPC_FD_PACKETS;
	packets.max_message = IPC_MAX_BATCH;
	packets.max_queued = WORKER_MAX_PACKETS_QUEUED;
	packets.on_message = on_packets;
	packets.on_writable = on_packets_writable;
	w->control = chan_new(&control);
	w->packets = chan_new(&packets);
	return w->control != NULL && w->packets != NULL ? 0 : -ENOMEM;
}

static void
say_born(struct worker *w)
{
	uint8_t msg[IPC_HEADER_LEN];
	struct buf_writer b = buf_writer(msg, sizeof(msg));

	ipc_begin(&b, IPC_BORN, w->session, 0);
	(void)worker_send(w, &b, -1);
}

static int
confine(struct worker *w)
{
	return sandbox_apply(w->p->profile, sandbox_mode_compiled()) == 0
		   ? EXIT_WORKER_OK
		   : EXIT_WORKER_SANDBOX;
}

/* Everything that does not depend on what we are for. */
static int
prepare(struct worker *w)
{
	int status;

	w->loop = loop_new();
	if (w->loop == NULL)
		return EXIT_WORKER_MEMORY;
	if (w->p->prepare == NULL)
		return EXIT_WORKER_OK;
	if (w->p->prepare(w->p->arg) != 0)
		return EXIT_WORKER_BOOT;
	status = confine(w);
	if (status == EXIT_WORKER_OK && w->p->rehearse != NULL &&
	    !is_boot_there(0))
		w->p->rehearse(w->p->arg);
	return status;
}

static int
live(struct worker *w)
{
	int status = prepare(w);

	if (status == EXIT_WORKER_OK)
		status = read_boot(w);
	if (status == EXIT_WORKER_OK && w->p->prepare == NULL)
		status = confine(w);
	if (status != EXIT_WORKER_OK)
		return status;
	if (open_channels(w) != 0)
		return EXIT_WORKER_MEMORY;
	say_born(w);
	if (w->p->start(w->p->arg, loop_now(w->loop)) != 0)
		return EXIT_WORKER_MEMORY;
	if (!w->ending)
		(void)loop_run(w->loop);
	return w->exit_status;
}

int
worker_main(const struct worker_params *p)
{
	static struct worker w; /* static: what it holds at exit is no leak */
	int status;

	w.p = p;
	w.exit_status = EXIT_WORKER_OK;
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* write(2) tells */
	/* What is confined can write to this, but not call prctl(2). */
	w.name_fd = open("/proc/thread-self/comm", O_WRONLY | O_CLOEXEC);
	rename_to(&w, p->role == IPC_ROLE_SESSION ? "spare" : p->name);
	log_init(p->name, LOG_LEVEL_INFO);
	log_set_sink(log_to_daemon, &w);
	if (secret_init() != 0 || secret_lock_process() != 0)
		return EXIT_WORKER_MEMORY;
	status = live(&w);
	if (w.control != NULL)
		(void)chan_flush(w.control, WORKER_LAST_WORDS_MS);
	log_set_sink(NULL, NULL);
	/* Memory and descriptors go with the process. */
	return status;
}

struct loop *
worker_loop(struct worker *w)
{
	return w->loop;
}

int
worker_send(struct worker *w, const struct buf_writer *msg, int fd)
{
	if (msg->err != 0)
		return msg->err;
	return chan_send(w->control, msg->p, msg->len, &fd, fd >= 0 ? 1 : 0);
}

void
worker_set_verbose(struct worker *w, bool verbose)
{
	log_init(w->p->name, verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
}

uint32_t
worker_session(const struct worker *w)
{
	return w->session;
}

int
worker_send_packets(struct worker *w, const void *batch, size_t len)
{
	return chan_send(w->packets, batch, len, NULL, 0);
}

size_t
worker_packets_queued(const struct worker *w)
{
	return chan_queued(w->packets);
}

void
worker_end(struct worker *w, int code, const char *text)
{
	uint8_t msg[IPC_HEADER_LEN + sizeof(struct ipc_reason) + 8];
	struct buf_writer b = buf_writer(msg, sizeof(msg));

	if (w->ending)
		return;
	ipc_begin(&b, IPC_ENDED, w->session, 0);
	ipc_put_reason(&b, code, text);
	(void)worker_send(w, &b, -1);
	if (w->packets != NULL)
		(void)chan_flush(w->packets, WORKER_LAST_WORDS_MS);
	quit(w, EXIT_WORKER_OK);
}
