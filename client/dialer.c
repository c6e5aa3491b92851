/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A dial looks the name up, then connects to one address after the other; each
 * gets an equal share of the time that is left, so that a silent first address
 * does not use it all up.  The last error is the one that is told.
 */
#include "client/dialer.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/queue.h"

struct dial {
	LIST_ENTRY(dial) entry;
	struct dialer *dialer;
	struct loop_lookup *lookup;
	struct loop_timer *timer; /* of this address; 0: start it */
	struct loop_io *io;
	int fd;
	struct addr addrs[LOOP_MAX_ADDRS];
	size_t n_addrs, next; /* next: the one to try */
	struct mono deadline;
	int error; /* of the last address */
	void (*cb)(void *arg, int r, int fd);
	void *arg;
};

/* Owns its dials. */
struct dialer {
	struct loop *loop;
	struct cli_target target;
	LIST_HEAD(dial_list, dial) dials;
};

static void
dial_free(struct dial *d)
{
	LIST_REMOVE(d, entry);
	loop_lookup_cancel(d->lookup);
	loop_timer_free(d->timer);
	loop_io_free(d->io);
	fd_close(&d->fd);
	free(d);
}

static void
finish(struct dial *d, int r)
{
	void (*cb)(void *arg, int r, int fd) = d->cb;
	void *arg = d->arg;
	int fd = r == 0 ? d->fd : -1;

	if (r == 0)
		d->fd = -1; /* the callee's now */
	dial_free(d);
	cb(arg, r, fd);
}

static void
on_connected(void *arg, unsigned events, struct mono now)
{
	struct dial *d = arg;
	socklen_t len = sizeof(d->error);
	const int on = 1;

	(void)events;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &d->error, &len) != 0)
		d->error = errno;
	loop_io_free(d->io);
	d->io = NULL;
	if (d->error == 0) {
		/* Small answers must not wait; only a matter of speed. */
		(void)setsockopt(
		    d->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		finish(d, 0);
		return;
	}
	d->error = -d->error;
	loop_timer_at(d->timer, now); /* the next address */
}

/* Starts one attempt.  Returns 0 when it is under way. */
static int
attempt(struct dial *d, const struct addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);

	d->fd =
	    socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return -errno;
	if (connect(d->fd, (struct sockaddr *)&sa, len) != 0 &&
	    errno != EINPROGRESS)
		return -errno;
	d->io = loop_io_new(d->dialer->loop, d->fd, on_connected, d);
	if (d->io == NULL)
		return -ENOMEM;
	loop_io_set(d->io, LOOP_WRITE);
	return 0;
}

/* The time of an address is up, or it failed: go on to the next. */
static void
on_timer(void *arg, struct mono now)
{
	struct dial *d = arg;
	int64_t left;

	if (d->io != NULL)
		d->error = -ETIMEDOUT;
	loop_io_free(d->io);
	d->io = NULL;
	fd_close(&d->fd);
	while (d->next < d->n_addrs) {
		left = mono_diff(d->deadline, now);
		if (left <= 0)
			break;
		left /= (int64_t)(d->n_addrs - d->next);
		d->error = attempt(d, &d->addrs[d->next++]);
		if (d->error == 0) {
			loop_timer_at(d->timer, mono_add(now, left));
			return;
		}
		fd_close(&d->fd);
	}
	finish(d, d->error != 0 ? d->error : -ETIMEDOUT);
}

static void
on_lookup(void *arg, int r, const struct addr *addrs, size_t n)
{
	struct dial *d = arg;

	d->lookup = NULL;
	if (r < 0) {
		finish(d, r);
		return;
	}
	memcpy(d->addrs, addrs, n * sizeof(*addrs));
	d->n_addrs = n;
	loop_timer_in(d->timer, 0);
}

/* RFC 6761 6.3: this name is not for resolvers. */
static void
set_localhost(struct dial *d, uint16_t port)
{
	(void)addr_parse_ip(&d->addrs[0], "127.0.0.1", port); /* valid */
	(void)addr_parse_ip(&d->addrs[1], "::1", port);
	d->n_addrs = 2;
	loop_timer_in(d->timer, 0);
}

struct dialer *
dialer_new(struct loop *l, const struct cli_target *target)
{
	struct dialer *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->loop = l;
	d->target = *target;
	LIST_INIT(&d->dials);
	return d;
}

void
dialer_free(struct dialer *d)
{
	struct dial *one;

	if (d == NULL)
		return;
	while ((one = LIST_FIRST(&d->dials)) != NULL)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): it unlinks */
		dial_free(one);
	free(d);
}

int
dialer_dial(struct dialer *d, void (*cb)(void *arg, int r, int fd), void *arg)
{
	struct dial *one = calloc(1, sizeof(*one));

	if (one == NULL)
		return -ENOMEM;
	LIST_INSERT_HEAD(&d->dials, one, entry);
	one->dialer = d;
	one->fd = -1;
	one->cb = cb;
	one->arg = arg;
	one->deadline = mono_add(loop_now(d->loop), DIALER_LIMIT_US);
	one->timer = loop_timer_new(d->loop, on_timer, one);
	if (one->timer == NULL) {
		dial_free(one);
		return -ENOMEM;
	}
	if (strcmp(d->target.host, "localhost") == 0) {
		set_localhost(one, d->target.port);
		return 0;
	}
	one->lookup = loop_lookup(
	    d->loop, d->target.host, d->target.port, on_lookup, one);
	if (one->lookup != NULL)
		return 0;
	dial_free(one);
	return -ENOMEM;
}

void
dialer_cancel_args(struct dialer *d, void (*drop)(void *arg))
{
	struct dial *one;

	LIST_FOREACH(one, &d->dials, entry)
		drop(one->arg);
}
