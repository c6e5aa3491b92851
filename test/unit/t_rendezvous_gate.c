/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "test/unit/gate_claims.h"

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

int
main(void)
{
	claims_begin();
	test_share_vector();
	test_share_rival();
	test_share_rejects();
	test_share_candidates();
	test_silence();
	return claims_done();
}
