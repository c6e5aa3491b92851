/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket of a whole daemon inside this process, without workers and
 * without a network.  Requests are written before the loop runs for a moment,
 * answers read after it.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/ctl.h"
#include "daemon/ctl_methods.h"
#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "test/tap.h"
#include "test/unit/dial_unix.h"
#include "test/unit/loop_for.h"

static char dir[] = "/tmp/derptund-ctl-XXXXXX";
static char path[64];
static struct daemon d;

/* Turns that a slow machine (or valgrind) is given: 3 s. */
#define MAX_TURNS 100

/* Let the daemon work for a moment. */
static void
turn(void)
{
	loop_for(d.loop, 30 * MONO_MS);
}

/* Write @text, run, and read everything; -1 at the end means "closed". */
static ssize_t
ask(int fd, const char *text, size_t len, char *out, size_t cap)
{
	ssize_t n;
	size_t have = 0;

	(void)send(fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	turn();
	for (int i = 0; i < MAX_TURNS; i++) {
		n = recv(fd, out, 1, MSG_PEEK | MSG_DONTWAIT);
		if (n >= 0 || errno != EAGAIN)
			break;
		turn();
	}
	while ((n = recv(fd, out + have, cap - 1 - have, MSG_DONTWAIT)) > 0)
		have += (size_t)n;
	out[have] = '\0';
	return n == 0 || errno == ECONNRESET ? -1 : (ssize_t)have;
}

/* On a connection of its own, behind the hello. */
static bool
once(const char *text, const char *want, bool want_open)
{
	static char out[131072];
	int fd = dial_unix(path);
	ssize_t n;

	(void)ask(fd, "", 0, out, sizeof(out));
	n = ask(fd, text, strlen(text), out, sizeof(out));
	fd_close(&fd);
	turn();
	if (strstr(out, want) == NULL)
		printf("# got %.200s\n", out);
	return strstr(out, want) != NULL && (n >= 0) == want_open;
}

static void
test_frames(void)
{
	static char out[4096], big[70000];
	int fd = dial_unix(path);

	EQ_INT(ask(fd, "", 0, out, sizeof(out)) > 0, 1, "something comes");
	OK(strstr(out, "\"method\":\"hello\"") != NULL, "hello is first");
	OK(strstr(out, "\"netns\":") != NULL, "it names the namespace");
	fd_close(&fd);
	OK(once("garbage\n", "-32700", false), "no JSON: error, closed");
	OK(once("{}\n", "-32600", false), "no JSON-RPC: error, closed");
	OK(once("[]\n", "-32600", false), "a batch: error, closed");
	memset(big, 'x', sizeof(big) - 1);
	OK(once(big, "-32600", false), "too long a line: error, closed");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}\n", "-32601",
	       true),
	    "unknown method: error, open");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.show\"}\n",
	       "-32602", true),
	    "missing parameter");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.show\","
		"\"params\":{\"session\":99}}\n",
	       "-32002", true),
	    "no such session");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.stop\","
		"\"params\":{\"session\":-1}}\n",
	       "-32002", true),
	    "an id that cannot be");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.listen\","
		"\"params\":{\"session\":1},\"fds\":1}\n",
	       "-32600", false),
	    "promised descriptors are missing: closed");
}

static void
test_methods(void)
{
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"daemon.status\"}\n",
	       "\"sandbox\":", true),
	    "daemon.status");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.discover\"}\n",
	       "session.subscribe", true),
	    "rpc.discover");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.list\"}\n",
	       "\"sessions\":[]", true),
	    "session.list");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"endpoint.list\"}\n",
	       "\"endpoints\":[]", true),
	    "endpoint.list");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":\"s\",\"method\":"
		"\"session.subscribe\"}\n",
	       "\"subscribed\":true", true),
	    "session.subscribe");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"session.open\","
		"\"params\":{\"token\":\"AAAA\"}}\n",
	       "token unsupported version", true),
	    "a bad token in the words of the peers");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"endpoint.share\","
		"\"params\":{\"target\":\"h:1\",\"relay\":{\"pin\":\"x\"}}}\n",
	       "sha256-raw", true),
	    "a bad pin");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"endpoint.share\","
		"\"params\":{\"target\":\"h:1\",\"relay\":{\"x\":1}}}\n",
	       "unknown relay parameter", true),
	    "an unknown relay parameter");
}

/* A server endpoint lives until its connection goes. */
static void
test_transfers(void)
{
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		"\"endpoint.transfer\",\"params\":{\"direction\":\"up\"}}\n",
	       "direction is send or receive", true),
	    "endpoint.transfer: a wrong direction");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		"\"endpoint.transfer\",\"params\":{\"direction\":\"send\"}}\n",
	       "a descriptor must be attached", true),
	    "endpoint.transfer: nothing to send");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		"\"session.transfer\",\"params\":{\"token\":\"x\","
		"\"direction\":\"send\"}}\n",
	       "-32004", true),
	    "session.transfer: a bad token");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
		"\"endpoint.transfer\",\"params\":{\"direction\":\"send\","
		"\"target\":\"x\"}}\n",
	       "unknown parameter", true),
	    "endpoint.transfer: a parameter of others");
}

static void
test_owner(void)
{
	static char out[65536];
	int fd = dial_unix(path);
	static const char serve[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"endpoint.serve\","
	    "\"params\":{\"target\":\"h:1\",\"relay\":{\"server\":"
	    "\"https://127.0.0.1:1\"}}}\n";

	(void)ask(fd, serve, sizeof(serve) - 1, out, sizeof(out));
	OK(strstr(out, "\"client_token\":\"DT2") != NULL, "a client token");
	OK(strstr(out, "relay-state") != NULL, "the owner hears events");
	EQ_INT(daemon_count_endpoints(&d), 1, "it is listed");
	OK(once("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"endpoint.list\"}\n",
	       "\"kind\":\"derptun\"", true),
	    "for others, too");
	fd_close(&fd);
	for (int i = 0; i < MAX_TURNS && daemon_count_endpoints(&d) != 0; i++)
		turn();
	EQ_INT(daemon_count_endpoints(&d), 0, "it ends with its owner");
}

#define SESSION 77
#define PROGRESSES 5000

static json_t *
event(const char *name, int n)
{
	return json_pack("{s:s,s:i}", "event", name, "n", n);
}

/* The last number of an event in what was read, and how often it came. */
static int
last_of(const char *out, const char *name, int *ret_count)
{
	char begin[64];
	int last = -1;

	(void)snprintf(begin, sizeof(begin), "\"event\":\"%s\",\"n\":", name);
	*ret_count = 0;
	while ((out = strstr(out, begin)) != NULL) {
		out += strlen(begin);
		last = (int)strtol(out, NULL, 10);
		(*ret_count)++;
	}
	return last;
}

/* A caller that is stopped while a session goes on: what it did not read of
 * progress neither ends its connection nor hides what matters. */
static void
test_lagging(void)
{
	static const char subscribe[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
	    "\"session.subscribe\"}\n";
	static char out[1 << 20];
	int fd = dial_unix(path), n, progresses = 0, others = 0;

	(void)ask(fd, subscribe, sizeof(subscribe) - 1, out, sizeof(out));
	for (n = 1; n <= PROGRESSES; n++)
		ctl_event_newest(d.ctl, 0, SESSION, event("progress", n));
	ctl_event(d.ctl, 0, SESSION + 1, event("other", 1));
	turn();
	OK(ask(fd, "", 0, out, sizeof(out)) > 0, "it may lag behind");
	n = last_of(out, "progress", &progresses);
	OK(n == progresses && n < PROGRESSES, "%d of %d fit the socket", n,
	    PROGRESSES);
	EQ_INT(ask(fd, "", 0, out, sizeof(out)) > 0, 1, "and when it reads:");
	EQ_INT(last_of(out, "progress", &progresses), PROGRESSES,
	    "the newest comes");
	EQ_INT(progresses, 2, "behind the one that met a full socket");
	EQ_INT(last_of(out, "other", &others), 1, "other events come");

	for (n = 1; n <= PROGRESSES; n++)
		ctl_event_newest(d.ctl, 0, SESSION, event("progress", n));
	ctl_event(d.ctl, 0, SESSION, event("ended", 1));
	turn();
	(void)ask(fd, "", 0, out, sizeof(out));
	OK(strstr(out, "ended") == NULL, "behind what waits");
	(void)ask(fd, "", 0, out, sizeof(out));
	EQ_INT(last_of(out, "progress", &progresses), PROGRESSES,
	    "the newest before the end");
	EQ_INT(last_of(out, "ended", &others), 1, "then the end");
	OK(strstr(out, "progress") < strstr(out, "ended"), "in order");
	ctl_event_newest(d.ctl, 0, SESSION, event("progress", 1));
	(void)ask(fd, "", 0, out, sizeof(out));
	EQ_INT(last_of(out, "progress", &progresses), 1, "then at once again");

	for (n = 1; n <= PROGRESSES; n++)
		ctl_event(d.ctl, 0, SESSION, event("other", n));
	turn();
	EQ_INT(ask(fd, "", 0, out, sizeof(out)), -1,
	    "who does not read other events is dropped");
	fd_close(&fd);
	for (n = 1; n <= PROGRESSES; n++) /* some wait for one that goes */
		ctl_event_newest(d.ctl, 0, SESSION, event("progress", n));
	fd = dial_unix(path);
	(void)ask(fd, subscribe, sizeof(subscribe) - 1, out, sizeof(out));
	for (n = 1; n <= PROGRESSES; n++)
		ctl_event_newest(d.ctl, 0, SESSION, event("progress", n));
	fd_close(&fd);
	turn();
}

static void
test_permission(void)
{
	struct daemon_config system = *d.config;
	struct ctl_request q = { .daemon = &d, .uid = 12345 };
	const struct daemon_config *own = d.config;

	OK(ctl_methods_may(&q, RPC_DAEMON_STATUS), "anybody may read");
	OK(!ctl_methods_may(&q, RPC_SESSION_OPEN), "but not change");
	system.system = true;
	d.config = &system;
	OK(ctl_methods_may(&q, RPC_SESSION_OPEN), "unless we serve all");
	OK(!ctl_methods_may(&q, RPC_DAEMON_STOP), "never stop us");
	q.is_owner = true;
	OK(ctl_methods_may(&q, RPC_DAEMON_STOP), "the owner may");
	d.config = own;
}

static void
test_many(void)
{
	int fds[70];
	size_t open = 0;
	char byte;

	for (size_t i = 0; i < 70; i++) {
		fds[i] = dial_unix(path);
		turn();
	}
	for (size_t i = 0; i < 70; i++) {
		open += recv(fds[i], &byte, 1, MSG_DONTWAIT) == 1;
		fd_close(&fds[i]);
	}
	EQ_INT(open, 64, "64 connections, and no more");
	turn();
}

int
main(void)
{
	struct daemon_config config = { .programs = { -1, -1, -1 },
		.cache_dir = "" };

	log_init("t_daemon_ctl", LOG_LEVEL_ERR);
	if (secret_init() < 0 || mkdtemp(dir) == NULL)
		return 1;
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	config.listen_fd = listen_bind(path, false);
	OK(config.listen_fd >= 0, "bind");
	EQ_INT(listen_bind(path, false), -EADDRINUSE, "not a second time");
	EQ_INT(listen_bind("", false), -EINVAL, "not an abstract one");
	EQ_INT(daemon_init(&d, &config), 0, "init");
	test_frames();
	test_methods();
	test_transfers();
	test_owner();
	test_lagging();
	test_permission();
	test_many();
	daemon_fini(&d);
	fd_close(&config.listen_fd);
	config.listen_fd = listen_bind(path, false);
	OK(config.listen_fd >= 0, "a stale socket is replaced");
	fd_close(&config.listen_fd);
	(void)unlink(path);
	(void)rmdir(dir);
	return tap_done();
}
