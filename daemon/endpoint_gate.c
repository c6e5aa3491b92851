/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * The gate judges and says ACCEPT; we make a session with what it derived and
 * say ACCEPTED once that session's worker lives, or why not.  When the session
 * ends, RELEASE; when another claimer asks meanwhile, CHECK is turned into a
 * PROBE of the session.  A gate that dies is replaced; the slot's truth is
 * e->session, so a fresh gate cannot admit a second peer.
 */
#include "daemon/endpoint_gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/endpoint_mint.h"
#include "daemon/event.h"
#include "daemon/session_listen.h"
#include "daemon/session_worker.h"
#include "lib/err.h"
#include "lib/log.h"

/* A packet of a stranger. */
static void
gate_sink(void *arg, const struct key32 *src, const uint8_t *p, size_t len)
{
	struct endpoint *e = arg;

	if (e->gate != NULL)
		worker_packet(e->gate, src, p, len);
}

void
endpoint_check_waiting(struct endpoint *e)
{
	if (e->state != ENDPOINT_STARTING || e->gate == NULL ||
	    !worker_is_born(e->gate) || e->link == NULL ||
	    !relay_link_is_connected(e->link))
		return;
	endpoint_set_state(e, ENDPOINT_WAITING);
	endpoint_tell_token(e);
	event_endpoint(e, "waiting", NULL);
	worker_pool_prepare(e->daemon->workers, true);
}

void
endpoint_gate_answer(struct endpoint *e, enum ipc_type type, uint32_t seq,
    const struct key32 *peer, int value)
{
	uint8_t body[sizeof(struct key32) + 4];
	struct buf_writer w = buf_writer(body, sizeof(body));

	if (e->gate == NULL)
		return;
	ipc_put_peer(&w, peer, value);
	/* A gate that does not read is killed there and replaced. */
	(void)worker_send(e->gate, type,
	    seq != 0 ? seq : worker_next_seq(e->gate), body, w.len, -1);
}

static void
on_born(void *arg, struct mono now)
{
	struct endpoint *e = arg;

	(void)now;
	router_set_gate(relay_link_router(e->link), gate_sink, e);
	worker_pause(e->gate, relay_link_is_high(e->link));
	if (e->is_gate_lost)
		event_endpoint(e, "gate-state", event_gate("running", ""));
	e->is_gate_lost = false;
	endpoint_check_waiting(e);
}

static void
accept_claim(struct endpoint *e, uint32_t seq, const struct ipc_accept *a)
{
	struct session *s;
	int r =
	    e->session != 0 || e->state == ENDPOINT_ENDING ? -DT_ERR_STATE : 0;

	if (r == 0)
		r = session_listen_new(e, a, seq, &s);
	if (r < 0) {
		log_warn_r(
		    r, "endpoint", "cannot start a session endpoint=%u", e->id);
		endpoint_gate_answer(e, IPC_ACCEPTED, seq, &a->peer_derp, r);
		return;
	}
	e->session = s->id;
	endpoint_set_state(e, ENDPOINT_ACTIVE);
}

static int
on_accept(struct endpoint *e, uint32_t seq, struct buf_reader *body)
{
	struct ipc_accept *a = malloc(sizeof(*a)); /* 33 KiB */
	int r;

	if (a == NULL)
		return 0; /* the claimer asks again */
	r = ipc_get_accept(body, a);
	if (r == 0)
		accept_claim(e, seq, a);
	secret_wipe(a, sizeof(*a));
	free(a);
	return r;
}

static int
on_check(struct endpoint *e, uint32_t seq, struct buf_reader *body)
{
	struct ipc_peer peer;
	struct session *s;
	int r = ipc_get_peer(body, &peer);

	if (r < 0)
		return r;
	s = e->session != 0 ? session_find(e->daemon, e->session) : NULL;
	if (s == NULL || s->state >= SESSION_ENDING)
		endpoint_gate_answer(e, IPC_CHECKED, seq, &peer.peer_derp, 0);
	else if (s->probing || s->worker == NULL || !worker_is_born(s->worker))
		/* Being born or being asked: it may live. */
		endpoint_gate_answer(e, IPC_CHECKED, seq, &peer.peer_derp, 1);
	else
		session_worker_probe(s, seq);
	return 0;
}

/* NOLINTBEGIN(readability-non-const-parameter): a callback's type */
static int
on_message(void *arg, const struct ipc_header *h, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct endpoint *e = arg;

	(void)fds;
	(void)n_fds;
	(void)now;
	if (h->type == IPC_ACCEPT)
		return on_accept(e, h->seq, body);
	if (h->type == IPC_CHECK)
		return on_check(e, h->seq, body);
	return -DT_ERR_IPC; /* nothing else is in the table for a gate */
}

static void
on_packet(void *arg, const struct key32 *key, const uint8_t *p, size_t len)
{
	struct endpoint *e = arg;

	if (e->link != NULL && key != NULL)
		relay_link_send(e->link, key, p, len);
}

/* Until there is another one, claims go unanswered. */
static void
retry(struct endpoint *e, const char *reason)
{
	e->is_gate_lost = true;
	event_endpoint(e, "gate-state", event_gate("lost", reason));
	loop_timer_in(e->gate_timer, backoff_next(&e->gate_backoff));
}

static void
on_gone(void *arg, int code, const char *text, struct mono now)
{
	struct endpoint *e = arg;

	if (mono_diff(now, e->gate_since) >= ENDPOINT_GATE_GOOD_US)
		backoff_reset(&e->gate_backoff);
	e->gate = NULL;
	router_set_gate(relay_link_router(e->link), NULL, NULL);
	log_warn("endpoint",
	    "gate ended, starting another: %s endpoint=%u "
	    "code=%s",
	    text, e->id, err_name(code));
	if (e->state == ENDPOINT_WAITING)
		endpoint_set_state(e, ENDPOINT_STARTING);
	retry(e, text[0] != '\0' ? text : err_str(code));
}

static void
on_timer(void *arg, struct mono now)
{
	(void)now;
	endpoint_gate_start(arg);
}

struct loop_timer *
endpoint_gate_timer(struct endpoint *e)
{
	return loop_timer_new(e->daemon->loop, on_timer, e);
}

static void
fill_boot(const struct endpoint *e, struct ipc_boot_gate *b)
{
	struct buf_writer w = buf_writer(b->route, sizeof(b->route));
	const struct session *s;

	memset(b, 0, sizeof(*b));
	b->kind = e->kind;
	b->force_relay = e->force_relay;
	b->token_version = e->token_version;
	b->session_id = e->session_id;
	b->expires_unix = e->expires_unix;
	b->derp_public = e->derp_public;
	b->quic_public = e->quic_public;
	b->secret = e->secret;
	b->capabilities = e->capabilities;
	b->verbose = log_level_max() >= LOG_LEVEL_DEBUG;
	s = e->session != 0 ? session_find(e->daemon, e->session) : NULL;
	if (s != NULL) {
		b->held = true;
		b->holder = s->peer_derp;
	}
	if (e->has_route)
		token_route_put(&w, &e->route);
	b->route_len = (uint16_t)w.len;
}

void
endpoint_gate_start(struct endpoint *e)
{
	uint8_t msg[IPC_HEADER_LEN + 2048];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct ipc_boot_gate boot;
	struct worker_params p = {
		.role = IPC_ROLE_GATE,
		.id = e->id,
		.boot = msg,
		.boot_fd = -1,
		.born = on_born,
		.message = on_message,
		.packet = on_packet,
		.gone = on_gone,
		.arg = e,
	};
	int r;

	e->gate_since = loop_now(e->daemon->loop);
	fill_boot(e, &boot);
	ipc_begin(&w, IPC_BOOT_GATE, e->id, 0);
	ipc_put_boot_gate(&w, &boot);
	p.boot_len = w.len;
	r = w.err != 0 ? w.err : worker_new(e->daemon->workers, &p, &e->gate);
	secret_wipe(&boot, sizeof(boot));
	secret_wipe(msg, sizeof(msg));
	if (r < 0) {
		log_err_r(
		    r, "endpoint", "cannot start a gate endpoint=%u", e->id);
		retry(e, err_str(r));
	}
}

void
endpoint_gate_stop(struct endpoint *e)
{
	if (e->link != NULL)
		router_set_gate(relay_link_router(e->link), NULL, NULL);
	loop_timer_at(e->gate_timer, MONO_NEVER);
	worker_abandon(e->gate);
	e->gate = NULL;
}
