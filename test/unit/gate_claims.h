/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the gate and of the claimer share: vectors by name, and
 * claims made to order. */
#ifndef TEST_UNIT_GATE_CLAIMS_H
#define TEST_UNIT_GATE_CLAIMS_H

#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/gate.h"
#include "proto/rendezvous/session_keys.h"
#include "test/unit/token_vectors.h"

#define NOW 1800000000

static json_t *tokens, *envelopes;
static uint8_t wire[20000];
static const struct key32 stranger = { { 0x55 } };

static inline void
claims_begin(void)
{
	(void)secret_init();
	tokens = vectors_load("tokens.json");
	envelopes = vectors_load("envelopes.json");
}

static inline int
claims_done(void)
{
	json_decref(tokens);
	json_decref(envelopes);
	return tap_done();
}

static inline const json_t *
find(const json_t *list, const char *name)
{
	const json_t *e;
	size_t i;

	json_array_foreach(list, i, e)
		if (strcmp(vectors_str(e, "name"), name) == 0)
			return e;
	printf("Bail out! no vector %s\n", name);
	exit(1);
}

static inline const char *
envelope_wire(const char *name)
{
	return vectors_str(
	    find(vectors_get(envelopes, "envelopes"), name), "wire");
}

static inline struct gate_params
share_params(void)
{
	const json_t *list = vectors_get(tokens, "session_tokens");
	struct session_token t;
	struct gate_params p;

	if (token_session_decode(&t,
		vectors_str(find(list, "v5_share"), "token"), NOW, NULL) < 0)
		exit(1);
	gate_params_from_session(&p, &t);
	return p;
}

static inline struct derptun_server_token
server_token(const char *name)
{
	const json_t *list =
	    vectors_get(vectors_get(tokens, "derptun"), "server_tokens");
	struct derptun_server_token t;

	if (token_derptun_decode_server(
		&t, vectors_str(find(list, name), "token"), NOW, NULL) < 0)
		exit(1);
	return t;
}

static inline struct gate_params
derptun_params(void)
{
	struct derptun_server_token t = server_token("dts1");
	struct gate_params p;

	gate_params_from_derptun(&p, &t);
	return p;
}

static inline struct key32
claimer_key(void)
{
	struct key32 k;

	vectors_hex(vectors_get(envelopes, "keys"), "claimer_derp_public", &k,
	    sizeof(k));
	return k;
}

static inline struct gate_result
judge(struct gate *g, const struct key32 *source, const void *p, size_t n)
{
	struct gate_result res;

	EQ_INT(gate_judge(g, NOW, source, p, n, &res), 0, "judged");
	return res;
}

static inline struct gate_result
judge_text(struct gate *g, const struct key32 *source, const char *text)
{
	return judge(g, source, text, strlen(text));
}

static inline void
check_reject_text(const struct gate_result *res, const char *vector)
{
	struct buf_writer w = buf_writer(wire, sizeof(wire) - 1);

	EQ_INT(gate_build_reject(&w, res), 0, "rejection is built");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, envelope_wire(vector), "as %s", vector);
}

/* A claim for @p by the holder of its secret; the test spoils it. */
struct maker {
	struct envelope e;
	struct key32 bearer;
	struct key32 envelope_key;
	struct candidate_texts texts;
	char mac[65];
	char proof[65];
	char name[64];
};

static inline void
maker_init(struct maker *m, const struct gate_params *p)
{
	static const struct key32 quic = { { 0x77 } };

	memset(m, 0, sizeof(*m));
	m->bearer = p->secret;
	envelope_init(&m->e, ENVELOPE_CLAIM);
	m->e.claim.version = p->version;
	m->e.claim.session_id = p->session_id;
	m->e.claim.derp_public = claimer_key();
	m->e.claim.quic_public = quic;
	m->e.claim.capabilities = p->capabilities;
	session_keys_envelope(&m->envelope_key, &p->secret, &p->session_id);
}

/* As above for a derptun client token. */
static inline void
maker_init_client(struct maker *m, const struct gate_params *p,
    const struct derptun_client_token *t)
{
	struct message_client *c = &m->e.claim.client;

	maker_init(m, p);
	m->bearer = t->bearer;
	session_keys_envelope(&m->envelope_key, &t->bearer, &p->session_id);
	m->e.claim.has_client = true;
	c->client_id = t->client_id;
	c->token_id = t->token_id;
	c->expires_unix = t->expires_unix;
	token_derptun_client_name(m->name, &t->client_id);
	c->client_name = (struct message_text){ m->name, strlen(m->name) };
	token_text_hex_encode(m->proof, t->proof.b, 32);
	c->proof_mac = (struct message_text){ m->proof, 64 };
}

/* Computes the bearer MAC unless the test has set one, and signs. */
static inline size_t
maker_build(struct maker *m)
{
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct key32 mac;

	if (m->e.claim.bearer_mac.n == 0) {
		(void)session_keys_bearer_mac(&mac, &m->bearer, &m->e.claim);
		token_text_hex_encode(m->mac, mac.b, sizeof(mac.b));
		m->e.claim.bearer_mac =
		    (struct message_text){ m->mac, sizeof(m->mac) - 1 };
	}
	if (envelope_build(&w, &m->e, &m->envelope_key) < 0) {
		printf("Bail out! claim does not build\n");
		exit(1);
	}
	return w.len;
}

#endif
