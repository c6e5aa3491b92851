/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/fd.h"
#include "proto/ipc/ipc.h"

/* Kernel buffers of a packet channel: several batches. */
#define SOCKET_BUFFER (1024 * 1024)
/* Variables that sanitizers read; passed on in sanitized builds only. */
#define WORKER_MAX_ENV 4

const struct worker_child worker_spawn_none = { 0, -1, -1 };

static size_t
fill_env(const char *env[static WORKER_MAX_ENV + 1])
{
	size_t n = 0;

#if defined(__SANITIZE_ADDRESS__)
	static const char *const names[] = {
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="
	};

	for (char **e = environ; *e != NULL; e++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (n < WORKER_MAX_ENV &&
			    strncmp(*e, names[i], strlen(names[i])) == 0)
				env[n++] = *e;
#endif
	env[n] = NULL;
	return n;
}

/* Where the program waits for exec, the first descriptor a worker lacks. */
#define PROGRAM_FD (IPC_FD_PACKETS + 1)
#define KEPT_FDS (PROGRAM_FD + 1)
/* Of a table of descriptors the kernel copies whole words of its bitmap, also
 * where less was asked for. */
#define COPIED_FDS 64
/* With fewer there is no use in taking so many away: the limit is somebody's
 * wish. */
#define ENOUGH_FDS ((rlim_t)256)
/* For the few calls between clone and exec; sanitizers want more. */
#define CHILD_STACK ((size_t)64 * 1024)

/* Since Linux 5.9; not in all headers of the C library. */
#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#endif

/* What the child needs to know. */
struct birth {
	const char *const *argv;
	const char *const *env;
	pid_t parent;
	bool is_shared; /* the table of descriptors */
};

/* What was where the child needs its own. */
struct place {
	int saved; /* -1: it was free */
	int flags;
};

/* No handler of the daemon's may run in the child: the pipe behind it is the
 * daemon's own. */
static void
reset_signals(void)
{
	sigset_t none;

	for (int signo = 1; signo < SIGRTMIN; signo++)
		(void)signal(signo, SIG_DFL);
	(void)sigemptyset(&none); /* cannot fail */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Between clone and exec, in the daemon's memory: async-signal-safe calls only,
 * and nothing is changed but this stack. */
static int
become(void *arg)
{
	const struct birth *b = arg;
	char *const *a;
	char *const *e;

	/* A copy of the table without what the worker must not have.  That is
	 * never closed here: closing asks file systems, of whoever gave us one
	 * of their files, and they may not answer.  See keep_places(). */
	if (close_range(KEPT_FDS, ~0U, CLOSE_RANGE_UNSHARE) != 0) {
		if (b->is_shared)
			_exit(WORKER_SPAWN_FAILED);
		fd_close_from(KEPT_FDS);
	}
	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != b->parent)
		_exit(WORKER_SPAWN_FAILED);
	/* execveat has no const variant and changes nothing. */
	memcpy(&a, &b->argv, sizeof(a));
	memcpy(&e, &b->env, sizeof(e));
	(void)execveat(PROGRAM_FD, "", a, e, AT_EMPTY_PATH);
	_exit(WORKER_SPAWN_FAILED);
}

/* Puts @fd where the child wants it, in our table. */
static int
fill(int at, int fd, struct place *ret_place)
{
	struct place p = { -1, fcntl(at, F_GETFD) };

	if (p.flags >= 0) {
		p.saved = fcntl(at, F_DUPFD_CLOEXEC, KEPT_FDS);
		if (p.saved < 0)
			return -errno;
	}
	if (dup3(fd, at, at == PROGRAM_FD ? O_CLOEXEC : 0) < 0) {
		int r = -errno;

		fd_close(&p.saved);
		return r;
	}
	*ret_place = p;
	return 0;
}

static void
restore(int at, struct place *p)
{
	if (p->saved < 0) {
		(void)close(at);
		return;
	}
	/* Cannot fail: both are open. */
	(void)dup3(p->saved, at, (p->flags & FD_CLOEXEC) != 0 ? O_CLOEXEC : 0);
	fd_close(&p->saved);
}

/* What the kernel copies may only be ours: all numbers below are taken.  So may
 * what is in the places of a child: it is moved away and back. */
static void
keep_places(const struct worker_programs *programs)
{
	struct rlimit l = { 0, 0 };
	int end = KEPT_FDS;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0 && l.rlim_cur >= ENOUGH_FDS)
		end = COPIED_FDS;
	for (int at = IPC_FD_CONTROL; at < end; at++)
		if (fcntl(at, F_GETFD) < 0)
			(void)dup3(programs->gate, at, O_CLOEXEC);
}

int
worker_programs_open(const char *dir, struct worker_programs *ret_programs)
{
	int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct worker_programs p;
	int r = 0;

	if (at < 0)
		return -errno;
	p.gate = openat(at, "derptun-gate", O_PATH | O_CLOEXEC);
	if (p.gate < 0)
		r = -errno;
	p.session = openat(at, "derptun-session", O_PATH | O_CLOEXEC);
	if (p.session < 0)
		r = -errno;
	p.portmap = openat(at, "derptun-portmap", O_PATH | O_CLOEXEC);
	if (p.portmap < 0)
		r = -errno;
	fd_close(&at);
	if (r < 0) {
		fd_close(&p.gate);
		fd_close(&p.session);
		fd_close(&p.portmap);
		return r;
	}
	*ret_programs = p;
	keep_places(&p);
	return 0;
}

static int
program_of(const struct worker_programs *programs, enum ipc_role role)
{
	if (role == IPC_ROLE_GATE)
		return programs->gate;
	return role == IPC_ROLE_PORTMAP ? programs->portmap : programs->session;
}

static const char *
name_of(enum ipc_role role)
{
	if (role == IPC_ROLE_GATE)
		return "derptun-gate";
	return role == IPC_ROLE_PORTMAP ? "derptun-portmap" : "derptun-session";
}

const char *
worker_role_name(enum ipc_role role)
{
	return name_of(role) + strlen("derptun-");
}

/* Kernels before 5.9, and filters that do not know the call. */
static bool
can_unshare(void)
{
#if defined(VALGRIND)
	return false; /* it knows no clone() but those of threads and vfork */
#else
	/* Came with its flag, which would part us from our own threads. */
	return close_range(~0U, ~0U, 0) == 0;
#endif
}

/* @fds are in their places.  Returns the child, or -errno. */
static pid_t
give_birth(const char *name)
{
	const char *argv[] = { name, NULL };
	const char *env[WORKER_MAX_ENV + 1];
	struct birth b = { argv, env, getpid(), can_unshare() };
	int flags = CLONE_VM | CLONE_VFORK | SIGCHLD;
	sigset_t all, old;
	char *stack = aligned_alloc(16, CHILD_STACK);
	pid_t pid;

	if (stack == NULL)
		return -ENOMEM;
	(void)fill_env(env);
	if (b.is_shared)
		flags |= CLONE_FILES;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	/* As vfork(): copying the daemon's page tables, and every page that it
	 * then writes to, costs more than all the rest of a worker's start. */
	pid = clone(become, stack + CHILD_STACK, flags, &b);
	if (pid < 0)
		pid = -errno;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	free(stack);
	return pid;
}

static int
start(int program, const char *name, int control, int packets, pid_t *ret_pid)
{
	/* Above all places that are about to be filled, as they may lie
	 * crosswise. */
	int from[] = { fcntl(control, F_DUPFD_CLOEXEC, KEPT_FDS),
		fcntl(packets, F_DUPFD_CLOEXEC, KEPT_FDS),
		fcntl(program, F_DUPFD_CLOEXEC, KEPT_FDS) };
	const int n = (int)(sizeof(from) / sizeof(from[0]));
	struct place places[] = { { -1, 0 }, { -1, 0 }, { -1, 0 } };
	int filled = 0, r = 0;
	pid_t pid = 0;

	for (int i = 0; i < n; i++)
		if (from[i] < 0)
			r = -EMFILE;
	for (; r == 0 && filled < n; filled += r == 0)
		r = fill(
		    IPC_FD_CONTROL + filled, from[filled], &places[filled]);
	if (r == 0)
		pid = give_birth(name);
	while (filled > 0) {
		filled--;
		restore(IPC_FD_CONTROL + filled, &places[filled]);
	}
	for (int i = 0; i < n; i++)
		fd_close(&from[i]);
	if (r == 0 && pid < 0)
		r = pid;
	if (r == 0)
		*ret_pid = pid;
	return r;
}

int
worker_spawn(const struct worker_programs *programs, enum ipc_role role,
    struct worker_child *ret_child)
{
	struct worker_child c = worker_spawn_none;
	int control = -1, packets = -1;
	int r = fd_seqpacket_pair(&c.control, &control, 0);

	if (r == 0)
		r = fd_seqpacket_pair(&c.packets, &packets, SOCKET_BUFFER);
	if (r == 0)
		r = start(program_of(programs, role), name_of(role), control,
		    packets, &c.pid);
	fd_close(&control);
	fd_close(&packets);
	if (r < 0) {
		worker_spawn_close(&c);
		return r;
	}
	*ret_child = c;
	return 0;
}

bool
worker_spawn_take(struct worker_child *child, struct worker_child *ret_child)
{
	if (child->pid == 0)
		return false;
	*ret_child = *child;
	*child = worker_spawn_none;
	return true;
}

void
worker_spawn_close(struct worker_child *child)
{
	if (child->pid > 0)
		(void)kill(child->pid, SIGKILL); /* ours and not reaped */
	fd_close(&child->control);
	fd_close(&child->packets);
	child->pid = 0;
}

bool
worker_spawn_reaped(struct worker_child *child, pid_t pid)
{
	if (child->pid != pid)
		return false;
	child->pid = 0;
	worker_spawn_close(child);
	return true;
}
