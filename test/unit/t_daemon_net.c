/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's side of direct paths, in a whole daemon without workers: bursts
 * of PATH, what callers hear of them, and session.why of a session whose worker
 * cannot answer.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/listen.h"
#include "daemon/portmap.h"
#include "daemon/session.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "lib/secret.h"
#include "proto/path/path.h"
#include "test/tap.h"
#include "test/unit/dial_unix.h"
#include "test/unit/loop_for.h"

static char dir[] = "/tmp/derptund-net-XXXXXX";
static char path[64];
static struct daemon d;
static char heard[65536];
static size_t n_heard;

/* Reads until @want was heard @count times, or three seconds are over. */
static unsigned
hear(int fd, const char *want, unsigned count)
{
	unsigned n = 0;

	for (int i = 0; i < 100 && n < count; i++) {
		ssize_t got;

		loop_for(d.loop, 30 * MONO_MS);
		while ((got = recv(fd, heard + n_heard,
			    sizeof(heard) - 1 - n_heard, MSG_DONTWAIT)) > 0)
			n_heard += (size_t)got;
		heard[n_heard] = '\0';
		n = 0;
		for (const char *p = heard; (p = strstr(p, want)) != NULL; p++)
			n++;
	}
	return n;
}

static void
forget(void)
{
	n_heard = 0;
	heard[0] = '\0';
}

static int
report(struct session *s, unsigned kind, const char *peer, const char *reason)
{
	struct ipc_path p = { .kind = (uint8_t)kind };
	uint8_t body[128];
	struct buf_writer w = buf_writer(body, sizeof(body));
	struct buf_reader r;

	if (peer != NULL)
		(void)addr_parse(&p.peer, peer);
	(void)snprintf(p.reason, sizeof(p.reason), "%s", reason);
	ipc_put_path(&w, &p);
	r = buf_reader(body, w.len);
	return session_net_on_path(s, &r);
}

/* As session_net_start() leaves it. */
static struct session *
fresh(void)
{
	struct session *s = session_new(&d, SESSION_OPEN, 0, 0);

	s->kind = IPC_KIND_DERPTUN;
	ratelimit_init(&s->net.paths, SESSION_NET_PATH_RATE,
	    SESSION_NET_PATH_BURST, loop_now(d.loop));
	return s;
}

static void
test_events(int fd)
{
	struct session *s = fresh();

	session_net_use(s, false, "");
	session_net_use(s, false, "");
	EQ_INT(hear(fd, "\"event\":\"relay\"", 1), 1, "relay, once");
	forget();
	EQ_INT(report(s, PATH_KIND_RAW, "192.0.2.1:5", "punched"), 0, "raw");
	EQ_INT(hear(fd, "\"event\":\"direct\"", 1), 1, "is direct");
	OK(strstr(heard, "\"kind\":\"raw\"") != NULL, "its kind");
	OK(strstr(heard, "\"reason\":\"punched\"") != NULL, "its reason");
	OK(strstr(heard, "\"path\"") < strstr(heard, "\"direct\""),
	    "path comes before direct");
	forget();
	EQ_INT(report(s, PATH_KIND_MANAGED, "[2001:db8::1]:5", "better"), 0,
	    "another address");
	EQ_INT(hear(fd, "\"address\":\"[2001:db8::1]:5\"", 1), 1, "is told");
	OK(strstr(heard, "\"event\":\"direct\"") == NULL, "and not as direct");
	session_discard(s);
	forget();
}

static void
unheard(void *arg, const struct portmap_mapping *mapping)
{
	(void)arg;
	(void)mapping;
}

/* A worker that goes raw closes its managed sockets: their port may soon be
 * somebody else's, and the gateway would let the world in there. */
static void
test_raw_mapping(void)
{
	struct session *s = fresh();
	struct portmap_status status;

	EQ_INT(portmap_want(d.portmap, 4242, unheard, NULL, &s->net.want), 0,
	    "a port is wanted");
	EQ_INT(report(s, PATH_KIND_MANAGED, "192.0.2.1:5", "up"), 0, "direct");
	portmap_get_status(d.portmap, &status);
	EQ_INT(status.wants, 1, "it stays wanted");
	for (int i = 0; i < 40; i++)
		(void)report(s, PATH_KIND_RELAY, NULL, "down");
	EQ_INT(report(s, PATH_KIND_RAW, "192.0.2.1:5", "punched"), 0, "raw");
	portmap_get_status(d.portmap, &status);
	EQ_INT(status.wants, 0, "not any more, at once");
	session_discard(s);
	loop_for(d.loop, 1 * MONO_MS);
	forget();
}

static void
test_burst(int fd)
{
	struct session *s = fresh();
	unsigned n;
	int bad = 0;

	for (unsigned i = 0; i < 500; i++)
		bad += i % 2 == 0
			   ? report(s, PATH_KIND_MANAGED, "192.0.2.1:5", "up")
			   : report(s, PATH_KIND_RELAY, NULL, "down");
	bad += report(s, PATH_KIND_MANAGED, "192.0.2.9:9", "the last");
	EQ_INT(bad, 0, "a burst kills no worker");
	EQ_INT(hear(fd, "the last", 1), 1, "its last is told");
	n = hear(fd, "\"event\":\"path\"", 1);
	OK(n <= SESSION_NET_PATH_BURST + 2, "%u of 501 were told", n);
	OK(s->is_direct && s->has_path, "the session knows");
	/* A late one that never comes to be told. */
	for (unsigned i = 0; i < 60; i++)
		(void)report(s, PATH_KIND_RELAY, NULL, "down");
	session_discard(s);
	loop_for(d.loop, 300 * MONO_MS);
	forget();
}

static void
test_why(int fd)
{
	struct session *s = fresh();
	char line[256];
	int n;

	s->force_relay = true;
	n = snprintf(line, sizeof(line),
	    "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"session.why\","
	    "\"params\":{\"session\":%u}}\n",
	    s->id);
	(void)send(fd, line, (size_t)n, MSG_NOSIGNAL);
	EQ_INT(hear(fd, "\"cause\":\"forced\"", 1), 1, "why, without worker");
	OK(strstr(heard, "\"path\":\"none\"") != NULL, "no path yet");
	OK(strstr(heard, "\"peer\"") == NULL, "what it would know is absent");
	OK(strstr(heard, "\"portmap\":") != NULL, "what we know is there");
	forget();
	session_discard(s);
	loop_for(d.loop, 1 * MONO_MS);
	(void)send(fd, line, (size_t)n, MSG_NOSIGNAL);
	EQ_INT(hear(fd, "no such session", 1), 1, "then it is gone");
	forget();
}

int
main(void)
{
	struct daemon_config config = { .cache_dir = "" };
	static const char subscribe[] = "{\"jsonrpc\":\"2.0\",\"id\":1,"
					"\"method\":\"session.subscribe\"}\n";
	int fd;

	log_init("t_daemon_net", LOG_LEVEL_ERR);
	if (secret_init() < 0 || mkdtemp(dir) == NULL)
		return 1;
	memset(&config.programs, 0xff, sizeof(config.programs));
	config.no_port_mapping = true;
	(void)snprintf(path, sizeof(path), "%s/sock", dir);
	config.listen_fd = listen_bind(path, false);
	EQ_INT(daemon_init(&d, &config), 0, "init");
	fd = dial_unix(path);
	(void)send(fd, subscribe, sizeof(subscribe) - 1, MSG_NOSIGNAL);
	EQ_INT(hear(fd, "subscribed", 1), 1, "subscribed");
	forget();
	test_events(fd);
	test_burst(fd);
	test_raw_mapping();
	test_why(fd);
	fd_close(&fd);
	loop_for(d.loop, 10 * MONO_MS);
	daemon_fini(&d);
	fd_close(&config.listen_fd);
	(void)unlink(path);
	(void)rmdir(dir);
	return tap_done();
}
