/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow machine, while it finds the path: the ready conversation, controls
 * and raw lanes. */
#include "proto/rendezvous/native.h"
#include "test/unit/transfer_flow_rig.h"

static void
test_relay_only_is_silent(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = flow_fresh(&p);
	struct envelope e = talk_claim(false);

	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_ACCEPT);
	EQ_INT(talk_drain(f, talk_at(2000), ENVELOPE_READY), 0,
	    "the peer is relay only: no ready conversation");
	OK(transfer_flow_peek_plan(f)->relay_only, "relay only");
	EQ_INT(transfer_flow_peek_plan(f)->streams, 1, "one stream");
	e = talk_ready("candidates", true);
	(void)talk_give(f, talk_at(2001), &talk_claimant, &e);
	OK(talk_drain(f, talk_at(2001), ENVELOPE_READY) > 0,
	    "unless it asks for one");
	envelope_init(&e, ENVELOPE_CONTROL);
	e.control.type = MESSAGE_CONTROL_CANDIDATES;
	EQ_INT(talk_give(f, talk_at(2002), &talk_claimant, &e),
	    TRANSFER_INPUT_IGNORED, "stray candidates");
	transfer_flow_free(f);
}

static void
test_control(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = flow_fresh(&p);
	struct message_text one = talk_text("192.0.2.9:7");
	struct envelope e = talk_claim(true);
	uint8_t native[NATIVE_MAX_WIRE];
	struct buf_writer w = buf_writer(native, sizeof(native));

	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	envelope_init(&e, ENVELOPE_CONTROL);
	e.control.type = MESSAGE_CONTROL_CANDIDATES;
	e.control.candidates.item = &one;
	e.control.candidates.n = 1;
	EQ_INT(talk_give(f, talk_at(1), &talk_claimant, &e),
	    TRANSFER_INPUT_CANDIDATES, "candidates");
	EQ_INT(transfer_flow_peek_candidates(f)->n, 1, "are kept");
	e.control.type = MESSAGE_CONTROL_CALL_ME_MAYBE;
	EQ_INT(talk_give(f, talk_at(1), &talk_claimant, &e),
	    TRANSFER_INPUT_CALL_ME_MAYBE, "call-me-maybe");
	e.control.type = talk_text("later");
	EQ_INT(talk_give(f, talk_at(1), &talk_claimant, &e),
	    TRANSFER_INPUT_IGNORED, "other controls");
	(void)native_build(&w, &talk_key);
	EQ_INT(
	    transfer_flow_input(f, talk_at(1), &talk_claimant, native, w.len),
	    TRANSFER_INPUT_NATIVE, "one of ours");
	transfer_flow_free(f);
}

static void
test_raw(bool sender_role, bool verdict, bool peer, enum transfer_path want)
{
	struct transfer_params p = flow_params(
	    sender_role ? TRANSFER_SEND_ISSUER : TRANSFER_RECEIVE_ISSUER);
	static struct ready_sets lanes = { .n = 1, .set[0].n = 1 };
	struct message_text one = talk_text("192.0.2.9:7");
	struct envelope e = talk_claim(true);
	const struct transfer_plan *plan;
	struct transfer_flow *f;

	if (addr_parse(&lanes.set[0].a[0], "198.51.100.7:9") < 0)
		abort();
	p.offer_raw = true;
	f = flow_fresh(&p);
	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	plan = transfer_flow_peek_plan(f);
	EQ_INT(plan->path, TRANSFER_PATH_UNDECIDED, "open");
	EQ_INT(plan->punch_delay_us, sender_role ? 350000 : 0, "punch delay");
	OK(transfer_flow_wants_lanes(f), "wants lanes");
	transfer_flow_set_lanes(f, &lanes, talk_at(50));
	OK(!transfer_flow_wants_lanes(f), "has them");
	OK(talk_drain(f, talk_at(50), ENVELOPE_READY) == 1, "offers them");
	e = talk_ready("candidates", true);
	e.ready.candidates.item = &one;
	e.ready.candidates.n = 1;
	(void)talk_give(f, talk_at(60), &talk_claimant, &e);
	OK(transfer_flow_wants_verdict(f), "punch now");
	EQ_INT(transfer_flow_peek_peer_lanes(f)->n, 1, "towards these");
	transfer_flow_set_verdict(f, verdict, talk_at(500));
	(void)talk_drain(f, talk_at(500), ENVELOPE_READY);
	e = talk_ready("selection", peer);
	(void)talk_give(f, talk_at(510), &talk_claimant, &e);
	EQ_INT(plan->path, want, "path");
	OK(plan->quic_server ==
		(want == TRANSFER_PATH_RAW ? !sender_role : true),
	    "who dials");
	transfer_flow_free(f);
}

static void
test_raw_all(void)
{
	for (int i = 0; i < 8; i++)
		test_raw((i & 1) != 0, (i & 2) != 0, (i & 4) != 0,
		    (i & 6) == 6 ? TRANSFER_PATH_RAW : TRANSFER_PATH_MANAGER);
}

static void
test_raw_limits(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	static struct ready_sets lanes = { .n = 1, .set[0].n = 1 };
	struct envelope e = talk_accept(true);
	struct transfer_flow *f;

	p.offer_raw = true;
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	(void)talk_give(f, talk_at(0), &talk_issuer, &e);
	(void)talk_drain(f, talk_at(749), ENVELOPE_READY);
	EQ_INT(transfer_flow_peek_plan(f)->path, TRANSFER_PATH_UNDECIDED,
	    "lanes may come");
	OK(talk_drain(f, talk_at(750), ENVELOPE_READY) == 1,
	    "after 750 ms they are declined");
	EQ_INT(transfer_flow_peek_plan(f)->path, TRANSFER_PATH_MANAGER,
	    "and the path is known");
	transfer_flow_free(f);
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e.v2_accept.raw_direct_budget_ms = 1;
	(void)talk_give(f, talk_at(0), &talk_issuer, &e);
	transfer_flow_set_lanes(f, &lanes, talk_at(0));
	(void)talk_drain(f, talk_at(0), ENVELOPE_READY);
	(void)talk_drain(f, talk_at(1), ENVELOPE_READY);
	EQ_INT(transfer_flow_peek_plan(f)->path, TRANSFER_PATH_MANAGER,
	    "a budget of 1 ms: no failure, no raw path");
	e = talk_ready("candidates", true);
	(void)talk_give(f, talk_at(5), &talk_issuer, &e);
	OK(!transfer_flow_wants_verdict(f), "no punching any more");
	EQ_INT(transfer_flow_state(f), TRANSFER_CONNECTING, "connecting");
	transfer_flow_free(f);
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e = talk_accept(true);
	(void)talk_give(f, talk_at(0), &talk_issuer, &e);
	transfer_flow_set_lanes(f, &lanes, talk_at(0));
	for (int ms = 0; ms <= 5000; ms += 50)
		(void)talk_drain(f, talk_at(ms), ENVELOPE_READY);
	EQ_INT(transfer_flow_peek_plan(f)->path, TRANSFER_PATH_MANAGER,
	    "a silent peer: manager path after 5 s");
	transfer_flow_free(f);
}

int
main(void)
{
	test_relay_only_is_silent();
	test_control();
	test_raw_all();
	test_raw_limits();
	return tap_done();
}
