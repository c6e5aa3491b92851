/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lock file is held from before the socket is bound until the hello came,
 * so that of two callers one starts the daemon and the other finds it.  The
 * socket listens before the daemon runs: nobody is refused while it starts, and
 * when it dies, whoever waits for its hello sees the end of file.
 *
 * The daemon is ours to wait for only while it starts; it is in a session of
 * its own and survives us.
 */
#include "client/daemon_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/daemon_connect.h"
#include "client/daemon_find.h"
#include "lib/err.h"
#include "lib/fd.h"

/* Somebody else's start, and then our own: dynamic linking on a slow machine,
 * and the sandbox. */
#define START_US (10 * MONO_SEC)
#define REAP_US (1 * MONO_SEC)
#define POLL_NS 20000000L /* 20 ms */
#define BACKLOG 64
/* The descriptor of systemd's LISTEN_FDS convention. */
#define LISTEN_FD 3
/* What is told of a log: its last line. */
#define MAX_TAIL 512

struct spawn {
	const struct daemon_dir *dir;
	const sigset_t *wait_mask;
	char socket[DAEMON_DIR_MAX_FILE];
	char log[DAEMON_DIR_MAX_FILE];
	struct mono deadline;
	int listen_fd;
	int log_fd;
	pid_t child;
};

/* Variables the daemon needs; all others, tokens and one caller's relay
 * settings among them, do not stick to it. */
static bool
is_passed_on(const char *variable)
{
	static const char *const names[] = { "PATH=", "HOME=", "USER=",
		"LOGNAME=", "LANG=", "LC_", "TZ=", "TMPDIR=", "XDG_", "LD_",
		"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=",
		"DERPTUND_LIBEXEC=", NULL };

	for (const char *const *n = names; *n != NULL; n++)
		if (strncmp(variable, *n, strlen(*n)) == 0)
			return true;
	return false;
}

static void
keep_environment(void)
{
	size_t kept = 0;

	for (size_t i = 0; environ[i] != NULL; i++)
		if (is_passed_on(environ[i]))
			environ[kept++] = environ[i];
	environ[kept] = NULL;
}

/* Beside our own binary, where it was installed, or in $PATH. */
static void
execute(void)
{
	static const char name[] = "derptund";
	char path[PATH_MAX], *slash;
	char program[] = "derptund", option[] = "--idle-exit", seconds[] = "5";
	char *argv[] = { program, option, seconds, NULL };
	ssize_t n =
	    readlink("/proc/self/exe", path, sizeof(path) - sizeof(name) - 1);

	if (n > 0) {
		path[n] = '\0';
		slash = strrchr(path, '/');
		if (slash != NULL) {
			memcpy(slash + 1, name, sizeof(name));
			(void)execv(path, argv);
		}
	}
	(void)execv(DERPTUND_SBINDIR "/derptund", argv);
	(void)execvp(name, argv);
}

/* In the child; does not return. */
static void
become_daemon(struct spawn *s)
{
	char pid[24];
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGXFSZ, SIG_DFL);
	(void)signal(SIGINT, SIG_DFL);
	(void)signal(SIGTERM, SIG_DFL);
	if (null_fd < 0 || setsid() < 0 || dup2(null_fd, STDIN_FILENO) < 0 ||
	    dup2(null_fd, STDOUT_FILENO) < 0 ||
	    (s->log_fd >= 0 && dup2(s->log_fd, STDERR_FILENO) < 0))
		_exit(EXIT_FAILURE);
	/* dup2 onto itself would keep close-on-exec. */
	if (s->listen_fd == LISTEN_FD)
		(void)fd_set_inherit(LISTEN_FD, 1);
	else if (dup2(s->listen_fd, LISTEN_FD) < 0)
		_exit(EXIT_FAILURE);
	fd_close_from(LISTEN_FD + 1);
	/* Not earlier: an event loop's handler, forked with us, would tell our
	 * parent of a signal twice. */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	keep_environment();
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	if (setenv("LISTEN_FDS", "1", 1) == 0 &&
	    setenv("LISTEN_PID", pid, 1) == 0 && chdir("/") == 0)
		execute();
	(void)fprintf(stderr, "derptund: %s\n", strerror(errno));
	_exit(127);
}

static int
take_lock(struct spawn *s, int *ret_fd)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	char path[DAEMON_DIR_MAX_FILE];
	int fd, r = 0;

	daemon_dir_file(s->dir, "lock", path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	/* Not a blocking flock(): a signal just before it would not end it. */
	while (r == 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			r = -errno;
		else if (!mono_before(mono_now(), s->deadline))
			r = -ETIMEDOUT;
		else
			r = ppoll(NULL, 0, &pause, s->wait_mask) == 0 ? 0
								      : -errno;
	}
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static int
bind_socket(struct spawn *s)
{
	struct sockaddr_un address;
	mode_t mask;
	int r = daemon_connect_address(&address, s->socket);

	if (r < 0)
		return r;
	s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->listen_fd < 0)
		return -errno;
	if (unlink(s->socket) != 0 && errno != ENOENT)
		return -errno;
	mask = umask(0177);
	if (bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) !=
	    0)
		r = -errno;
	(void)umask(mask);
	if (r == 0 && listen(s->listen_fd, BACKLOG) != 0)
		r = -errno;
	return r;
}

static int
open_log(struct spawn *s)
{
	s->log_fd = open(s->log,
	    O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	return s->log_fd >= 0 ? 0 : -errno;
}

/* Why it died: the last line of its log. */
static void
read_tail(const struct spawn *s, char tail[MAX_TAIL])
{
	off_t end = s->log_fd >= 0 ? lseek(s->log_fd, 0, SEEK_END) : 0;
	off_t from = end > MAX_TAIL - 1 ? end - (MAX_TAIL - 1) : 0;
	ssize_t n = end > 0 ? pread(s->log_fd, tail, MAX_TAIL - 1, from) : 0;
	char *line;

	while (n > 0 && tail[n - 1] == '\n')
		n--;
	tail[n > 0 ? n : 0] = '\0';
	line = strrchr(tail, '\n');
	if (line != NULL)
		memmove(tail, line + 1, strlen(line));
}

/* A daemon whose socket has closed is dying: this is short. */
static bool
reap(pid_t child, int *ret_status)
{
	const struct timespec pause = { .tv_nsec = POLL_NS };
	struct mono end = mono_add(mono_now(), REAP_US);

	while (waitpid(child, ret_status, WNOHANG) != child) {
		if (!mono_before(mono_now(), end))
			return false;
		(void)nanosleep(&pause, NULL);
	}
	return true;
}

static void
tell_death(struct spawn *s, int r, char *ret_error)
{
	char tail[MAX_TAIL], how[64];
	int status;

	(void)snprintf(how, sizeof(how), "%s", err_str(r));
	/* Refused: it died before we came to connect. */
	if ((r == -DT_ERR_CLOSED || r == -ECONNREFUSED) &&
	    reap(s->child, &status)) {
		if (WIFSIGNALED(status))
			(void)snprintf(
			    how, sizeof(how), "signal %d", WTERMSIG(status));
		else
			(void)snprintf(how, sizeof(how), "exit status %d",
			    WEXITSTATUS(status));
	}
	read_tail(s, tail);
	(void)snprintf(ret_error, DAEMON_FIND_MAX_ERROR,
	    "derptund did not start: %s", tail[0] != '\0' ? tail : how);
}

static int
start(struct spawn *s, int *ret_fd, char *ret_error)
{
	uint64_t netns; /* ours, as it is our child */
	const char *what = s->socket;
	int r = bind_socket(s);

	if (r == 0) {
		what = s->log;
		r = open_log(s);
	}
	if (r == 0) {
		what = "fork";
		s->child = fork();
		if (s->child < 0)
			r = -errno;
	}
	if (r < 0) {
		(void)snprintf(ret_error, DAEMON_FIND_MAX_ERROR,
		    "cannot start derptund: %s: %s", what, err_str(r));
		return r;
	}
	if (s->child == 0)
		become_daemon(s);
	/* Only the daemon listens: its death must show. */
	fd_close(&s->listen_fd);
	r = daemon_connect(
	    s->socket, s->deadline, s->wait_mask, ret_fd, &netns);
	if (r < 0 && r != -EINTR)
		tell_death(s, r, ret_error);
	return r;
}

int
daemon_spawn(const struct daemon_dir *dir, const sigset_t *wait_mask,
    int *ret_fd, char *ret_error)
{
	uint64_t netns;
	struct spawn s = { .dir = dir,
		.wait_mask = wait_mask,
		.listen_fd = -1,
		.log_fd = -1,
		.deadline = mono_add(mono_now(), START_US) };
	int lock = -1, r = daemon_dir_make(dir);

	if (r == 0) {
		daemon_dir_file(dir, "control.sock", s.socket);
		daemon_dir_file(dir, "derptund.log", s.log);
		r = take_lock(&s, &lock);
	}
	if (r < 0) {
		(void)snprintf(ret_error, DAEMON_FIND_MAX_ERROR,
		    "cannot start derptund: %s: %s", dir->path,
		    r == -EPERM ? "not a private directory of this user"
				: err_str(r));
		return r;
	}
	r = daemon_connect(s.socket, s.deadline, wait_mask, ret_fd, &netns);
	if (r == -ENOENT || r == -ECONNREFUSED || r == -DT_ERR_CLOSED)
		r = start(&s, ret_fd, ret_error);
	else if (r < 0)
		(void)snprintf(ret_error, DAEMON_FIND_MAX_ERROR, "%s: %s",
		    s.socket, err_str(r));
	fd_close(&s.listen_fd);
	fd_close(&s.log_fd);
	fd_close(&lock);
	return r;
}
