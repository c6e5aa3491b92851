/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * derptun-relay.  Order of birth: command line, sockets (the only thing that
 * may need root), the operator's key files, drop root, own keys, confinement,
 * and only then the first byte of a stranger.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "helpers/relay/relay.h"
#include "helpers/relay/relay_accept.h"
#include "helpers/relay/relay_banner.h"
#include "helpers/relay/relay_client.h"
#include "helpers/relay/relay_conn.h"
#include "helpers/relay/relay_identity.h"
#include "helpers/relay/relay_notify.h"
#include "helpers/relay/relay_opt.h"
#include "helpers/relay/relay_stun.h"
#include "helpers/relay/sandbox_relay.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

#define EXIT_USAGE 2
#define RELAY_USER "derptund"
/* Descriptors that are not clients: sockets, epoll, log, and spare ones. */
#define OTHER_FDS 64

/* Everything main owns. */
struct process {
	struct relay_opt opt;
	struct relay_sockets sockets;
	struct relay_identity id;
	struct relay relay;
	struct relay_accept *accepts[RELAY_ACCEPT_MAX_SOCKETS];
	struct relay_stun *stuns[RELAY_ACCEPT_MAX_SOCKETS];
	struct loop_signal *signals[3];
	int print_fd;
	int notify_fd;
};

static int
fail(int r, const char *what)
{
	log_err_r(r, "relay", "%s", what);
	return r;
}

/* Bind or inherit; remembers the addresses really bound. */
static int
open_sockets(struct process *p)
{
	struct relay_opt *o = &p->opt;
	int r = relay_accept_inherit(&p->sockets);

	if (r < 0)
		return fail(r, "inherited sockets");
	if (o->listen.family != 0) {
		r = relay_accept_bind_tcp(&p->sockets, &o->listen);
		if (r < 0)
			return fail(r, "--listen");
	}
	if (o->stun.family != 0) {
		r = relay_accept_bind_udp(&p->sockets, &o->stun);
		if (r < 0)
			return fail(r, "--stun");
	}
	if (p->sockets.n_tcp == 0)
		return fail(-DT_ERR_UNSUPPORTED, "no socket to listen on");
	r = relay_accept_local(
	    p->sockets.tcp[p->sockets.n_tcp - 1], &o->listen);
	if (r == 0 && p->sockets.n_udp > 0)
		r = relay_accept_local(
		    p->sockets.udp[p->sockets.n_udp - 1], &o->stun);
	return r < 0 ? fail(r, "local address") : 0;
}

/* Room for all clients, or fewer clients. */
static void
fit_limits(struct relay_opt *o)
{
	struct rlimit limit;
	rlim_t want = (rlim_t)o->max_clients + OTHER_FDS;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < want) {
		limit.rlim_cur = want < limit.rlim_max ? want : limit.rlim_max;
		/* Below the hard limit it cannot fail. */
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur >= want || limit.rlim_cur <= OTHER_FDS)
		return;
	o->max_clients = (size_t)(limit.rlim_cur - OTHER_FDS);
	log_warn("relay", "only %zu clients: the limit of open files is %llu",
	    o->max_clients, (unsigned long long)limit.rlim_cur);
}

static int
open_identity(struct process *p, char ret_host[static ADDR_MAX_HOST])
{
	char own[ADDR_MAX_TEXT];
	int r = relay_identity_init(&p->id, &p->opt, RELAY_USER);

	if (r < 0) {
		log_err("relay", "%s", p->id.error);
		return r;
	}
	r = sandbox_drop_root(RELAY_USER);
	if (r < 0)
		return fail(r, "cannot drop root");
	relay_banner_hostname(&p->opt.listen, own);
	(void)snprintf(ret_host, ADDR_MAX_HOST, "%s",
	    p->opt.hostname != NULL ? p->opt.hostname : own);
	r = relay_identity_complete(&p->id, &p->opt, ret_host);
	if (r < 0)
		log_err("relay", "%s", p->id.error);
	return r;
}

static void
on_turn_end(void *arg, struct mono now)
{
	relay_conn_turn_end(arg, now);
}

static void
on_stop(void *arg, int signo, struct mono now)
{
	struct process *p = arg;

	(void)signo; /* all of them mean the same */
	(void)now;
	log_info("relay", "stopping");
	relay_notify_send(p->notify_fd, "STOPPING=1");
	loop_stop(p->relay.loop);
}

static void
on_dump(void *arg, int signo, struct mono now)
{
	struct process *p = arg;

	(void)signo;
	(void)now;
	relay_client_update_gauges(&p->relay);
	relay_stats_log(&p->relay.stats);
}

static int
start_relay(struct process *p)
{
	struct relay *relay = &p->relay;

	relay->loop = loop_new();
	relay->peers =
	    relay_peers_new(p->opt.max_clients, relay_client_gone, relay);
	relay->scratch = malloc(RELAY_SCRATCH);
	if (relay->loop == NULL || relay->peers == NULL ||
	    relay->scratch == NULL)
		return fail(-ENOMEM, "start");
	relay->tls = p->id.tls;
	relay->private_key = p->id.private_key;
	relay->public_key = p->id.public_key;
	relay->max_clients = p->opt.max_clients;
	relay->queue_packets = p->opt.queue_packets;
	relay->keepalive_us = p->opt.keepalive_us;
	relay->started = mono_now();
	loop_set_turn_end(relay->loop, on_turn_end, relay);
	for (size_t i = 0; i < p->sockets.n_tcp; i++) {
		p->accepts[i] = relay_accept_new(relay, p->sockets.tcp[i]);
		if (p->accepts[i] == NULL)
			return fail(-ENOMEM, "start");
	}
	for (size_t i = 0; i < p->sockets.n_udp; i++) {
		p->stuns[i] = relay_stun_new(relay, p->sockets.udp[i]);
		if (p->stuns[i] == NULL)
			return fail(-ENOMEM, "start");
	}
	p->signals[0] = loop_signal_new(relay->loop, SIGTERM, on_stop, p);
	p->signals[1] = loop_signal_new(relay->loop, SIGINT, on_stop, p);
	p->signals[2] = loop_signal_new(relay->loop, SIGUSR1, on_dump, p);
	if (p->signals[0] == NULL || p->signals[1] == NULL ||
	    p->signals[2] == NULL)
		return fail(-ENOMEM, "start");
	return 0;
}

static int
print_banner(const struct process *p, const char *host)
{
	char text[RELAY_BANNER_MAX];
	struct relay_banner b = {
		.listen = p->opt.listen,
		.stun = p->opt.stun,
		.hostname = host,
		.pin = p->id.pin,
		.ca_path = p->id.ca_path,
		.is_tls = p->id.tls != NULL,
	};
	int r = relay_banner_write(&b, text);
	size_t len;

	if (r < 0)
		return fail(r, "connection details");
	len = strlen(text);
	if (write(p->print_fd, text, len) != (ssize_t)len)
		return fail(-errno, "--print");
	return 0;
}

static int
serve(struct process *p)
{
	char host[ADDR_MAX_HOST];
	int r = open_identity(p, host);

	if (r == 0)
		r = start_relay(p);
	if (r < 0)
		return r;
	p->notify_fd = relay_notify_open();
	r = sandbox_apply(&sandbox_relay, sandbox_mode_compiled());
	if (r < 0)
		return fail(r, "cannot confine the process");
	r = print_banner(p, host);
	if (r < 0)
		return r;
	relay_notify_send(p->notify_fd, "READY=1");
	r = loop_run(p->relay.loop);
	return r < 0 ? fail(r, "event loop") : 0;
}

/* The reverse of birth; every member may be missing. */
static void
stop(struct process *p)
{
	struct relay *relay = &p->relay;

	for (size_t i = 0; i < RELAY_ACCEPT_MAX_SOCKETS; i++) {
		relay_accept_free(p->accepts[i]);
		relay_stun_free(p->stuns[i]);
	}
	/* First, so that nobody reconnects into a backlog that dies with us;
	 * inherited sockets live on elsewhere and keep such clients waiting. */
	relay_accept_close(&p->sockets);
	relay_conn_kill_all(relay, mono_now());
	for (size_t i = 0; i < 3; i++) {
		if (p->signals[i] != NULL)
			loop_signal_free(p->signals[i]);
	}
	relay_peers_free(relay->peers);
	relay_pool_fini(&relay->pool);
	secret_wipe(&relay->private_key, sizeof(relay->private_key));
	free(relay->scratch);
	loop_free(relay->loop);
	relay_identity_fini(&p->id);
	fd_close(&p->notify_fd);
	if (p->print_fd > STDERR_FILENO)
		fd_close(&p->print_fd);
}

static void
init_process(struct process *p)
{
	memset(p, 0, sizeof(*p));
	p->print_fd = -1;
	p->notify_fd = -1;
	p->id.state_dir = -1;
	p->id.guard = -1;
	TAILQ_INIT(&p->relay.all);
	TAILQ_INIT(&p->relay.handshakes);
	TAILQ_INIT(&p->relay.dirty);
	TAILQ_INIT(&p->relay.dead);
	relay_pool_init(&p->relay.pool, RELAY_MAX_FREE_BLOCKS);
}

/* Before anything is opened: where does the block of lines go? */
static int
open_print(struct process *p)
{
	if (strcmp(p->opt.print, "-") == 0) {
		p->print_fd = STDOUT_FILENO;
		return 0;
	}
	p->print_fd = open(p->opt.print,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
	return p->print_fd < 0 ? fail(-errno, p->opt.print) : 0;
}

int
main(int argc, char **argv)
{
	static struct process p;
	char error[RELAY_OPT_MAX_ERROR];
	int r;

	init_process(&p);
	if (relay_opt_parse(argc, argv, &p.opt, error) < 0) {
		(void)fprintf(stderr, "derptun-relay: %s\n", error);
		return EXIT_USAGE;
	}
	if (p.opt.is_help || p.opt.is_version) {
		(void)fputs(p.opt.is_help ? relay_opt_help()
					  : "derptun-relay " DERPTUND_VERSION
					    "\n",
		    stdout);
		return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	if (p.opt.listen.family == 0 && getenv("LISTEN_FDS") == NULL) {
		(void)fputs("derptun-relay: --listen: missing\n", stderr);
		return EXIT_USAGE;
	}
	log_init("derptun-relay",
	    p.opt.is_verbose ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO);
	(void)signal(SIGPIPE, SIG_IGN); /* a log that nobody reads any more */
	fit_limits(&p.opt);
	r = secret_init();
	if (r == 0)
		r = open_print(&p);
	if (r == 0)
		r = open_sockets(&p);
	if (r == 0)
		r = serve(&p);
	stop(&p);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
