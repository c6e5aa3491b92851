/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to callers: `dial`, to connect to their backend, with a limit, and
 * `transfer.open` and `transfer.save`, which take as long as the connection
 * lives.  Each ends in session_worker_dialed() or session_transfer_answered(),
 * whatever happens.
 */
#include "daemon/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/ctl_state.h"
#include "daemon/daemon.h"
#include "daemon/session_transfer.h"
#include "daemon/session_worker.h"
#include "lib/err.h"
#include "lib/fd.h"

/* Questions to one connection: all its sessions together. */
#define CTL_MAX_ASKS 256

/* The earliest deadline of all decides; there are few. */
static void
arm(struct ctl *c)
{
	struct mono at = MONO_NEVER;
	const struct ctl_conn *k;
	const struct ctl_ask *a;

	LIST_FOREACH(k, &c->conns, entry)
		LIST_FOREACH(a, &k->asks, entry)
			at = mono_min(at, a->deadline);
	loop_timer_at(c->ask_timer, at);
}

/* Takes @fd (or -1). */
static void
end_ask(struct ctl_conn *k, struct ctl_ask *a,
    const struct session_transfer_answer *answer, int fd)
{
	struct daemon *d = k->ctl->daemon;
	struct ctl_ask ask = *a;

	LIST_REMOVE(a, entry);
	k->n_asks--;
	free(a);
	if (ask.kind == CTL_ASK_DIAL)
		session_worker_dialed(
		    d, ask.session, ask.connection, answer->r, fd);
	else
		session_transfer_answered(d, ask.session, ask.kind, answer, fd);
}

static void
fail_ask(struct ctl_conn *k, struct ctl_ask *a, int r)
{
	const struct session_transfer_answer answer = { .r = r,
		.reason = "the receiving program is gone" };

	end_ask(k, a, &answer, -1);
}

static void
on_timer(void *arg, struct mono now)
{
	struct ctl *c = arg;
	struct ctl_conn *k, *next;
	struct ctl_ask *a, *next_ask;

	LIST_FOREACH_SAFE(k, &c->conns, entry, next)
		LIST_FOREACH_SAFE(a, &k->asks, entry, next_ask)
			if (!mono_before(now, a->deadline))
				fail_ask(k, a, -DT_ERR_TIMEOUT);
	arm(c);
}

/* Takes @params. */
static int
ask(struct ctl *c, uint32_t owner, const struct ctl_ask *what,
    const char *method, json_t *params)
{
	struct ctl_conn *k = ctl_find(c, owner);
	struct ctl_ask *a = NULL;
	size_t len = 0;
	char *line;
	int r = 0;

	if (k == NULL || k->closing)
		r = -DT_ERR_CLOSED;
	else if (k->n_asks >= CTL_MAX_ASKS)
		r = -DT_ERR_FULL;
	else if ((a = calloc(1, sizeof(*a))) == NULL)
		r = -ENOMEM;
	if (r < 0) {
		json_decref(params);
		return r;
	}
	*a = *what;
	a->id = ++k->last_ask;
	LIST_INSERT_HEAD(&k->asks, a, entry);
	k->n_asks++;
	line = rpc_request(a->id, method, params, 0, &len);
	ctl_put_line(k, line, len);
	arm(c);
	return 0;
}

int
ctl_dial(struct ctl *c, uint32_t owner, uint32_t endpoint, uint32_t session,
    uint32_t connection)
{
	const struct ctl_ask a = { .kind = CTL_ASK_DIAL,
		.session = session,
		.connection = connection,
		.deadline = mono_add(loop_now(c->daemon->loop), CTL_DIAL_US) };

	return ask(c, owner, &a, "dial",
	    json_pack("{s:I,s:I,s:I}", "endpoint", (json_int_t)endpoint,
		"session", (json_int_t)session, "connection",
		(json_int_t)connection));
}

int
ctl_ask_transfer(struct ctl *c, uint32_t owner, uint32_t session,
    enum ctl_ask_kind kind, json_t *params)
{
	const struct ctl_ask a = {
		.kind = kind, .session = session, .deadline = MONO_NEVER
	};

	return ask(c, owner, &a,
	    kind == CTL_ASK_OPEN ? "transfer.open" : "transfer.save", params);
}

static const char *
name_of(const json_t *error)
{
	return json_string_value(
	    json_object_get(json_object_get(error, "data"), "name"));
}

/* The number of a name, or @other. */
static int
number_of(const char *name, const int *known, size_t n, int other)
{
	for (size_t i = 0; name != NULL && i < n; i++)
		if (strcmp(name, err_name(known[i])) == 0)
			return known[i];
	return other;
}

static int
dial_error(const json_t *error)
{
	static const int known[] = { -DT_ERR_RESOLVE, -DT_ERR_TIMEOUT,
		-DT_ERR_LIMIT, -ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH,
		-ETIMEDOUT };

	return number_of(name_of(error), known,
	    sizeof(known) / sizeof(known[0]), -DT_ERR_BACKEND_REFUSED);
}

int
ctl_ask_error(const char *name)
{
	static const int known[] = { -DT_ERR_PEER_PROTOCOL, -DT_ERR_TRUNCATED,
		-DT_ERR_TRAILING, -DT_ERR_UNSUPPORTED, -DT_ERR_AUTH, -ECANCELED,
		-EACCES, -EBADF, -EDQUOT, -EEXIST, -EFBIG, -EINVAL, -EISDIR,
		-ELOOP, -EMFILE, -ENAMETOOLONG, -ENOENT, -ENOMEM, -ENOSPC,
		-ENOTDIR, -ENXIO, -EPERM, -EPIPE, -EROFS, -ESPIPE };

	if (name == NULL)
		return 0;
	return number_of(name, known, sizeof(known) / sizeof(known[0]), -EIO);
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

static int
dial_outcome(const struct rpc_message *m, const int *fds, size_t n_fds)
{
	if (m->error != NULL)
		return dial_error(m->error);
	return n_fds == 1 ? check_backend(fds[0]) : -DT_ERR_BACKEND_REFUSED;
}

static struct session_transfer_answer
transfer_outcome(const struct rpc_message *m)
{
	struct session_transfer_answer a = { .reason = "" };
	const char *text;

	if (m->error != NULL) {
		a.r = ctl_ask_error(name_of(m->error));
		if (a.r == 0)
			a.r = -EIO;
		text = json_string_value(json_object_get(m->error, "message"));
		a.reason = text != NULL ? text : err_str(a.r);
		return a;
	}
	a.positioned = json_is_true(json_object_get(m->result, "positioned"));
	a.sparse = json_is_true(json_object_get(m->result, "sparse"));
	a.offset = json_integer_value(json_object_get(m->result, "offset"));
	return a;
}

void
ctl_ask_response(
    struct ctl_conn *k, const struct rpc_message *m, int *fds, size_t n_fds)
{
	struct session_transfer_answer answer = { .reason = "" };
	struct ctl_ask *a;
	int fd = -1;

	LIST_FOREACH(a, &k->asks, entry)
		if (json_is_integer(m->id) &&
		    json_integer_value(m->id) == a->id)
			break;
	if (a == NULL)
		return; /* too late, or invented */
	if (a->kind == CTL_ASK_DIAL)
		answer.r = dial_outcome(m, fds, n_fds);
	else
		answer = transfer_outcome(m);
	if (answer.r == 0 && n_fds > 0) {
		fd = fds[0];
		fds[0] = -1; /* transferred */
	}
	end_ask(k, a, &answer, fd);
	arm(k->ctl);
}

struct loop_timer *
ctl_ask_timer(struct ctl *c)
{
	return loop_timer_new(c->daemon->loop, on_timer, c);
}

void
ctl_ask_drop_all(struct ctl_conn *k)
{
	struct ctl_ask *a, *next;

	LIST_FOREACH_SAFE(a, &k->asks, entry, next)
		fail_ask(k, a, -DT_ERR_CLOSED);
}
