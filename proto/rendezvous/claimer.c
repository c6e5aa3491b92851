/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * WAITING resends the claim; the first authentic decision or abort of the
 * listener ends it in one of the other states.  The claim is built once: a
 * claim that differs in a single octet would be a rival's.  Only
 * claimer_retry() leads back, and only from REJECTED.
 */
#include "proto/rendezvous/claimer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/session_keys.h"
#include "proto/token/token_text.h"

/* As the Go tools do. */
#define RESEND_US (250 * MONO_MS)
/* At first sooner: a token may be used before its listener has reached the
 * relay, which then drops the claim. */
#define FIRST_RESEND_US (50 * MONO_MS)
/* Nobody has answered for so long that haste is no use. */
#define FAST_PERIOD_US (60 * MONO_SEC)
#define SLOW_RESEND_US (1 * MONO_SEC)
/* The slow interval varies by this much, up and down. */
#define SLOW_JITTER_US (200 * MONO_MS)
#define MAX_CODE 32
#define HEX_LEN (2 * sizeof(struct key32) + 1)

struct claimer {
	struct claimer_params params;
	struct key32 envelope_key;
	enum claimer_state state;
	struct mono started; /* or retried */
	struct mono next;    /* next sending */
	struct candidate_list peer_candidates;
	char code[MAX_CODE];
	char reason[CLAIMER_MAX_REASON];
	size_t packet_len;
	uint8_t packet[CLAIMER_MAX_PACKET];
};

void
claimer_params_from_session(
    struct claimer_params *ret_params, const struct session_token *token)
{
	*ret_params = (struct claimer_params){
		.version = token->version,
		.session_id = token->session_id,
		.bearer = token->bearer,
		.capabilities = token->capabilities,
		.peer_derp = token->derp_public,
	};
}

void
claimer_params_from_client(
    struct claimer_params *ret_params, const struct derptun_client_token *token)
{
	*ret_params = (struct claimer_params){
		.version = token->has_route ? TOKEN_SESSION_VERSION_ROUTE
					    : TOKEN_SESSION_VERSION_PUBLIC,
		.session_id = token->session_id,
		.bearer = token->bearer,
		.capabilities = TOKEN_CAP_DERPTUN_TCP,
		.peer_derp = token->derp_public,
		.has_client = true,
		.client_id = token->client_id,
		.token_id = token->token_id,
		.client_expires_unix = token->expires_unix,
		.proof = token->proof,
	};
}

static void
fill_client(struct message_client *client, const struct claimer_params *p,
    char name[static TOKEN_DERPTUN_CLIENT_NAME_LEN], char proof[static HEX_LEN])
{
	token_derptun_client_name(name, &p->client_id);
	token_text_hex_encode(proof, p->proof.b, sizeof(p->proof.b));
	client->client_id = p->client_id;
	client->token_id = p->token_id;
	client->client_name.p = name;
	client->client_name.n = strlen(name);
	client->expires_unix = p->client_expires_unix;
	client->proof_mac.p = proof;
	client->proof_mac.n = HEX_LEN - 1;
}

static int
build_claim(struct claimer *c)
{
	struct buf_writer w = buf_writer(c->packet, sizeof(c->packet));
	const struct claimer_params *p = &c->params;
	char name[TOKEN_DERPTUN_CLIENT_NAME_LEN];
	char proof[HEX_LEN], mac_text[HEX_LEN];
	struct candidate_texts texts;
	struct key32 mac;
	struct envelope e;
	int r;

	envelope_init(&e, ENVELOPE_CLAIM);
	e.claim.version = p->version;
	e.claim.session_id = p->session_id;
	e.claim.derp_public = p->own_derp_public;
	e.claim.quic_public = p->own_quic_public;
	e.claim.candidates = candidate_to_texts(&texts, &p->candidates);
	e.claim.capabilities = p->capabilities;
	e.claim.has_client = p->has_client;
	if (p->has_client)
		fill_client(&e.claim.client, p, name, proof);
	r = session_keys_bearer_mac(&mac, &p->bearer, &e.claim);
	if (r < 0)
		return r;
	token_text_hex_encode(mac_text, mac.b, sizeof(mac.b));
	e.claim.bearer_mac.p = mac_text;
	e.claim.bearer_mac.n = sizeof(mac_text) - 1;
	r = envelope_build(&w, &e, &c->envelope_key);
	c->packet_len = w.len;
	return r;
}

struct claimer *
claimer_new(const struct claimer_params *params, struct mono now)
{
	struct claimer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->params = *params;
	/* One unfit candidate would spoil the whole claim. */
	candidate_advertise(&c->params.candidates, params->candidates.a,
	    params->candidates.n,
	    params->allow_loopback ? CANDIDATE_POLICY_LOOPBACK
				   : CANDIDATE_POLICY_PEER);
	c->started = now;
	c->next = now;
	session_keys_envelope(
	    &c->envelope_key, &params->bearer, &params->session_id);
	if (build_claim(c) < 0) {
		claimer_free(c);
		return NULL;
	}
	return c;
}

void
claimer_free(struct claimer *c)
{
	if (c == NULL)
		return;
	secret_wipe(c, sizeof(*c));
	free(c);
}

enum claimer_state
claimer_state(const struct claimer *c)
{
	return c->state;
}

struct mono
claimer_next_deadline(const struct claimer *c)
{
	return c->state == CLAIMER_WAITING ? c->next : MONO_NEVER;
}

static int64_t
resend_interval(const struct claimer *c, struct mono now)
{
	int64_t age = mono_diff(now, c->started);

	if (age <= FIRST_RESEND_US)
		return FIRST_RESEND_US;
	if (age < FAST_PERIOD_US) /* doubling */
		return age < RESEND_US ? age : RESEND_US;
	return SLOW_RESEND_US - SLOW_JITTER_US +
	       (int64_t)secret_random_below(2 * SLOW_JITTER_US + 1);
}

bool
claimer_output(
    struct claimer *c, struct mono now, const uint8_t **ret_p, size_t *ret_len)
{
	if (c->state != CLAIMER_WAITING || mono_before(now, c->next))
		return false;
	c->next = mono_add(now, resend_interval(c, now));
	*ret_p = c->packet;
	*ret_len = c->packet_len;
	return true;
}

/* The peer does not look at what it accepted; we do. */
static bool
is_ours(const struct claimer *c, const struct message_decision *d)
{
	return d->has_accept && d->accept.version == c->params.version &&
	       d->accept.capabilities == c->params.capabilities &&
	       memcmp(&d->accept.session_id, &c->params.session_id,
		   sizeof(d->accept.session_id)) == 0;
}

static void
on_accept(struct claimer *c, const struct message_decision *d)
{
	if (!is_ours(c, d)) {
		c->state = CLAIMER_BROKEN;
		(void)snprintf(c->reason, sizeof(c->reason),
		    "listener accepted a different session");
		return;
	}
	c->state = CLAIMER_ACCEPTED;
	candidate_from_peer(&c->peer_candidates, &d->accept.candidates,
	    c->params.allow_loopback ? CANDIDATE_POLICY_LOOPBACK
				     : CANDIDATE_POLICY_PEER);
	/* Some listeners echo our own list instead of theirs. */
	candidate_remove_all(&c->peer_candidates, &c->params.candidates);
}

static void
on_reject(struct claimer *c, const struct message_decision *d)
{
	c->state = CLAIMER_REJECTED;
	envelope_text_sanitise(d->reject.code, c->code, sizeof(c->code));
	envelope_text_sanitise(d->reject.reason, c->reason, sizeof(c->reason));
	if (c->reason[0] == '\0')
		(void)snprintf(c->reason, sizeof(c->reason), "claim rejected");
}

static void
on_abort(struct claimer *c, const struct message_abort *a)
{
	char reason[CLAIMER_MAX_REASON - 32];

	c->state = CLAIMER_ABORTED;
	envelope_text_sanitise(a->reason, reason, sizeof(reason));
	(void)snprintf(c->reason, sizeof(c->reason),
	    "peer aborted transfer%s%s", reason[0] != '\0' ? ": " : "", reason);
}

bool
claimer_input(
    struct claimer *c, const struct key32 *source, const void *p, size_t len)
{
	struct envelope e;
	bool used = true;

	if (c->state != CLAIMER_WAITING ||
	    !secret_equal(source, &c->params.peer_derp, sizeof(*source)) ||
	    envelope_open(&e, p, len, &c->envelope_key) < 0)
		return false;
	if (e.kind == ENVELOPE_DECISION && e.decision.accepted)
		on_accept(c, &e.decision);
	else if (e.kind == ENVELOPE_DECISION)
		on_reject(c, &e.decision);
	else if (e.kind == ENVELOPE_ABORT)
		on_abort(c, &e.abort);
	else
		used = false;
	envelope_fini(&e);
	return used;
}

void
claimer_retry(struct claimer *c, struct mono now)
{
	if (c->state != CLAIMER_REJECTED)
		return;
	c->state = CLAIMER_WAITING;
	c->code[0] = '\0';
	c->reason[0] = '\0';
	c->started = now;
	c->next = now;
}

int
claimer_result(const struct claimer *c)
{
	switch (c->state) {
	case CLAIMER_REJECTED:
		return -DT_ERR_PEER_REJECTED;
	case CLAIMER_ABORTED:
		return -DT_ERR_PEER_ABORTED;
	case CLAIMER_BROKEN:
		return -DT_ERR_PEER_PROTOCOL;
	case CLAIMER_WAITING:
	case CLAIMER_ACCEPTED:
		break;
	}
	return 0;
}

const char *
claimer_reason(const struct claimer *c)
{
	return c->reason;
}

const char *
claimer_reject_code(const struct claimer *c)
{
	return c->code;
}

const struct candidate_list *
claimer_peek_candidates(const struct claimer *c)
{
	return &c->peer_candidates;
}

const struct key32 *
claimer_peek_envelope_key(const struct claimer *c)
{
	return &c->envelope_key;
}

void
claimer_disco_key(const struct claimer *c, struct key32 *ret_key)
{
	session_keys_disco(ret_key, &c->params.bearer, &c->params.session_id,
	    &c->params.peer_derp, &c->params.own_derp_public);
}
