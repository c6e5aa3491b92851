/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * `dial`: requests to callers to connect to their backend.  Each has a
 * deadline; each ends in session_worker_dialed(), whatever happens.
 */
#include "daemon/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/ctl_state.h"
#include "daemon/daemon.h"
#include "daemon/session_worker.h"
#include "lib/err.h"
#include "lib/fd.h"

/* Dials of one connection: all its sessions together. */
#define CTL_MAX_ASKS 256
/* The earliest deadline of all dials decides; there are few. */
static void
arm_dials(struct ctl *c)
{
	struct mono at = MONO_NEVER;
	const struct ctl_conn *k;
	const struct ctl_ask *a;

	LIST_FOREACH(k, &c->conns, entry)
		LIST_FOREACH(a, &k->asks, entry)
			at = mono_min(at, a->deadline);
	loop_timer_at(c->dial_timer, at);
}

static void
end_ask(struct ctl_conn *k, struct ctl_ask *a, int r, int fd)
{
	uint32_t session = a->session, connection = a->connection;

	LIST_REMOVE(a, entry);
	k->n_asks--;
	free(a);
	session_worker_dialed(k->ctl->daemon, session, connection, r, fd);
}

static void
on_dial_timer(void *arg, struct mono now)
{
	struct ctl *c = arg;
	struct ctl_conn *k, *next;
	struct ctl_ask *a, *next_ask;

	LIST_FOREACH_SAFE(k, &c->conns, entry, next)
		LIST_FOREACH_SAFE(a, &k->asks, entry, next_ask)
			if (!mono_before(now, a->deadline))
				end_ask(k, a, -DT_ERR_TIMEOUT, -1);
	arm_dials(c);
}

int
ctl_dial(struct ctl *c, uint32_t owner, uint32_t endpoint, uint32_t session,
    uint32_t connection)
{
	struct ctl_conn *k = ctl_find(c, owner);
	struct ctl_ask *a;
	size_t len = 0;
	char *line;

	if (k == NULL || k->closing)
		return -DT_ERR_CLOSED;
	if (k->n_asks >= CTL_MAX_ASKS)
		return -DT_ERR_FULL;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->id = ++k->last_ask;
	a->session = session;
	a->connection = connection;
	a->deadline = mono_add(loop_now(c->daemon->loop), CTL_DIAL_US);
	LIST_INSERT_HEAD(&k->asks, a, entry);
	k->n_asks++;
	line = rpc_request(a->id, "dial",
	    json_pack("{s:I,s:I,s:I}", "endpoint", (json_int_t)endpoint,
		"session", (json_int_t)session, "connection",
		(json_int_t)connection),
	    0, &len);
	ctl_put_line(k, line, len);
	arm_dials(c);
	return 0;
}

/* What an error response to `dial` says, as one of our numbers. */
static int
dial_error(const json_t *error)
{
	const char *name = json_string_value(
	    json_object_get(json_object_get(error, "data"), "name"));
	static const int known[] = { -DT_ERR_RESOLVE, -DT_ERR_TIMEOUT,
		-DT_ERR_LIMIT, -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH,
		-ETIMEDOUT };

	for (size_t i = 0; name != NULL && i < sizeof(known) / sizeof(known[0]);
	     i++)
		if (strcmp(name, err_name(known[i])) == 0)
			return known[i];
	return -DT_ERR_BACKEND_REFUSED;
}

/* A backend must be a stream socket; it becomes the worker's alone. */
static int
check_backend(int fd)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
		return -errno;
	if (type != SOCK_STREAM)
		return -EPROTOTYPE;
	return fd_set_nonblock(fd);
}

void
ctl_dial_response(
    struct ctl_conn *k, const struct rpc_message *m, int *fds, size_t n_fds)
{
	struct ctl_ask *a;
	int r = 0;

	LIST_FOREACH(a, &k->asks, entry)
		if (json_is_integer(m->id) &&
		    json_integer_value(m->id) == a->id)
			break;
	if (a == NULL)
		return; /* too late, or invented */
	if (m->error != NULL)
		r = dial_error(m->error);
	else if (n_fds != 1)
		r = -DT_ERR_BACKEND_REFUSED;
	else
		r = check_backend(fds[0]);
	end_ask(k, a, r, r == 0 ? fds[0] : -1);
	if (r == 0)
		fds[0] = -1; /* transferred */
	arm_dials(k->ctl);
}

struct loop_timer *
ctl_dial_timer(struct ctl *c)
{
	return loop_timer_new(c->daemon->loop, on_dial_timer, c);
}

void
ctl_dial_drop_all(struct ctl_conn *k)
{
	struct ctl_ask *a, *next;

	LIST_FOREACH_SAFE(a, &k->asks, entry, next)
		end_ask(k, a, -DT_ERR_CLOSED, -1);
}
