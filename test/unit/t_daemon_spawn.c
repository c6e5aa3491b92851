/* SPDX-License-Identifier: BSD-3-Clause */
/* Signals that come in the moment before a wait. */
#include "client/daemon_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "client/daemon_connect.h"
#include "client/daemon_find.h"
#include "lib/fd.h"
#include "test/tap.h"

/* Far below the 10 s that a start may take. */
#define PROMPT_US (5 * MONO_SEC)

static struct daemon_dir dir = { .path = "/tmp/t_daemon_spawn.XXXXXX" };
static volatile sig_atomic_t n_signals;
static bool is_armed;

static void
on_signal(int signo)
{
	(void)signo;
	n_signals++;
}

/* The clock is read after a look and before the wait: there the signal comes,
 * once. */
int
clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	if (is_armed)
		(void)raise(SIGINT);
	is_armed = false;
	return (int)syscall(SYS_clock_gettime, clock, ret_time);
}

/* As a program does that has handlers in its event loop. */
static void
hold(sigset_t *ret_before)
{
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = SA_RESTART };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigprocmask(SIG_BLOCK, &set, ret_before);
	n_signals = 0;
	is_armed = true;
}

static void
test_lock(void)
{
	char path[DAEMON_DIR_MAX_FILE], error[DAEMON_FIND_MAX_ERROR];
	struct mono start = mono_now();
	sigset_t before;
	int fd = -1, lock;

	daemon_dir_file(&dir, "lock", path);
	lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	OK(lock >= 0 && syscall(SYS_flock, lock, LOCK_EX) == 0, "a lock");
	hold(&before);
	EQ_INT(daemon_spawn(&dir, &before, &fd, error), -EINTR,
	    "a signal before the wait for a lock");
	EQ_INT(n_signals, 1, "is delivered");
	OK(mono_diff(mono_now(), start) < PROMPT_US, "at once");
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	fd_close(&lock);
	(void)unlink(path);
}

static void
test_hello(void)
{
	char path[DAEMON_DIR_MAX_FILE];
	struct mono start = mono_now();
	struct sockaddr_un address;
	sigset_t before;
	uint64_t netns;
	int fd = -1, listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	daemon_dir_file(&dir, "control.sock", path);
	OK(daemon_connect_address(&address, path) == 0 &&
		bind(listener, (struct sockaddr *)&address, sizeof(address)) ==
		    0 &&
		listen(listener, 1) == 0,
	    "a daemon that does not greet");
	hold(&before);
	EQ_INT(daemon_connect(
		   path, mono_add(start, 2 * PROMPT_US), &before, &fd, &netns),
	    -EINTR, "a signal before the wait for a hello");
	EQ_INT(n_signals, 1, "is delivered");
	OK(mono_diff(mono_now(), start) < PROMPT_US, "at once");
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	EQ_INT(daemon_connect(path, mono_add(mono_now(), MONO_SEC / 10), NULL,
		   &fd, &netns),
	    -ETIMEDOUT, "without a mask nothing but the deadline ends it");
	fd_close(&listener);
	(void)unlink(path);
}

int
main(void)
{
	if (mkdtemp(dir.path) == NULL)
		return 1;
	test_lock();
	test_hello();
	if (rmdir(dir.path) != 0)
		return 1;
	return tap_done();
}
