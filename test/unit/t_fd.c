/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "test/tap.h"

/* Open descriptors of this process (and one for the listing itself). */
static int
count_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		(void)closedir(d);
	return n;
}

static bool
is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static void
test_flags(void)
{
	int fd = dup(1), copy = fd, pair[2];

	EQ_INT(fd_set_inherit(fd, 0), 0, "set close-on-exec");
	EQ_INT(fcntl(fd, F_GETFD), FD_CLOEXEC, "is set");
	EQ_INT(fd_set_inherit(fd, 1), 0, "clear close-on-exec");
	EQ_INT(fcntl(fd, F_GETFD), 0, "is clear");
	fd_close(&fd);
	EQ_INT(fd, -1, "close sets -1");
	OK(!is_open(copy), "and closes");
	fd_close(&fd);
	if (pipe(pair) != 0)
		return;
	EQ_INT(fd_set_nonblock(pair[0]), 0, "non-blocking");
	EQ_INT(fd_set_nonblock(pair[0]), 0, "twice");
	OK((fcntl(pair[0], F_GETFL) & O_NONBLOCK) != 0, "is set");
	OK((fcntl(pair[1], F_GETFL) & O_NONBLOCK) == 0, "here only");
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	EQ_INT(fd_set_inherit(-1, 1), -EBADF, "bad descriptor");
	EQ_INT(fd_set_nonblock(-1), -EBADF, "bad descriptor");
}

static void
test_pair(void)
{
	int a = 7, b = 7, type = 0;
	socklen_t len = sizeof(type);

	EQ_INT(fd_seqpacket_pair(&a, &b, 0), 0, "pair");
	EQ_INT(fcntl(a, F_GETFD) & fcntl(b, F_GETFD), FD_CLOEXEC, "cloexec");
	OK((fcntl(a, F_GETFL) & fcntl(b, F_GETFL) & O_NONBLOCK) != 0,
	    "non-blocking");
	OK(getsockopt(a, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
		type == SOCK_SEQPACKET,
	    "SEQPACKET");
	fd_close(&a);
	fd_close(&b);
	EQ_INT(fd_seqpacket_pair(&a, &b, 100000), 0, "pair with size");
	OK(getsockopt(a, SOL_SOCKET, SO_SNDBUF, &type, &len) == 0 &&
		type == 200000,
	    "the kernel doubles what was asked");
	fd_close(&a);
	fd_close(&b);
}

static void
test_messages(void)
{
	int fds[FD_MAX_PASSED], a, b;
	char in[64];
	size_t n = 99;

	if (fd_seqpacket_pair(&a, &b, 0) < 0)
		return;
	EQ_INT(fd_recv(b, in, sizeof(in), fds, &n), -EAGAIN, "nothing yet");
	EQ_INT(n, 99, "no partial output");
	EQ_INT(fd_send(a, "one", 3, NULL, 0), 3, "send");
	EQ_INT(fd_send(a, "two!", 4, NULL, 0), 4, "send another");
	EQ_INT(fd_send(a, "", 0, NULL, 0), -EINVAL, "empty message");
	EQ_INT(fd_send(a, "x", 1, fds, FD_MAX_PASSED + 1), -EINVAL, "too many");
	EQ_INT(fd_recv(b, in, sizeof(in), fds, &n), 3, "receive");
	EQ_INT(n, 0, "no descriptors");
	EQ_INT(fd_recv(b, in, 4, fds, &n), 4, "exactly fitting");
	EQ_MEM(in, "two!", 4, "content");
	EQ_INT(fd_send(a, "three", 5, NULL, 0), 5, "send");
	EQ_INT(fd_recv(b, in, 4, fds, &n), -DT_ERR_TOO_LONG, "one too long");
	EQ_INT(fd_recv(b, in, 4, fds, &n), -EAGAIN, "it is gone as a whole");
	fd_close(&a);
	EQ_INT(fd_recv(b, in, 4, fds, &n), 0, "peer closed");
	EQ_INT(fd_send(b, "x", 1, NULL, 0), -EPIPE, "no SIGPIPE");
	fd_close(&b);
}

static void
test_queue_full(void)
{
	char block[4096] = { 0 };
	int a, b, i;
	ssize_t r = 0;

	if (fd_seqpacket_pair(&a, &b, 0) < 0)
		return;
	for (i = 0; i < 10000 && r >= 0; i++)
		r = fd_send(a, block, sizeof(block), NULL, 0);
	EQ_INT(r, -EAGAIN, "never blocks: full after %d messages", i);
	fd_close(&a);
	fd_close(&b);
}

static void
test_passing(void)
{
	int fds[FD_MAX_PASSED] = { -1, -1, -1, -1 }, out[FD_MAX_PASSED];
	struct stat st, want;
	char in[8];
	size_t n = 0;
	int a, b, before;

	if (fd_seqpacket_pair(&a, &b, 0) < 0)
		return;
	before = count_open();
	for (int i = 0; i < FD_MAX_PASSED; i++)
		out[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
	EQ_INT(fd_send(a, "fds", 3, out, FD_MAX_PASSED), 3, "send the maximum");
	OK(is_open(out[0]), "they stay open");
	for (int i = 0; i < FD_MAX_PASSED; i++)
		fd_close(&out[i]);
	EQ_INT(fd_recv(b, in, sizeof(in), fds, &n), 3, "receive");
	EQ_INT(n, FD_MAX_PASSED, "all of them");
	for (size_t i = 0; i < n; i++) {
		OK(fstat(fds[i], &st) == 0 && stat("/dev/null", &want) == 0 &&
			st.st_ino == want.st_ino,
		    "descriptor %zu is the file sent", i);
		EQ_INT(fcntl(fds[i], F_GETFD), FD_CLOEXEC, "close-on-exec");
		fd_close(&fds[i]);
	}
	/* Data cut off: the descriptor that came along is closed. */
	EQ_INT(fd_send(a, "long", 4, &b, 1), 4, "send one");
	EQ_INT(fd_recv(b, in, 3, fds, &n), -DT_ERR_TOO_LONG, "data cut");
	EQ_INT(count_open(), before, "no descriptor leaked");
	EQ_INT(n, FD_MAX_PASSED, "no partial output");
	fd_close(&a);
	fd_close(&b);
}

/* More descriptors than fd_send() would send: by hand. */
static void
test_too_many(void)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE((FD_MAX_PASSED + 1) * sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = &control, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[FD_MAX_PASSED], many[FD_MAX_PASSED + 1];
	size_t n = 0;
	char in[8];
	int a, b, before;

	if (fd_seqpacket_pair(&a, &b, 0) < 0)
		return;
	before = count_open();
	for (int i = 0; i <= FD_MAX_PASSED; i++)
		many[i] = a;
	memset(&control, 0, sizeof(control));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(many));
	memcpy(CMSG_DATA(&control.header), many, sizeof(many));
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control);
	EQ_INT(sendmsg(a, &msg, 0), 1, "send max + 1 descriptors");
	EQ_INT(fd_recv(b, in, sizeof(in), fds, &n), -DT_ERR_TOO_LONG, "cut");
	EQ_INT(count_open(), before, "no descriptor leaked");
	fd_close(&a);
	fd_close(&b);
}

static void
test_stream(void)
{
	int fds[FD_MAX_PASSED], pair[2];
	char in[8];
	size_t n;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	EQ_INT(fd_recv(pair[1], in, 2, fds, &n), -EAGAIN,
	    "never blocks, though the socket would");
	EQ_INT(fd_send(pair[0], "abcd", 4, pair, 1), 4, "stream send");
	EQ_INT(fd_recv(pair[1], in, 2, fds, &n), 2, "some bytes");
	EQ_INT(n, 1, "with the descriptor");
	if (n == 1)
		fd_close(&fds[0]);
	EQ_INT(fd_recv(pair[1], in, 8, fds, &n), 2, "the rest");
	EQ_INT(n, 0, "without");
	fd_close(&pair[0]);
	fd_close(&pair[1]);
}

static void
test_close_from(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int low = dup(1), mid = dup(1), high = fcntl(1, F_DUPFD, 500);
		bool good;

		fd_close_from(mid);
		good = is_open(low) && !is_open(mid) && !is_open(high);
		fd_close(&low);
		_exit(good ? 0 : 1);
	}
	OK(waitpid(pid, &status, 0) == pid && status == 0, "close_from");
}

static void
test_close_others(void)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		int a = fcntl(1, F_DUPFD, 100), b = fcntl(1, F_DUPFD, 102);
		int c = fcntl(1, F_DUPFD, 103), d = fcntl(1, F_DUPFD, 500);
		int e = fcntl(1, F_DUPFD, 600);
		const int keep[] = { d, b, -1, c };

		fd_close_others(3, keep, 4);
		_exit(!is_open(a) && is_open(b) && is_open(c) && is_open(d) &&
			      !is_open(e) && is_open(2)
			  ? 0
			  : 1);
	}
	OK(waitpid(pid, &status, 0) == pid && status == 0, "close_others");
}

static void
test_reopen_pipe(void)
{
	int pair[2], fd;
	char in[4];

	if (pipe(pair) != 0)
		return;
	fd = fd_reopen(pair[0], O_RDONLY | O_NONBLOCK);
	OK(fd >= 0, "reopen a pipe");
	OK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0, "ours does not block");
	OK((fcntl(pair[0], F_GETFL) & O_NONBLOCK) == 0, "theirs does");
	EQ_INT(fcntl(fd, F_GETFD), FD_CLOEXEC, "close-on-exec");
	EQ_INT(write(pair[1], "hi", 2), 2, "write");
	EQ_INT(read(fd, in, 4), 2, "read from the same pipe");
	fd_close(&fd);
	fd = fd_reopen(pair[1], O_WRONLY);
	OK(fd >= 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0, "blocking");
	fd_close(&fd);
	fd_close(&pair[0]);
	fd_close(&pair[1]);
	EQ_INT(fd_reopen(pair[0], O_RDONLY), -EBADF, "bad descriptor");
}

static void
test_reopen_file(void)
{
	char path[] = "/tmp/t_fd.XXXXXX", in[8] = "";
	int file = mkostemp(path, O_APPEND | O_CLOEXEC), fd;

	OK(file >= 0 && unlink(path) == 0, "a file without a name");
	EQ_INT(write(file, "abcdef", 6), 6, "write");
	EQ_INT(lseek(file, 2, SEEK_SET), 2, "seek");
	fd = fd_reopen(file, O_RDONLY);
	EQ_INT(read(fd, in, 8), 4, "the position is kept");
	EQ_STR(in, "cdef", "content");
	EQ_INT(lseek(file, 0, SEEK_CUR), 2, "theirs does not move");
	fd_close(&fd);
	fd = fd_reopen(file, O_WRONLY);
	OK((fcntl(fd, F_GETFL) & O_APPEND) != 0, "appending is kept");
	fd_close(&fd);
	fd_close(&file);
}

/* A named pipe whose writer is gone must not make us wait. */
static void
test_reopen_named(void)
{
	char dir[] = "/tmp/t_fd.XXXXXX", path[64];
	int reader, fd;

	if (mkdtemp(dir) == NULL)
		return;
	(void)snprintf(path, sizeof(path), "%s/pipe", dir);
	EQ_INT(mkfifo(path, 0600), 0, "named pipe");
	reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	(void)alarm(10);
	fd = fd_reopen(reader, O_RDONLY);
	(void)alarm(0);
	OK(fd >= 0, "reopened without waiting");
	fd_close(&fd);
	fd_close(&reader);
	(void)unlink(path);
	(void)rmdir(dir);
}

static void
test_reopen_socket(void)
{
	int a, b;

	if (fd_seqpacket_pair(&a, &b, 0) < 0)
		return;
	EQ_INT(fd_reopen(a, O_RDONLY), -ENXIO, "sockets cannot be reopened");
	fd_close(&a);
	fd_close(&b);
}

/* Hostile peers: all is received, or nothing is touched. */
static void
test_hostile(void)
{
	static int sent[FD_MAX_RECEIVED], got[FD_MAX_RECEIVED];
	int pair[2], null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int open_before = count_open();
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(sent))];
	} control = { .header = {
			  CMSG_LEN(sizeof(sent)), SOL_SOCKET, SCM_RIGHTS } };
	char byte[4] = "abc";
	struct iovec iov = { byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control) };
	bool has = true;
	size_t n = 0;

	for (size_t i = 0; i < FD_MAX_RECEIVED; i++)
		sent[i] = null_fd;
	memcpy(CMSG_DATA(&control.header), sent, sizeof(sent));
	(void)socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
	EQ_INT(fd_recv_bare(pair[0], byte, 4, &has), -EAGAIN, "nothing yet");
	EQ_INT(has, 0, "nor descriptors");
	EQ_INT(send(pair[1], "abc", 3, 0), 3, "bytes");
	EQ_INT(fd_recv_bare(pair[0], byte, 4, &has), 3, "come");
	EQ_INT(has, 0, "without descriptors");
	EQ_INT(sendmsg(pair[1], &msg, 0), 1, "as many as the kernel passes");
	EQ_INT(fd_recv_bare(pair[0], byte, 4, &has), 1, "they are seen");
	EQ_INT(has, 1, "and told of");
	EQ_INT(fd_recv_bare(pair[0], byte, 4, &has), 1, "but stay");
	EQ_INT(has, 1, "where they are");
	EQ_INT(fd_recv_all(pair[0], byte, 4, got, &n), 1, "until wanted");
	EQ_INT(n, FD_MAX_RECEIVED, "all of them");
	for (size_t i = 0; i < n; i++)
		fd_close(&got[i]);
	EQ_INT(fd_recv_all(pair[0], byte, 4, got, &n), -EAGAIN, "no more");
	EQ_INT(n, 0, "none");
	fd_close(&pair[1]);
	EQ_INT(fd_recv_bare(pair[0], byte, 4, &has), 0, "the end");
	fd_close(&pair[0]);
	EQ_INT(count_open(), open_before, "nothing is left open");
	fd_close(&null_fd);
}

int
main(void)
{
	test_hostile();
	test_flags();
	test_pair();
	test_messages();
	test_queue_full();
	test_passing();
	test_too_many();
	test_stream();
	test_close_from();
	test_close_others();
	test_reopen_pipe();
	test_reopen_file();
	test_reopen_named();
	test_reopen_socket();
	return tap_done();
}
