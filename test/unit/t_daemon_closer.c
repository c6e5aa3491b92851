/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptors whose close() waits, without a file system: TCP sockets that
 * linger while their peer does not read.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "test/tap.h"
#include "test/unit/loop_for.h"

/* Whoever is late on a busy machine (or under valgrind) is given this. */
#define PATIENCE_MS 5000
#define STUCK 60 /* seconds */

/* Valgrind stops all threads while one is in close(). */
#if defined(VALGRIND)
#define SERIALIZED true
#else
#define SERIALIZED false
#endif

static struct loop *loop;
static int listener;

/* A socket that close() would wait for, until @ret_peer is closed. */
static int
lingering(int *ret_peer)
{
	static const char zeros[65536];
	const struct linger linger = { .l_onoff = 1, .l_linger = STUCK };
	const int room = 1 << 18; /* far more than the peer takes */
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (getsockname(listener, (struct sockaddr *)&sa, &len) != 0 ||
	    connect(fd, (struct sockaddr *)&sa, len) != 0)
		return -1;
	*ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	while (send(fd, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
	return fd;
}

/* Turns the loop until @cond or for too long. */
#define UNTIL(cond)                                                            \
	for (int ms_ = 0; ms_ < PATIENCE_MS && !(cond); ms_ += 10)             \
	(void)loop_for(loop, 10 * MONO_MS)

static int
count_threads(void)
{
	DIR *d = opendir("/proc/self/task");
	int n = -2; /* . and .. */

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		(void)closedir(d);
	return n;
}

static bool
is_eof(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* A pipe whose writing end @uid gave; returns the reading end. */
static int
give_pipe(uid_t uid)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) != 0)
		return -1;
	EQ_INT(closer_adopt(fds[1], uid, CLOSER_GIVEN), 0, "it is adopted");
	fd_close(&fds[1]);
	EQ_INT(fds[1], -1, "it is the closer's");
	return fds[0];
}

static void
test_own(void)
{
	int fd = dup(0), number = fd;

	fd_close(&fd);
	EQ_INT(fcntl(number, F_GETFD), -1, "our own are closed at once");
	fd = dup(0);
	EQ_INT(fd, number, "the number is free");
	EQ_INT(closer_adopt(fd, 7, CLOSER_GIVEN), 0, "adopted");
	fd_close(&fd);
	UNTIL(fcntl(number, F_GETFD) < 0);
	EQ_INT(fcntl(number, F_GETFD), -1, "others' soon");
	fd = dup(0);
	number = fd;
	fd_close(&fd);
	EQ_INT(fcntl(number, F_GETFD), -1, "the same number, ours again");
}

static void
test_many(void)
{
	int reader[200], n = 0;

	for (size_t i = 0; i < 200; i++) {
		int fds[2] = { -1, -1 };

		if (pipe2(fds, O_CLOEXEC) != 0)
			continue;
		(void)closer_adopt(fds[1], 1 + (uid_t)i % 40, CLOSER_GIVEN);
		fd_close(&fds[1]);
		reader[i] = fds[0];
	}
	for (size_t i = 0; i < 200; i++) {
		UNTIL(is_eof(reader[i]));
		n += is_eof(reader[i]);
		fd_close(&reader[i]);
	}
	EQ_INT(n, 200, "all of forty users are closed");
	EQ_INT(closer_waiting(CLOSER_GIVEN), 0, "none waits");
}

static void
test_stuck(void)
{
	int peer[CLOSER_MAX_THREADS], reader, other;
	int64_t before = mono_now().us;

	for (size_t i = 0; i < CLOSER_MAX_THREADS; i++) {
		int fd = lingering(&peer[i]);

		OK(fd >= 0 && closer_adopt(fd, 1, CLOSER_GIVEN) == 0,
		    "a socket that lingers");
		fd_close(&fd);
		OK(closer_may_take(1), "more may come yet");
	}
	reader = give_pipe(1);
	other = give_pipe(2);
	OK(mono_now().us - before < 10 * MONO_SEC, "nothing of it waits");
	UNTIL(is_eof(other));
	OK(is_eof(other), "another user's pipe is closed");
	UNTIL(!closer_may_take(1));
	OK(!closer_may_take(1), "no more may come when all hang");
	OK(closer_may_take(2), "but from others");
	OK(!is_eof(reader), "the last one waits");
	EQ_INT(closer_waiting(CLOSER_GIVEN), 1, "alone");
	fd_close(&peer[0]);
	UNTIL(is_eof(reader));
	OK(is_eof(reader), "one comes back, and closes it");
	UNTIL(closer_may_take(1));
	OK(closer_may_take(1), "more may come again");
	for (size_t i = 1; i < CLOSER_MAX_THREADS; i++)
		fd_close(&peer[i]);
	fd_close(&reader);
	fd_close(&other);
}

/* A file system that is away hinders nothing but itself. */
static void
test_stall(void)
{
	int peer = -1, fd = lingering(&peer), reader;

	(void)closer_adopt(fd, 3, CLOSER_GIVEN);
	fd_close(&fd);
	reader = give_pipe(3);
	UNTIL(is_eof(reader));
	OK(is_eof(reader), "what comes behind is closed by another thread");
	OK(closer_may_take(3), "and more may come");
	fd_close(&reader);
	fd_close(&peer);
}

static void
test_connections(void)
{
	int pair[2], peer = -1, fd, number;

	(void)socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	number = pair[0];
	(void)closer_adopt(pair[0], 4, CLOSER_CONNECTION);
	fd_close(&pair[0]);
	EQ_INT(fcntl(number, F_GETFD), -1,
	    "a connection with nothing unread is closed at once");
	fd_close(&pair[1]);
	(void)socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	(void)closer_adopt(pair[0], 4, CLOSER_CONNECTION);
	fd = lingering(&peer);
	EQ_INT(fd_send(pair[1], "x", 1, &fd, 1), 1, "a socket is sent");
	(void)close(dup(fd)); /* not the last */
	number = fd;
	(void)closer_adopt(fd, 4, CLOSER_GIVEN);
	fd_close(&fd);
	UNTIL(fcntl(number, F_GETFD) < 0);
	EQ_INT(fcntl(number, F_GETFD), -1, "our copy is not the last");
	fd_close(&pair[0]);
	EQ_INT(closer_connections(4), 1, "its close waits for what is unread");
	OK(is_eof(pair[1]), "the other side is told at once");
	OK(closer_may_take(4), "descriptors may come nevertheless");
	fd_close(&peer);
	UNTIL(closer_connections(4) == 0);
	EQ_INT(closer_connections(4), 0, "and is done");
	fd_close(&pair[1]);
}

static void
test_end(void)
{
	int peer = -1, fd = lingering(&peer), number;
	int64_t before;

	(void)closer_adopt(fd, 5, CLOSER_GIVEN);
	fd_close(&fd);
	UNTIL(
	    closer_waiting(CLOSER_GIVEN) + closer_waiting(CLOSER_CONNECTION) ==
	    0);
	before = mono_now().us;
	EQ_INT(closer_fini(), 1, "one hangs at the end");
	OK(mono_now().us - before < PATIENCE_MS * MONO_MS, "which comes soon");
	fd = dup(0);
	number = fd;
	fd_close(&fd);
	EQ_INT(fcntl(number, F_GETFD), -1, "fd_close() is as before");
	fd_close(&peer);
	/* For the leak checker: it is not joined any more. */
	(void)loop_for(loop, 300 * MONO_MS);
}

int
main(void)
{
	const struct sockaddr_in any = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };

	const int room = 4096; /* for what is accepted */
	const int n_threads = count_threads();

	log_init("t_daemon_closer", LOG_LEVEL_ERR);
	loop = loop_new();
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (bind(listener, (const struct sockaddr *)&any, sizeof(any)) != 0 ||
	    listen(listener, 8) != 0)
		return 1;
	EQ_INT(closer_init(loop), 0, "it begins");
	test_own();
	test_many();
	if (!SERIALIZED) {
		test_stuck();
		test_stall();
		test_connections();
	}
	/* What a close did can be seen before its thread is back. */
	UNTIL(count_threads() <= n_threads);
	EQ_INT(closer_fini(), 0, "nothing hangs at the end");
	EQ_INT(closer_init(loop), 0, "it begins anew");
	if (!SERIALIZED)
		test_end();
	else
		EQ_INT(closer_fini(), 0, "and ends");
	fd_close(&listener);
	loop_free(loop);
	return tap_done();
}
