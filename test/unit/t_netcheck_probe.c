/* SPDX-License-Identifier: BSD-3-Clause */
/* On loopback: a child answers STUN on several of its addresses, each in its
 * own way. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/netcheck_probe.h"
#include "lib/err.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/stun/stun.h"
#include "test/tap.h"

enum manner {
	GOOD,
	SILENT,
	LOSSY,   /* the first request of each transaction is lost */
	FORGING, /* answers of another transaction, junk, then a good one */
};

#define N_SERVERS 4
#define MAX_SEEN 64
#define DEADLINE "context deadline exceeded"
/* A label that is too long for any name server to be asked about. */
#define X8 "xxxxxxxx"
#define NO_NAME X8 X8 X8 X8 X8 X8 X8 X8
#define LOOKUP_FAILS "lookup " NO_NAME ": name does not resolve"

struct world {
	int fds[N_SERVERS];
	enum manner manners[N_SERVERS];
	char names[N_SERVERS][ADDR_MAX_TEXT];
	const char *servers[N_SERVERS];
	pid_t pid;
};

static void
bind_server(struct world *w, size_t i)
{
	/* 127.0.0.2 to .5: to be at different addresses matters. */
	struct addr a = { .family = AF_INET,
		.ip = { 127, 0, 0, (uint8_t)(i + 2) } };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&a, &sa);

	w->fds[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (w->fds[i] < 0 || bind(w->fds[i], (struct sockaddr *)&sa, len) < 0 ||
	    getsockname(w->fds[i], (struct sockaddr *)&sa, &len) < 0 ||
	    addr_from_sockaddr(&a, (struct sockaddr *)&sa) < 0)
		abort();
	addr_format(&a, w->names[i]);
	w->servers[i] = w->names[i];
}

static bool
is_first(const struct stun_tx *tx)
{
	static struct stun_tx seen[MAX_SEEN];
	static size_t n;

	for (size_t i = 0; i < n; i++)
		if (stun_tx_equal(&seen[i], tx))
			return false;
	if (n < MAX_SEEN)
		seen[n++] = *tx;
	return true;
}

static void
answer(const struct world *w, size_t i)
{
	struct addr from, wrong = { .family = AF_INET, .port = 9 };
	uint8_t buf[STUN_MAX_REQUEST_LEN], out[STUN_MAX_RESPONSE_LEN];
	struct sockaddr_storage sa;
	socklen_t sa_len = sizeof(sa);
	struct stun_tx tx, other;
	size_t len;
	ssize_t n = recvfrom(
	    w->fds[i], buf, sizeof(buf), 0, (struct sockaddr *)&sa, &sa_len);

	if (n < 0 || stun_parse_request(buf, (size_t)n, &tx) < 0 ||
	    addr_from_sockaddr(&from, (struct sockaddr *)&sa) < 0)
		abort(); /* only requests come here */
	if (w->manners[i] == SILENT ||
	    (w->manners[i] == LOSSY && is_first(&tx)))
		return;
	if (w->manners[i] == FORGING) {
		other = tx;
		other.b[11] ^= 1;
		len = stun_write_response(out, &other, &wrong);
		(void)sendto(
		    w->fds[i], out, len, 0, (struct sockaddr *)&sa, sa_len);
		(void)sendto(
		    w->fds[i], "junk", 4, 0, (struct sockaddr *)&sa, sa_len);
		(void)sendto(
		    w->fds[i], "", 0, 0, (struct sockaddr *)&sa, sa_len);
		(void)sendto(w->fds[i], buf, (size_t)n, 0,
		    (struct sockaddr *)&sa, sa_len);
	}
	len = stun_write_response(out, &tx, &from);
	(void)sendto(w->fds[i], out, len, 0, (struct sockaddr *)&sa, sa_len);
}

static void
serve(const struct world *w)
{
	struct pollfd p[N_SERVERS];

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		for (size_t i = 0; i < N_SERVERS; i++)
			p[i] = (struct pollfd){ .fd = w->fds[i],
				.events = POLLIN };
		if (poll(p, N_SERVERS, -1) < 0)
			_exit(1);
		for (size_t i = 0; i < N_SERVERS; i++)
			if (p[i].revents != 0)
				answer(w, i);
	}
}

static void
world_init(struct world *w, const enum manner manners[N_SERVERS])
{
	memcpy(w->manners, manners, sizeof(w->manners));
	for (size_t i = 0; i < N_SERVERS; i++)
		bind_server(w, i);
	w->pid = fork();
	if (w->pid == 0)
		serve(w);
	if (w->pid < 0)
		abort();
	for (size_t i = 0; i < N_SERVERS; i++)
		(void)close(w->fds[i]);
}

static void
world_fini(struct world *w)
{
	(void)kill(w->pid, SIGKILL);
	(void)waitpid(w->pid, NULL, 0);
}

struct outcome {
	struct netcheck_row rows[NETCHECK_PROBE_MAX_ROWS];
	size_t n;
	int r;
	int64_t took_us;
};

static void
run(struct outcome *o, const char *const *servers, size_t n, int64_t timeout_us)
{
	struct netcheck_probe_params p = { servers, n, timeout_us };
	struct mono start = mono_now();

	o->r = netcheck_probe_run(&p, o->rows, &o->n);
	o->took_us = mono_diff(mono_now(), start);
}

/* Was one given up that should have answered? */
static bool
is_missing(const struct world *w, const struct outcome *o)
{
	for (size_t i = 0; i < o->n; i++)
		if ((i >= N_SERVERS || w->manners[i] != SILENT) &&
		    strcmp(o->rows[i].error, DEADLINE) == 0)
			return true;
	return false;
}

/* A world, and all its servers asked.  Again if one seems dead that is not: a
 * machine may stand still for longer than it takes to be given up. */
static void
run_world(struct outcome *o, struct world *w,
    const enum manner manners[N_SERVERS], int64_t timeout_us)
{
	for (int i = 0;; i++) {
		world_init(w, manners);
		run(o, w->servers, N_SERVERS, timeout_us);
		if (i == 2 || !is_missing(w, o))
			return;
		printf("# an answer is missing\n");
		world_fini(w);
	}
}

static bool
is_answered(const struct netcheck_row *row)
{
	struct addr me = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };

	me.port = row->local.port;
	return row->error[0] == '\0' && addr_equal(&row->mapped, &me);
}

static void
test_all_answer(void)
{
	static const enum manner manners[] = { GOOD, FORGING, LOSSY, GOOD };
	struct outcome o;
	struct world w;

	run_world(&o, &w, manners, 20 * MONO_SEC);
	EQ_INT(o.r, 0, "all answer");
	EQ_INT(o.n, N_SERVERS + NETCHECK_PROBE_FRESH, "rows");
	for (size_t i = 0; i < o.n; i++) {
		bool is_fresh = i >= N_SERVERS;

		OK(is_answered(&o.rows[i]), "row %zu is answered", i);
		EQ_STR(o.rows[i].server, w.servers[is_fresh ? 0 : i], "server");
		EQ_INT(o.rows[i].local.port == o.rows[0].local.port, !is_fresh,
		    "one port for all servers, others for fresh ones");
	}
	OK(o.rows[4].local.port != o.rows[5].local.port &&
		o.rows[5].local.port != o.rows[6].local.port,
	    "each its own");
	OK(o.took_us < 10 * MONO_SEC, "not waiting for the deadline");
	world_fini(&w);
}

/* The dead one is given up, and fresh questions go where answers are. */
static void
test_one_dead(void)
{
	static const enum manner manners[] = { SILENT, GOOD, GOOD, GOOD };
	struct outcome o;
	struct world w;

	run_world(&o, &w, manners, 60 * MONO_SEC);
	EQ_INT(o.r, 0, "first server is dead");
	EQ_STR(o.rows[0].error, DEADLINE, "it says so");
	EQ_INT(o.rows[0].mapped.family, 0, "and has no mapping");
	for (size_t i = 1; i < N_SERVERS; i++)
		OK(is_answered(&o.rows[i]), "row %zu is answered", i);
	for (size_t i = N_SERVERS; i < o.n; i++) {
		OK(is_answered(&o.rows[i]), "fresh row %zu is answered", i);
		OK(o.rows[i].server != w.servers[0], "by a server alive");
	}
	OK(o.took_us < 30 * MONO_SEC, "long before the deadline");
	world_fini(&w);
}

/* With one answer the mapping is not judged yet: wait for another. */
static void
test_deadline(void)
{
	static const enum manner manners[] = { SILENT, GOOD, SILENT, SILENT };
	struct outcome o;
	struct world w;

	run_world(&o, &w, manners, 2500 * MONO_MS);
	EQ_INT(o.r, 0, "one server lives");
	OK(o.took_us >= 2500 * MONO_MS, "the others get all the time");
	OK(is_answered(&o.rows[1]), "it has answered");
	EQ_STR(o.rows[2].error, DEADLINE, "they have not");
	run(&o, w.servers, 1, 300 * MONO_MS);
	EQ_INT(o.n, 1 + NETCHECK_PROBE_FRESH, "a dead one alone");
	for (size_t i = 0; i < o.n; i++) {
		EQ_STR(o.rows[i].error, DEADLINE, "row %zu", i);
		EQ_STR(o.rows[i].server, w.servers[0], "its server");
		OK(o.rows[i].local.port != 0, "its port");
	}
	OK(o.took_us >= 300 * MONO_MS, "it took the time");
	world_fini(&w);
}

/* Names that lead nowhere, and an address without a way. */
static void
test_unusable(void)
{
	static const char *const none[] = { NO_NAME ":1", NO_NAME ":2" };
	static const char *const broadcast[] = { "255.255.255.255:1" };
	static const enum manner manners[] = { GOOD, GOOD, GOOD, GOOD };
	const char *mixed[] = { NO_NAME ":1", NULL };
	struct outcome o;
	struct world w;

	run(&o, none, 2, 60 * MONO_SEC);
	EQ_INT(o.r, 0, "no name resolves");
	for (size_t i = 0; i < o.n; i++) {
		EQ_STR(o.rows[i].error, LOOKUP_FAILS, "row %zu", i);
		EQ_STR(o.rows[i].server, none[i == 1], "its server");
	}
	OK(o.took_us < 30 * MONO_SEC, "at once");
	run(&o, broadcast, 1, 60 * MONO_SEC);
	OK(strncmp(o.rows[0].error, "write udp4 0.0.0.0:", 19) == 0 &&
		strstr(o.rows[0].error, "->255.255.255.255:1: sendto: ") !=
		    NULL,
	    "not permitted: %s", o.rows[0].error);
	world_init(&w, manners);
	mixed[1] = w.servers[0];
	run(&o, mixed, 2, 60 * MONO_SEC);
	EQ_STR(o.rows[0].error, LOOKUP_FAILS, "one name");
	for (size_t i = 1; i < o.n; i++) {
		OK(is_answered(&o.rows[i]), "row %zu is answered", i);
		EQ_STR(o.rows[i].server, w.servers[0], "by the other");
	}
	world_fini(&w);
}

static void
ignore(int signo)
{
	(void)signo;
}

/* Again and again: the first one may come before it is waited for. */
static void
test_signals(void)
{
	static const enum manner manners[] = { SILENT, GOOD, SILENT, SILENT };
	static const int signos[] = { SIGINT, SIGTERM };
	struct outcome o;
	struct world w;

	world_init(&w, manners);
	for (size_t i = 0; i < 2; i++) {
		pid_t parent = getpid(), pid;

		(void)signal(signos[i], ignore);
		pid = fork();
		while (pid == 0) {
			(void)usleep(300000);
			if (getppid() != parent || kill(parent, signos[i]) != 0)
				_exit(0);
		}
		run(&o, w.servers, N_SERVERS, 60 * MONO_SEC);
		EQ_INT(o.r, signos[i], "ended by signal %d", signos[i]);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		(void)signal(signos[i], SIG_DFL);
	}
	world_fini(&w);
}

static void
test_check(void)
{
	static const char *const good[] = { "stun.example:3478", "10.0.0.1:1",
		"a_b-c.:65535" };
	static const char *const bad[] = { "", "stun.example", ":3478",
		"stun.example:", "stun.example:0", "stun.example:65536",
		"stun.example:03", "[::1]:3478", "::1:3478", "a b:1", "a\n:1",
		"\xc3\xa4:1", "<a>:1" };

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		EQ_INT(netcheck_probe_check(good[i]), 0, "good: %s", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(netcheck_probe_check(bad[i]), -DT_ERR_SYNTAX,
		    "bad, number %zu", i);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_check();
	test_all_answer();
	test_one_dead();
	test_deadline();
	test_unusable();
	test_signals();
	return tap_done();
}
