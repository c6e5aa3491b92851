/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A worker that may leave the relay gets its sockets and all that is known of
 * the network behind its boot message, so that it has them before any packet of
 * its peer.  Nothing here is waited for: servers whose names are being resolved
 * and the port mapping follow in a later NETWORK, which is always the whole.
 *
 * The worker reports its path; the last report counts.  Callers hear `path` for
 * each, and `relay` or `direct` where that changed.
 */
#include "daemon/session_net.h"

#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/event.h"
#include "daemon/netif.h"
#include "daemon/portmap.h"
#include "daemon/session.h"
#include "daemon/session_why.h"
#include "daemon/stun_servers.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/path/path.h"
#include "proto/rpc/rpc.h"

static void
announce(struct session *s)
{
	struct session_net *n = &s->net;
	char text[ADDR_MAX_TEXT] = "";

	n->is_late = false;
	if (n->path.peer.family != 0)
		addr_format(&n->path.peer, text);
	log_info("session", "path session=%u kind=%s address=%s reason=\"%s\"",
	    s->id, session_why_path(n->path.kind), text[0] != '\0' ? text : "-",
	    n->path.reason);
	event_session(s, "path",
	    text[0] != '\0'
		? json_pack("{s:s,s:s,s:s}", "kind",
		      session_why_path(n->path.kind), "reason", n->path.reason,
		      "address", text)
		: json_pack("{s:s,s:s}", "kind", session_why_path(n->path.kind),
		      "reason", n->path.reason));
	session_net_use(s, n->path.kind != PATH_KIND_RELAY, text);
}

static void
on_path_timer(void *arg, struct mono now)
{
	struct session *s = arg;

	if (!s->net.is_late)
		return;
	if (ratelimit_take(&s->net.paths, now))
		announce(s);
	else
		loop_timer_in(s->net.path_timer, SESSION_NET_PATH_US);
}

static void
answer_why(struct session *s, const struct ipc_explanation *e)
{
	struct session_net *n = &s->net;

	for (size_t i = 0; i < n->n_why; i++)
		ctl_answer(
		    s->daemon->ctl, &n->why[i], session_why_answer(s, e));
	n->n_why = 0;
	loop_timer_at(n->why_timer, MONO_NEVER);
}

static void
on_why_timer(void *arg, struct mono now)
{
	(void)now;
	answer_why(arg, NULL);
}

int
session_net_init(struct session *s)
{
	struct session_net *n = &s->net;

	udp_sockets_init(&n->sockets);
	n->path_timer = loop_timer_new(s->daemon->loop, on_path_timer, s);
	n->why_timer = loop_timer_new(s->daemon->loop, on_why_timer, s);
	return n->path_timer != NULL && n->why_timer != NULL ? 0 : -ENOMEM;
}

void
session_net_fini(struct session *s)
{
	struct session_net *n = &s->net;

	for (size_t i = 0; i < n->n_why; i++)
		ctl_forget(&n->why[i]);
	n->n_why = 0;
	udp_sockets_close(&n->sockets);
	stun_servers_free(n->stun);
	loop_timer_free(n->path_timer);
	loop_timer_free(n->why_timer);
}

static void
on_servers(void *arg)
{
	session_net_changed(arg, false);
}

struct stun_servers *
session_net_servers(struct session *s)
{
	if (s->net.stun == NULL)
		s->net.stun = stun_servers_new(s->daemon->loop, on_servers, s);
	return s->net.stun;
}

static struct stun_servers *
servers_of(struct session *s)
{
	struct endpoint *e =
	    s->endpoint != 0 ? endpoint_find(s->daemon, s->endpoint) : NULL;

	return e != NULL ? e->stun : s->net.stun;
}

static void
fill_network(struct session *s, bool interfaces, struct ipc_network *n)
{
	bool with_v6 =
	    udp_sockets_port(&s->net.sockets, IPC_SOCKET_MANAGED6) != 0;
	const struct stun_servers *servers = servers_of(s);
	const struct addr *own;
	size_t n_own = netif_addrs(s->daemon->netif, &own);
	const struct portmap_mapping *mapping =
	    s->net.want != NULL ? portmap_current(s->net.want) : NULL;
	bool has_v6 = false;

	memset(n, 0, sizeof(*n));
	n->changed = interfaces;
	for (size_t i = 0; i < n_own && i < IPC_MAX_OWN; i++) {
		n->own[n->n_own++] = own[i];
		has_v6 = has_v6 || own[i].family == AF_INET6;
	}
	if (servers != NULL)
		n->n_stun = (uint8_t)stun_servers_get(
		    servers, with_v6 && has_v6, n->stun);
	n->has_mapping = mapping != NULL;
	if (mapping != NULL)
		n->mapping = mapping->external;
}

static bool
same_network(const struct ipc_network *a, const struct ipc_network *b)
{
	if (a->n_own != b->n_own || a->n_stun != b->n_stun ||
	    a->has_mapping != b->has_mapping ||
	    !addr_equal(&a->mapping, &b->mapping))
		return false;
	for (size_t i = 0; i < a->n_own; i++)
		if (!addr_equal(&a->own[i], &b->own[i]))
			return false;
	for (size_t i = 0; i < a->n_stun; i++)
		if (!addr_equal(&a->stun[i], &b->stun[i]))
			return false;
	return true;
}

static void
send_network(struct session *s, const struct ipc_network *n)
{
	uint8_t body[WORKER_MAX_SENT];
	struct buf_writer w = buf_writer(body, sizeof(body));

	s->net.network = *n;
	ipc_put_network(&w, n);
	log_debug("session",
	    "network session=%u own=%u stun=%u mapping=%d changed=%d", s->id,
	    n->n_own, n->n_stun, n->has_mapping, n->changed);
	/* A worker that does not read is killed, and that is told. */
	(void)worker_send(s->worker, IPC_NETWORK, worker_next_seq(s->worker),
	    body, w.len, -1);
}

void
session_net_changed(struct session *s, bool interfaces)
{
	struct ipc_network n;

	if (!s->net.is_told || s->worker == NULL || s->stopping)
		return;
	fill_network(s, interfaces, &n);
	if (interfaces || !same_network(&n, &s->net.network))
		send_network(s, &n);
}

static void
on_mapping(void *arg, const struct portmap_mapping *mapping)
{
	(void)mapping; /* fill_network() asks for it */
	session_net_changed(arg, false);
}

/* Without a mapping other ways remain. */
static void
want_mapping(struct session *s)
{
	uint16_t port = udp_sockets_port(&s->net.sockets, IPC_SOCKET_MANAGED4);
	int r;

	if (port == 0)
		return;
	r = portmap_want(s->daemon->portmap, port, on_mapping, s, &s->net.want);
	if (r < 0)
		log_info("session", "no port mapping session=%u code=%s", s->id,
		    err_name(r));
}

static void
unwant_mapping(struct session *s)
{
	portmap_unwant(s->net.want);
	s->net.want = NULL;
}

static int
send_sockets(struct session *s)
{
	uint8_t body[64];
	struct buf_writer w = buf_writer(body, sizeof(body));
	struct ipc_sockets sockets;
	struct worker_fds fds;

	udp_sockets_open(&s->net.sockets, s->raw_direct);
	fds.n = udp_sockets_give(&s->net.sockets, &sockets, fds.fd);
	if (sockets.n == 0)
		return -ENOTSUP;
	ipc_put_sockets(&w, &sockets);
	return worker_send_fds(s->worker, IPC_SOCKETS,
	    worker_next_seq(s->worker), body, w.len, &fds);
}

void
session_net_start(struct session *s)
{
	struct stun_servers *servers = servers_of(s);
	struct ipc_network n;
	int r;

	memset(&s->net.path, 0, sizeof(s->net.path));
	s->net.is_late = false;
	ratelimit_init(&s->net.paths, SESSION_NET_PATH_RATE,
	    SESSION_NET_PATH_BURST, loop_now(s->daemon->loop));
	if (s->force_relay)
		return;
	r = send_sockets(s);
	if (r < 0) {
		log_warn("session", "no direct paths session=%u code=%s", s->id,
		    err_name(r));
		return;
	}
	s->net.is_told = true;
	want_mapping(s);
	if (servers != NULL)
		stun_servers_refresh(servers);
	fill_network(s, false, &n);
	send_network(s, &n);
}

void
session_net_stop(struct session *s)
{
	unwant_mapping(s);
	s->net.is_told = false;
	s->net.is_late = false;
	if (s->net.n_why > 0)
		answer_why(s, NULL);
}

void
session_net_use(struct session *s, bool direct, const char *address)
{
	if (s->has_path && s->is_direct == direct)
		return;
	s->has_path = true;
	s->is_direct = direct;
	event_session(s, direct ? "direct" : "relay",
	    address[0] != '\0' ? json_pack("{s:s}", "address", address) : NULL);
}

int
session_net_on_path(struct session *s, struct buf_reader *body)
{
	struct session_net *n = &s->net;
	bool was_late = n->is_late;
	int r = ipc_get_path(body, &n->path);

	if (r < 0)
		return r;
	/* The mapped socket is closed: its port is anybody's. */
	if (n->path.kind == PATH_KIND_RAW)
		unwant_mapping(s);
	n->is_late = true;
	if (was_late)
		return 0;
	if (ratelimit_take(&n->paths, loop_now(s->daemon->loop)))
		announce(s);
	else
		loop_timer_in(n->path_timer, SESSION_NET_PATH_US);
	return 0;
}

void
session_net_why(struct session *s, struct ctl_call *call)
{
	struct session_net *n = &s->net;

	if (n->n_why == SESSION_NET_MAX_WHY) {
		ctl_refuse(s->daemon->ctl, call, RPC_BUSY, -DT_ERR_FULL,
		    "too many requests for this session");
		return;
	}
	n->why[n->n_why++] = *call;
	call->id = NULL; /* transferred */
	if (s->worker == NULL || !worker_is_born(s->worker) || s->stopping ||
	    worker_send(s->worker, IPC_EXPLAIN, worker_next_seq(s->worker),
		NULL, 0, -1) < 0)
		answer_why(s, NULL);
	else
		loop_timer_in(n->why_timer, SESSION_DESCRIBE_US);
}

int
session_net_on_explanation(struct session *s, struct buf_reader *body)
{
	struct ipc_explanation e;
	int r = ipc_get_explanation(body, &e);

	if (r == 0)
		answer_why(s, &e);
	return r;
}
