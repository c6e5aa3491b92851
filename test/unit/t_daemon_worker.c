/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The pool of workers and its spare.  The worker's program is this very test:
 * under a worker's name it waits for the end of its channel.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/worker_state.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"
#include "test/unit/loop_for.h"

static struct loop *loop;
static struct worker_pool *pool;
static int gone_code;

static int
be_worker(void)
{
	char msg[64];
	struct pollfd p = { .fd = IPC_FD_CONTROL, .events = POLLIN };

	while (poll(&p, 1, 10000) == 1)
		if (read(IPC_FD_CONTROL, msg, sizeof(msg)) <= 0)
			return 0;
	return 1;
}

static void
on_gone(void *arg, int code, const char *text, struct mono now)
{
	(void)arg;
	(void)text;
	(void)now;
	gone_code = code;
	loop_stop(loop);
}

static struct worker *
start_worker(void)
{
	static const char boot[] = "boot";
	struct worker_params p = { .role = IPC_ROLE_SESSION,
		.id = 7,
		.boot = boot,
		.boot_len = sizeof(boot),
		.boot_fd = -1,
		.gone = on_gone };
	struct worker *w = NULL;

	EQ_INT(worker_new(pool, &p, &w), 0, "a worker starts");
	return w;
}

static void
end_worker(const struct worker *w)
{
	(void)kill(worker_pid(w), SIGKILL);
	gone_code = 0;
	loop_for(loop, 30 * MONO_SEC); /* on_gone() stops it */
	EQ_INT(gone_code, -DT_ERR_WORKER_LOST, "and is gone when killed");
	EQ_INT(worker_pool_count(pool), 0, "none is left");
}

static void
test_spare(void)
{
	struct worker *w;
	pid_t spare;

	w = start_worker();
	EQ_INT(pool->spare.child.pid, 0, "no spare unless wanted");
	end_worker(w);

	worker_pool_prepare(pool, true);
	spare = pool->spare.child.pid;
	OK(spare > 0, "a spare");
	worker_pool_prepare(pool, true);
	EQ_INT(pool->spare.child.pid, spare, "one is enough");
	w = start_worker();
	EQ_INT(worker_pid(w), spare, "it becomes the worker");
	EQ_INT(pool->spare.child.pid, 0, "no other one at once");
	loop_for(loop, WORKER_SPARE_PAUSE_US + MONO_MS);
	spare = pool->spare.child.pid;
	OK(spare > 0, "but after a pause");
	worker_pool_prepare(pool, false);
	loop_for(loop, MONO_MS);
	EQ_INT(pool->spare.child.pid, spare, "an idle daemon keeps it a while");
	end_worker(w);
}

static void
test_dead_spare(void)
{
	pid_t spare = pool->spare.child.pid;
	struct worker *w;
	siginfo_t info;

	OK(spare > 0, "a spare again");
	if (spare <= 0)
		return;
	(void)kill(spare, SIGKILL);
	EQ_INT(waitid(P_PID, (id_t)spare, &info, WEXITED | WNOWAIT), 0,
	    "the spare died, and nobody has been told");
	w = start_worker();
	OK(w != NULL && worker_pid(w) != spare, "a fresh one");
	loop_for(loop, MONO_MS);
	OK(kill(worker_pid(w), 0) == 0, "that lives");
	OK(kill(spare, 0) != 0, "the dead one was reaped");
	end_worker(w);
}

/* What a worker starts with. */
static void
test_inheritance(void)
{
	char path[64], text[4096];
	struct worker *w = start_worker();
	const char *mask = NULL, *ignored = NULL;
	ssize_t n;
	int fd;

	(void)snprintf(
	    path, sizeof(path), "/proc/%d/status", (int)worker_pid(w));
	/* Until it is exec'ed, it has what the daemon blocks. */
	for (int i = 0; i < 1000 && (mask == NULL || ignored == NULL); i++) {
		loop_for(loop, 20 * MONO_MS);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		n = read(fd, text, sizeof(text) - 1);
		text[n > 0 ? n : 0] = '\0';
		fd_close(&fd);
		mask = strstr(text, "SigBlk:\t0000000000000000");
		ignored = strstr(text, "SigIgn:\t0000000000000000");
	}
	OK(mask != NULL, "no signal is blocked");
	OK(ignored != NULL, "none is ignored");
	EQ_INT(access(path, R_OK), 0, "it lives");
	(void)snprintf(path, sizeof(path), "/proc/%d/fd/5", (int)worker_pid(w));
	/* A program that is being loaded has its libraries open. */
	for (int i = 0; i < 1000 && access(path, F_OK) == 0; i++)
		loop_for(loop, 20 * MONO_MS);
	OK(access(path, F_OK) != 0, "nothing but its channels");
	end_worker(w);
}

int
main(int argc, char **argv)
{
	struct worker_programs programs;

	if (argc == 1 && strncmp(argv[0], "derptun-", 8) == 0)
		return be_worker();
	(void)signal(SIGPIPE, SIG_IGN);
	programs.session = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	programs.gate = programs.portmap = programs.session;
	loop = loop_new();
	pool = worker_pool_new(loop, &programs);
	OK(programs.session >= 0 && pool != NULL, "pool");
	test_spare();
	test_dead_spare();
	test_inheritance();
	worker_pool_free(pool);
	loop_free(loop);
	fd_close(&programs.session);
	return tap_done();
}
