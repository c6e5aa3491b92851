/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/gate.h"
#include "proto/rendezvous/session_keys.h"
#include "test/unit/token_vectors.h"

#define NOW 1800000000

static json_t *tokens, *envelopes;
static uint8_t wire[20000];
static const struct key32 stranger = { { 0x55 } };

static const json_t *
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

static const char *
envelope_wire(const char *name)
{
	return vectors_str(
	    find(vectors_get(envelopes, "envelopes"), name), "wire");
}

static struct gate_params
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

static struct derptun_server_token
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

static struct gate_params
derptun_params(void)
{
	struct derptun_server_token t = server_token("dts1");
	struct gate_params p;

	gate_params_from_derptun(&p, &t);
	return p;
}

static struct key32
claimer_key(void)
{
	struct key32 k;

	vectors_hex(vectors_get(envelopes, "keys"), "claimer_derp_public", &k,
	    sizeof(k));
	return k;
}

static struct gate_result
judge(struct gate *g, const struct key32 *source, const void *p, size_t n)
{
	struct gate_result res;

	EQ_INT(gate_judge(g, NOW, source, p, n, &res), 0, "judged");
	return res;
}

static struct gate_result
judge_text(struct gate *g, const struct key32 *source, const char *text)
{
	return judge(g, source, text, strlen(text));
}

static void
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

static void
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
static void
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
static size_t
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

static void
test_share_vector(void)
{
	struct gate_params p = share_params();
	struct gate *g = gate_new(&p);
	struct key32 source = claimer_key(), want;
	struct candidate_list own = { 0 };
	struct buf_writer w = buf_writer(wire, sizeof(wire) - 1);
	struct gate_result res;
	const uint8_t *kept;
	size_t n = 0;

	OK(gate_peek_claimer(g) == NULL, "nobody holds a new gate");
	EQ_INT(
	    gate_build_accept(g, &w, &own), -DT_ERR_STATE, "nobody to accept");
	res = judge_text(g, &stranger, envelope_wire("claim_share"));
	EQ_INT(res.verdict, GATE_ACCEPT, "claim of the vector is accepted");
	EQ_MEM(&res.reply_to, &source, 32, "answer goes to the claim's key");
	vectors_hex(vectors_get(envelopes, "keys"), "discovery_key", &want, 32);
	EQ_MEM(&gate_peek_claimer(g)->disco_key, &want, 32, "disco key");
	EQ_INT(gate_peek_claimer(g)->candidates.n, 2, "two candidates");
	OK(gate_peek_decision(g, &n) == NULL, "no decision yet");
	(void)addr_parse(&own.a[0], "198.51.100.7:40000");
	own.n = 1;
	EQ_INT(gate_build_accept(g, &w, &own), 0, "decision is built");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, envelope_wire("decision_accept"), "as the vector");
	kept = gate_peek_decision(g, &n);
	OK(kept != NULL && n == w.len && memcmp(kept, wire, n) == 0, "kept");
	for (int i = 0; i < 10; i++) {
		res = judge_text(g, &source, envelope_wire("claim_share"));
		EQ_INT(res.verdict, GATE_REPEAT, "the same claim again");
		EQ_MEM(&res.reply_to, &source, 32, "to the same key");
	}
	res = judge_text(g, &stranger, envelope_wire("claim_share"));
	EQ_INT(res.verdict, GATE_REPEAT, "also through another source");
	gate_free(g);
}

static void
test_share_rival(void)
{
	struct gate_params p = share_params();
	struct gate *g = gate_new(&p);
	struct key32 source = claimer_key();
	struct gate_result res;
	struct maker m;

	(void)judge_text(g, &source, envelope_wire("claim_share"));
	maker_init(&m, &p);
	res = judge(g, &stranger, wire, maker_build(&m));
	EQ_INT(res.verdict, GATE_BUSY, "other candidates are a rival");
	check_reject_text(&res, "decision_reject_claimed");
	OK(memcmp(&gate_peek_claimer(g)->derp_public, &source, 32) == 0,
	    "the holder is unharmed");
	gate_release(g);
	OK(gate_peek_claimer(g) == NULL, "released");
	maker_init(&m, &p);
	res = judge(g, &stranger, wire, maker_build(&m));
	EQ_INT(res.verdict, GATE_ACCEPT, "now the rival may have it");
	EQ_INT(gate_peek_claimer(g)->candidates.n, 0, "relay only");
	res = judge_text(g, &source, envelope_wire("claim_share"));
	EQ_INT(res.verdict, GATE_BUSY, "the first one is the rival then");
	gate_free(g);
}

/* Spoilers, in the order in which the gate looks. */
enum { VERSION, SESSION, MAC, CAPABILITIES, ZERO_KEY, N_SPOILERS };

static void
spoil(struct maker *m, int what)
{
	if (what == VERSION)
		m->e.claim.version = 6;
	else if (what == SESSION)
		m->e.claim.session_id.b[0] ^= 1;
	else if (what == MAC)
		m->e.claim.bearer_mac = MESSAGE_TEXT("zz");
	else if (what == CAPABILITIES)
		m->e.claim.capabilities = 3;
	else
		memset(&m->e.claim.quic_public, 0, 32);
}

static void
test_share_rejects(void)
{
	static const char *const vectors[N_SPOILERS] = {
		"decision_reject_version_mismatch",
		"decision_reject_session_mismatch", "decision_reject_bad_mac",
		"decision_reject_capabilities_mismatch",
		"decision_reject_claim_malformed"
	};
	struct gate_params p = share_params();
	struct gate *g = gate_new(&p);
	struct gate_result res;
	struct maker m;

	for (int i = N_SPOILERS - 1; i >= 0; i--) {
		/* This one and all that are looked at later. */
		maker_init(&m, &p);
		for (int k = i; k < N_SPOILERS; k++)
			spoil(&m, k);
		res = judge(g, &stranger, wire, maker_build(&m));
		EQ_INT(res.verdict, GATE_REJECT, "spoilt from %d on", i);
		check_reject_text(&res, vectors[i]);
	}
	p.expires_unix = NOW;
	gate_free(g);
	g = gate_new(&p);
	maker_init(&m, &p);
	spoil(&m, VERSION);
	res = judge(g, &stranger, wire, maker_build(&m));
	check_reject_text(&res, "decision_reject_expired");
	OK(gate_peek_claimer(g) == NULL, "no rejection takes the slot");
	gate_free(g);
}

static void
check_candidates(struct gate *g, const struct gate_params *p, const char *what,
    const struct message_text *item, size_t n, enum gate_verdict want)
{
	struct maker m;

	maker_init(&m, p);
	m.e.claim.candidates.item = item;
	m.e.claim.candidates.n = n;
	EQ_INT(judge(g, &stranger, wire, maker_build(&m)).verdict, want,
	    "candidates: %s", what);
	gate_release(g);
}

static void
test_share_candidates(void)
{
	struct message_text loopback = MESSAGE_TEXT("127.0.0.1:5");
	struct message_text upper = MESSAGE_TEXT("[2001:DB8::1]:5");
	struct message_text twice[] = { MESSAGE_TEXT("1.2.3.4:5"),
		MESSAGE_TEXT("[::ffff:1.2.3.4]:5") };
	struct message_text item[33];
	struct gate_params p = share_params();
	struct gate *g = gate_new(&p);
	char text[33][24];

	for (size_t i = 0; i < 33; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "10.1.1.%zu:7", i);
		item[i] = (struct message_text){ text[i], strlen(text[i]) };
	}
	check_candidates(g, &p, "32", item, 32, GATE_ACCEPT);
	check_candidates(g, &p, "33", item, 33, GATE_REJECT);
	check_candidates(g, &p, "loopback", &loopback, 1, GATE_REJECT);
	check_candidates(g, &p, "not canonical", &upper, 1, GATE_REJECT);
	check_candidates(g, &p, "mapped duplicate", twice, 2, GATE_REJECT);
	gate_free(g);
	p.allow_loopback = true;
	g = gate_new(&p);
	check_candidates(g, &p, "loopback in tests", &loopback, 1, GATE_ACCEPT);
	gate_free(g);
}

static void
test_silence(void)
{
	struct gate_params p = share_params();
	struct gate *g = gate_new(&p);
	size_t n, loud = 0;
	struct gate_result res;
	struct maker m;

	maker_init(&m, &p);
	m.envelope_key.b[0] ^= 1;
	EQ_INT(judge(g, &stranger, wire, maker_build(&m)).verdict, GATE_SILENCE,
	    "bad envelope MAC");
	EQ_INT(judge_text(g, &stranger, "").verdict, GATE_SILENCE, "empty");
	EQ_INT(judge_text(g, &stranger, "{").verdict, GATE_SILENCE, "a brace");
	EQ_INT(judge_text(g, &stranger, envelope_wire("control_candidates"))
		   .verdict,
	    GATE_SILENCE, "another kind");
	EQ_INT(judge_text(g, &stranger, envelope_wire("derptun_claim")).verdict,
	    GATE_SILENCE, "another session's claim");
	maker_init(&m, &p);
	n = maker_build(&m);
	for (size_t i = 0; i < n * 8; i++) {
		wire[i / 8] = (uint8_t)(wire[i / 8] ^ 1 << i % 8);
		(void)gate_judge(g, NOW, &stranger, wire, n, &res);
		loud += res.verdict != GATE_SILENCE;
		wire[i / 8] = (uint8_t)(wire[i / 8] ^ 1 << i % 8);
	}
	EQ_INT(loud, 0, "no flipped bit gets an answer");
	maker_init(&m, &p);
	memset(&m.e.claim.derp_public, 0, 32);
	res = judge(g, &stranger, wire, maker_build(&m));
	EQ_MEM(&res.reply_to, &stranger, 32,
	    "a claim without key is answered to its source");
	gate_free(g);
}

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

static void
test_params(void)
{
	struct derptun_server_token s = server_token("dts2");
	struct gate_params p, back;
	uint8_t buf[GATE_MAX_PARAMS];
	struct buf_writer w = buf_writer(buf, sizeof(buf));
	struct buf_reader r;
	size_t accepted = 0;

	gate_params_from_derptun(&p, &s);
	p.allow_loopback = true;
	gate_params_put(&w, &p);
	EQ_INT(w.err, 0, "written");
	r = buf_reader(buf, w.len);
	EQ_INT(gate_params_get(&r, &back), 0, "read");
	EQ_INT(buf_reader_end(&r), 0, "to the end");
	OK(back.kind == p.kind && back.version == p.version &&
		back.expires_unix == p.expires_unix && back.has_route &&
		back.allow_loopback &&
		token_route_equal(&back.route, &p.route) &&
		memcmp(&back.secret, &p.secret, 32) == 0 &&
		memcmp(&back.quic_public, &p.quic_public, 32) == 0,
	    "the same");
	for (size_t i = 0; i < w.len; i++) {
		r = buf_reader(buf, i);
		accepted += gate_params_get(&r, &back) == 0;
	}
	EQ_INT(accepted, 0, "no truncation is read");
	buf[0] = 3;
	r = buf_reader(buf, w.len);
	EQ_INT(gate_params_get(&r, &back), -DT_ERR_SYNTAX, "unknown kind");
}

int
main(void)
{
	(void)secret_init();
	tokens = vectors_load("tokens.json");
	envelopes = vectors_load("envelopes.json");
	test_share_vector();
	test_share_rival();
	test_share_rejects();
	test_share_candidates();
	test_silence();
	test_derptun_vector();
	test_derptun_holder();
	test_derptun_rejects();
	test_derptun_reject_vectors();
	test_derptun_route();
	test_held_across_expiry();
	test_params();
	json_decref(tokens);
	json_decref(envelopes);
	return tap_done();
}
