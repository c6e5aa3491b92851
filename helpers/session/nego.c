/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.
 *
 * Claimer: CLAIMING while claimer != NULL; the claim is made in the first turn,
 * when the daemon has told of addresses to put into it, and resent until
 * decided, for as long as the daemon lets us.  Accepted: QUIC dials through the
 * relay, at once unless raw.c hopes for better, and the ready exchange runs
 * beside it.
 *
 * Listener: born accepted.  QUIC is there first, then the decision goes out;
 * for derptun it is repeated until the control stream comes.
 *
 * Each end of ours announces itself: a listener before its decision, a claimer
 * before anything else it says once accepted.
 *
 * Either way QUIC must stand by `deadline`, which nothing moves, so that a peer
 * that went away returns its slot.
 */
#include "helpers/session/nego.h"

#include <errno.h>
#include <string.h>

#include "helpers/session/msgs.h"
#include "helpers/session/session.h"
#include "helpers/session/transfer.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/rendezvous/claimer.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/native.h"
#include "proto/rendezvous/session_keys.h"

/* Peers may spend 5 s in each ready phase beside or before their QUIC dial,
 * whose own limit is 10 s; a peer that lives needs 2 s at most. */
#define NEGO_LIMIT_US (15 * MONO_SEC)
#define DECISION_RESEND_US (250 * MONO_MS) /* peer v0.18.2 */
/* Foreign claims handed to the gate: repeats come four times a second. */
#define BACK_PER_SEC 8
#define BACK_BURST 16

static void
announce(struct session *s)
{
	uint8_t pkt[NATIVE_MAX_WIRE];
	struct buf_writer w = buf_writer(pkt, sizeof(pkt));

	/* Not vital: without it we are taken for a sibling. */
	if (native_build(&w, &s->boot.envelope_key) == 0)
		path_relay_send_one(&s->relay, w.p, w.len);
}

static void
send_decision(struct session *s)
{
	announce(s);
	path_relay_send_one(&s->relay, s->boot.decision, s->boot.decision_len);
}

/* @peer: the candidates that came with it. */
static int
accepted(struct session *s, const struct candidate_list *peer)
{
	struct nego *n = &s->nego;

	n->deadline = mono_add(s->now, NEGO_LIMIT_US);
	n->is_accepted = true;
	discovery_accept(s, peer);
	session_set_status(s, IPC_STATUS_CLAIMED, "");
	session_set_status(s, IPC_STATUS_RELAY, "");
	return raw_start(s, n->is_native);
}

static int
start_listener(struct session *s)
{
	struct nego *n = &s->nego;
	struct candidate_list peer;
	struct envelope e;
	int r = envelope_parse(&e, s->boot.claim, s->boot.claim_len);

	if (r != 0 || !e.has_claim)
		return r != 0 ? r : -DT_ERR_SYNTAX;
	r = session_keys_claim_digest(&n->claim_digest, &e.claim);
	candidate_from_peer(&peer, &e.claim.candidates, CANDIDATE_POLICY_PEER);
	envelope_fini(&e);
	if (r == 0)
		r = accepted(s, &peer);
	if (r != 0)
		return r;
	send_decision(s);
	if (s->boot.kind == IPC_KIND_DERPTUN)
		n->next_decision = mono_add(s->now, DECISION_RESEND_US);
	return 0;
}

static int
make_claim(struct session *s)
{
	const struct ipc_boot_session *b = &s->boot;
	struct claimer_params p = {
		.version = b->token_version,
		.session_id = b->session_id,
		.bearer = b->bearer,
		.capabilities = b->capabilities,
		.peer_derp = b->peer_derp,
		.own_derp_public = b->own_derp,
		.own_quic_public = b->own_quic,
		.has_client = b->kind == IPC_KIND_DERPTUN,
		.client_id = b->client_id,
		.token_id = b->token_id,
		.client_expires_unix = b->client_expires_unix,
		.proof = b->proof,
	};

	if (!b->force_relay)
		discovery_list_own(s, &p.candidates);
	s->nego.claimer = claimer_new(&p, s->now);
	secret_wipe(&p, sizeof(p));
	secret_wipe(&s->boot.bearer, sizeof(s->boot.bearer));
	secret_wipe(&s->boot.proof, sizeof(s->boot.proof));
	if (s->nego.claimer == NULL)
		return -ENOMEM;
	s->boot.envelope_key = *claimer_peek_envelope_key(s->nego.claimer);
	return 0;
}

int
nego_start(struct session *s)
{
	struct nego *n = &s->nego;

	n->deadline = MONO_NEVER;
	n->next_decision = MONO_NEVER;
	ratelimit_init(&n->back, BACK_PER_SEC, BACK_BURST, s->now);
	if (s->transfer != NULL)
		return 0; /* it has a conversation of its own */
	if (s->boot.listener)
		return start_listener(s);
	n->must_claim = true;
	session_set_status(s, IPC_STATUS_CLAIMING, "");
	return 0;
}

void
nego_fini(struct session *s)
{
	claimer_free(s->nego.claimer);
	s->nego.claimer = NULL;
}

/* The claimer has its answer. */
static void
decided(struct session *s)
{
	struct nego *n = &s->nego;
	struct candidate_list peer;
	int r = claimer_result(n->claimer);

	n->heard = s->now;
	if (r != 0) {
		session_end(s, r, claimer_reason(n->claimer));
		return;
	}
	peer = *claimer_peek_candidates(n->claimer);
	claimer_free(n->claimer);
	n->claimer = NULL;
	announce(s);
	r = accepted(s, &peer);
	if (r != 0)
		session_end(s, r, err_str(r));
}

static bool
is_same_claim(struct session *s, const struct message_claim *claim)
{
	struct key32 digest;

	if (s->boot.kind == IPC_KIND_DERPTUN)
		return secret_equal(&claim->derp_public, &s->boot.peer_derp,
			   sizeof(claim->derp_public)) &&
		       secret_equal(&claim->quic_public, &s->boot.peer_quic,
			   sizeof(claim->quic_public));
	return session_keys_claim_digest(&digest, claim) == 0 &&
	       secret_equal(&digest, &s->nego.claim_digest, sizeof(digest));
}

/* A claim that is not byte for byte the one served. */
static void
on_claim(
    struct session *s, const struct envelope *e, const uint8_t *pkt, size_t len)
{
	if (!s->boot.listener || !e->has_claim)
		return;
	if (is_same_claim(s, &e->claim) &&
	    envelope_verify(e, &s->boot.envelope_key) == 0)
		send_decision(s);
	else if (ratelimit_take(&s->nego.back, s->now))
		msgs_send_claim_back(s, pkt, len);
}

static void
on_envelope(struct session *s, const struct envelope *e)
{
	if (envelope_verify(e, &s->boot.envelope_key) != 0)
		return;
	s->nego.heard = s->now;
	if (native_is_announcement(e)) {
		s->nego.is_native = true;
		discovery_set_native(s);
		quic_endpoint_set_renewable(s->quic);
	}
	raw_on_peer(s, s->nego.is_native);
	if (e->kind == ENVELOPE_READY)
		raw_on_ready(s, &e->ready);
	else if (e->kind == ENVELOPE_CONTROL && !s->boot.force_relay)
		discovery_on_control(s, e);
	/* Decisions come again until we are connected; the rest is for
	 * transfers. */
}

/* Apart from nego_input(), which sees every datagram: this frame is large. */
static __attribute__((noinline)) bool
parse_input(struct session *s, const uint8_t *pkt, size_t len)
{
	struct envelope e;

	if (envelope_parse(&e, pkt, len) != 0)
		return false;
	if (e.kind == ENVELOPE_CLAIM)
		on_claim(s, &e, pkt, len);
	else
		on_envelope(s, &e);
	envelope_fini(&e);
	return true;
}

bool
nego_input(struct session *s, const uint8_t *pkt, size_t len)
{
	if (!envelope_is_shaped(pkt, len))
		return false;
	session_wake(s);
	if (s->transfer != NULL)
		return transfer_input(s, pkt, len);
	if (s->boot.listener && len == s->boot.claim_len &&
	    memcmp(pkt, s->boot.claim, len) == 0) {
		send_decision(s);
		return true;
	}
	if (s->nego.claimer != NULL &&
	    claimer_input(s->nego.claimer, &s->boot.peer_derp, pkt, len)) {
		decided(s);
		return true;
	}
	return parse_input(s, pkt, len);
}

static void
run_claimer(struct session *s)
{
	struct nego *n = &s->nego;
	const uint8_t *p;
	size_t len;

	if (n->must_claim) {
		int r = make_claim(s);

		n->must_claim = false;
		if (r != 0)
			session_end(s, r, err_str(r));
	}
	/* No fresh ghost while we are leaving. */
	if (n->claimer == NULL || !mono_is_never(s->stop_deadline))
		return;
	if (claimer_output(n->claimer, s->now, &p, &len)) {
		path_relay_send_one(&s->relay, p, len);
		n->claim_sent = true;
	}
}

static void
run_dial(struct session *s)
{
	struct nego *n = &s->nego;

	if (s->boot.listener || !n->is_accepted || n->has_dialled ||
	    !raw_may_dial(s))
		return;
	n->has_dialled = true;
	s->tunnel->start(s);
}

void
nego_run(struct session *s)
{
	struct nego *n = &s->nego;

	run_claimer(s);
	raw_run(s);
	run_dial(s);
	if (!mono_before(s->now, n->next_decision)) {
		send_decision(s);
		n->next_decision = mono_add(s->now, DECISION_RESEND_US);
	}
	if (!mono_before(s->now, n->deadline)) {
		n->deadline = MONO_NEVER;
		session_end(s, -DT_ERR_TIMEOUT, "peer did not connect in time");
	}
}

struct mono
nego_next_deadline(const struct session *s)
{
	const struct nego *n = &s->nego;
	struct mono at = mono_min(n->deadline, n->next_decision);

	if (n->claimer != NULL && mono_is_never(s->stop_deadline))
		at = mono_min(at, claimer_next_deadline(n->claimer));
	return mono_min(at, raw_next_deadline(s));
}

void
nego_done(struct session *s)
{
	s->nego.deadline = MONO_NEVER;
	s->nego.next_decision = MONO_NEVER;
	raw_decline(s); /* if it is not settled: QUIC found another way */
}

bool
nego_is_polite(const struct session *s)
{
	const struct nego *n = &s->nego;

	if (s->transfer != NULL)
		return false; /* it ends by itself */
	if (n->claimer != NULL || n->must_claim)
		return !n->claim_sent;
	return s->ready && raw_is_settled(s);
}
