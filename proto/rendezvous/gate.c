/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A gate is free or held.  A claim that passes every check takes the slot
 * (free -> held); gate_release() frees it.  While it is held the holder's own
 * claim is answered again, any other one is a rival.  Nothing else changes
 * state: rejections and junk leave no trace, so that strangers cannot fill
 * anything.
 *
 * Two orders of checks exist.  A session gate looks at the slot last.  A
 * derptun gate looks at it as soon as the client is proven to be one, so that a
 * rival's malformed claim also reads "claimed".
 *
 * The holder resends its claim four times a second until it hears the decision:
 * the digest of its packet lets such repeats pass without parsing.
 */
#include "proto/rendezvous/gate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/session_keys.h"

/* Invariant: decision_len is 0 unless held. */
struct gate {
	struct gate_params params;
	struct key32 session_envelope_key; /* session gates */
	bool held;
	struct gate_claimer claimer;
	int64_t claimer_expires_unix; /* repeats are answered until then */
	struct key32 claim_digest;    /* tells the holder from rivals */
	struct key32 packet_digest;
	size_t decision_len;
	uint8_t decision[GATE_MAX_DECISION];
};

enum reason {
	REASON_NONE,
	REASON_EXPIRED,
	REASON_VERSION,
	REASON_SESSION,
	REASON_MAC,
	REASON_CAPABILITIES,
	REASON_MALFORMED,
	REASON_CLAIMED,
	REASON_SERVER_EXPIRED,
	REASON_EXCEEDS_SERVER,
	REASON_CLIENT_EXPIRED,
	REASON_PROOF,
};

static const struct {
	const char *code;
	const char *text;
	int r;
} reasons[] = {
	[REASON_NONE] = { NULL, NULL, 0 },
	[REASON_EXPIRED] = { "expired", "token expired", -DT_ERR_EXPIRED },
	[REASON_VERSION] = { "version_mismatch", "version mismatch",
	    -DT_ERR_VERSION },
	[REASON_SESSION] = { "session_mismatch", "session mismatch",
	    -DT_ERR_PEER_PROTOCOL },
	[REASON_MAC] = { "bad_mac", "bad bearer mac", -DT_ERR_AUTH },
	[REASON_CAPABILITIES] = { "capabilities_mismatch",
	    "capabilities mismatch", -DT_ERR_PEER_PROTOCOL },
	[REASON_MALFORMED] = { "claim_malformed", "claim malformed",
	    -DT_ERR_PEER_PROTOCOL },
	[REASON_CLAIMED] = { "claimed", "session already claimed",
	    -DT_ERR_STATE },
	[REASON_SERVER_EXPIRED] = { "expired", "server token expired",
	    -DT_ERR_EXPIRED },
	[REASON_EXCEEDS_SERVER] = { "expired",
	    "client expiry exceeds server expiry", -DT_ERR_EXPIRED },
	[REASON_CLIENT_EXPIRED] = { "expired", "client token expired",
	    -DT_ERR_EXPIRED },
	[REASON_PROOF] = { "bad_mac", "client proof invalid", -DT_ERR_AUTH },
};

/* One judgement under way. */
struct trial {
	int64_t now_unix;
	const struct message_claim *claim;
	int64_t expires_unix; /* of the token the claimer holds */
	struct key32 bearer;  /* of the claimer */
	struct candidate_list candidates;
	struct key32 digest;
};

struct gate *
gate_new(const struct gate_params *params)
{
	struct gate *g = calloc(1, sizeof(*g));

	if (g == NULL)
		return NULL;
	g->params = *params;
	session_keys_envelope(
	    &g->session_envelope_key, &params->secret, &params->session_id);
	return g;
}

void
gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	secret_wipe(g, sizeof(*g));
	free(g);
}

static void
give(struct gate_result *res, enum gate_verdict verdict, enum reason why)
{
	res->verdict = verdict;
	res->code = reasons[why].code;
	res->reason = reasons[why].text;
	res->r = reasons[why].r;
}

static void
be_silent(struct gate_result *res, int r)
{
	*res = (struct gate_result){ .verdict = GATE_SILENCE, .r = r };
}

/* Sets *@ret_reason.  Returns 0 or -ENOMEM. */
static int
check_bearer_mac(const struct trial *t, enum reason *ret_reason)
{
	struct key32 want, got;
	int r = session_keys_bearer_mac(&want, &t->bearer, t->claim);

	if (r < 0)
		return r;
	*ret_reason = REASON_NONE;
	if (token_text_hex_decode(got.b, sizeof(got.b), t->claim->bearer_mac.p,
		t->claim->bearer_mac.n) < 0 ||
	    !secret_equal(&want, &got, sizeof(want)))
		*ret_reason = REASON_MAC;
	return 0;
}

/* The checks that all gates share, in the peer's order; fills candidates. */
static int
check_claim(const struct gate *g, struct trial *t, enum reason *ret_reason)
{
	const struct message_claim *c = t->claim;
	enum candidate_policy policy = g->params.allow_loopback
					   ? CANDIDATE_POLICY_LOOPBACK
					   : CANDIDATE_POLICY_PEER;
	enum reason why = REASON_NONE;
	int r;

	if (t->now_unix >= t->expires_unix)
		why = REASON_EXPIRED;
	else if (c->version != g->params.version)
		why = REASON_VERSION;
	else if (memcmp(&c->session_id, &g->params.session_id,
		     sizeof(c->session_id)) != 0)
		why = REASON_SESSION;
	if (why == REASON_NONE) {
		r = check_bearer_mac(t, &why);
		if (r < 0)
			return r;
	}
	if (why == REASON_NONE && c->capabilities != g->params.capabilities)
		why = REASON_CAPABILITIES;
	if (why == REASON_NONE &&
	    (secret_is_zero(&c->derp_public, sizeof(c->derp_public)) ||
		secret_is_zero(&c->quic_public, sizeof(c->quic_public)) ||
		candidate_from_claim(&t->candidates, &c->candidates, policy) <
		    0))
		why = REASON_MALFORMED;
	*ret_reason = why;
	return 0;
}

static void
take_slot(struct gate *g, const struct trial *t, const struct gate_result *res)
{
	const struct message_claim *c = t->claim;

	g->held = true;
	g->decision_len = 0;
	g->claim_digest = t->digest;
	g->claimer_expires_unix = t->expires_unix;
	g->claimer = (struct gate_claimer){
		.derp_public = c->derp_public,
		.quic_public = c->quic_public,
		.client_id = c->client.client_id,
		.session_id = g->params.session_id,
		.bearer = t->bearer,
		.envelope_key = res->envelope_key,
		.candidates = t->candidates,
	};
	session_keys_disco(&g->claimer.disco_key, &t->bearer,
	    &g->params.session_id, &g->params.derp_public, &c->derp_public);
}

static int
judge_session(struct gate *g, struct trial *t, const struct envelope *e,
    struct gate_result *res)
{
	enum reason why;
	int r;

	res->envelope_key = g->session_envelope_key;
	r = envelope_verify(e, &res->envelope_key);
	if (r < 0)
		return r;
	t->bearer = g->params.secret;
	t->expires_unix = g->params.expires_unix;
	r = check_claim(g, t, &why);
	if (r == 0 && why == REASON_NONE)
		r = session_keys_claim_digest(&t->digest, t->claim);
	if (r < 0)
		return r;
	if (why != REASON_NONE)
		give(res, GATE_REJECT, why);
	else if (!g->held)
		give(res, GATE_ACCEPT, REASON_NONE);
	else if (secret_equal(&t->digest, &g->claim_digest, sizeof(t->digest)))
		give(res, GATE_REPEAT, REASON_NONE);
	else
		give(res, GATE_BUSY, REASON_CLAIMED);
	return 0;
}

/* Did the holder of this server's secret sign what the client says it is? */
static bool
is_proven(const struct gate *g, const struct trial *t)
{
	const struct message_client *c = &t->claim->client;
	struct derptun_client_token token = {
		.session_id = t->claim->session_id,
		.client_id = c->client_id,
		.token_id = c->token_id,
		.expires_unix = c->expires_unix,
		.derp_public = g->params.derp_public,
		.quic_public = g->params.quic_public,
		.bearer = t->bearer,
		.has_route = g->params.has_route,
		.route = g->params.route,
	};
	struct key32 want, got;
	bool good;

	if (c->client_name.n > TOKEN_DERPTUN_MAX_NAME ||
	    token_text_hex_decode(
		got.b, sizeof(got.b), c->proof_mac.p, c->proof_mac.n) < 0)
		return false;
	token_derptun_proof(&want, &g->params.secret, &token, c->client_name.p,
	    c->client_name.n);
	good = secret_equal(&want, &got, sizeof(want));
	token_derptun_wipe_client(&token);
	secret_wipe(&want, sizeof(want));
	return good;
}

static enum reason
check_client(const struct gate *g, const struct trial *t)
{
	int64_t expires = t->claim->client.expires_unix;

	if (t->now_unix >= g->params.expires_unix)
		return REASON_SERVER_EXPIRED;
	if (expires > g->params.expires_unix)
		return REASON_EXCEEDS_SERVER;
	if (expires <= t->now_unix)
		return REASON_CLIENT_EXPIRED;
	return is_proven(g, t) ? REASON_NONE : REASON_PROOF;
}

static bool
is_holder(const struct gate *g, const struct message_claim *c)
{
	return secret_equal(&g->claimer.derp_public, &c->derp_public,
		   sizeof(c->derp_public)) &&
	       secret_equal(&g->claimer.quic_public, &c->quic_public,
		   sizeof(c->quic_public));
}

static int
judge_derptun(struct gate *g, struct trial *t, const struct envelope *e,
    const struct key32 *source, struct gate_result *res)
{
	const struct message_claim *c = t->claim;
	enum reason why;
	int r;

	if (!secret_equal(source, &c->derp_public, sizeof(*source)) ||
	    !c->has_client)
		return -DT_ERR_AUTH;
	token_derptun_bearer(
	    &t->bearer, &g->params.secret, &c->client.client_id);
	session_keys_envelope(
	    &res->envelope_key, &t->bearer, &g->params.session_id);
	r = envelope_verify(e, &res->envelope_key);
	if (r < 0)
		return r;
	why = check_client(g, t);
	if (why != REASON_NONE) {
		give(res, GATE_REJECT, why);
		return 0;
	}
	if (g->held && !is_holder(g, c)) {
		give(res, GATE_BUSY, REASON_CLAIMED);
		return 0;
	}
	t->expires_unix = c->client.expires_unix;
	r = check_claim(g, t, &why);
	if (r < 0)
		return r;
	if (why != REASON_NONE)
		give(res, GATE_REJECT, why);
	else
		give(res, g->held ? GATE_REPEAT : GATE_ACCEPT, REASON_NONE);
	return 0;
}

/* The holder's own packet once more, from the same place. */
static bool
is_same_packet(const struct gate *g, int64_t now_unix,
    const struct key32 *source, const struct key32 *digest)
{
	return g->held && now_unix < g->params.expires_unix &&
	       now_unix < g->claimer_expires_unix &&
	       secret_equal(source, &g->claimer.derp_public, sizeof(*source)) &&
	       secret_equal(digest, &g->packet_digest, sizeof(*digest));
}

static int
judge_envelope(struct gate *g, struct trial *t, const struct envelope *e,
    const struct key32 *source, struct gate_result *res)
{
	int r;

	if (e->kind != ENVELOPE_CLAIM || !e->has_claim)
		return -DT_ERR_STATE;
	t->claim = &e->claim;
	res->reply_to = e->claim.derp_public;
	/* A zero key leads nowhere; who sent it can still be told. */
	if (secret_is_zero(&res->reply_to, sizeof(res->reply_to)))
		res->reply_to = *source;
	if (g->params.kind == GATE_DERPTUN)
		r = judge_derptun(g, t, e, source, res);
	else
		r = judge_session(g, t, e, res);
	if (r == 0 && res->verdict == GATE_ACCEPT)
		take_slot(g, t, res);
	return r;
}

int
gate_judge(struct gate *g, int64_t now_unix, const struct key32 *source,
    const void *p, size_t len, struct gate_result *ret_result)
{
	struct gate_result res = { .verdict = GATE_SILENCE };
	struct trial t = { .now_unix = now_unix };
	struct key32 digest;
	struct envelope e;
	int r;

	be_silent(ret_result, -DT_ERR_SYNTAX);
	if (!envelope_is_shaped(p, len))
		return 0;
	secret_sha256(&digest, p, len);
	if (is_same_packet(g, now_unix, source, &digest)) {
		give(&res, GATE_REPEAT, REASON_NONE);
		res.reply_to = g->claimer.derp_public;
		res.envelope_key = g->claimer.envelope_key;
		*ret_result = res;
		return 0;
	}
	r = envelope_parse(&e, p, len);
	if (r == 0) {
		r = judge_envelope(g, &t, &e, source, &res);
		envelope_fini(&e);
	}
	if (r == 0 && res.verdict == GATE_ACCEPT)
		g->packet_digest = digest;
	if (r == 0)
		*ret_result = res;
	else
		be_silent(ret_result, r);
	secret_wipe(&t, sizeof(t));
	secret_wipe(&res, sizeof(res));
	return r == -ENOMEM ? r : 0;
}

const struct gate_claimer *
gate_peek_claimer(const struct gate *g)
{
	return g->held ? &g->claimer : NULL;
}

int
gate_build_accept(
    struct gate *g, struct buf_writer *w, const struct candidate_list *own)
{
	struct buf_writer kept = buf_writer(g->decision, sizeof(g->decision));
	struct candidate_texts texts;
	struct message_accept *a;
	struct envelope e;
	int r;

	if (!g->held)
		return -DT_ERR_STATE;
	envelope_init(&e, ENVELOPE_DECISION);
	e.decision.accepted = true;
	e.decision.has_accept = true;
	a = &e.decision.accept;
	a->version = g->params.version;
	a->session_id = g->params.session_id;
	a->candidates = candidate_to_texts(&texts, own);
	a->capabilities = g->params.capabilities;
	r = envelope_build(&kept, &e, &g->claimer.envelope_key);
	if (r < 0)
		return r;
	buf_put_bytes(w, g->decision, kept.len);
	if (w->err < 0)
		return w->err;
	g->decision_len = kept.len;
	return 0;
}

const uint8_t *
gate_peek_decision(const struct gate *g, size_t *ret_len)
{
	if (g->decision_len == 0)
		return NULL;
	*ret_len = g->decision_len;
	return g->decision;
}

int
gate_build_reject(struct buf_writer *w, const struct gate_result *result)
{
	struct envelope e;

	if (result->code == NULL)
		return -DT_ERR_STATE;
	envelope_init(&e, ENVELOPE_DECISION);
	e.decision.has_reject = true;
	e.decision.reject.code.p = result->code;
	e.decision.reject.code.n = strlen(result->code);
	e.decision.reject.reason.p = result->reason;
	e.decision.reject.reason.n = strlen(result->reason);
	return envelope_build(w, &e, &result->envelope_key);
}

void
gate_release(struct gate *g)
{
	g->held = false;
	g->decision_len = 0;
	secret_wipe(&g->claimer, sizeof(g->claimer));
	secret_wipe(&g->packet_digest, sizeof(g->packet_digest));
	secret_wipe(&g->claim_digest, sizeof(g->claim_digest));
}
