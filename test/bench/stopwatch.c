/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long a command takes to do what it was started for, in a process that
 * does nothing else: an interpreter between the events would add more
 * milliseconds than there are to measure.
 *
 * usage: stopwatch UNTIL PROGRAM [ARGUMENT...]
 *        stopwatch service
 *
 * UNTIL:
 *   exit   PROGRAM has ended
 *   echo   it said "listening on ADDRESS" on stderr, and a byte sent there
 *          came back; then it gets SIGINT
 *   fd=N   a byte can be read from the inherited descriptor N; PROGRAM must
 *          end too
 *
 * Prints milliseconds on stderr.  Exit status 1 when PROGRAM failed or 60 s
 * have passed; what it said is repeated then.
 *
 * The service prints its address and gives every connection its first byte
 * back.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 60000
#define END_MS 10000 /* from the clock's stop to the program's end */
#define LISTENING "listening on "
#define MAX_WORDS 8192 /* of stderr, kept */

enum until { UNTIL_EXIT, UNTIL_ECHO, UNTIL_FD };

struct watch {
	enum until until;
	int fd; /* of UNTIL_FD, else -1 */
	pid_t pid;
	int pid_fd;
	int words_fd; /* the program's stderr */
	char words[MAX_WORDS];
	size_t n_words;
	double start, stop; /* ms; stop is 0 while it runs */
};

static double
now_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void
fail(struct watch *w, const char *what)
{
	if (w->pid > 0)
		(void)kill(w->pid, SIGKILL);
	fprintf(
	    stderr, "stopwatch: %s: %.*s\n", what, (int)w->n_words, w->words);
	exit(1);
}

static void
spawn(struct watch *w, char **argv)
{
	posix_spawn_file_actions_t actions;
	int words[2];

	if (pipe2(words, O_CLOEXEC) != 0 ||
	    posix_spawn_file_actions_init(&actions) != 0 ||
	    posix_spawn_file_actions_adddup2(
		&actions, words[1], STDERR_FILENO) != 0)
		fail(w, "no pipe");
	w->start = now_ms();
	if (posix_spawnp(&w->pid, argv[0], &actions, NULL, argv, environ) != 0)
		fail(w, argv[0]);
	(void)close(words[1]);
	(void)posix_spawn_file_actions_destroy(&actions);
	w->words_fd = words[0];
	w->pid_fd = (int)syscall(SYS_pidfd_open, w->pid, 0);
	if (w->pid_fd < 0)
		fail(w, "no pidfd");
}

/* A byte there and back. */
static void
echo(struct watch *w, const char *address)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };
	char host[INET_ADDRSTRLEN], c = '.';
	unsigned short port;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sscanf(address, "%15[0-9.]:%hu", host, &port) != 2 ||
	    inet_pton(AF_INET, host, &sa.sin_addr) != 1)
		fail(w, "no address");
	sa.sin_port = htons(port);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    send(fd, &c, 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1)
		fail(w, "no echo");
	w->stop = now_ms();
	(void)close(fd);
	(void)kill(w->pid, SIGINT);
}

/* Reads what the program said; its end is told by the pidfd. */
static void
take_words(struct watch *w)
{
	const char *line;
	ssize_t n;

	if (w->n_words == sizeof(w->words) - 1)
		w->n_words /= 2; /* of an endless talker the latest will do */
	n = read(w->words_fd, w->words + w->n_words,
	    sizeof(w->words) - 1 - w->n_words);
	if (n <= 0) {
		(void)close(w->words_fd);
		w->words_fd = -1;
		return;
	}
	w->n_words += (size_t)n;
	w->words[w->n_words] = '\0';
	line = strstr(w->words, LISTENING);
	if (w->until == UNTIL_ECHO && w->stop == 0 && line != NULL &&
	    strchr(line, '\n') != NULL)
		echo(w, line + strlen(LISTENING));
}

static void
take_byte(struct watch *w)
{
	char c;

	if (read(w->fd, &c, 1) != 1)
		fail(w, "nothing came");
	w->stop = now_ms();
	w->fd = -1;
}

static void
take_end(struct watch *w)
{
	double ended = now_ms();
	int status;

	if (waitpid(w->pid, &status, 0) != w->pid)
		fail(w, "no status");
	w->pid = 0;
	w->pid_fd = -1;
	if (w->until == UNTIL_EXIT)
		w->stop = ended;
	/* SIGINT may end it in any way. */
	if (w->until == UNTIL_ECHO ? w->stop == 0 : status != 0)
		fail(w, "ended");
}

static void
watch(struct watch *w)
{
	while (w->pid > 0 || w->stop == 0) {
		struct pollfd p[] = { { .fd = w->pid_fd, .events = POLLIN },
			{ .fd = w->words_fd, .events = POLLIN },
			{ .fd = w->fd, .events = POLLIN } };
		double limit =
		    w->stop > 0 ? w->stop + END_MS : w->start + LIMIT_MS;
		int left = (int)(limit - now_ms()) + 1;

		if (left <= 0 || poll(p, 3, left) < 0)
			fail(w, "too late");
		/* The end last: what came before it is still to be read. */
		if (p[2].revents != 0)
			take_byte(w);
		else if (p[1].revents != 0)
			take_words(w);
		else if (p[0].revents != 0)
			take_end(w);
	}
}

static void
serve(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), conn;
	char c;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0 ||
	    listen(fd, 64) != 0 ||
	    getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		exit(1);
	printf("127.0.0.1:%u\n", ntohs(sa.sin_port));
	(void)fflush(stdout);
	while ((conn = accept(fd, NULL, NULL)) >= 0) {
		if (recv(conn, &c, 1, 0) == 1)
			(void)send(conn, &c, 1, MSG_NOSIGNAL);
		(void)close(conn);
	}
}

int
main(int argc, char **argv)
{
	static struct watch w = { .fd = -1 };

	if (argc == 2 && strcmp(argv[1], "service") == 0) {
		serve();
		return 1;
	}
	if (argc < 3)
		return 2;
	if (strcmp(argv[1], "echo") == 0)
		w.until = UNTIL_ECHO;
	else if (sscanf(argv[1], "fd=%d", &w.fd) == 1)
		w.until = UNTIL_FD;
	else if (strcmp(argv[1], "exit") != 0)
		return 2;
	spawn(&w, argv + 2);
	watch(&w);
	fprintf(stderr, "%.3f\n", w.stop - w.start);
	return 0;
}
