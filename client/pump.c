/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One buffer, filled when empty and emptied when full: reading waits for
 * writing, which is all the back-pressure there is.  Only one side is watched
 * at a time.
 *
 * The user's descriptor never becomes non-blocking.  Sockets are used with
 * MSG_DONTWAIT.  Pipes and terminals are touched only when poll said so, and
 * take at most PIPE_BUF bytes then, which cannot block.  Files never block.
 */
#include "client/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"

/* Large enough to make system calls cheap, small enough to hold twice. */
#define BUFFER_BYTES 65536

/* Owner: the caller of pump_attach(). */
struct pump {
	struct pump_params p;
	bool is_socket; /* the user's */
	bool is_file;   /* the user's: never blocks */
	int pair;       /* our end; -1 when over */
	struct loop_io *user_io;
	struct loop_io *pair_io;
	size_t len, off; /* of the buffer: filled, written */
	bool moved;      /* since pump_is_idle() */
	bool done;
	char buffer[BUFFER_BYTES];
};

static bool
is_in(const struct pump *p)
{
	return p->p.direction == PUMP_IN;
}

static void
watch(struct pump *p)
{
	bool writing = p->off < p->len;
	struct loop_io *from = is_in(p) ? p->user_io : p->pair_io;
	struct loop_io *to = is_in(p) ? p->pair_io : p->user_io;

	loop_io_set(from, p->done || writing ? 0 : LOOP_READ);
	loop_io_set(to, p->done || !writing ? 0 : LOOP_WRITE);
}

static void
finish(struct pump *p, int r)
{
	p->done = true;
	watch(p);
	/* The worker sees the end of stdin, or that nobody takes its data. */
	if (is_in(p) && r == 0)
		(void)shutdown(p->pair, SHUT_WR);
	if (!is_in(p) && p->is_socket)
		(void)shutdown(p->p.fd, SHUT_WR);
	p->p.on_done(p->p.arg, r);
}

/* Each returns bytes, 0 at the end, or -errno. */
static ssize_t
read_some(struct pump *p)
{
	bool user = is_in(p);
	int fd = user ? p->p.fd : p->pair;
	ssize_t n;

	if (!user || p->is_socket)
		n = recv(fd, p->buffer, sizeof(p->buffer), MSG_DONTWAIT);
	else
		n = read(fd, p->buffer, sizeof(p->buffer));
	return n < 0 ? -errno : n;
}

static ssize_t
write_some(struct pump *p)
{
	bool user = !is_in(p);
	int fd = user ? p->p.fd : p->pair;
	size_t len = p->len - p->off;
	ssize_t n;

	if (!user || p->is_socket) {
		n = send(
		    fd, p->buffer + p->off, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	} else {
		if (!p->is_file && len > PIPE_BUF)
			len = PIPE_BUF;
		n = write(fd, p->buffer + p->off, len);
	}
	return n < 0 ? -errno : n;
}

static bool
is_passing(ssize_t r)
{
	return r == -EAGAIN || r == -EINTR;
}

/* Writes what is waiting.  Returns 0, or 1 when over with *ret_r. */
static int
drain(struct pump *p, int *ret_r)
{
	ssize_t n = write_some(p);

	if (n > 0) {
		p->off += (size_t)n;
		p->moved = true; /* there may be more behind it */
	}
	if (n >= 0 || is_passing(n))
		return 0;
	/* A worker that closed its end wants no more of stdin. */
	*ret_r = is_in(p) ? 0 : (int)n;
	return 1;
}

static int
fill(struct pump *p, int *ret_r)
{
	ssize_t n = read_some(p);

	if (is_passing(n))
		return 0;
	if (n > 0) {
		p->off = 0;
		p->len = (size_t)n;
		p->moved = true;
		return 0;
	}
	/* A killed worker may leave a reset: `ended` tells about that. */
	*ret_r = !is_in(p) && n == -ECONNRESET ? 0 : (int)n;
	return 1;
}

static void
on_ready(void *arg, unsigned events, struct mono now)
{
	struct pump *p = arg;
	int r;

	(void)events;
	(void)now;
	if (p->done)
		return;
	if ((p->off < p->len ? drain(p, &r) : fill(p, &r)) != 0)
		finish(p, r); /* may free */
	else
		watch(p);
}

static bool
can_reopen(const struct stat *st, int fd)
{
	return S_ISFIFO(st->st_mode) || (S_ISCHR(st->st_mode) && isatty(fd));
}

static int
pump_new(const struct pump_params *params, const struct stat *st, int *ret_fd,
    struct pump **ret_pump)
{
	struct pump *p = calloc(1, sizeof(*p));
	int pair[2], r;

	if (p == NULL)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) != 0) {
		r = -errno;
		free(p);
		return r;
	}
	p->p = *params;
	p->is_socket = S_ISSOCK(st->st_mode);
	p->is_file = S_ISREG(st->st_mode);
	p->pair = pair[0];
	p->user_io = loop_io_new(params->loop, params->fd, on_ready, p);
	p->pair_io = loop_io_new(params->loop, p->pair, on_ready, p);
	if (p->user_io == NULL || p->pair_io == NULL) {
		pump_free(p);
		fd_close(&pair[1]);
		return -ENOMEM;
	}
	watch(p);
	*ret_fd = pair[1];
	*ret_pump = p;
	return 0;
}

int
pump_attach(
    const struct pump_params *params, int *ret_fd, struct pump **ret_pump)
{
	int flags = params->direction == PUMP_IN ? O_RDONLY : O_WRONLY;
	struct stat st;
	int fd;

	if (fstat(params->fd, &st) != 0)
		return -errno;
	if (can_reopen(&st, params->fd)) {
		fd = fd_reopen(params->fd, flags | O_NONBLOCK);
		if (fd >= 0) {
			*ret_fd = fd;
			*ret_pump = NULL;
			return 0;
		}
	}
	return pump_new(params, &st, ret_fd, ret_pump);
}

void
pump_free(struct pump *p)
{
	if (p == NULL)
		return;
	loop_io_free(p->user_io);
	loop_io_free(p->pair_io);
	fd_close(&p->pair);
	free(p);
}

bool
pump_is_idle(struct pump *p)
{
	bool idle = !p->moved && p->off >= p->len;

	p->moved = false;
	return idle;
}
