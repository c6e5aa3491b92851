/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"

/* Room for one SCM_RIGHTS message, aligned for its header. */
union fd_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FD_MAX_PASSED * sizeof(int))];
};
union fd_large_control {
	struct cmsghdr header;
	char room[CMSG_SPACE(FD_MAX_RECEIVED * sizeof(int))];
};

static bool (*closer)(int fd);

void
fd_close(int *fd)
{
	if (*fd >= 0 && (closer == NULL || !closer(*fd)))
		(void)close(*fd); /* Linux releases it whatever it returns */
	*fd = -1;
}

void
fd_set_closer(bool (*take)(int fd))
{
	closer = take;
}

int
fd_set_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -errno;
	if ((flags & O_NONBLOCK) != 0)
		return 0;
	return fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 ? 0 : -errno;
}

int
fd_set_inherit(int fd, int inherit)
{
	return fcntl(fd, F_SETFD, inherit ? 0 : FD_CLOEXEC) == 0 ? 0 : -errno;
}

int
fd_seqpacket_pair(int *ret_a, int *ret_b, int bufsize)
{
	const int names[2] = { SO_SNDBUF, SO_RCVBUF };
	int pair[2];
	int r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, pair) != 0)
		return -errno;
	for (size_t i = 0; bufsize != 0 && i < 4; i++)
		if (setsockopt(pair[i / 2], SOL_SOCKET, names[i % 2], &bufsize,
			sizeof(bufsize)) != 0) {
			r = -errno;
			fd_close(&pair[0]);
			fd_close(&pair[1]);
			return r;
		}
	*ret_a = pair[0];
	*ret_b = pair[1];
	return 0;
}

ssize_t
fd_send(int fd, const void *p, size_t len, const int *fds, size_t n_fds)
{
	union fd_control control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (len == 0 || n_fds > FD_MAX_PASSED)
		return -EINVAL;
	/* iovec has no const variant; sendmsg only reads. */
	memcpy(&iov.iov_base, &p, sizeof(p));
	iov.iov_len = len;
	if (n_fds > 0) {
		memset(&control, 0, sizeof(control));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* Where descriptors go that were received. */
struct fd_list {
	int *fds;
	size_t n;
	size_t max;
};

/* Copies the descriptors of one control message out. */
static void
take_rights(struct cmsghdr *c, struct fd_list *l)
{
	size_t n;

	if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len < CMSG_LEN(0))
		return;
	n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	if (n > l->max - l->n)
		n = l->max - l->n; /* our room was sized for no more */
	memcpy(l->fds + l->n, CMSG_DATA(c), n * sizeof(int));
	l->n += n;
}

/* @control: room for as many as @l has.  Returns bytes, -errno, or
 * -DT_ERR_TOO_LONG; @l is filled in any case. */
static ssize_t
receive(int fd, struct iovec *iov, void *control, size_t control_len,
    struct fd_list *l)
{
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
	ssize_t n;

	do {
		msg.msg_control = control;
		msg.msg_controllen = control_len;
		n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c != NULL;
	     c = CMSG_NXTHDR(&msg, c))
		take_rights(c, l);
	return (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0
		   ? -DT_ERR_TOO_LONG
		   : n;
}

ssize_t
fd_recv(int fd, void *p, size_t cap, int ret_fds[static FD_MAX_PASSED],
    size_t *ret_n_fds)
{
	union fd_control control;
	struct iovec iov = { .iov_base = p, .iov_len = cap };
	int fds[FD_MAX_PASSED];
	struct fd_list l = { fds, 0, FD_MAX_PASSED };
	ssize_t n = receive(fd, &iov, &control, sizeof(control), &l);

	if (n < 0) {
		for (size_t i = 0; i < l.n; i++)
			fd_close(&fds[i]);
		return n;
	}
	for (size_t i = 0; i < l.n; i++)
		ret_fds[i] = fds[i];
	*ret_n_fds = l.n;
	return n;
}

ssize_t
fd_recv_all(int fd, void *p, size_t cap, int ret_fds[static FD_MAX_RECEIVED],
    size_t *ret_n_fds)
{
	union fd_large_control control;
	struct iovec iov = { .iov_base = p, .iov_len = cap };
	struct fd_list l = { ret_fds, 0, FD_MAX_RECEIVED };
	ssize_t n = receive(fd, &iov, &control, sizeof(control), &l);

	*ret_n_fds = l.n;
	return n;
}

ssize_t
fd_recv_bare(int fd, void *p, size_t cap, bool *ret_has_fds)
{
	struct iovec iov = { .iov_base = p, .iov_len = cap };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	*ret_has_fds = false;
	do
		n = recvmsg(fd, &msg, MSG_PEEK | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : 0;
	/* There was no room for them, and they were not dropped. */
	*ret_has_fds = (msg.msg_flags & MSG_CTRUNC) != 0;
	if (*ret_has_fds)
		return n;
	/* Exactly that: more, with descriptors, may have come meanwhile. */
	n = recv(fd, p, (size_t)n, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

/* From @first to @last, both included. */
static void
close_span(int first, int last)
{
	struct rlimit limit;
	int end = 1024;

	if (close_range((unsigned)first, (unsigned)last, 0) == 0)
		return;
	/* Kernels before 5.9, and filters that do not know the call. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		end = limit.rlim_max < INT_MAX ? (int)limit.rlim_max : INT_MAX;
	for (int fd = first; fd < end && fd <= last; fd++)
		(void)close(fd); /* most are not open */
}

void
fd_close_from(int first)
{
	close_span(first, INT_MAX);
}

/* The smallest of @fds from @first on, or INT_MAX. */
static int
next_of(const int *fds, size_t n_fds, int first)
{
	int next = INT_MAX;

	for (size_t i = 0; i < n_fds; i++)
		if (fds[i] >= first && fds[i] < next)
			next = fds[i];
	return next;
}

void
fd_close_others(int first, const int *keep, size_t n_keep)
{
	int next;

	while ((next = next_of(keep, n_keep, first)) != INT_MAX) {
		if (next > first)
			close_span(first, next - 1);
		first = next + 1;
	}
	close_span(first, INT_MAX);
}

/* Makes what was opened by fd_reopen() behave like the original. */
static int
copy_state(int from, int to, int from_flags, int want_flags)
{
	off_t off;
	int flags = want_flags & O_NONBLOCK;

	/* ">> file" must stay appending; other flags do not change I/O. */
	flags |= from_flags & O_APPEND;
	if (fcntl(to, F_SETFL, flags) != 0)
		return -errno;
	off = lseek(from, 0, SEEK_CUR);
	if (off > 0 && lseek(to, off, SEEK_SET) < 0)
		return -errno;
	return 0;
}

int
fd_reopen(int fd, int flags)
{
	char path[sizeof("/proc/self/fd/") + 12];
	int from_flags, r, to;

	from_flags = fcntl(fd, F_GETFL);
	if (from_flags < 0)
		return -errno;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* fits */
	/* Non-blocking, as opening a named pipe without a writer would wait. */
	to = open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (to < 0)
		return -errno;
	r = copy_state(fd, to, from_flags, flags);
	if (r < 0) {
		fd_close(&to);
		return r;
	}
	return to;
}
