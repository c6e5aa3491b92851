/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * portmap_watch: the daemon's port mapping with a real worker, on commands.
 *
 * usage: portmap_watch FOLDER_OF_THE_WORKERS
 *
 * Reads lines:
 *	gateway IP|none    want PORT    unwant PORT    status    stop
 * and writes lines:
 *	mapped PORT EXTERNAL PROTOCOL    gone PORT
 *	status running=N wants=N mapped=N protocol=N worker=PID
 *	stopped MILLISECONDS             (no worker is left)
 * Ends after "stopped", and with its standard input.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/portmap.h"
#include "daemon/worker.h"
#include "lib/log.h"
#include "lib/secret.h"

#define MAX_PORTS 65536

struct watch {
	struct loop *loop;
	struct worker_pool *pool;
	struct portmap *portmap;
	struct loop_timer *timer; /* while stopping */
	struct mono stop_at;
	char line[128];
	size_t len;
};

static struct portmap_want *wants[MAX_PORTS];

static void
on_mapping(void *arg, const struct portmap_mapping *m)
{
	struct portmap_want **w = arg;
	long port = w - wants;
	char text[ADDR_MAX_TEXT];

	if (m == NULL) {
		(void)printf("gone %ld\n", port);
		return;
	}
	addr_format(&m->external, text);
	(void)printf("mapped %ld %s %d\n", port, text, (int)m->protocol);
}

static void
keep_pid(void *arg, enum ipc_role role, uint32_t id, pid_t pid)
{
	(void)role;
	(void)id;
	*(pid_t *)arg = pid;
}

static void
status(const struct watch *w)
{
	struct portmap_status s;
	pid_t pid = 0;

	portmap_get_status(w->portmap, &s);
	worker_pool_each(w->pool, keep_pid, &pid);
	(void)printf(
	    "status running=%d wants=%zu mapped=%zu protocol=%d worker=%d\n",
	    s.running, s.wants, s.mapped, (int)s.protocol, (int)pid);
}

static void
on_timer(void *arg, struct mono now)
{
	struct watch *w = arg;

	if (worker_pool_count(w->pool) > 0) {
		loop_timer_in(w->timer, 5 * MONO_MS);
		return;
	}
	(void)printf("stopped %lld\n",
	    (long long)(mono_diff(now, w->stop_at) / MONO_MS));
	loop_stop(w->loop);
}

static void
want(struct watch *w, long port)
{
	int r = portmap_want(
	    w->portmap, (uint16_t)port, on_mapping, &wants[port], &wants[port]);

	if (r < 0)
		(void)printf("error %ld %d\n", port, r);
}

static void
obey(struct watch *w, const char *line)
{
	char word[16] = "", arg[64] = "";
	struct addr a = { 0 };
	long port;

	(void)sscanf(line, "%15s %63s", word, arg);
	port = strtol(arg, NULL, 10);
	if (strcmp(word, "gateway") == 0) {
		(void)addr_parse_ip(&a, arg, 0);
		portmap_set_gateway(w->portmap, &a);
	} else if (strcmp(word, "want") == 0 && port > 0 && port < MAX_PORTS) {
		want(w, port);
	} else if (strcmp(word, "unwant") == 0 && port > 0 &&
		   port < MAX_PORTS) {
		portmap_unwant(wants[port]);
		wants[port] = NULL;
	} else if (strcmp(word, "status") == 0) {
		status(w);
	} else if (strcmp(word, "stop") == 0) {
		w->stop_at = loop_now(w->loop);
		portmap_stop(w->portmap);
		loop_timer_in(w->timer, 0);
	}
}

static void
on_input(void *arg, unsigned events, struct mono now)
{
	struct watch *w = arg;
	char c;

	(void)events;
	(void)now;
	if (read(STDIN_FILENO, &c, 1) <= 0) {
		loop_stop(w->loop);
	} else if (c == '\n') {
		w->line[w->len] = '\0';
		w->len = 0;
		obey(w, w->line);
	} else if (w->len < sizeof(w->line) - 1) {
		w->line[w->len++] = c;
	}
}

int
main(int argc, char **argv)
{
	static struct watch w;
	struct worker_programs programs;
	struct loop_io *io;

	log_init("portmap_watch", LOG_LEVEL_DEBUG);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc != 2 || secret_init() != 0 ||
	    worker_programs_open(argv[1], &programs) < 0)
		return EXIT_FAILURE;
	w.loop = loop_new();
	if (w.loop == NULL)
		return EXIT_FAILURE;
	w.pool = worker_pool_new(w.loop, &programs);
	w.portmap = portmap_new(w.loop, w.pool, true);
	w.timer = loop_timer_new(w.loop, on_timer, &w);
	io = loop_io_new(w.loop, STDIN_FILENO, on_input, &w);
	if (w.pool == NULL || w.portmap == NULL || w.timer == NULL ||
	    io == NULL)
		return EXIT_FAILURE;
	loop_io_set(io, LOOP_READ);
	(void)loop_run(w.loop);
	loop_io_free(io);
	loop_timer_free(w.timer);
	portmap_free(w.portmap);
	worker_pool_free(w.pool);
	loop_free(w.loop);
	return EXIT_SUCCESS;
}
