/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A question is one STUN transaction between a socket and a server: all servers
 * are asked from socket 0, so that their answers tell whether one local port
 * keeps one mapping, and the sockets behind it ask one server each.
 *
 * Every question starts with the name of its server unresolved; on_lookup()
 * wakes all that have not been sent yet.  From then on its timer repeats it
 * until it is answered, fails or is given up.  Each question ends exactly once,
 * in end_question(), and the last one ends the run, as do the deadline and a
 * signal.
 *
 * A question without an answer after GIVE_UP_TRIES is given up only when two
 * servers at different addresses have answered on socket 0: then the mapping is
 * judged, and one dead server need not cost the whole time.
 */
#include "client/netcheck_probe.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "client/cli_out.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/secret.h"
#include "proto/stun/stun.h"

#define N_SOCKETS (1 + NETCHECK_PROBE_FRESH)
#define FIRST_RETRY_US (200 * MONO_MS) /* doubled each time, */
#define MAX_RETRY_US (2 * MONO_SEC)    /* up to this */
#define GIVE_UP_TRIES 3                /* 1.4 s after the first */
#define MOVE_TRIES 2                   /* until a fresh one asks elsewhere */
/* Datagrams taken from a socket in one turn. */
#define MAX_BATCH 64
/* The words of the sibling tools, which scripts may look for. */
#define DEADLINE "context deadline exceeded"

struct run;

struct server {
	struct run *run;
	const char *text;
	char host[ADDR_MAX_HOST];
	struct loop_lookup *lookup; /* NULL: known */
	int r;                      /* of the lookup */
	struct addr addr;
	bool has_answered;
};

struct socket {
	struct run *run;
	struct loop_io *io;
	int fd;
	struct addr local;
};

struct question {
	struct run *run;
	struct netcheck_row *row;
	struct socket *socket;
	struct server *server;
	struct loop_timer *timer;
	struct stun_tx tx;
	struct addr answered_by;
	int64_t retry_us;
	unsigned tries;
	bool is_open;
};

struct run {
	struct loop *loop;
	struct loop_timer *deadline;
	struct loop_signal *signals[2];
	struct server servers[NETCHECK_PROBE_MAX_SERVERS];
	size_t n_servers;
	struct socket sockets[N_SOCKETS];
	struct question questions[NETCHECK_PROBE_MAX_ROWS];
	size_t n_questions, n_open;
	int signo;
};

static int
split(const char *text, char host[static ADDR_MAX_HOST], uint16_t *ret_port)
{
	int r = addr_split_host_port(text, host, ret_port);

	if (r < 0)
		return r;
	if (host[0] == '\0' || *ret_port == 0)
		return -DT_ERR_SYNTAX;
	for (const char *p = host; *p != '\0'; p++)
		if (!isalnum((unsigned char)*p) && strchr("-_.", *p) == NULL)
			return -DT_ERR_SYNTAX;
	return 0;
}

int
netcheck_probe_check(const char *server)
{
	char host[ADDR_MAX_HOST];
	uint16_t port;

	return split(server, host, &port);
}

static void
end_question(struct question *q)
{
	if (!q->is_open)
		return;
	q->is_open = false;
	loop_timer_at(q->timer, MONO_NEVER);
	if (--q->run->n_open == 0)
		loop_stop(q->run->loop);
}

__attribute__((format(printf, 2, 3))) static void
fail(struct question *q, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(q->row->error, sizeof(q->row->error), fmt, ap);
	va_end(ap);
	end_question(q);
}

/* Have two servers that live at different addresses seen socket 0? */
static bool
is_judged(const struct run *run)
{
	const struct addr *first = NULL;

	for (size_t i = 0; i < run->n_servers; i++) {
		const struct addr *by = &run->questions[i].answered_by;

		if (by->family == 0)
			continue;
		if (first == NULL)
			first = by;
		else if (memcmp(first->ip, by->ip, sizeof(by->ip)) != 0)
			return true;
	}
	return false;
}

static void
set_server(struct question *q, struct server *server)
{
	q->server = server;
	q->row->server = server->text;
	q->tries = 0;
	q->retry_us = FIRST_RETRY_US;
	secret_random(q->tx.b, sizeof(q->tx.b));
}

/* For a fresh question, when its server has no name or no answer: the first
 * that answered elsewhere, or else the first that has a name. */
static struct server *
better_server(struct run *run, const struct question *q)
{
	struct server *named = NULL;

	if (q->server->has_answered ||
	    (q->server->r == 0 && q->tries < MOVE_TRIES))
		return q->server;
	for (size_t i = 0; i < run->n_servers; i++) {
		struct server *s = &run->servers[i];

		if (s->has_answered)
			return s;
		if (named == NULL && s->lookup == NULL && s->r == 0)
			named = s;
	}
	return q->server->r < 0 && named != NULL ? named : q->server;
}

static bool
has_lookups(const struct run *run)
{
	for (size_t i = 0; i < run->n_servers; i++)
		if (run->servers[i].lookup != NULL)
			return true;
	return false;
}

static void
send_request(struct question *q)
{
	char reason[CLI_OUT_MAX_REASON];
	char from[ADDR_MAX_TEXT], to[ADDR_MAX_TEXT];
	uint8_t request[STUN_REQUEST_LEN];
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&q->server->addr, &sa);
	int r;

	stun_write_request(request, &q->tx);
	q->tries++;
	if (sendto(q->socket->fd, request, sizeof(request), 0,
		(struct sockaddr *)&sa, len) < 0 &&
	    errno != EAGAIN && errno != ENOBUFS && errno != EINTR) {
		r = -errno;
		addr_format(&q->socket->local, from);
		addr_format(&q->server->addr, to);
		fail(q, "write udp4 %s->%s: sendto: %s", from, to,
		    cli_out_reason(r, reason));
		return;
	}
	loop_timer_in(q->timer, q->retry_us);
	q->retry_us *= 2;
	if (q->retry_us > MAX_RETRY_US)
		q->retry_us = MAX_RETRY_US;
}

static void
on_timer(void *arg, struct mono now)
{
	struct question *q = arg;
	bool is_fresh = q->socket != &q->run->sockets[0];
	char reason[CLI_OUT_MAX_REASON];
	struct server *better;

	(void)now;
	if (q->server->lookup != NULL)
		return; /* on_lookup() comes back */
	if (is_fresh) {
		better = better_server(q->run, q);
		if (better != q->server)
			set_server(q, better);
	}
	if (q->server->r < 0 && is_fresh && has_lookups(q->run))
		return; /* another may have a name */
	if (q->server->r < 0)
		fail(q, "lookup %s: %s", q->server->host,
		    cli_out_reason(q->server->r, reason));
	else if (q->tries >= GIVE_UP_TRIES && is_judged(q->run))
		fail(q, "%s", DEADLINE);
	else
		send_request(q);
}

static void
on_lookup(void *arg, int r, const struct addr *addrs, size_t n)
{
	struct server *s = arg;
	struct run *run = s->run;

	s->lookup = NULL;
	s->r = r < 0 ? r : -EAFNOSUPPORT;
	for (size_t i = 0; i < n && s->r < 0; i++) {
		struct addr a = addr_unmap(&addrs[i]);

		if (a.family != AF_INET)
			continue;
		s->addr = a;
		s->r = 0;
	}
	for (size_t i = 0; i < run->n_questions; i++)
		if (run->questions[i].is_open && run->questions[i].tries == 0)
			loop_timer_in(run->questions[i].timer, 0);
}

/* Matched by its 96 random bits alone, so that servers may answer from another
 * of their addresses. */
static void
take_answer(
    struct socket *s, const struct addr *from, const uint8_t *p, size_t len)
{
	struct run *run = s->run;
	struct addr mapped;
	struct stun_tx tx;

	if (stun_parse_response(p, len, &tx, &mapped) < 0)
		return;
	for (size_t i = 0; i < run->n_questions; i++) {
		struct question *q = &run->questions[i];

		if (!q->is_open || q->socket != s || q->tries == 0 ||
		    !stun_tx_equal(&q->tx, &tx))
			continue;
		q->row->mapped = mapped;
		q->answered_by = *from;
		q->server->has_answered = true;
		end_question(q);
		return;
	}
}

static void
on_readable(void *arg, unsigned events, struct mono now)
{
	struct socket *s = arg;
	uint8_t buf[STUN_MAX_REQUEST_LEN];

	(void)events;
	(void)now;
	for (int i = 0; i < MAX_BATCH; i++) {
		struct sockaddr_storage sa = { 0 };
		socklen_t sa_len = sizeof(sa);
		struct addr from;
		ssize_t n = recvfrom(s->fd, buf, sizeof(buf), MSG_DONTWAIT,
		    (struct sockaddr *)&sa, &sa_len);

		if (n < 0)
			return; /* nothing there, or an error of the past */
		if (addr_from_sockaddr(&from, (struct sockaddr *)&sa) == 0)
			take_answer(s, &from, buf, (size_t)n);
	}
}

static void
on_deadline(void *arg, struct mono now)
{
	struct run *run = arg;

	(void)now;
	for (size_t i = 0; i < run->n_questions; i++)
		if (run->questions[i].is_open)
			fail(&run->questions[i], "%s", DEADLINE);
}

static void
on_signal(void *arg, int signo, struct mono now)
{
	struct run *run = arg;

	(void)now;
	run->signo = signo;
	loop_stop(run->loop);
}

/* Any free port of all addresses. */
static int
open_socket(struct socket *s)
{
	struct addr any = { .family = AF_INET };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&any, &sa);

	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return addr_from_sockaddr(&s->local, (struct sockaddr *)&sa);
}

/* A socket that cannot be had fails its questions; memory fails the run. */
static int
start_socket(struct run *run, size_t at)
{
	struct socket *s = &run->sockets[at];
	char reason[CLI_OUT_MAX_REASON];
	int r = open_socket(s);

	for (size_t i = 0; i < run->n_questions; i++) {
		struct question *q = &run->questions[i];

		if (q->socket != s)
			continue;
		if (r < 0)
			fail(q, "listen udp4 0.0.0.0:0: %s",
			    cli_out_reason(r, reason));
		else
			q->row->local = s->local;
	}
	if (r < 0)
		return 0;
	s->io = loop_io_new(run->loop, s->fd, on_readable, s);
	if (s->io == NULL)
		return -ENOMEM;
	loop_io_set(s->io, LOOP_READ);
	return 0;
}

static int
start_server(struct run *run, size_t at, const char *text)
{
	struct server *s = &run->servers[at];
	uint16_t port = 0;
	int r = split(text, s->host, &port);

	assert(r == 0); /* netcheck_probe_check() */
	(void)r;
	s->run = run;
	s->text = text;
	s->lookup = loop_lookup(run->loop, s->host, port, on_lookup, s);
	return s->lookup != NULL ? 0 : -ENOMEM;
}

static int
start_question(struct run *run, size_t at, struct netcheck_row *row)
{
	struct question *q = &run->questions[at];
	bool is_fresh = at >= run->n_servers;

	memset(row, 0, sizeof(*row));
	q->run = run;
	q->row = row;
	q->socket = &run->sockets[is_fresh ? 1 + at - run->n_servers : 0];
	set_server(q, &run->servers[is_fresh ? 0 : at]);
	q->is_open = true;
	run->n_open++;
	q->timer = loop_timer_new(run->loop, on_timer, q);
	return q->timer != NULL ? 0 : -ENOMEM;
}

static int
start(struct run *run, const struct netcheck_probe_params *params,
    struct netcheck_row *rows)
{
	static const int signos[] = { SIGINT, SIGTERM };
	int r = 0;

	run->loop = loop_new();
	if (run->loop == NULL)
		return -ENOMEM;
	run->deadline = loop_timer_new(run->loop, on_deadline, run);
	for (size_t i = 0; i < 2; i++) {
		run->signals[i] =
		    loop_signal_new(run->loop, signos[i], on_signal, run);
		if (run->signals[i] == NULL || run->deadline == NULL)
			return -ENOMEM;
	}
	loop_timer_in(run->deadline, params->timeout_us);
	run->n_servers = params->n_servers;
	run->n_questions = params->n_servers + NETCHECK_PROBE_FRESH;
	for (size_t i = 0; i < run->n_servers && r == 0; i++)
		r = start_server(run, i, params->servers[i]);
	for (size_t i = 0; i < run->n_questions && r == 0; i++)
		r = start_question(run, i, &rows[i]);
	for (size_t i = 0; i < N_SOCKETS && r == 0; i++)
		r = start_socket(run, i);
	return r;
}

static void
run_fini(struct run *run)
{
	for (size_t i = 0; i < N_SOCKETS; i++) {
		loop_io_free(run->sockets[i].io);
		fd_close(&run->sockets[i].fd);
	}
	for (size_t i = 0; i < NETCHECK_PROBE_MAX_ROWS; i++)
		loop_timer_free(run->questions[i].timer);
	for (size_t i = 0; i < NETCHECK_PROBE_MAX_SERVERS; i++)
		loop_lookup_cancel(run->servers[i].lookup);
	loop_signal_free(run->signals[0]);
	loop_signal_free(run->signals[1]);
	loop_timer_free(run->deadline);
	loop_free(run->loop);
}

int
netcheck_probe_run(const struct netcheck_probe_params *params,
    struct netcheck_row ret_rows[static NETCHECK_PROBE_MAX_ROWS], size_t *ret_n)
{
	struct run run = { 0 };
	int r;

	assert(params->n_servers >= 1 &&
	       params->n_servers <= NETCHECK_PROBE_MAX_SERVERS);
	for (size_t i = 0; i < N_SOCKETS; i++) {
		run.sockets[i].run = &run;
		run.sockets[i].fd = -1;
	}
	r = start(&run, params, ret_rows);
	if (r == 0 && run.n_open > 0)
		r = loop_run(run.loop);
	if (r == 0)
		r = run.signo;
	*ret_n = run.n_questions;
	run_fini(&run);
	return r;
}
