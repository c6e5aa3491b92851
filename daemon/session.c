/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A listener is CLAIMING from the moment its worker starts (its claim was
 * accepted already), then CLAIMED and READY as the worker says, and ends with
 * it.  A claimer runs through STARTING, CONNECTING, CLAIMING, CLAIMED, READY
 * and, when that is lost, RECONNECTING to STARTING again (session_claim.c).
 *
 * ENDING: we asked the worker to stop; the route stays until it is gone, so
 * that its last packets reach the peer.  session_finish() is the only way to
 * ENDED: it takes all callbacks away, tells endpoint and callers, and leaves
 * the memory to the end of the turn.
 */
#include "daemon/session.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/event.h"
#include "daemon/relay_map.h"
#include "daemon/session_worker.h"
#include "daemon/signer.h"
#include "daemon/transfer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/ipc/ipc_body.h"
#include "proto/rpc/rpc.h"

static const char *
state_name(enum session_state s)
{
	static const char *const names[] = {
		[SESSION_STARTING] = "starting",
		[SESSION_CONNECTING] = "connecting",
		[SESSION_CLAIMING] = "claiming",
		[SESSION_CLAIMED] = "claimed",
		[SESSION_READY] = "ready",
		[SESSION_RECONNECTING] = "reconnecting",
		[SESSION_ENDING] = "ending",
		[SESSION_ENDED] = "ended",
	};

	return names[s];
}

static const char *
role_name(enum session_role r)
{
	static const char *const names[] = {
		[SESSION_LISTENER] = "listener",
		[SESSION_OPEN] = "open",
		[SESSION_CONNECT] = "connect",
		[SESSION_TRANSFER] = "transfer",
	};

	return names[r];
}

const char *
session_kind_name(enum ipc_kind kind)
{
	switch (kind) {
	case IPC_KIND_SHARE:
		return "share";
	case IPC_KIND_TRANSFER:
		return "transfer";
	case IPC_KIND_DERPTUN:
	default:
		return "derptun";
	}
}

struct session *
session_find(struct daemon *d, uint32_t id)
{
	struct session *s;

	LIST_FOREACH(s, &d->sessions, entry)
		if (s->id == id)
			return s;
	return NULL;
}

void
session_set_state(struct session *s, enum session_state state)
{
	s->state = state;
	s->since = loop_now(s->daemon->loop);
}

static void
answer_describe(struct session *s, const struct ipc_description *d)
{
	for (size_t i = 0; i < s->describers.n; i++) {
		json_t *o = json_pack("{s:o}", "session", session_status(s));

		if (o != NULL && d != NULL)
			(void)json_object_set_new(
			    o, "worker", session_worker_counters(s, d));
		ctl_answer(s->daemon->ctl, &s->describe[i], o);
	}
	s->describers.n = 0;
	loop_timer_at(s->describe_timer, MONO_NEVER);
}

static void
on_describe_timer(void *arg, struct mono now)
{
	(void)now;
	answer_describe(arg, NULL);
}

void
session_described(struct session *s, const struct ipc_description *d)
{
	answer_describe(s, d);
}

void
session_describe(struct session *s, uid_t uid, struct ctl_call *call)
{
	size_t place = s->describers.n;

	if (!places_take(&s->describers, uid, s->uid, s->daemon->uid)) {
		ctl_refuse(s->daemon->ctl, call, RPC_BUSY, -DT_ERR_FULL,
		    "too many requests for this session");
		return;
	}
	s->describe[place] = *call;
	call->id = NULL; /* transferred */
	if (s->worker == NULL || !worker_is_born(s->worker) ||
	    worker_send(s->worker, IPC_DESCRIBE, worker_next_seq(s->worker),
		NULL, 0, -1) < 0)
		answer_describe(s, NULL);
	else
		loop_timer_in(s->describe_timer, SESSION_DESCRIBE_US);
}

struct session *
session_new(struct daemon *d, enum session_role role, uint32_t owner, uid_t uid)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->daemon = d;
	s->role = role;
	s->owner = owner;
	s->uid = uid;
	s->listen_fd = s->stdio[0] = s->stdio[1] = -1;
	s->describe_timer = loop_timer_new(d->loop, on_describe_timer, s);
	if (session_net_init(s) < 0 || s->describe_timer == NULL) {
		session_net_fini(s);
		loop_timer_free(s->describe_timer);
		free(s);
		return NULL;
	}
	s->id = daemon_next_id(d);
	session_set_state(s, SESSION_STARTING);
	LIST_INSERT_HEAD(&d->sessions, s, entry);
	return s;
}

void
session_leave_link(struct session *s)
{
	if (s->link == NULL)
		return;
	router_remove(relay_link_router(s->link), &s->peer_derp, s);
	relay_link_put(s->link, &s->watch);
	s->link = NULL;
}

/* No callback reaches it any more. */
static void
detach(struct session *s)
{
	session_set_state(s, SESSION_ENDED);
	relay_map_query_cancel(s->query);
	s->query = NULL;
	worker_abandon(s->worker);
	s->worker = NULL;
	session_net_stop(s);
	session_leave_link(s);
	signer_free(s->signer);
	s->signer = NULL;
	loop_timer_free(s->timer);
	s->timer = NULL;
	loop_timer_free(s->probe_timer);
	s->probe_timer = NULL;
	fd_close(&s->listen_fd);
	fd_close(&s->stdio[0]);
	fd_close(&s->stdio[1]);
	transfer_free(s->transfer);
	s->transfer = NULL;
	LIST_REMOVE(s, entry);
	LIST_INSERT_HEAD(&s->daemon->dead_sessions, s, entry);
}

void
session_discard(struct session *s)
{
	detach(s);
}

void
session_finish(struct session *s, int code, const char *text)
{
	struct endpoint *e;

	if (s->state == SESSION_ENDED)
		return;
	log_info("session", "ended: %s session=%u code=%s",
	    text[0] != '\0' ? text : err_str(code), s->id, err_name(code));
	answer_describe(s, NULL);
	event_session(s, "ended",
	    event_ended(code, text[0] != '\0' ? text : err_str(code)));
	detach(s);
	e = s->endpoint != 0 ? endpoint_find(s->daemon, s->endpoint) : NULL;
	if (e != NULL)
		endpoint_session_ended(e, s, code, text);
}

void
session_stop(struct session *s, int code, const char *text)
{
	if (s->stopping || s->state >= SESSION_ENDING)
		return;
	/* A transfer that is not wanted any more was none. */
	if (s->kind == IPC_KIND_TRANSFER && code == 0)
		code = -ECANCELED;
	s->stopping = true;
	s->stop_code = code;
	s->stop_text = text;
	session_set_state(s, SESSION_ENDING);
	loop_timer_free(s->timer);
	s->timer = NULL;
	relay_map_query_cancel(s->query);
	s->query = NULL;
	if (s->worker != NULL)
		worker_stop(s->worker, code, text);
	else
		session_finish(s, code, text);
}

void
session_free(struct session *s)
{
	session_net_fini(s);
	loop_timer_free(s->describe_timer);
	for (size_t i = 0; i < s->describers.n; i++)
		ctl_forget(&s->describe[i]);
	relay_params_unref(s->params);
	secret_wipe(s, sizeof(*s));
	free(s);
}

json_t *
session_status(const struct session *s)
{
	char peer[SECRET_FINGERPRINT_LEN];
	struct relay_link_info info;
	const char *path = "none";
	char address[ADDR_MAX_TEXT];
	json_t *o;

	secret_fingerprint(peer, &s->peer_derp);
	if (s->has_path)
		path = s->is_direct ? "direct" : "relay";
	o = json_pack("{s:I,s:s,s:s,s:s,s:s,s:s,s:I,s:b}", "id",
	    (json_int_t)s->id, "kind", session_kind_name(s->kind), "role",
	    role_name(s->role), "state", state_name(s->state), "path", path,
	    "peer", peer, "since_ms",
	    (json_int_t)(mono_diff(loop_now(s->daemon->loop), s->since) /
			 MONO_MS),
	    "force_relay", (int)s->force_relay);
	if (o != NULL && s->has_path && s->is_direct &&
	    s->net.path.peer.family != 0) {
		addr_format(&s->net.path.peer, address);
		(void)json_object_set_new(o, "address", json_string(address));
	}
	if (o != NULL && s->endpoint != 0)
		(void)json_object_set_new(
		    o, "endpoint", json_integer(s->endpoint));
	if (o != NULL && s->link != NULL) {
		relay_link_info(s->link, &info);
		(void)json_object_set_new(o, "relay", event_relay(&info));
	}
	return o;
}
