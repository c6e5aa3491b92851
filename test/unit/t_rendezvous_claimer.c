/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/claimer.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/gate.h"
#include "proto/rendezvous/session_keys.h"
#include "test/unit/gate_claims.h"

static struct mono
at_ms(int64_t ms)
{
	return (struct mono){ 1000000 + ms * MONO_MS };
}

/* Own keys and candidates as in the vectors. */
static void
fill_own(struct claimer_params *p)
{
	const json_t *k = vectors_get(envelopes, "keys");

	vectors_hex(k, "claimer_derp_public", &p->own_derp_public, 32);
	vectors_hex(k, "claimer_quic_public", &p->own_quic_public, 32);
	(void)addr_parse(&p->candidates.a[0], "203.0.113.10:12345");
	(void)addr_parse(&p->candidates.a[1], "[2001:db8::10]:12345");
	p->candidates.n = 2;
}

static struct claimer_params
share_claim(void)
{
	const json_t *list = vectors_get(tokens, "session_tokens");
	struct claimer_params p;
	struct session_token t;

	if (token_session_decode(&t,
		vectors_str(find(list, "v5_share"), "token"), NOW, NULL) < 0)
		exit(1);
	claimer_params_from_session(&p, &t);
	fill_own(&p);
	return p;
}

static struct claimer_params
client_claim(void)
{
	const json_t *list =
	    vectors_get(vectors_get(tokens, "derptun"), "client_tokens");
	struct derptun_client_token t;
	struct claimer_params p;

	if (token_derptun_decode_client(
		&t, vectors_str(find(list, "DT1"), "token"), NOW, NULL) < 0)
		exit(1);
	claimer_params_from_client(&p, &t);
	fill_own(&p);
	return p;
}

static void
check_packet(const struct claimer_params *p, const char *vector)
{
	struct claimer *c = claimer_new(p, at_ms(0));
	const char *want = envelope_wire(vector);
	const uint8_t *packet = NULL;
	size_t n = 0;

	OK(claimer_output(c, at_ms(0), &packet, &n), "%s is due", vector);
	OK(n == strlen(want) && memcmp(packet, want, n) == 0,
	    "octet for octet");
	claimer_free(c);
}

static void
test_packets(void)
{
	struct claimer_params p = share_claim();

	check_packet(&p, "claim_share");
	p = client_claim();
	check_packet(&p, "derptun_claim");
	p = share_claim();
	p.capabilities = 4;
	p.candidates.n = 0;
	check_packet(&p, "claim_attach_force_relay");
}

/* A relay on the same machine makes STUN answer with loopback. */
static void
test_unfit_candidates(void)
{
	struct claimer_params p = share_claim();

	p.candidates.a[2] = p.candidates.a[0];
	(void)addr_parse(&p.candidates.a[3], "127.0.0.1:7");
	(void)addr_parse(&p.candidates.a[4], "0.0.0.0:7");
	p.candidates.n = 5;
	check_packet(&p, "claim_share");
}

static void
test_resend(void)
{
	struct claimer_params p = share_claim();
	struct claimer *c = claimer_new(&p, at_ms(0));
	int64_t slowest = 0, fastest = INT64_MAX;
	const uint8_t *first, *packet;
	size_t n, len, sent = 0, other = 0;
	struct mono t = at_ms(0), next;
	static const int early[] = { 50, 100, 200, 400, 650 };

	OK(claimer_output(c, t, &first, &len), "due at once");
	OK(!claimer_output(c, t, &packet, &n), "once");
	OK(!claimer_output(c, at_ms(49), &packet, &n), "not after 49 ms");
	for (size_t i = 0; i < sizeof(early) / sizeof(early[0]); i++) {
		t = claimer_next_deadline(c);
		EQ_INT(t.us, at_ms(early[i]).us, "early ones");
		OK(claimer_output(c, t, &packet, &n), "are due then");
	}
	EQ_INT(claimer_next_deadline(c).us, at_ms(900).us, "then 250 ms");
	while (mono_before(t, at_ms(59999))) {
		t = claimer_next_deadline(c);
		sent += claimer_output(c, t, &packet, &n);
		other += n != len || memcmp(packet, first, n) != 0;
	}
	EQ_INT(sent, 238, "four a second for a minute");
	for (int i = 0; i < 200; i++) {
		next = claimer_next_deadline(c);
		if (i > 0 && mono_diff(next, t) > slowest)
			slowest = mono_diff(next, t);
		if (i > 0 && mono_diff(next, t) < fastest)
			fastest = mono_diff(next, t);
		t = next;
		other += !claimer_output(c, t, &packet, &n);
		other += n != len || memcmp(packet, first, n) != 0;
	}
	OK(fastest >= 800 * MONO_MS && slowest <= 1200 * MONO_MS,
	    "then about one a second");
	OK(slowest - fastest > 50 * MONO_MS, "with jitter");
	EQ_INT(other, 0, "always the same packet");
	claimer_free(c);
}

static bool
input_text(struct claimer *c, const struct key32 *source, const char *text)
{
	return claimer_input(c, source, text, strlen(text));
}

static void
test_accept(void)
{
	struct claimer_params p = share_claim();
	struct claimer *c = claimer_new(&p, at_ms(0));
	struct key32 other = { { 1 } }, disco, want;
	const uint8_t *packet;
	size_t n;

	OK(!input_text(c, &other, envelope_wire("decision_accept")),
	    "a decision from elsewhere is ignored");
	OK(!input_text(
	       c, &p.peer_derp, envelope_wire("derptun_decision_accept")),
	    "one under another key too");
	OK(!input_text(c, &p.peer_derp, envelope_wire("control_candidates")),
	    "and other kinds");
	OK(!input_text(c, &p.peer_derp, envelope_wire("claim_share")),
	    "and our own claim reflected");
	OK(!input_text(c, &p.peer_derp, "{\x9a junk"), "and datagrams");
	EQ_INT(claimer_state(c), CLAIMER_WAITING, "still waiting");
	OK(input_text(c, &p.peer_derp, envelope_wire("decision_accept")),
	    "the listener's decision is taken");
	EQ_INT(claimer_state(c), CLAIMER_ACCEPTED, "accepted");
	EQ_INT(claimer_result(c), 0, "no error");
	EQ_INT(claimer_peek_candidates(c)->n, 1, "one candidate");
	OK(mono_is_never(claimer_next_deadline(c)), "nothing more to send");
	OK(!claimer_output(c, at_ms(9999), &packet, &n), "nothing at all");
	OK(!input_text(
	       c, &p.peer_derp, envelope_wire("decision_reject_claimed")),
	    "a later decision changes nothing");
	claimer_disco_key(c, &disco);
	vectors_hex(vectors_get(envelopes, "keys"), "discovery_key", &want, 32);
	EQ_MEM(&disco, &want, 32, "disco key");
	vectors_hex(vectors_get(envelopes, "keys"), "envelope_key", &want, 32);
	EQ_MEM(claimer_peek_envelope_key(c), &want, 32, "envelope key");
	claimer_free(c);
	c = claimer_new(&p, at_ms(0));
	OK(input_text(
	       c, &p.peer_derp, envelope_wire("decision_accept_force_relay")),
	    "a decision that echoes our candidates");
	EQ_INT(claimer_peek_candidates(c)->n, 0, "has none of its own");
	claimer_free(c);
}

static void
test_reject(void)
{
	struct claimer_params p = share_claim();
	struct claimer *c = claimer_new(&p, at_ms(0));
	const uint8_t *a, *b;
	size_t n, m;

	(void)claimer_output(c, at_ms(0), &a, &n);
	OK(input_text(
	       c, &p.peer_derp, envelope_wire("decision_reject_claimed")),
	    "rejection is taken");
	EQ_INT(claimer_state(c), CLAIMER_REJECTED, "rejected");
	EQ_INT(claimer_result(c), -DT_ERR_PEER_REJECTED, "as an error");
	EQ_STR(claimer_reason(c), "session already claimed", "reason");
	EQ_STR(claimer_reject_code(c), "claimed", "code");
	claimer_retry(c, at_ms(5000));
	EQ_INT(claimer_state(c), CLAIMER_WAITING, "tries again");
	OK(claimer_output(c, at_ms(5000), &b, &m) && m == n &&
		memcmp(a, b, n) == 0,
	    "with the same claim");
	OK(input_text(c, &p.peer_derp, envelope_wire("abort_canceled")),
	    "an abort is taken");
	EQ_INT(claimer_result(c), -DT_ERR_PEER_ABORTED, "aborted");
	EQ_STR(claimer_reason(c), "peer aborted transfer: canceled", "reason");
	claimer_retry(c, at_ms(6000));
	EQ_INT(claimer_state(c), CLAIMER_ABORTED, "no retry after an abort");
	claimer_free(c);
	c = claimer_new(&p, at_ms(0));
	OK(input_text(c, &p.peer_derp, envelope_wire("abort_empty")),
	    "an abort without reason");
	EQ_STR(claimer_reason(c), "peer aborted transfer", "says so");
	claimer_free(c);
}

/* A decision of the listener, built by the test. */
static struct claimer *
decide(const struct envelope *e)
{
	struct claimer_params p = share_claim();
	struct claimer *c = claimer_new(&p, at_ms(0));
	struct buf_writer w = buf_writer(wire, sizeof(wire));

	(void)envelope_build(&w, e, claimer_peek_envelope_key(c));
	OK(claimer_input(c, &p.peer_derp, wire, w.len), "decision is taken");
	return c;
}

static void
test_odd_decisions(void)
{
	struct claimer_params p = share_claim();
	struct envelope e;
	struct claimer *c;

	envelope_init(&e, ENVELOPE_DECISION);
	c = decide(&e);
	EQ_STR(claimer_reason(c), "claim rejected", "no reject object");
	EQ_STR(claimer_reject_code(c), "", "no code");
	claimer_free(c);
	e.decision.has_reject = true;
	e.decision.reject.code = MESSAGE_TEXT("odd");
	c = decide(&e);
	EQ_STR(claimer_reason(c), "claim rejected", "empty reason");
	claimer_free(c);
	e.decision.reject.reason = MESSAGE_TEXT("\x1b]0;title\x07");
	c = decide(&e);
	EQ_STR(claimer_reason(c), "?]0;title?", "reason is sanitised");
	claimer_free(c);

	envelope_init(&e, ENVELOPE_DECISION);
	e.decision.accepted = true;
	c = decide(&e);
	EQ_INT(claimer_state(c), CLAIMER_BROKEN, "no accept object");
	claimer_free(c);
	e.decision.has_accept = true;
	e.decision.accept.version = p.version;
	e.decision.accept.session_id = p.session_id;
	e.decision.accept.capabilities = p.capabilities;
	c = decide(&e);
	EQ_INT(claimer_state(c), CLAIMER_ACCEPTED, "everything as claimed");
	claimer_free(c);
	e.decision.accept.version = 6;
	c = decide(&e);
	EQ_INT(claimer_state(c), CLAIMER_BROKEN, "another version");
	EQ_INT(claimer_result(c), -DT_ERR_PEER_PROTOCOL, "peer's fault");
	claimer_free(c);
	e.decision.accept.version = p.version;
	e.decision.accept.session_id.b[3] ^= 1;
	c = decide(&e);
	EQ_INT(claimer_state(c), CLAIMER_BROKEN, "foreign session id");
	claimer_free(c);
}

/* Both machines of this house against each other. */
static void
test_against_gate(void)
{
	struct derptun_server_token s;
	struct derptun_client_token t;
	struct gate_result res;
	struct gate_params gp;
	struct claimer_params p;
	struct candidate_list own = { 0 };
	uint8_t buf[GATE_MAX_DECISION];
	struct buf_writer w = buf_writer(buf, sizeof(buf));
	struct claimer *c;
	const uint8_t *packet;
	struct gate *g;
	size_t n;

	(void)token_derptun_mint_server(&s, NOW, NOW + 1000, NULL, NULL);
	(void)token_derptun_mint_client(&t, &s, NOW, NOW + 1000, NULL);
	gate_params_from_derptun(&gp, &s);
	g = gate_new(&gp);
	claimer_params_from_client(&p, &t);
	fill_own(&p);
	c = claimer_new(&p, at_ms(0));
	(void)claimer_output(c, at_ms(0), &packet, &n);
	(void)gate_judge(g, NOW, &p.own_derp_public, packet, n, &res);
	EQ_INT(res.verdict, GATE_ACCEPT, "gate accepts");
	for (size_t i = 0; i < CANDIDATE_MAX_LIST; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text),
		    "[2001:db8:1111:2222:3333:4444:5555:66%02zx]:65535", i);
		(void)addr_parse(&own.a[own.n++], text);
	}
	EQ_INT(gate_build_accept(g, &w, &own), 0, "with 32 long candidates");
	OK(claimer_input(c, &s.derp_public, buf, w.len), "claimer takes it");
	EQ_INT(claimer_peek_candidates(c)->n, 32, "all of them");
	EQ_MEM(claimer_peek_envelope_key(c),
	    &gate_peek_claimer(g)->envelope_key, 32, "same envelope key");
	claimer_free(c);
	gate_free(g);
}

int
main(void)
{
	claims_begin();
	test_packets();
	test_unfit_candidates();
	test_resend();
	test_accept();
	test_reject();
	test_odd_decisions();
	test_against_gate();
	return claims_done();
}
