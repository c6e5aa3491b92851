/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * One attempt: fresh relay key, relay of the token, link, worker, claim.  A
 * fresh key each time, so that packets of the last attempt cannot be taken for
 * this one's and the listener sees a stranger.
 *
 * The relay: until a session was ready once, an attempt that reaches no relay
 * ends the session (SESSION_RELAY_US or _ATTEMPTS, or an error that will not go
 * away); afterwards the link keeps trying for as long as the user wants.
 *
 * Until the first decision the claim is repeated for ever, as the Go tools do;
 * but a share that was lost is given up when its listener stays silent, and so
 * is a connect whose server is there.
 *
 * A token of one session (a transfer's, an ssh invitation's) dies with its
 * issuer: once the relay has said for a while that nobody is there under its
 * key (absence.h), claiming ends, unless the caller said how long to wait.
 *
 * A transfer is claimed once.  After a loss: connect ends, except while it is
 * being refused as "already claimed", when nothing was sent yet.  open claims
 * again with backoff, except after a share's clean end and after other
 * refusals.  The listening socket is kept all the while.
 */
#include "daemon/session_claim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/event.h"
#include "daemon/relay_map.h"
#include "daemon/session_transfer.h"
#include "daemon/session_worker.h"
#include "daemon/stun_servers.h"
#include "daemon/transfer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/derp/derp_frame.h"
#include "proto/rendezvous/session_keys.h"

/* What a listener says while another claimer has the slot. */
static const char text_claimed[] = "session already claimed";
static const char text_absent[] =
    "no answer: nobody is at the relay under the token's key";

static void
fill_boot(const struct session *s, struct ipc_boot_session *b)
{
	const struct session_claim *c = &s->claim;

	b->kind = c->kind;
	b->listener = false;
	b->force_relay = s->force_relay;
	b->raw_direct = s->raw_direct;
	b->verbose = s->daemon->config->verbose;
	b->one_stream = s->role == SESSION_CONNECT;
	/* Ours is valid: it was generated. */
	(void)secret_curve_public(&b->own_derp, &s->own_private);
	b->peer_derp = c->peer_derp;
	b->peer_quic = c->peer_quic;
	b->session_id = c->session_id;
	session_keys_envelope(&b->envelope_key, &c->bearer, &c->session_id);
	session_keys_disco(&b->disco_key, &c->bearer, &c->session_id,
	    &b->own_derp, &c->peer_derp);
	b->token_version = c->token_version;
	b->capabilities = c->capabilities;
	b->bearer = c->bearer;
	b->client_id = c->client_id;
	b->token_id = c->token_id;
	b->client_expires_unix = c->expires_unix;
	b->proof = c->proof;
	memcpy(b->client_name, c->client_name, sizeof(b->client_name));
	session_transfer_fill(s->transfer, b);
}

/* Nothing is known yet of the listener. */
static void
await_answer(struct session *s)
{
	s->asked_relay = s->is_absent = false;
	s->heard_of = loop_now(s->daemon->loop);
	absence_init(&s->absence);
	loop_timer_in(s->timer, s->kind == IPC_KIND_SHARE && s->was_ready
				    ? SESSION_SHARE_LOST_US
				    : SESSION_UNANSWERED_US);
}

static void
start_claiming(struct session *s)
{
	struct ipc_boot_session *b = calloc(1, sizeof(*b)); /* 34 KiB */
	int r = -ENOMEM;

	if (b != NULL) {
		fill_boot(s, b);
		r = session_worker_boot(s, b, -1);
		secret_wipe(b, sizeof(*b));
		free(b);
	}
	if (r < 0) {
		session_finish(s, r, "cannot start a worker");
		return;
	}
	s->said_unanswered = false;
	await_answer(s);
	session_set_state(s, SESSION_CLAIMING);
}

static void
relay_failed(struct session *s, const struct relay_link_info *info)
{
	char text[400];

	if (info->error[0] != '\0')
		(void)snprintf(text, sizeof(text), "%s", info->error);
	else
		(void)snprintf(text, sizeof(text), "relay %s:%u: %s",
		    info->host, (unsigned)info->port, err_str(-DT_ERR_TIMEOUT));
	session_finish(s, -DT_ERR_RELAY_UNREACHABLE, text);
}

static void
on_link_state(void *arg, struct mono now)
{
	struct session *s = arg;
	struct relay_link_info info;

	relay_link_info(s->link, &info);
	event_session(s, "relay-state", event_relay(&info));
	session_worker_relay_state(s);
	if (s->state == SESSION_CLAIMING && info.state == RELAY_LINK_CONNECTED)
		await_answer(s); /* it may have lost the relay, too */
	if (s->state != SESSION_CONNECTING)
		return;
	if (info.state == RELAY_LINK_CONNECTED)
		start_claiming(s);
	else if (info.state == RELAY_LINK_WAITING && !s->was_ready &&
		 !info.ever_connected &&
		 (info.hopeless || info.failures >= SESSION_RELAY_ATTEMPTS ||
		     mono_before(s->relay_deadline, now)))
		relay_failed(s, &info);
}

/* Its listener is a process that cannot come back under this token. */
static bool
is_brief(const struct session *s)
{
	if (s->role == SESSION_TRANSFER)
		return s->transfer->boot.accept_limit_ms == 0;
	return s->role == SESSION_CONNECT && s->kind == IPC_KIND_SHARE;
}

/* People are told once in each attempt. */
static void
say_unanswered(struct session *s, const char *why)
{
	if (s->said_unanswered)
		return;
	s->said_unanswered = true;
	log_warn("session", "%s session=%u", why, s->id);
	event_session(s, "unanswered", json_pack("{s:s}", "reason", why));
}

static void
on_absent(struct session *s, struct mono now)
{
	s->is_absent = true;
	s->heard_of = now;
	if (s->state != SESSION_CLAIMING)
		return;
	if (!is_brief(s)) {
		if (s->asked_relay) /* that is all it will say */
			loop_timer_in(s->timer, 0);
		return;
	}
	say_unanswered(s, text_absent);
	absence_denied(&s->absence, now);
	/* Not from inside of the relay's own turn. */
	if (absence_is_sure(&s->absence))
		loop_timer_in(s->timer, 0);
}

/* It may come back; who waits for nothing but its last word need not.  Said
 * once, or a relay could say much. */
static void
on_peer_gone(
    void *arg, const struct key32 *peer, uint8_t reason, struct mono now)
{
	struct session *s = arg;

	/* Public keys. */
	if (memcmp(peer->b, s->peer_derp.b, sizeof(peer->b)) != 0)
		return;
	if (reason == DERP_FRAME_GONE_NOT_HERE) {
		on_absent(s, now);
	} else if (reason == DERP_FRAME_GONE_DISCONNECTED && !s->said_gone) {
		s->said_gone = true;
		event_session(s, "peer-gone", NULL);
	}
}

static void
on_pressure(void *arg, bool high)
{
	struct session *s = arg;

	if (s->worker != NULL)
		worker_pause(s->worker, high);
}

static void
connect_relay(struct session *s, const struct relay_target *t, size_t n)
{
	struct mono now = loop_now(s->daemon->loop);
	int r;

	s->watch.state = on_link_state;
	s->watch.pressure = on_pressure;
	s->watch.peer_gone = on_peer_gone;
	s->watch.arg = s;
	r = relay_link_get_fresh(s->daemon->relays, s->params, t, n, &s->watch,
	    &s->own_private, &s->link);
	if (r < 0) {
		session_finish(s, r, "cannot use the relay");
		return;
	}
	session_set_state(s, SESSION_CONNECTING);
	s->relay_deadline = mono_add(now, SESSION_RELAY_US);
	if (!s->was_ready)
		loop_timer_at(s->timer, s->relay_deadline);
	/* Meanwhile the relay answers. */
	worker_pool_prepare(s->daemon->workers, true);
	if (relay_link_is_connected(s->link))
		on_link_state(s, now);
}

static void
on_map(void *arg, int r, const struct derp_map *map, int64_t region,
    const char *why)
{
	struct session *s = arg;
	struct relay_target targets[RELAY_TARGET_MAX];
	size_t n = 0;

	struct stun_servers *servers = session_net_servers(s);

	s->query = NULL;
	if (r == 0)
		n = relay_target_from_map(
		    targets, map, s->claim.region, s->params->pin, &region);
	if (n > 0 && servers != NULL && !s->force_relay)
		stun_servers_from_map(servers, map, region,
		    relay_map_nearest(s->daemon->maps, s->params));
	if (n > 0)
		connect_relay(s, targets, n);
	else
		session_finish(s, -DT_ERR_RELAY_UNREACHABLE,
		    r < 0 ? why : "no bootstrap DERP node available");
}

static void
start_attempt(struct session *s)
{
	struct stun_servers *servers = session_net_servers(s);
	struct relay_target target;

	s->has_path = false;
	session_set_state(s, SESSION_STARTING);
	if (s->claim.has_route) {
		relay_target_from_route(
		    &target, &s->claim.route, s->params->pin);
		if (servers != NULL && !s->force_relay)
			stun_servers_from_route(servers, &s->claim.route);
		connect_relay(s, &target, 1);
		return;
	}
	s->query =
	    relay_map_query_new(s->daemon->maps, s->params, false, on_map, s);
	if (s->query == NULL)
		session_finish(s, -ENOMEM, "");
}

/* Does the relay know the listener?  It has a while to say no. */
static void
ask_relay(struct session *s)
{
	uint8_t packet[DERP_FRAME_ASKING_LEN];

	derp_frame_write_asking(packet);
	relay_link_send(s->link, &s->peer_derp, packet, sizeof(packet));
	s->asked_relay = true;
	s->is_absent = false;
}

static const char *
why_unanswered(const struct session *s)
{
	if (s->is_absent)
		return text_absent;
	return s->kind == IPC_KIND_DERPTUN
		   ? "no answer: the server is at the relay and does not know "
		     "this token; is it complete, and of this server?"
		   : "no answer from the listener";
}

/* The same for a listener that is brief: asked again and again. */
static void
on_brief_unanswered(struct session *s)
{
	if (absence_is_sure(&s->absence)) {
		session_stop(s, -DT_ERR_TIMEOUT,
		    "nobody waits at the other end of this token");
		return;
	}
	/* A sender or receiver of v0.18.2 that is there takes up to 10 s. */
	if (s->asked_relay && !s->is_absent && s->role != SESSION_TRANSFER)
		say_unanswered(s, why_unanswered(s));
	absence_ask(&s->absence);
	ask_relay(s);
	loop_timer_in(s->timer, ABSENCE_ASK_US);
}

/* That says nothing of the listener, who is waited for anew when the relay is
 * back; but one connection is not held for ever. */
static void
on_relay_away(struct session *s, struct mono now)
{
	struct relay_link_info info;

	if (s->role == SESSION_CONNECT &&
	    mono_diff(now, s->heard_of) >= SESSION_SILENT_US) {
		relay_link_info(s->link, &info);
		relay_failed(s, &info);
		return;
	}
	loop_timer_in(s->timer, SESSION_UNANSWERED_US);
}

/* The claim goes unanswered: its listener does not run, or it is not meant. */
static void
on_unanswered(struct session *s, struct mono now)
{
	if (!relay_link_is_connected(s->link)) {
		on_relay_away(s, now);
		return;
	}
	if (is_brief(s)) {
		on_brief_unanswered(s);
		return;
	}
	if (s->kind == IPC_KIND_SHARE && s->was_ready) {
		session_stop(s, -DT_ERR_TUNNEL_LOST,
		    "the listener does not answer any more");
		return;
	}
	if (!s->asked_relay) {
		ask_relay(s);
		loop_timer_in(s->timer, SESSION_ABSENT_US);
		return;
	}
	s->asked_relay = false;
	say_unanswered(s, why_unanswered(s));
	if (s->kind != IPC_KIND_DERPTUN || s->role != SESSION_CONNECT)
		return;
	if (mono_diff(now, s->heard_of) >= SESSION_SILENT_US)
		session_stop(
		    s, -DT_ERR_TIMEOUT, "the server does not know this token");
	else
		loop_timer_at(
		    s->timer, mono_add(s->heard_of, SESSION_SILENT_US));
}

static void
on_timer(void *arg, struct mono now)
{
	struct session *s = arg;
	struct relay_link_info info;

	if (s->state == SESSION_CONNECTING) {
		relay_link_info(s->link, &info);
		relay_failed(s, &info);
	} else if (s->state == SESSION_CLAIMING)
		on_unanswered(s, now);
	else if (s->state == SESSION_STARTING ||
		 s->state == SESSION_RECONNECTING)
		start_attempt(s);
}

int
session_claim_start(struct session *s)
{
	s->kind = s->claim.kind;
	s->peer_derp = s->claim.peer_derp;
	backoff_init(
	    &s->backoff, SESSION_RETRY_US, SESSION_RETRY_MAX_US, false);
	s->timer = loop_timer_new(s->daemon->loop, on_timer, s);
	if (s->timer == NULL)
		return -ENOMEM;
	loop_timer_in(s->timer, 0);
	return 0;
}

void
session_claim_ready(struct session *s)
{
	struct worker_fds fds = { { s->stdio[0], s->stdio[1] }, s->n_stdio };

	backoff_reset(&s->backoff);
	s->claimed_since.us = 0;
	session_worker_give_listener(s);
	if (s->role != SESSION_CONNECT || s->stream_given)
		return;
	s->stream_given = true;
	s->stdio[0] = s->stdio[1] = -1; /* transferred */
	(void)worker_send_fds(
	    s->worker, IPC_STDIO, worker_next_seq(s->worker), NULL, 0, &fds);
}

static void
try_again(struct session *s, int64_t delay_us, const char *why)
{
	session_leave_link(s);
	s->has_path = false;
	session_set_state(s, SESSION_RECONNECTING);
	loop_timer_in(s->timer, delay_us);
	log_info("session", "claiming again in %lld ms: %s session=%u",
	    (long long)(delay_us / MONO_MS), why, s->id);
	event_session(s, "reconnecting",
	    json_pack("{s:I,s:s}", "delay_ms", (json_int_t)(delay_us / MONO_MS),
		"reason", why));
}

/* Refused because somebody else, perhaps our own past, has the slot. */
static void
on_claimed(struct session *s)
{
	struct mono now = loop_now(s->daemon->loop);
	bool patient = s->kind == IPC_KIND_DERPTUN || s->was_ready;

	if (s->claimed_since.us == 0)
		s->claimed_since = now;
	if (patient && mono_diff(now, s->claimed_since) < SESSION_CLAIMED_US)
		try_again(s, SESSION_CLAIMED_RETRY_US, text_claimed);
	else if (s->kind == IPC_KIND_DERPTUN && s->role == SESSION_OPEN)
		try_again(s, backoff_next(&s->backoff), text_claimed);
	else
		session_finish(s, -DT_ERR_PEER_REJECTED, text_claimed);
}

/* Errors that claiming again cannot mend, before anything ever worked. */
static bool
is_ours(int code)
{
	return code == -DT_ERR_IPC || code == -DT_ERR_WORKER_LOST ||
	       code == -ENOMEM || code == -DT_ERR_INTERNAL;
}

void
session_claim_lost(struct session *s, int code, const char *text)
{
	const char *why = text[0] != '\0' ? text : err_str(code);

	if (code == -DT_ERR_PEER_REJECTED && !s->stream_given &&
	    s->role != SESSION_TRANSFER && strcmp(text, text_claimed) == 0) {
		on_claimed(s);
		return;
	}
	if (s->role == SESSION_CONNECT || s->role == SESSION_TRANSFER ||
	    code == -DT_ERR_PEER_REJECTED || (is_ours(code) && !s->was_ready) ||
	    (code == 0 && s->kind == IPC_KIND_SHARE)) {
		session_finish(s, code, text);
		return;
	}
	if (code == 0)
		why = "the server closed the tunnel";
	try_again(s, backoff_next(&s->backoff), why);
}
