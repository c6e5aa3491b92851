/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A connection is told `hello`, then sends requests, each answered at once or
 * later (ctl_call), and responses to what we ask.  A line that is no JSON-RPC
 * is answered with an error and ends the connection, because what follows
 * cannot be trusted to be framed; wrong methods and parameters only get their
 * error. A connection that does not read its events or answers is dropped.
 *
 * Whatever descriptors come are the closer's to close.
 *
 * When it goes, its objects end (daemon_owner_gone()), what it was asked fails,
 * and late answers to it are forgotten.
 */
#include "daemon/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/ctl_methods.h"
#include "daemon/ctl_state.h"
#include "daemon/daemon.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/secret.h"

/* How long the error of a broken line may take to leave. */
#define CTL_LINGER_US (1 * MONO_SEC)
/* After accept() failed for want of something. */
#define CTL_ACCEPT_PAUSE_US (1 * MONO_SEC)
/* Connections taken in one turn. */
#define CTL_MAX_ACCEPT 16

struct ctl_conn *
ctl_find(struct ctl *c, uint32_t id)
{
	struct ctl_conn *k;

	LIST_FOREACH(k, &c->conns, entry)
		if (k->id == id)
			return k;
	return NULL;
}

static void
drop(struct ctl_conn *k)
{
	struct ctl *c = k->ctl;
	uint32_t id = k->id;

	LIST_REMOVE(k, entry);
	c->count--;
	ctl_ask_drop_all(k);
	ctl_event_forget(k);
	linechan_free(k->line);
	free(k);
	log_debug("ctl", "connection closed conn=%u", id);
	daemon_owner_gone(c->daemon, id);
}

void
ctl_give_up(struct ctl_conn *k, const char *why)
{
	if (k->closing)
		return;
	k->closing = true;
	log_info("ctl", "dropping a connection: %s conn=%u uid=%u", why, k->id,
	    (unsigned)k->uid);
	linechan_close_when_sent(k->line, 0);
}

/* Sends and frees @line, which may be NULL (no memory, or too long). */
void
ctl_put_line(struct ctl_conn *k, char *line, size_t len)
{
	if (line == NULL)
		ctl_give_up(k, "an answer does not fit a line");
	else if (!k->closing && linechan_send(k->line, line, len, NULL, 0) < 0)
		ctl_give_up(k, "it does not read");
	if (line != NULL)
		secret_wipe(line, len);
	free(line);
	ctl_event_sent(k);
}

static void
put_error(struct ctl_conn *k, json_t *id, int code, int r, const char *message)
{
	json_t *data = r != 0 ? json_pack("{s:s}", "name", err_name(r)) : NULL;
	size_t len = 0;
	char *line = rpc_error(id, code, message, data, &len);

	ctl_put_line(k, line, len);
}

/* The connection of a late answer, or NULL if it is gone. */
static struct ctl_conn *
take_call(struct ctl *c, struct ctl_call *call)
{
	struct ctl_conn *k = call->id != NULL ? ctl_find(c, call->conn) : NULL;

	if (k != NULL && k->late > 0)
		k->late--;
	return k;
}

void
ctl_forget(struct ctl_call *call)
{
	json_decref(call->id);
	call->id = NULL;
}

void
ctl_answer(struct ctl *c, struct ctl_call *call, json_t *result)
{
	struct ctl_conn *k = take_call(c, call);
	size_t len = 0;
	char *line;

	if (k != NULL) {
		line = rpc_response(call->id, result, 0, &len);
		ctl_put_line(k, line, len);
	} else
		json_decref(result);
	ctl_forget(call);
}

void
ctl_refuse(
    struct ctl *c, struct ctl_call *call, int code, int r, const char *message)
{
	struct ctl_conn *k = take_call(c, call);

	if (k != NULL)
		put_error(k, call->id, code, r, message);
	ctl_forget(call);
}

static void
answer(struct ctl_conn *k, struct ctl_request *q)
{
	size_t len = 0;
	char *line;

	if (q->late)
		return;
	if (q->code != 0) {
		json_decref(q->result);
		put_error(k, q->id, q->code, q->error, q->message);
		return;
	}
	line = rpc_response(q->id, q->result, 0, &len);
	if (line == NULL)
		put_error(k, q->id, RPC_INTERNAL, -DT_ERR_TOO_LONG,
		    "the answer does not fit a line");
	else
		ctl_put_line(k, line, len);
}

/* NOLINTBEGIN(readability-non-const-parameter): written to further down */
static void
on_request(
    struct ctl_conn *k, const struct rpc_message *m, int *fds, size_t n_fds)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct daemon *d = k->ctl->daemon;
	struct ctl_request q = {
		.daemon = d,
		.conn = k->id,
		.uid = k->uid,
		.is_owner = k->uid == 0 || k->uid == d->uid,
		.id = m->id,
		.params = m->params,
		.fds = fds,
		.n_fds = n_fds,
	};
	const char *why = "";
	enum rpc_method method;
	int r = rpc_check(m, &method, &why);

	if (r < 0) {
		put_error(k, m->id, r, 0, why);
		return;
	}
	if (!ctl_methods_may(&q, method)) {
		put_error(
		    k, m->id, RPC_FORBIDDEN, 0, "this user may not do that");
		return;
	}
	if (k->late >= CTL_MAX_LATE) {
		put_error(k, m->id, RPC_BUSY, 0, "too many open requests");
		return;
	}
	k->late++; /* a late answer may come before this returns */
	ctl_methods_run(&q, method);
	if (!q.late)
		k->late--;
	if (q.subscribe) {
		k->subscribed = true;
		k->subscribed_to = q.subscribe_session;
	}
	answer(k, &q);
}

static void
handle(struct ctl_conn *k, const struct rpc_message *m)
{
	int fds[FD_MAX_PASSED] = { -1, -1, -1, -1 };

	if (m->fds > FD_MAX_PASSED ||
	    linechan_take_fds(k->line, m->fds, fds) < 0) {
		put_error(k, m->id, RPC_INVALID_REQUEST, 0,
		    "the line lacks descriptors");
		linechan_close_when_sent(k->line, CTL_LINGER_US);
		return;
	}
	if (m->kind == RPC_REQUEST)
		on_request(k, m, fds, m->fds);
	else if (m->kind == RPC_RESPONSE)
		ctl_ask_response(k, m, fds, m->fds);
	/* Notifications from callers mean nothing to us. */
	for (size_t i = 0; i < FD_MAX_PASSED; i++)
		fd_close(&fds[i]);
}

static void
on_line(void *arg, const char *text, size_t len, struct mono now)
{
	struct ctl_conn *k = arg;
	struct rpc_message m;
	int code = RPC_PARSE_ERROR;

	(void)now;
	if (k->closing)
		return;
	if (rpc_parse(text, len, &m, &code) < 0) {
		put_error(k, NULL, code, 0,
		    code == RPC_PARSE_ERROR ? "not a JSON text"
					    : "not a JSON-RPC 2.0 message");
		k->closing = true;
		linechan_close_when_sent(k->line, CTL_LINGER_US);
		return;
	}
	handle(k, &m);
	rpc_fini(&m);
}

static void
on_drained(void *arg)
{
	ctl_event_sent(arg);
}

static void
on_closed(void *arg, int r)
{
	struct ctl_conn *k = arg;
	size_t len = 0;
	char *line;

	if (r == -DT_ERR_TOO_LONG) {
		/* One try to say why: the channel sends nothing any more. */
		line = rpc_error(NULL, RPC_INVALID_REQUEST,
		    "a line has at most 65536 bytes", NULL, &len);
		if (line != NULL) {
			line[len] = '\n'; /* instead of the terminator */
			(void)fd_send(
			    linechan_fd(k->line), line, len + 1, NULL, 0);
		}
		free(line);
	}
	drop(k);
}

static int
on_fds(void *arg, const int *fds, size_t n)
{
	const struct ctl_conn *k = arg;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = closer_adopt(fds[i], k->uid, CLOSER_GIVEN);
	return r;
}

static bool
may_take(void *arg)
{
	const struct ctl_conn *k = arg;

	return closer_may_take(k->uid);
}

/* The first request of @text that has descriptors; r 0, or as rpc_parse(). */
static int
find_bearer(const char *text, size_t len, struct rpc_message *ret_m)
{
	const char *end = text + len, *nl;
	int code = 0;

	for (; (nl = memchr(text, '\n', (size_t)(end - text))) != NULL;
	     text = nl + 1) {
		if (rpc_parse(text, (size_t)(nl - text), ret_m, &code) < 0)
			continue;
		if (ret_m->kind == RPC_REQUEST && ret_m->fds > 0)
			return 0;
		rpc_fini(ret_m);
	}
	return -DT_ERR_SYNTAX;
}

static void
on_barred(void *arg, const char *text, size_t len)
{
	static const char why[] = "earlier descriptors of this user cannot be "
				  "closed: their file system does not answer";
	struct ctl_conn *k = arg;
	struct rpc_message m;
	int r = find_bearer(text, len, &m);

	put_error(k, r == 0 ? m.id : NULL, RPC_BUSY, -DT_ERR_LIMIT, why);
	if (r == 0)
		rpc_fini(&m);
	if (k->closing)
		return;
	k->closing = true;
	log_warn("ctl", "refused descriptors: %s conn=%u uid=%u", why, k->id,
	    (unsigned)k->uid);
	linechan_close_when_sent(k->line, CTL_LINGER_US);
}

static void
say_hello(struct ctl_conn *k)
{
	const struct daemon *d = k->ctl->daemon;
	size_t len = 0;
	char *line = rpc_notification("hello",
	    json_pack("{s:i,s:s,s:i,s:I,s:I,s:b}", "protocol", RPC_PROTOCOL,
		"version", DERPTUND_VERSION, "pid", (int)getpid(), "uid",
		(json_int_t)d->uid, "netns", (json_int_t)d->netns, "system",
		(int)d->config->system),
	    &len);

	ctl_put_line(k, line, len);
}

static bool
has_room(const struct ctl *c, uid_t uid, int fd)
{
	const struct ctl_conn *k;
	size_t n = 0;

	/* The lowest free number tells how many are left. */
	if (c->count >= CTL_MAX_CONNECTIONS || (rlim_t)fd >= c->max_fd)
		return false;
	if (uid == 0 || uid == c->daemon->uid)
		return true;
	n = closer_connections(uid);
	LIST_FOREACH(k, &c->conns, entry)
		if (k->uid == uid)
			n++;
	return n < CTL_MAX_PER_UID;
}

/* Takes @fd.  What was sent on it may have descriptors that are unread. */
static void
add(struct ctl *c, int fd)
{
	struct linechan_params p = {
		.loop = c->daemon->loop,
		.fd = fd,
		.max_line = RPC_MAX_LINE,
		.max_queued = CTL_MAX_QUEUED,
		.on_line = on_line,
		.on_drained = on_drained,
		.on_closed = on_closed,
		.on_fds = on_fds,
		.may_take = may_take,
		.on_barred = on_barred,
	};
	struct ucred cred;
	socklen_t len = sizeof(cred);
	const int on = 1;
	struct ctl_conn *k;

	/* What is urgent is in line like all else: reading past it would
	 * release its descriptors in this thread. */
	if (setsockopt(fd, SOL_SOCKET, SO_OOBINLINE, &on, sizeof(on)) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0 ||
	    closer_adopt(fd, cred.uid, CLOSER_CONNECTION) < 0 ||
	    !has_room(c, cred.uid, fd)) {
		log_warn("ctl", "refused a connection: too many");
		fd_close(&fd);
		return;
	}
	k = calloc(1, sizeof(*k));
	p.arg = k;
	if (k != NULL)
		k->line = linechan_new(&p);
	if (k == NULL || k->line == NULL) {
		free(k);
		fd_close(&fd);
		return;
	}
	k->ctl = c;
	k->id = ++c->last_id;
	k->uid = cred.uid;
	k->pid = cred.pid;
	LIST_INIT(&k->asks);
	LIST_INSERT_HEAD(&c->conns, k, entry);
	c->count++;
	log_debug("ctl", "connection conn=%u uid=%u pid=%d", k->id,
	    (unsigned)k->uid, (int)k->pid);
	say_hello(k);
}

static void
accept_some(struct ctl *c)
{
	for (int i = 0; i < CTL_MAX_ACCEPT; i++) {
		int fd = -1, r = -EMFILE;

		/* Refused connections that cannot be closed are the one thing
		 * that a user may have without limit. */
		if (closer_waiting(CLOSER_CONNECTION) < c->max_fd / 4) {
			fd = accept4(c->listen_fd, NULL, NULL,
			    SOCK_CLOEXEC | SOCK_NONBLOCK);
			r = -errno;
		}
		if (fd >= 0) {
			add(c, fd);
			continue;
		}
		if (r != -EAGAIN && r != -EINTR && r != -ECONNABORTED) {
			/* Out of descriptors: do not spin until one is free. */
			log_warn_r(r, "ctl", "cannot accept");
			loop_io_set(c->io, 0);
			loop_timer_in(c->accept_timer, CTL_ACCEPT_PAUSE_US);
		}
		return;
	}
}

static void
on_accept_timer(void *arg, struct mono now)
{
	struct ctl *c = arg;

	(void)now;
	loop_io_set(c->io, LOOP_READ);
}

static void
on_listen(void *arg, unsigned events, struct mono now)
{
	(void)events;
	(void)now;
	accept_some(arg);
}

size_t
ctl_accept_last(struct ctl *c)
{
	accept_some(c);
	return c->count;
}

size_t
ctl_count(const struct ctl *c)
{
	return c->count;
}

static rlim_t
max_fd(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur == RLIM_INFINITY)
		return RLIM_INFINITY;
	if (l.rlim_cur / 4 < CTL_RESERVED_FDS)
		return l.rlim_cur - l.rlim_cur / 4;
	return l.rlim_cur - CTL_RESERVED_FDS;
}

struct ctl *
ctl_new(struct daemon *d, int listen_fd)
{
	struct ctl *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->daemon = d;
	c->listen_fd = listen_fd;
	c->max_fd = max_fd();
	LIST_INIT(&c->conns);
	c->io = loop_io_new(d->loop, listen_fd, on_listen, c);
	c->ask_timer = ctl_ask_timer(c);
	c->accept_timer = loop_timer_new(d->loop, on_accept_timer, c);
	if (c->io == NULL || c->ask_timer == NULL || c->accept_timer == NULL) {
		loop_io_free(c->io);
		loop_timer_free(c->ask_timer);
		loop_timer_free(c->accept_timer);
		free(c);
		return NULL;
	}
	loop_io_set(c->io, LOOP_READ);
	return c;
}

void
ctl_free(struct ctl *c)
{
	struct ctl_conn *k, *next;

	if (c == NULL)
		return;
	LIST_FOREACH_SAFE(k, &c->conns, entry, next)
		drop(k);
	loop_io_free(c->io);
	loop_timer_free(c->ask_timer);
	loop_timer_free(c->accept_timer);
	free(c);
}
