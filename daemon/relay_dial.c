/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * RESOLVING (unless the target has literals), then RACING: attempts are started
 * in order, families alternating; the stagger timer or a failure starts the
 * next.  When none is left and none is under way, the last error is told.  One
 * timer serves the stagger, another the limit.
 */
#include "daemon/relay_dial.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/fd.h"

/* A connection whose peer does not acknowledge for this long is dead. */
#define RELAY_DIAL_USER_TIMEOUT_MS 15000u

struct relay_attempt {
	struct relay_dial *dial;
	int fd;
	struct loop_io *io;
};

struct relay_dial {
	struct loop *loop;
	void (*cb)(void *arg, int r, int fd);
	void *arg;
	struct loop_lookup *lookup;
	struct loop_timer *stagger;
	struct loop_timer *limit;
	struct addr addrs[LOOP_MAX_ADDRS];
	size_t n_addrs;
	size_t started; /* attempts, == index of the next address */
	size_t active;
	int last_error;
	struct relay_attempt attempts[LOOP_MAX_ADDRS];
};

static void
end_attempt(struct relay_attempt *a)
{
	loop_io_free(a->io);
	a->io = NULL;
	fd_close(&a->fd);
}

void
relay_dial_cancel(struct relay_dial *d)
{
	if (d == NULL)
		return;
	loop_lookup_cancel(d->lookup);
	loop_timer_free(d->stagger);
	loop_timer_free(d->limit);
	for (size_t i = 0; i < d->started; i++)
		end_attempt(&d->attempts[i]);
	free(d);
}

static void
finish(struct relay_dial *d, int r, int fd)
{
	void (*cb)(void *arg, int r, int fd) = d->cb;
	void *arg = d->arg;

	relay_dial_cancel(d);
	cb(arg, r, fd);
}

static void start_next(struct relay_dial *d);

/* A failed address makes way for the next at once. */
static void
attempt_failed(struct relay_dial *d, int r)
{
	d->last_error = r;
	if (d->started < d->n_addrs)
		start_next(d);
	else if (d->active == 0)
		finish(d, d->last_error, -1);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct relay_attempt *a = arg;
	struct relay_dial *d = a->dial;
	int error = 0, fd;
	socklen_t len = sizeof(error);

	(void)events;
	(void)now;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0) {
		loop_io_free(a->io);
		a->io = NULL;
		fd = a->fd;
		a->fd = -1; /* transferred */
		finish(d, 0, fd);
		return;
	}
	end_attempt(a);
	d->active--;
	attempt_failed(d, -error);
}

/* Failures are no reason not to connect: the defaults work as well. */
static void
tune(int fd)
{
	const int on = 1;
	const unsigned timeout_ms = RELAY_DIAL_USER_TIMEOUT_MS;

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(
	    fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

static int
start_attempt(struct relay_attempt *a, const struct addr *to)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(to, &sa);

	a->fd =
	    socket(to->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return -errno;
	tune(a->fd);
	if (connect(a->fd, (const struct sockaddr *)&sa, len) != 0 &&
	    errno != EINPROGRESS)
		return -errno;
	a->io = loop_io_new(a->dial->loop, a->fd, on_io, a);
	if (a->io == NULL)
		return -ENOMEM;
	loop_io_set(a->io, LOOP_WRITE);
	return 0;
}

/* May end the dial. */
static void
start_next(struct relay_dial *d)
{
	struct relay_attempt *a;
	int r;

	while (d->started < d->n_addrs) {
		a = &d->attempts[d->started];
		a->dial = d;
		a->fd = -1;
		r = start_attempt(a, &d->addrs[d->started++]);
		if (r == 0) {
			d->active++;
			loop_timer_in(d->stagger, RELAY_DIAL_STAGGER_US);
			return;
		}
		end_attempt(a);
		d->last_error = r;
	}
	if (d->active == 0)
		finish(d, d->last_error, -1);
}

static void
on_stagger(void *arg, struct mono now)
{
	struct relay_dial *d = arg;

	(void)now;
	if (d->started < d->n_addrs)
		start_next(d);
}

static void
on_limit(void *arg, struct mono now)
{
	struct relay_dial *d = arg;

	(void)now;
	/* While the resolver is silent it is the name that fails. */
	finish(d, d->lookup != NULL ? -DT_ERR_RESOLVE : -DT_ERR_TIMEOUT, -1);
}

/* Alternate the families, beginning with the first that was answered. */
static void
set_addrs(struct relay_dial *d, const struct addr *addrs, size_t n)
{
	bool used[LOOP_MAX_ADDRS] = { false };
	sa_family_t want = addrs[0].family;

	if (n > LOOP_MAX_ADDRS)
		n = LOOP_MAX_ADDRS;
	while (d->n_addrs < n) {
		size_t pick = n;

		for (size_t i = 0; i < n; i++) {
			if (used[i])
				continue;
			if (pick == n)
				pick = i;
			if (addrs[i].family == want) {
				pick = i;
				break;
			}
		}
		used[pick] = true;
		d->addrs[d->n_addrs++] = addrs[pick];
		want = addrs[pick].family == AF_INET ? AF_INET6 : AF_INET;
	}
}

static void
on_lookup(void *arg, int r, const struct addr *addrs, size_t n)
{
	struct relay_dial *d = arg;

	d->lookup = NULL;
	if (r < 0 || n == 0) {
		/* A resolver that is silent is no relay that is. */
		finish(d, -DT_ERR_RESOLVE, -1);
		return;
	}
	set_addrs(d, addrs, n);
	start_next(d);
}

struct relay_dial *
relay_dial_new(struct loop *loop, const struct relay_target *target,
    void (*cb)(void *arg, int r, int fd), void *arg)
{
	struct relay_dial *d = calloc(1, sizeof(*d));
	struct addr literal[2];
	size_t n = 0;

	if (d == NULL)
		return NULL;
	d->loop = loop;
	d->cb = cb;
	d->arg = arg;
	d->last_error = -DT_ERR_RESOLVE;
	d->stagger = loop_timer_new(loop, on_stagger, d);
	d->limit = loop_timer_new(loop, on_limit, d);
	if (d->stagger == NULL || d->limit == NULL)
		goto fail;
	loop_timer_in(d->limit, RELAY_DIAL_LIMIT_US);
	for (size_t i = 0; i < 2; i++)
		if (target->literal[i].family != 0)
			literal[n++] = target->literal[i];
	if (n > 0) {
		set_addrs(d, literal, n);
		loop_timer_in(d->stagger, 0);
		return d;
	}
	if (!target->use_dns) {
		loop_timer_in(d->limit, 0); /* both families are off */
		return d;
	}
	d->lookup = loop_lookup(loop, target->host, target->port, on_lookup, d);
	if (d->lookup != NULL)
		return d;
fail:
	relay_dial_cancel(d);
	return NULL;
}
