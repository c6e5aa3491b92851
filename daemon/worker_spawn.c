/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/fd.h"
#include "proto/ipc/ipc.h"

/* Variables that sanitizers read; passed on in sanitized builds only. */
#define WORKER_MAX_ENV 4

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

/*
 * Between fork and exec: async-signal-safe calls only.  Both descriptors are
 * first moved above the places they go to, as they may lie there crosswise.
 */
static _Noreturn void
become(const char *path, const char *const argv[], const char *const env[],
    int control, int packets, pid_t parent)
{
	sigset_t none;
	char *const *a;
	char *const *e;
	int c, p;

	(void)sigemptyset(&none); /* cannot fail */
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(WORKER_SPAWN_FAILED);
	c = fcntl(control, F_DUPFD, IPC_FD_PACKETS + 1);
	p = fcntl(packets, F_DUPFD, IPC_FD_PACKETS + 1);
	if (c < 0 || p < 0 || dup2(c, IPC_FD_CONTROL) < 0 ||
	    dup2(p, IPC_FD_PACKETS) < 0)
		_exit(WORKER_SPAWN_FAILED);
	fd_close_from(IPC_FD_PACKETS + 1);
	/* execve has no const variant and changes nothing. */
	memcpy(&a, &argv, sizeof(a));
	memcpy(&e, &env, sizeof(e));
	(void)execve(path, a, e);
	_exit(WORKER_SPAWN_FAILED);
}

int
worker_spawn(
    const char *dir, const char *role, int control, int packets, pid_t *ret_pid)
{
	char path[WORKER_SPAWN_MAX_PATH], name[32];
	const char *env[WORKER_MAX_ENV + 1];
	const char *argv[] = { name, NULL };
	pid_t parent = getpid();
	pid_t pid;

	(void)snprintf(name, sizeof(name), "derptun-%s", role);
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)fill_env(env);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		become(path, argv, env, control, packets, parent);
	*ret_pid = pid;
	return 0;
}
