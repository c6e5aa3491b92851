/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "test/unit/gate_claims.h"

static void
test_derptun_vector(void)
{
	struct gate_params p = derptun_params();
	struct gate *g = gate_new(&p);
	struct key32 source = claimer_key(), want;
	struct candidate_list own = { 0 };
	struct buf_writer w = buf_writer(wire, sizeof(wire) - 1);
	const char *claim = envelope_wire("derptun_claim");
	struct gate_result res;

	res = judge_text(g, &stranger, claim);
	EQ_INT(res.verdict, GATE_SILENCE, "replayed from another DERP key");
	res = judge_text(g, &source, claim);
	EQ_INT(res.verdict, GATE_ACCEPT, "claim of the vector is accepted");
	vectors_hex(
	    vectors_get(envelopes, "keys"), "derptun_discovery_key", &want, 32);
	EQ_MEM(&gate_peek_claimer(g)->disco_key, &want, 32, "disco key");
	vectors_hex(
	    vectors_get(envelopes, "keys"), "derptun_envelope_key", &want, 32);
	EQ_MEM(&gate_peek_claimer(g)->envelope_key, &want, 32, "envelope key");
	(void)addr_parse(&own.a[0], "198.51.100.7:40000");
	own.n = 1;
	EQ_INT(gate_build_accept(g, &w, &own), 0, "decision is built");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, envelope_wire("derptun_decision_accept"),
	    "as the vector");
	EQ_INT(judge_text(g, &source, claim).verdict, GATE_REPEAT, "again");
	EQ_INT(judge_text(g, &stranger, claim).verdict, GATE_SILENCE,
	    "still silent to others");
	EQ_INT(judge_text(g, &source, envelope_wire("claim_share")).verdict,
	    GATE_SILENCE, "a claim without client");
	gate_free(g);
}

static void
test_derptun_holder(void)
{
	struct derptun_server_token s = server_token("dts1");
	struct gate_params p = derptun_params();
	struct gate *g = gate_new(&p);
	struct key32 source = claimer_key();
	struct message_text candidate = MESSAGE_TEXT("9.9.9.9:9");
	struct message_text junk = MESSAGE_TEXT("junk");
	struct derptun_client_token a, b;
	struct gate_result res;
	struct maker m;

	(void)token_derptun_mint_client(&a, &s, NOW, NOW + 100, NULL);
	(void)token_derptun_mint_client(&b, &s, NOW, NOW + 100, NULL);
	maker_init_client(&m, &p, &a);
	EQ_INT(judge(g, &source, wire, maker_build(&m)).verdict, GATE_ACCEPT,
	    "our own client token is accepted");
	maker_init_client(&m, &p, &a);
	m.e.claim.candidates.item = &candidate;
	m.e.claim.candidates.n = 1;
	EQ_INT(judge(g, &source, wire, maker_build(&m)).verdict, GATE_REPEAT,
	    "same keys with other candidates: the same connector");
	maker_init_client(&m, &p, &b);
	m.e.claim.derp_public = stranger;
	res = judge(g, &stranger, wire, maker_build(&m));
	EQ_INT(res.verdict, GATE_BUSY, "another client is a rival");
	OK(memcmp(&res.reply_to, &stranger, 32) == 0, "told to him");
	maker_init_client(&m, &p, &b);
	m.e.claim.derp_public = stranger;
	m.e.claim.candidates.item = &junk;
	m.e.claim.candidates.n = 1;
	res = judge(g, &stranger, wire, maker_build(&m));
	EQ_INT(res.verdict, GATE_BUSY, "his malformed claim reads the same");
	gate_release(g);
	res = judge(g, &stranger, wire, maker_build(&m));
	EQ_STR(res.code, "claim_malformed", "and is malformed once free");
	gate_free(g);
}

/* dts1's gate with other expiry; a client with @client_expires judged at @now.
 */
static struct gate_result
judge_expiry(int64_t now, int64_t server_expires, int64_t client_expires)
{
	struct derptun_server_token s = server_token("dts1");
	struct derptun_client_token t;
	struct gate_params p;
	struct gate_result res;
	struct gate *g;
	struct maker m;
	struct key32 source = claimer_key();

	(void)token_derptun_mint_client(&t, &s, 1, client_expires, NULL);
	s.expires_unix = server_expires;
	gate_params_from_derptun(&p, &s);
	g = gate_new(&p);
	maker_init_client(&m, &p, &t);
	EQ_INT(gate_judge(g, now, &source, wire, maker_build(&m), &res), 0,
	    "judged");
	gate_free(g);
	return res;
}

static void
test_derptun_rejects(void)
{
	struct derptun_server_token s = server_token("dts1");
	struct gate_params p = derptun_params();
	struct gate *g = gate_new(&p);
	struct key32 source = claimer_key();
	struct derptun_client_token t;
	struct gate_result res;
	struct maker m;

	EQ_STR(judge_expiry(NOW, NOW, NOW + 1).reason, "server token expired",
	    "server token expired on the second");
	EQ_STR(judge_expiry(NOW, NOW + 5, NOW + 6).reason,
	    "client expiry exceeds server expiry", "client outlives server");
	EQ_STR(judge_expiry(NOW, NOW + 5, NOW).reason, "client token expired",
	    "client expired on the second");
	EQ_INT(judge_expiry(NOW, NOW + 5, NOW + 5).verdict, GATE_ACCEPT,
	    "as long as the server is fine");
	(void)token_derptun_mint_client(&t, &s, NOW, NOW + 100, NULL);
	t.token_id.b[0] ^= 1;
	maker_init_client(&m, &p, &t);
	res = judge(g, &source, wire, maker_build(&m));
	EQ_STR(res.reason, "client proof invalid", "changed token id");
	EQ_STR(res.code, "bad_mac", "as bad MAC");
	t.token_id.b[0] ^= 1;
	maker_init_client(&m, &p, &t);
	memset(m.name, 'n', sizeof(m.name));
	m.e.claim.client.client_name.n = sizeof(m.name);
	res = judge(g, &source, wire, maker_build(&m));
	EQ_STR(res.reason, "client proof invalid", "a long other name");
	t.bearer.b[0] ^= 1;
	maker_init_client(&m, &p, &t);
	EQ_INT(judge(g, &source, wire, maker_build(&m)).verdict, GATE_SILENCE,
	    "a foreign bearer");
	t.bearer.b[0] ^= 1;
	maker_init_client(&m, &p, &t);
	m.e.claim.version = 6;
	EQ_STR(judge(g, &source, wire, maker_build(&m)).code,
	    "version_mismatch", "the shared checks follow");
	gate_free(g);
}

static void
test_derptun_route(void)
{
	struct derptun_server_token s = server_token("dts2");
	struct key32 source = claimer_key();
	struct derptun_client_token t;
	struct gate_params p;
	struct gate *g;
	struct maker m;

	gate_params_from_derptun(&p, &s);
	EQ_INT(p.version, 6, "custom relay means version 6");
	g = gate_new(&p);
	(void)token_derptun_mint_client(&t, &s, NOW, NOW + 100, NULL);
	maker_init_client(&m, &p, &t);
	EQ_INT(judge(g, &source, wire, maker_build(&m)).verdict, GATE_ACCEPT,
	    "its client is accepted");
	gate_free(g);
}

static void
test_derptun_reject_vectors(void)
{
	static const char *const names[] = {
		"derptun_reject_server_token_expired",
		"derptun_reject_client_expiry_exceeds_server_expiry",
		"derptun_reject_client_token_expired",
		"derptun_reject_client_proof_invalid"
	};
	const char *claim = envelope_wire("derptun_claim");
	struct key32 source = claimer_key();

	for (size_t i = 0; i < 4; i++) {
		struct gate_params p = derptun_params();
		int64_t now = NOW;
		struct gate_result res;
		struct gate *g;

		if (i == 0)
			now = p.expires_unix;
		else if (i == 1)
			p.expires_unix = 4102358399; /* below the client's */
		else if (i == 2)
			now = 4102358400;
		else
			p.quic_public.b[0] ^= 1; /* covered by the proof */
		g = gate_new(&p);
		(void)gate_judge(g, now, &source, claim, strlen(claim), &res);
		check_reject_text(&res, names[i]);
		gate_free(g);
	}
}

/* Tokens that their holder cannot tell from good ones. */
static void
test_tampered_tokens(void)
{
	const json_t *list = vectors_get(vectors_get(tokens, "derptun"),
	    "client_decodes_but_server_refuses");
	struct gate_params p = derptun_params();
	struct gate *g = gate_new(&p);
	struct key32 source = claimer_key();
	const json_t *e;
	size_t i;

	json_array_foreach(list, i, e) {
		const char *name = vectors_str(e, "name");
		struct derptun_client_token t;
		struct gate_result res;
		struct maker m;

		if (strncmp(name, "route_", 6) == 0)
			continue;
		EQ_INT(token_derptun_decode_client(
			   &t, vectors_str(e, "input"), NOW, NULL),
		    0, "%s decodes", name);
		maker_init_client(&m, &p, &t);
		res = judge(g, &source, wire, maker_build(&m));
		if (strcmp(name, "bearer_changed") == 0)
			EQ_INT(res.verdict, GATE_SILENCE, "silence");
		else
			EQ_STR(res.reason, "client proof invalid", "refused");
	}
	gate_free(g);
}

static void
test_held_across_expiry(void)
{
	struct gate_params p = derptun_params();
	struct gate *g = gate_new(&p);
	const char *claim = envelope_wire("derptun_claim");
	struct key32 source = claimer_key();
	struct gate_result res;

	(void)judge_text(g, &source, claim);
	(void)gate_judge(
	    g, p.expires_unix, &source, claim, strlen(claim), &res);
	EQ_STR(res.reason, "server token expired", "claims are refused");
	OK(gate_peek_claimer(g) != NULL, "the holder keeps the slot");
	gate_free(g);
}

int
main(void)
{
	claims_begin();
	test_derptun_vector();
	test_derptun_holder();
	test_derptun_rejects();
	test_derptun_reject_vectors();
	test_derptun_route();
	test_tampered_tokens();
	test_held_across_expiry();
	return claims_done();
}
