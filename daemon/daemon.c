/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * RUNNING until daemon_stop() (signal, request) or until nobody used an
 * on-demand daemon for a while.  STOPPING: everything was asked to end; the
 * loop ends when nothing is left, or at a limit.
 *
 * The end of each turn does what is worth batching: packets to workers, frames
 * to relays, and the burial of what ended in this turn.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/closer.h"
#include "daemon/ctl.h"
#include "daemon/endpoint.h"
#include "daemon/netif.h"
#include "daemon/notify.h"
#include "daemon/portmap.h"
#include "daemon/relay_link.h"
#include "daemon/relay_map.h"
#include "daemon/roots.h"
#include "daemon/session.h"
#include "daemon/worker.h"
#include "lib/err.h"
#include "lib/log.h"

static const int stop_signals[2] = { SIGTERM, SIGINT };

uint32_t
daemon_next_id(struct daemon *d)
{
	if (++d->last_id == 0)
		d->last_id = 1;
	return d->last_id;
}

size_t
daemon_count_sessions(const struct daemon *d)
{
	const struct session *s;
	size_t n = 0;

	LIST_FOREACH(s, &d->sessions, entry)
		n++;
	return n;
}

size_t
daemon_count_endpoints(const struct daemon *d)
{
	const struct endpoint *e;
	size_t n = 0;

	LIST_FOREACH(e, &d->endpoints, entry)
		n++;
	return n;
}

bool
daemon_may_add(const struct daemon *d, uid_t uid)
{
	const struct session *s;
	size_t own = 0;

	if (daemon_count_sessions(d) >= DAEMON_MAX_SESSIONS)
		return false;
	if (uid == 0 || uid == d->uid)
		return true;
	LIST_FOREACH(s, &d->sessions, entry)
		if (s->uid == uid)
			own++;
	return own < DAEMON_MAX_SESSIONS_PER_UID;
}

bool
daemon_may_serve(const struct daemon *d, uid_t uid)
{
	const struct endpoint *e;
	size_t own = 0;

	if (daemon_count_endpoints(d) >= DAEMON_MAX_ENDPOINTS)
		return false;
	if (uid == 0 || uid == d->uid)
		return true;
	LIST_FOREACH(e, &d->endpoints, entry)
		if (e->uid == uid)
			own++;
	return own < DAEMON_MAX_ENDPOINTS_PER_UID;
}

void
daemon_owner_gone(struct daemon *d, uint32_t conn)
{
	struct endpoint *e, *next_endpoint;
	struct session *s, *next;

	LIST_FOREACH_SAFE(e, &d->endpoints, entry, next_endpoint)
		if (e->owner == conn)
			endpoint_stop(e, 0, "its owner left");
	LIST_FOREACH_SAFE(s, &d->sessions, entry, next)
		if (s->owner == conn)
			session_stop(s, 0, "its owner left");
}

static bool
is_idle(const struct daemon *d)
{
	return ctl_count(d->ctl) == 0 && LIST_EMPTY(&d->endpoints) &&
	       LIST_EMPTY(&d->sessions) && worker_pool_count(d->workers) == 0 &&
	       !relay_pool_is_busy(d->relays);
}

/* Nobody can find us any more: see whether somebody just did. */
static void
leave(struct daemon *d)
{
	if (d->config->socket_path != NULL && !d->unlinked)
		(void)unlink(d->config->socket_path); /* may be gone */
	d->unlinked = true;
	if (ctl_accept_last(d->ctl) > 0)
		return; /* served to its end, then we are idle again */
	log_info("daemon", "nobody needs us, leaving");
	loop_stop(d->loop);
}

static void
on_end_timer(void *arg, struct mono now)
{
	struct daemon *d = arg;

	(void)now;
	if (d->stopping) {
		log_warn("daemon", "leaving although not everything ended");
		loop_stop(d->loop);
	} else if (is_idle(d))
		leave(d);
}

static void
bury_the_dead(struct daemon *d)
{
	struct endpoint *e;
	struct session *s;

	while ((s = LIST_FIRST(&d->dead_sessions)) != NULL) {
		LIST_REMOVE(s, entry);
		session_free(s);
	}
	while ((e = LIST_FIRST(&d->dead_endpoints)) != NULL) {
		LIST_REMOVE(e, entry);
		endpoint_free(e);
	}
}

static void
check_end(struct daemon *d)
{
	bool over = LIST_EMPTY(&d->endpoints) && LIST_EMPTY(&d->sessions) &&
		    worker_pool_count(d->workers) == 0 &&
		    !relay_pool_is_busy(d->relays);

	if (d->stopping && over)
		loop_stop(d->loop);
	if (d->stopping || d->config->idle_exit_us == 0)
		return;
	if (!is_idle(d))
		d->idle = false;
	else if (!d->idle) {
		d->idle = true;
		loop_timer_in(d->end_timer, d->config->idle_exit_us);
	}
}

static void
on_turn_end(void *arg, struct mono now)
{
	struct daemon *d = arg;

	worker_pool_flush(d->workers);
	relay_pool_flush(d->relays, now);
	bury_the_dead(d);
	if (LIST_EMPTY(&d->endpoints) && LIST_EMPTY(&d->sessions))
		worker_pool_prepare(d->workers, false);
	check_end(d);
}

void
daemon_stop(struct daemon *d, const char *why)
{
	/* Nobody asked these to end: not an orderly close to either side. */
	static const char text[] = "the daemon is stopping";
	struct endpoint *e, *next_endpoint;
	struct session *s, *next;

	if (d->stopping)
		return;
	d->stopping = true;
	log_info("daemon", "stopping: %s", why);
	notify_send("STOPPING=1");
	loop_timer_in(d->end_timer, DAEMON_STOP_US);
	LIST_FOREACH_SAFE(e, &d->endpoints, entry, next_endpoint)
		endpoint_stop(e, -DT_ERR_TUNNEL_LOST, text);
	LIST_FOREACH_SAFE(s, &d->sessions, entry, next)
		session_stop(s, -DT_ERR_TUNNEL_LOST, text);
	portmap_stop(d->portmap);
}

static void
tell_gateway(struct daemon *d)
{
	struct addr gateway = { 0 };

	(void)netif_gateway4(d->netif, &gateway); /* none is none */
	portmap_set_gateway(d->portmap, &gateway);
}

static void
on_network(void *arg, struct mono now)
{
	struct daemon *d = arg;
	struct session *s;

	(void)now;
	tell_gateway(d);
	relay_pool_check_network(d->relays, d->netif);
	LIST_FOREACH(s, &d->sessions, entry)
		session_net_changed(s, true);
}

static void
on_signal(void *arg, int signo, struct mono now)
{
	(void)now;
	daemon_stop(arg, signo == SIGTERM ? "SIGTERM" : "SIGINT");
}

static uint64_t
own_netns(void)
{
	struct stat st;

	return stat("/proc/self/ns/net", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

int
daemon_init(struct daemon *d, const struct daemon_config *config)
{
	bool ok;

	memset(d, 0, sizeof(*d));
	d->config = config;
	d->uid = geteuid();
	d->netns = own_netns();
	LIST_INIT(&d->endpoints);
	LIST_INIT(&d->sessions);
	LIST_INIT(&d->dead_endpoints);
	LIST_INIT(&d->dead_sessions);
	d->loop = loop_new();
	if (d->loop == NULL)
		return -ENOMEM;
	d->started = loop_now(d->loop);
	d->workers = worker_pool_new(d->loop, &config->programs);
	d->relays = relay_pool_new(d->loop);
	d->maps = relay_map_source_new(d->loop, config->cache_dir);
	d->netif = netif_new(d->loop, on_network, d);
	d->portmap = portmap_new(d->loop, d->workers, !config->no_port_mapping);
	d->end_timer = loop_timer_new(d->loop, on_end_timer, d);
	d->ctl = ctl_new(d, config->listen_fd);
	ok = closer_init(d->loop) == 0 && d->workers != NULL &&
	     d->relays != NULL && d->maps != NULL && d->netif != NULL &&
	     d->portmap != NULL && d->end_timer != NULL && d->ctl != NULL;
	for (size_t i = 0; i < 2; i++) {
		d->signals[i] =
		    loop_signal_new(d->loop, stop_signals[i], on_signal, d);
		ok = ok && d->signals[i] != NULL;
	}
	if (!ok) {
		daemon_fini(d);
		return -ENOMEM;
	}
	tell_gateway(d);
	loop_set_turn_end(d->loop, on_turn_end, d);
	if (config->idle_exit_us != 0) {
		d->idle = true;
		loop_timer_in(d->end_timer, config->idle_exit_us);
	}
	return 0;
}

void
daemon_fini(struct daemon *d)
{
	struct endpoint *e, *next_endpoint;
	struct session *s, *next;

	/* What could not end in order ends now. */
	LIST_FOREACH_SAFE(s, &d->sessions, entry, next)
		session_discard(s);
	LIST_FOREACH_SAFE(e, &d->endpoints, entry, next_endpoint)
		endpoint_stop(e, -DT_ERR_TUNNEL_LOST, "the daemon is stopping");
	ctl_free(d->ctl);
	bury_the_dead(d);
	relay_pool_free(d->relays);
	portmap_free(d->portmap);
	worker_pool_free(d->workers);
	relay_map_source_free(d->maps);
	netif_free(d->netif);
	roots_forget();
	for (size_t i = 0; i < 2; i++)
		loop_signal_free(d->signals[i]);
	loop_timer_free(d->end_timer);
	d->stuck = closer_fini();
	loop_free(d->loop);
}
