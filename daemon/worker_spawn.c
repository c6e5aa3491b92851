/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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

/* Above all places that are about to be filled, as they may lie crosswise. */
static int
lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, PROGRAM_FD + 1);
}

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

/* Between vfork and exec, in the daemon's memory: async-signal-safe calls only,
 * and nothing is changed but the stack below the caller's frame. */
static _Noreturn void
become(int program, const char *const argv[], const char *const env[],
    int control, int packets, pid_t parent)
{
	char *const *a;
	char *const *e;
	int c, p, x;

	reset_signals();
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(WORKER_SPAWN_FAILED);
	c = lift(control);
	p = lift(packets);
	x = lift(program);
	if (c < 0 || p < 0 || x < 0 || dup2(c, IPC_FD_CONTROL) < 0 ||
	    dup2(p, IPC_FD_PACKETS) < 0 || dup3(x, PROGRAM_FD, O_CLOEXEC) < 0)
		_exit(WORKER_SPAWN_FAILED);
	fd_close_from(PROGRAM_FD + 1);
	/* execveat has no const variant and changes nothing. */
	memcpy(&a, &argv, sizeof(a));
	memcpy(&e, &env, sizeof(e));
	(void)execveat(PROGRAM_FD, "", a, e, AT_EMPTY_PATH);
	_exit(WORKER_SPAWN_FAILED);
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

static int
start(int program, const char *name, int control, int packets, pid_t *ret_pid)
{
	const char *argv[] = { name, NULL };
	const char *env[WORKER_MAX_ENV + 1];
	pid_t parent = getpid();
	sigset_t all, old;
	pid_t pid;
	int r = 0;

	(void)fill_env(env);
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &old);
	/* Copying the daemon's page tables, and every page that it then writes
	 * to, costs more than all the rest of a worker's start. */
	/* NOLINTNEXTLINE(clang-analyzer-security.insecureAPI.vfork) */
	pid = vfork();
	if (pid == 0) /* it only makes system calls */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Vfork) */
		become(program, argv, env, control, packets, parent);
	if (pid < 0)
		r = -errno;
	else
		*ret_pid = pid;
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
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
