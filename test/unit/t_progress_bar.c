/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/progress_bar.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "lib/fd.h"
#include "test/tap.h"

#define MIB (INT64_C(1) << 20)
#define FULL " 31%|######..............| 3.1MiB/10.0MiB [00:01<00:01, 5.2MiB/s]"

static char out[TRANSFER_PROGRESS_MAX_LINE];

static struct mono
at_ms(int64_t ms)
{
	return (struct mono){ 5000 * MONO_MS + ms * MONO_MS };
}

static const char *
fit(const char *line, size_t columns)
{
	memset(out, 'X', sizeof(out));
	progress_bar_fit(out, line, columns);
	return out;
}

static void
test_fit(void)
{
	const size_t full = strlen(FULL);
	size_t wrong = 0;

	EQ_STR(fit("\r" FULL, 0), "\r" FULL, "unknown width");
	EQ_STR(fit("\r" FULL, full), "\r" FULL, "just fits");
	EQ_STR(fit("\r" FULL "   \n", full + 3), "\r" FULL "   \n",
	    "with blanks and newline");
	EQ_STR(fit("\r" FULL "   ", full), "\r" FULL, "fewer blanks");
	EQ_STR(fit("\r" FULL, full - 1),
	    "\r 31%|#####..............| 3.1MiB/10.0MiB [00:01<00:01, "
	    "5.2MiB/s]",
	    "a cell less");
	EQ_STR(fit("\r" FULL "\n", full - 10),
	    "\r 31%|###.......| 3.1MiB/10.0MiB [00:01<00:01, 5.2MiB/s]\n",
	    "half the bar");
	EQ_STR(fit("\r" FULL, full - 19),
	    "\r 31%|.| 3.1MiB/10.0MiB [00:01<00:01, 5.2MiB/s]", "one cell");
	EQ_STR(fit("\r" FULL, full - 20),
	    "\r 31% 3.1MiB/10.0MiB [00:01<00:01, 5.2MiB/s]  ", "no bar");
	EQ_STR(fit("\r" FULL, 43),
	    "\r 31% 3.1MiB/10.0MiB [00:01<00:01, 5.2MiB/s]", "exactly that");
	EQ_STR(fit("\r" FULL, 42),
	    "\r 31% 3.1MiB/10.0MiB                       ", "no times");
	EQ_STR(fit("\r" FULL, 19), "\r 31% 3.1MiB/10.0MiB", "only sizes");
	EQ_STR(fit("\r" FULL, 10), "\r 31% 3.1Mi", "cut");
	EQ_STR(fit("\r" FULL "\n", 1), "\r \n", "one column");
	for (size_t columns = 1; columns < full + 5; columns++) {
		size_t n = strlen(fit("\r" FULL "  \n", columns));

		wrong +=
		    n > columns + 2 || out[0] != '\r' || out[n - 1] != '\n';
	}
	EQ_INT(wrong, 0, "never wider than the terminal");
	EQ_STR(fit("\rno bar at all", 6), "\rno bar", "another line");
	EQ_STR(fit("\ra|b", 2), "\ra ", "half a bar");
}

/* What was written to a pipe. */
static const char *
drain(int fd)
{
	static char text[4096];
	ssize_t n = read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_pipe(void)
{
	struct progress_bar bar;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
		abort();
	progress_bar_init(&bar, PROGRESS_BAR_AUTO, fds[1], 10, at_ms(0));
	OK(mono_is_never(progress_bar_next(&bar)), "no terminal: no ticks");
	progress_bar_set(&bar, 5, at_ms(500));
	progress_bar_tick(&bar, at_ms(5000));
	progress_bar_pause(&bar);
	progress_bar_end(&bar, true, at_ms(6000));
	EQ_STR(drain(fds[0]), "", "and no bar");

	progress_bar_init(
	    &bar, PROGRESS_BAR_ALWAYS, fds[1], 10 * MIB, at_ms(0));
	progress_bar_set(&bar, MIB, at_ms(50));
	EQ_STR(drain(fds[0]), "", "not before 100 ms");
	progress_bar_set(&bar, 5 * MIB, at_ms(1000));
	EQ_STR(drain(fds[0]),
	    "\r 50%|##########..........| 5.0MiB/10.0MiB [00:01<00:01, "
	    "5.0MiB/s]",
	    "asked for");
	progress_bar_set(&bar, 6 * MIB, at_ms(1099));
	EQ_STR(drain(fds[0]), "", "not again within 100 ms");
	EQ_INT(mono_diff(progress_bar_next(&bar), at_ms(2000)), 0, "next tick");
	progress_bar_tick(&bar, at_ms(1999));
	EQ_STR(drain(fds[0]), "", "not before");
	progress_bar_tick(&bar, at_ms(2000));
	EQ_INT(strncmp(drain(fds[0]), "\r 60%|", 6), 0, "then it goes on");
	progress_bar_pause(&bar);
	EQ_STR(drain(fds[0]), "\n", "other text follows");
	progress_bar_pause(&bar);
	EQ_STR(drain(fds[0]), "", "only one newline");
	progress_bar_set_peer(&bar, 7 * MIB, 1000, at_ms(3000));
	EQ_STR(drain(fds[0]),
	    "\r 70%|##############......| 7.0MiB/10.0MiB [00:03<00:00, "
	    "7.0MiB/s]",
	    "the receiver's clock");
	progress_bar_end(&bar, true, at_ms(4000));
	EQ_STR(drain(fds[0]),
	    "\r100%|####################| 10.0MiB/10.0MiB [00:01<00:00, "
	    "10.0MiB/s]\n",
	    "the end");
	progress_bar_set(&bar, 10 * MIB, at_ms(5000));
	progress_bar_tick(&bar, at_ms(9000));
	progress_bar_end(&bar, false, at_ms(9000));
	EQ_STR(drain(fds[0]), "", "nothing after it");
	OK(mono_is_never(progress_bar_next(&bar)), "no ticks either");

	progress_bar_init(&bar, PROGRESS_BAR_ALWAYS, fds[1], 10, at_ms(0));
	progress_bar_end(&bar, false, at_ms(50));
	EQ_STR(drain(fds[0]), "", "failed before anything was drawn");
	progress_bar_init(&bar, PROGRESS_BAR_ALWAYS, fds[1], 10, at_ms(0));
	progress_bar_set(&bar, 1, at_ms(100));
	(void)drain(fds[0]);
	progress_bar_end(&bar, false, at_ms(150));
	EQ_STR(drain(fds[0]), "\n", "failed afterwards: a newline");
	progress_bar_init(&bar, PROGRESS_BAR_NEVER, fds[1], 10, at_ms(0));
	progress_bar_set(&bar, 1, at_ms(100));
	progress_bar_end(&bar, true, at_ms(150));
	EQ_STR(drain(fds[0]), "", "never");
	fd_close(&fds[0]);
	fd_close(&fds[1]);
}

/* The pipe's flags are the user's: it blocks, and we must not. */
static void
test_full_pipe(void)
{
	struct progress_bar bar;
	char filler[4096] = { 0 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0 ||
	    fcntl(fds[1], F_SETPIPE_SZ, 4096) < 0 ||
	    write(fds[1], filler, sizeof(filler)) != (ssize_t)sizeof(filler))
		abort();
	progress_bar_init(&bar, PROGRESS_BAR_ALWAYS, fds[1], 10, at_ms(0));
	progress_bar_set(&bar, 1, at_ms(100));
	OK(!bar.is_dirty, "a reader that does not read: not drawn");
	EQ_INT(mono_diff(progress_bar_next(&bar), at_ms(1100)), 0,
	    "tried again later, not at once");
	progress_bar_end(&bar, true, at_ms(2000));
	OK(true, "nor did the end wait");
	fd_close(&fds[0]);
	fd_close(&fds[1]);
}

/* In a session of its own, on a terminal of its own.  Returns the number of the
 * first check that failed. */
static int
on_terminal(int master, const char *name)
{
	struct winsize size = { .ws_row = 24, .ws_col = 40 };
	struct progress_bar bar;
	int fd, status;
	pid_t pid;

	if (setsid() < 0)
		return 77;
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) != 0 ||
	    ioctl(fd, TIOCSWINSZ, &size) != 0)
		return 77;
	progress_bar_init(&bar, PROGRESS_BAR_AUTO, fd, 10 * MIB, at_ms(0));
	progress_bar_set(&bar, 5 * MIB, at_ms(1000));
	if (strcmp(drain(master),
		"\r 50% 5.0MiB/10.0MiB                    ") != 0)
		return 1;
	/* Ctrl-S: nothing can be written. */
	if (tcflow(fd, TCOOFF) != 0)
		return 77;
	progress_bar_set(&bar, 6 * MIB, at_ms(2000));
	progress_bar_end(&bar, true, at_ms(3000));
	if (tcflow(fd, TCOON) != 0 || strchr(drain(master), '6') != NULL)
		return 2;
	/* In the background nothing is drawn, and nobody is stopped. */
	pid = fork();
	if (pid == 0) {
		if (setpgid(0, 0) != 0)
			_exit(77);
		progress_bar_init(
		    &bar, PROGRESS_BAR_AUTO, fd, 10 * MIB, at_ms(0));
		progress_bar_set(&bar, 5 * MIB, at_ms(1000));
		_exit(bar.is_dirty ? 3 : 0);
	}
	if (waitpid(pid, &status, WUNTRACED) != pid || !WIFEXITED(status)) {
		(void)kill(pid, SIGKILL);
		return 4;
	}
	return WEXITSTATUS(status);
}

static void
test_terminal(void)
{
	struct termios raw;
	char name[64];
	int master, slave, status;
	pid_t pid;

	if (openpty(&master, &slave, name, NULL, NULL) != 0) {
		OK(true, "terminal # SKIP no pseudo-terminals");
		return;
	}
	(void)tcgetattr(slave, &raw);
	raw.c_lflag |= TOSTOP;
	(void)tcsetattr(slave, TCSANOW, &raw);
	(void)fd_set_nonblock(master);
	pid = fork();
	if (pid == 0)
		_exit(on_terminal(master, name));
	if (waitpid(pid, &status, 0) != pid)
		abort();
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		OK(true, "terminal # SKIP cannot have one of our own");
	else
		EQ_INT(
		    status >> 8, 0, "narrow, stopped, and in the background");
	fd_close(&master);
	fd_close(&slave);
}

static void
test_gone(void)
{
	struct progress_bar bar;
	int fds[2];

	(void)signal(SIGPIPE, SIG_IGN);
	if (pipe2(fds, O_CLOEXEC) != 0)
		abort();
	fd_close(&fds[0]);
	progress_bar_init(&bar, PROGRESS_BAR_ALWAYS, fds[1], 10, at_ms(0));
	progress_bar_set(&bar, 1, at_ms(100));
	progress_bar_end(&bar, true, at_ms(200));
	OK(!bar.is_dirty, "nobody reads: nothing happens");
	fd_close(&fds[1]);
	progress_bar_init(&bar, PROGRESS_BAR_ALWAYS, fds[1], 10, at_ms(0));
	progress_bar_set(&bar, 1, at_ms(100));
	OK(!bar.is_dirty, "stderr is closed: nothing happens");
}

int
main(void)
{
	test_fit();
	test_pipe();
	test_full_pipe();
	test_terminal();
	test_gone();
	return tap_done();
}
