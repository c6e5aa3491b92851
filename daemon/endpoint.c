/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * PREPARING (share, transfer: the relay is chosen, then the token minted;
 * serve: only the relay is looked up) -> STARTING (link and gate come up) ->
 * WAITING <-> ACTIVE (a session holds the slot).  A relay that is lost or a
 * gate that crashes does not change the state: link and gate come back by
 * themselves.
 *
 * A share ends with the clean end of its session, or when its token expires
 * while nobody uses it.  A transfer ends with its session, whatever became of
 * it.  ENDING waits for the session's orderly end, so that
 * the peer is told; then `ended`, then ENDED until the end of the turn.
 */
#include "daemon/endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/endpoint_gate.h"
#include "daemon/endpoint_mint.h"
#include "daemon/event.h"
#include "daemon/relay_map.h"
#include "daemon/session.h"
#include "daemon/stun_servers.h"
#include "daemon/transfer.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/rpc/rpc.h"

static const char *
state_name(enum endpoint_state s)
{
	static const char *const names[] = {
		[ENDPOINT_PREPARING] = "preparing",
		[ENDPOINT_STARTING] = "starting",
		[ENDPOINT_WAITING] = "waiting",
		[ENDPOINT_ACTIVE] = "active",
		[ENDPOINT_ENDING] = "ending",
		[ENDPOINT_ENDED] = "ended",
	};

	return names[s];
}

struct endpoint *
endpoint_find(struct daemon *d, uint32_t id)
{
	struct endpoint *e;

	LIST_FOREACH(e, &d->endpoints, entry)
		if (e->id == id)
			return e;
	return NULL;
}

void
endpoint_set_state(struct endpoint *e, enum endpoint_state state)
{
	e->state = state;
	e->since = loop_now(e->daemon->loop);
}

static void
finish(struct endpoint *e)
{
	if (e->state == ENDPOINT_ENDED)
		return;
	endpoint_set_state(e, ENDPOINT_ENDED);
	log_info("endpoint", "ended: %s endpoint=%u", e->end_text, e->id);
	if (e->call.id != NULL)
		ctl_refuse(e->daemon->ctl, &e->call, RPC_FAILED, e->end_code,
		    e->end_text);
	relay_map_query_cancel(e->query);
	e->query = NULL;
	endpoint_gate_stop(e);
	loop_timer_at(e->expiry, MONO_NEVER);
	if (e->link != NULL)
		relay_link_put(e->link, &e->watch);
	e->link = NULL;
	event_endpoint(e, "ended", event_ended(e->end_code, e->end_text));
	LIST_REMOVE(e, entry);
	LIST_INSERT_HEAD(&e->daemon->dead_endpoints, e, entry);
}

static void
set_end(struct endpoint *e, int code, const char *text)
{
	e->end_code = code;
	(void)snprintf(e->end_text, sizeof(e->end_text), "%s",
	    text[0] != '\0' ? text : err_str(code));
}

void
endpoint_stop(struct endpoint *e, int code, const char *text)
{
	struct session *s;

	if (e->state >= ENDPOINT_ENDING)
		return;
	/* A transfer that is not wanted any more was none. */
	if (e->kind == IPC_KIND_TRANSFER && code == 0)
		code = -ECANCELED;
	set_end(e, code, text);
	endpoint_set_state(e, ENDPOINT_ENDING);
	endpoint_gate_stop(e); /* nobody new */
	s = e->session != 0 ? session_find(e->daemon, e->session) : NULL;
	if (s != NULL)
		session_stop(s, code, text);
	else
		finish(e);
}

void
endpoint_free(struct endpoint *e)
{
	loop_timer_free(e->gate_timer);
	loop_timer_free(e->expiry);
	stun_servers_free(e->stun);
	transfer_free(e->transfer);
	relay_params_unref(e->params);
	ctl_forget(&e->call);
	secret_wipe(e, sizeof(*e));
	free(e);
}

/* Nobody was given a token yet: say so instead of trying for ever. */
static bool
is_hopeless(const struct endpoint *e, const struct relay_link_info *info)
{
	return e->kind == IPC_KIND_TRANSFER && e->call.id != NULL &&
	       info->state == RELAY_LINK_WAITING && !info->ever_connected &&
	       (info->hopeless || info->failures >= SESSION_RELAY_ATTEMPTS);
}

static void
on_link_state(void *arg, struct mono now)
{
	struct endpoint *e = arg;
	struct relay_link_info info;

	(void)now;
	relay_link_info(e->link, &info);
	event_endpoint(e, "relay-state", event_relay(&info));
	if (is_hopeless(e, &info))
		endpoint_stop(e, -DT_ERR_RELAY_UNREACHABLE,
		    info.error[0] != '\0' ? info.error
					  : err_str(-DT_ERR_TIMEOUT));
	else
		endpoint_check_waiting(e);
}

static void
on_link_pressure(void *arg, bool high)
{
	struct endpoint *e = arg;

	if (e->gate != NULL)
		worker_pause(e->gate, high);
}

static void
on_expiry(void *arg, struct mono now)
{
	struct endpoint *e = arg;

	(void)now;
	/* A running tunnel outlives its token. */
	if (e->session == 0 && e->token_version != 0 &&
	    mono_unix_seconds() >= e->expires_unix)
		endpoint_stop(e, -DT_ERR_EXPIRED, "token expired");
	else
		loop_timer_in(e->expiry, ENDPOINT_EXPIRY_US);
}

void
endpoint_open(struct endpoint *e, const struct relay_target *targets, size_t n)
{
	int r = relay_link_get(e->daemon->relays, &e->derp_private, e->params,
	    targets, n, &e->watch, &e->link);

	if (r < 0) {
		endpoint_stop(e, r, err_str(r));
		return;
	}
	endpoint_set_state(e, ENDPOINT_STARTING);
	endpoint_gate_start(e);
	if (e->kind != IPC_KIND_DERPTUN)
		loop_timer_in(e->expiry, ENDPOINT_EXPIRY_US);
}

static void
on_servers(void *arg)
{
	struct endpoint *e = arg;
	struct session *s =
	    e->session != 0 ? session_find(e->daemon, e->session) : NULL;

	if (s != NULL)
		session_net_changed(s, false);
}

struct endpoint *
endpoint_new(
    struct daemon *d, const struct endpoint_request *q, enum ipc_kind kind)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return NULL;
	e->daemon = d;
	e->watch.state = on_link_state;
	e->watch.pressure = on_link_pressure;
	e->watch.arg = e;
	e->expiry = loop_timer_new(d->loop, on_expiry, e);
	e->gate_timer = endpoint_gate_timer(e);
	e->stun = stun_servers_new(d->loop, on_servers, e);
	if (e->expiry == NULL || e->gate_timer == NULL || e->stun == NULL) {
		endpoint_free(e);
		return NULL;
	}
	backoff_init(&e->gate_backoff, ENDPOINT_GATE_RETRY_US,
	    ENDPOINT_GATE_RETRY_MAX_US, false);
	e->id = daemon_next_id(d);
	e->owner = q->owner;
	e->uid = q->uid;
	e->kind = kind;
	e->force_relay = q->force_relay;
	e->raw_direct = q->raw_direct;
	e->capabilities = q->capabilities;
	e->transfer = q->transfer; /* transferred */
	e->params = q->params;     /* transferred */
	log_escape(e->target, sizeof(e->target), q->target, strlen(q->target));
	endpoint_set_state(e, ENDPOINT_PREPARING);
	LIST_INSERT_HEAD(&d->endpoints, e, entry);
	return e;
}

void
endpoint_session_born(struct endpoint *e, struct session *s)
{
	endpoint_gate_answer(e, IPC_ACCEPTED, s->accept_seq, &s->peer_derp, 0);
	s->accept_seq = 0;
}

void
endpoint_session_ended(
    struct endpoint *e, struct session *s, int code, const char *text)
{
	bool clean = code == 0 && s->was_ready && !s->stopping;

	if (s->accept_seq != 0)
		endpoint_gate_answer(e, IPC_ACCEPTED, s->accept_seq,
		    &s->peer_derp, code < 0 ? code : -DT_ERR_WORKER_LOST);
	if (e->session != s->id)
		return; /* it had lost the slot before */
	e->session = 0;
	/* It was the one, and its word counts. */
	if (e->kind == IPC_KIND_TRANSFER)
		set_end(e, code, text);
	if (e->state == ENDPOINT_ENDING || e->kind == IPC_KIND_TRANSFER) {
		finish(e);
		return;
	}
	if (s->accept_seq == 0)
		endpoint_gate_answer(e, IPC_RELEASE, 0, &s->peer_derp, 0);
	if (e->kind == IPC_KIND_SHARE && clean) {
		endpoint_stop(e, 0, "the peer closed the session");
		return;
	}
	endpoint_set_state(e, ENDPOINT_STARTING);
	endpoint_check_waiting(e);
}

void
endpoint_session_checked(struct endpoint *e, struct session *s, bool alive)
{
	/* An ending endpoint waits for this session whatever it is like. */
	if (!alive && e->session == s->id && e->state != ENDPOINT_ENDING) {
		/* Out of the slot first: its orderly end takes a second. */
		e->session = 0;
		endpoint_gate_answer(e, IPC_RELEASE, 0, &s->peer_derp, 0);
		endpoint_set_state(e, ENDPOINT_STARTING);
		endpoint_check_waiting(e);
	}
	endpoint_gate_answer(
	    e, IPC_CHECKED, s->check_seq, &s->peer_derp, alive);
	if (!alive)
		session_stop(s, -DT_ERR_PEER_GONE, "peer is gone");
}

void
endpoint_claim_back(
    struct endpoint *e, const struct key32 *src, const uint8_t *p, size_t len)
{
	if (e->gate != NULL)
		worker_packet(e->gate, src, p, len);
}

json_t *
endpoint_status(const struct endpoint *e)
{
	struct relay_link_info info;
	json_t *o = json_pack("{s:I,s:s,s:s,s:s,s:I,s:I}", "id",
	    (json_int_t)e->id, "kind", session_kind_name(e->kind), "target",
	    e->target, "state", state_name(e->state), "since_ms",
	    (json_int_t)(mono_diff(loop_now(e->daemon->loop), e->since) /
			 MONO_MS),
	    "expires", (json_int_t)e->expires_unix);

	if (o != NULL && e->session != 0)
		(void)json_object_set_new(
		    o, "session", json_integer(e->session));
	if (o != NULL && e->link != NULL) {
		relay_link_info(e->link, &info);
		(void)json_object_set_new(o, "relay", event_relay(&info));
	}
	return o;
}
