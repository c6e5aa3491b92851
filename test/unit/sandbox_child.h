/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Confinement is for good, so every case runs in a child, which tells by its
 * exit status what happened: 0, the errno of the call tried, or the signal.
 */
#ifndef TEST_UNIT_SANDBOX_CHILD_H
#define TEST_UNIT_SANDBOX_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/sandbox.h"
#include "test/sanitized.h"
#include "test/tap.h"

/* Exit statuses above any errno. */
#define EXIT_APPLY 200 /* sandbox_apply() failed */
#define EXIT_WRONG 201 /* the call gave a wrong result */

/* The result of a system call as an exit status. */
static inline int
status_of(long r)
{
	return r >= 0 ? 0 : errno;
}

/* Runs try() in a confined child.  Returns its status, or -signal. */
static inline int
confined(
    const struct sandbox_profile *p, enum sandbox_mode mode, int (*try)(void))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		if (sandbox_apply(p, mode) != 0)
			_exit(EXIT_APPLY);
		_exit(try());
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return EXIT_WRONG;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static inline int
try_open(void)
{
	return status_of(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static inline int
try_exec(void)
{
	char *argv[] = { NULL };

	return status_of(execv("/bin/true", argv));
}

#endif
