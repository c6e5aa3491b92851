/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow machine, message by message.  See t_transfer_pair.c for both ends
 * together and t_transfer_go.c for peer v0.18.2. */
#include "proto/transfer/transfer_flow.h"

#include <errno.h>

#include "lib/err.h"
#include "proto/rendezvous/native.h"
#include "proto/transfer/transfer_header.h"
#include "test/unit/transfer_talk.h"

static struct transfer_params
params(enum transfer_role role)
{
	struct transfer_params p = {
		.role = role,
		.envelope_key = talk_key,
		.peer_derp = talk_issuer,
		.own_quic_public = talk_quic,
		.is_open = true,
		.size = -1,
	};

	return p;
}

static struct transfer_flow *
fresh(const struct transfer_params *p)
{
	struct transfer_flow *f = transfer_flow_new(p, NULL, talk_at(0));

	if (f == NULL)
		abort();
	return f;
}

/* A relay-only sender that has everything behind it but the confirmation. */
static struct transfer_flow *
sender_at(enum transfer_state state, int64_t bytes)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f;
	struct envelope e = talk_accept(false);

	p.force_relay = true;
	f = fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	(void)talk_give(f, talk_at(10), &talk_issuer, &e);
	if (state == TRANSFER_CONNECTING)
		return f;
	transfer_flow_connected(f, talk_at(20));
	transfer_flow_moved(f, bytes, talk_at(30));
	if (state == TRANSFER_CONFIRMING)
		transfer_flow_finished(f, talk_at(40));
	return f;
}

/* A relay-only receiver, likewise. */
static struct transfer_flow *
receiver_at(enum transfer_state state, int64_t bytes)
{
	struct transfer_params p = params(TRANSFER_RECEIVE_ISSUER);
	struct transfer_flow *f = fresh(&p);
	struct envelope e = talk_claim(false);

	(void)talk_give(f, talk_at(10), &talk_claimant, &e);
	(void)talk_drain(f, talk_at(10), ENVELOPE_V2_ACCEPT);
	transfer_flow_connected(f, talk_at(20));
	transfer_flow_moved(f, bytes, talk_at(30));
	if (state == TRANSFER_CONFIRMING)
		transfer_flow_finished(f, talk_at(40));
	return f;
}

static void
expect(struct transfer_flow *f, int result, const char *reason)
{
	EQ_INT(transfer_flow_state(f), TRANSFER_FAILED, "failed");
	EQ_INT(transfer_flow_result(f), result, "result");
	EQ_STR(transfer_flow_reason(f), reason, "reason");
	transfer_flow_free(f);
}

static void
test_claim_wire(void)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct candidate_list own = { .n = 1 };
	struct transfer_flow *f;
	struct envelope e;

	if (addr_parse(&own.a[0], "192.0.2.7:40001") < 0)
		abort();
	f = transfer_flow_new(&p, &own, talk_at(0));
	OK(talk_take(f, talk_at(0), &e), "a claim is due at once");
	EQ_INT(e.kind, ENVELOPE_V2_CLAIM, "a claim");
	OK(e.v2_claim.relay_capable, "direct allowed");
	EQ_INT(e.v2_claim.candidates.n, 1, "with candidates");
	EQ_INT(e.v2_claim.parallel_initial, 2, "two streams");
	OK(!e.v2_claim.block_packet_capable &&
		!e.v2_claim.block_packet_batch_capable &&
		!e.v2_claim.block_packet_group_capable &&
		!e.v2_claim.direct_tcp_file_capable,
	    "bulk and direct TCP declined");
	EQ_INT(e.v2_claim.transfer_mode.n, 0, "a pipe offers no blocks");
	envelope_fini(&e);
	transfer_flow_free(f);
	p.force_relay = true;
	f = transfer_flow_new(&p, &own, talk_at(0));
	OK(talk_take(f, talk_at(0), &e), "relay only");
	OK(!e.v2_claim.relay_capable, "direct forbidden");
	EQ_INT(e.v2_claim.candidates.n, 0, "no candidates");
	EQ_INT(e.v2_claim.parallel_initial, 1, "one stream");
	envelope_fini(&e);
	transfer_flow_free(f);
}

static void
test_claim_repeats(void)
{
	struct transfer_params p = params(TRANSFER_RECEIVE_CLAIMANT);
	struct transfer_flow *f = fresh(&p);
	unsigned n = 0;
	int64_t ms = 0;

	for (; ms < 59999; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_CLAIM);
	EQ_INT(n, 11, "claimed once and ten times more");
	EQ_INT(transfer_flow_state(f), TRANSFER_CLAIMING, "still waiting");
	EQ_INT(talk_drain(f, talk_at(60000), ENVELOPE_ABORT), 1,
	    "after 60 s it tells the other side");
	expect(f, -DT_ERR_TIMEOUT, "the other side did not answer");
	p.accept_limit_us = -1;
	f = fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	for (ms = 0; ms < 20000; ms += 100)
		(void)talk_drain(f, talk_at(ms), ENVELOPE_V2_CLAIM);
	OK(mono_is_never(transfer_flow_next_deadline(f)), "or waits for ever");
	transfer_flow_free(f);
}

static void
test_accept(void)
{
	struct transfer_params p = params(TRANSFER_RECEIVE_CLAIMANT);
	struct transfer_flow *f = fresh(&p);
	struct envelope e = talk_accept(true);
	const struct transfer_plan *plan;

	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	OK(transfer_flow_peek_plan(f) == NULL, "no plan yet");
	EQ_INT(talk_give(f, talk_at(5), &talk_stranger, &e),
	    TRANSFER_INPUT_IGNORED, "a stranger's accept");
	e.v2_accept.manager_connections = 99;
	EQ_INT(talk_give(f, talk_at(5), &talk_issuer, &e), TRANSFER_INPUT_TAKEN,
	    "the accept");
	plan = transfer_flow_peek_plan(f);
	if (!OK(plan != NULL, "a plan"))
		abort();
	EQ_INT(plan->streams, 8, "eight streams as told");
	EQ_INT(plan->connections, 8, "connections cut to streams");
	EQ_INT(plan->encoding, TRANSFER_STRIPED, "striped");
	EQ_INT(plan->path, TRANSFER_PATH_MANAGER, "path known at once");
	OK(!plan->quic_server, "we dial");
	EQ_INT(transfer_flow_state(f), TRANSFER_CONNECTING, "state");
	EQ_INT(talk_drain(f, talk_at(5), ENVELOPE_READY), 1,
	    "the ready conversation begins");
	e = talk_accept(true);
	e.v2_accept.parallel_initial = 1;
	(void)talk_give(f, talk_at(6), &talk_issuer, &e);
	EQ_INT(plan->streams, 8, "a second accept changes nothing");
	transfer_flow_connected(f, talk_at(7));
	EQ_INT(transfer_flow_state(f), TRANSFER_MOVING, "moving");
	transfer_flow_free(f);
}

static void
rejected(struct envelope *e, int result, const char *reason)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f = fresh(&p);

	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	(void)talk_give(f, talk_at(1), &talk_issuer, e);
	expect(f, result, reason);
}

static void
test_accept_refused(void)
{
	struct envelope e = talk_accept(true);

	e.v2_accept.accepted = false;
	rejected(&e, -DT_ERR_PEER_REJECTED, "external v2 transfer rejected");
	e.v2_accept.reason = talk_text("disk\x1b[2J full\n");
	rejected(&e, -DT_ERR_PEER_REJECTED,
	    "external v2 transfer rejected: disk?[2J full?");
	e = talk_accept(true);
	e.v2_accept.protocol = talk_text("derphole-transfer-v3");
	rejected(&e, -DT_ERR_UNSUPPORTED, "external v2 transfer unsupported");
	e = talk_accept(true);
	e.v2_accept.transfer_mode = talk_text("blocks-v1");
	rejected(&e, -DT_ERR_PEER_PROTOCOL, "blocks were not offered");
	e.v2_accept.transfer_mode = talk_text("direct-tcp-files-v1");
	rejected(&e, -DT_ERR_PEER_PROTOCOL, "direct TCP was not offered");
	e = talk_abort("no \x1b[31mspace");
	rejected(
	    &e, -DT_ERR_PEER_ABORTED, "peer aborted transfer: no ?[31mspace");
	e = talk_abort("");
	rejected(&e, -DT_ERR_PEER_ABORTED, "peer aborted transfer");
}

static void
test_long_reason(void)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f = fresh(&p);
	char longest[2048];
	struct envelope e = talk_accept(true);
	const char *reason;

	memset(longest, '\x1b', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	e.v2_accept.accepted = false;
	e.v2_accept.reason = talk_text(longest);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	(void)talk_give(f, talk_at(1), &talk_issuer, &e);
	reason = transfer_flow_reason(f);
	OK(strlen(reason) > 200 && strlen(reason) < TRANSFER_FLOW_MAX_REASON,
	    "a long reason is cut");
	OK(strchr(reason, '\x1b') == NULL, "and harmless");
	transfer_flow_free(f);
}

static void
test_unknown_mode_is_plain(void)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f;
	struct envelope e = talk_accept(false);

	p.blocks = true;
	p.size = 100;
	f = fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e.v2_accept.transfer_mode = talk_text("quantum-v9");
	(void)talk_give(f, talk_at(1), &talk_issuer, &e);
	EQ_INT(transfer_flow_peek_plan(f)->encoding, TRANSFER_STRIPED,
	    "an unknown mode means streams");
	transfer_flow_free(f);
	p.offer_raw = true;
	f = fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e = talk_accept(true);
	e.v2_accept.transfer_mode = talk_text("bulk-packets-v1");
	(void)talk_give(f, talk_at(1), &talk_issuer, &e);
	EQ_INT(transfer_flow_peek_plan(f)->encoding, TRANSFER_BLOCKS,
	    "bulk means blocks");
	EQ_INT(transfer_flow_peek_plan(f)->path, TRANSFER_PATH_MANAGER,
	    "without raw lanes");
	OK(!transfer_flow_wants_lanes(f), "which are declined");
	transfer_flow_free(f);
}

/* An issuer that refuses, and what the claimant hears. */
static void
refused(enum transfer_role role, struct envelope *claim, int result,
    const char *reason)
{
	struct transfer_params p = params(role);
	bool flow_a = role == TRANSFER_RECEIVE_ISSUER;
	struct transfer_flow *f = fresh(&p);
	struct envelope e;

	EQ_INT(talk_give(f, talk_at(1), &talk_claimant, claim),
	    TRANSFER_INPUT_TAKEN, "the claim is answered");
	if (!OK(talk_take(f, talk_at(1), &e), "at once"))
		abort();
	EQ_INT(e.kind, flow_a ? ENVELOPE_V2_ACCEPT : ENVELOPE_ABORT,
	    "in a way that this claimant hears");
	OK(!e.v2_accept.accepted, "refused");
	OK(envelope_text_equal(
	       flow_a ? e.v2_accept.reason : e.abort.reason, reason),
	    "with the reason");
	envelope_fini(&e);
	OK(!transfer_flow_is_quiet(f), "lingers");
	EQ_INT(talk_drain(f, talk_at(101),
		   flow_a ? ENVELOPE_V2_ACCEPT : ENVELOPE_ABORT),
	    1, "says it again");
	(void)talk_drain(f, talk_at(2000), ENVELOPE_ABORT);
	OK(transfer_flow_is_quiet(f), "and may go");
	expect(f, result, reason);
}

static void
test_claim_refused(void)
{
	struct envelope e = talk_claim(true);
	uint8_t header[TRANSFER_HEADER_MAX_OWN];
	struct buf_writer w = buf_writer(header, sizeof(header));
	static struct transfer_header h = {
		.kind = TRANSFER_KIND_FILE, .name = "x", .size = 7
	};

	e.v2_claim.protocol = talk_text("derphole-transfer-v3");
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_UNSUPPORTED,
	    "external v2 transfer unsupported");
	refused(TRANSFER_SEND_ISSUER, &e, -DT_ERR_UNSUPPORTED,
	    "external v2 transfer unsupported");
	e = talk_claim(true);
	e.v2_claim.quic_public = (struct key32){ { 0 } };
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "claim malformed");
	e = talk_claim(true);
	e.v2_claim.transfer_mode = talk_text("blocks-v1");
	e.v2_claim.block_chunk_size = 1;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "unacceptable block size 0 or chunk 1");
	e.v2_claim.block_chunk_size = INT32_MAX;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "unacceptable block size 0 or chunk 2147483647");
	e.v2_claim.block_chunk_size = 262144;
	e.v2_claim.block_size = -1;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "unacceptable block size -1 or chunk 262144");
	e.v2_claim.block_size = (int64_t)1 << 62;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "unacceptable block size 4611686018427387904 or chunk 262144");
	(void)transfer_header_encode(&w, &h);
	e.v2_claim.block_header = (struct message_octets){ header, w.len };
	e.v2_claim.block_size = 8;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "block payload size mismatch: got 8, want header size 7");
	e.v2_claim.block_size = 7;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "raw pipe block transfer included a structured header");
	h.kind = TRANSFER_KIND_TEXT;
	w = buf_writer(header, sizeof(header));
	(void)transfer_header_encode(&w, &h);
	e.v2_claim.block_header.n = w.len;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "unsupported block transfer kind \"text\"");
	e.v2_claim.block_header.n = 5;
	refused(TRANSFER_RECEIVE_ISSUER, &e, -DT_ERR_PEER_PROTOCOL,
	    "unexpected EOF");
}

static void
test_offered_blocks(void)
{
	struct transfer_params p = params(TRANSFER_RECEIVE_ISSUER);
	struct envelope e = talk_claim(true), accept;
	struct transfer_flow *f;
	size_t len;

	e.v2_claim.transfer_mode = talk_text("blocks-v1");
	e.v2_claim.block_size = 5;
	e.v2_claim.block_chunk_size = 262144;
	p.is_open = false;
	p.blocks = true;
	f = fresh(&p);
	(void)talk_give(f, talk_at(1), &talk_claimant, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_OPENING, "opening");
	EQ_INT(transfer_flow_offered_size(f), 5, "offered size");
	OK(transfer_flow_peek_header(f, &len) == NULL, "no header");
	OK(memcmp(transfer_flow_peer_derp(f), &talk_claimant, 32) == 0,
	    "who it is");
	OK(memcmp(transfer_flow_peer_quic(f), &talk_quic, 32) == 0,
	    "and his identity");
	EQ_INT(talk_drain(f, talk_at(2), ENVELOPE_V2_ACCEPT), 0,
	    "nothing is promised yet");
	transfer_flow_opened(f, talk_at(3));
	EQ_INT(transfer_flow_peek_plan(f)->encoding, TRANSFER_BLOCKS, "blocks");
	if (!OK(talk_take(f, talk_at(3), &accept), "accepted"))
		abort();
	OK(envelope_text_equal(accept.v2_accept.transfer_mode, "blocks-v1"),
	    "as blocks");
	EQ_INT(accept.v2_accept.block_size, 0, "without repeating sizes");
	EQ_INT(accept.v2_accept.block_chunk_size, 0, "without repeating them");
	envelope_fini(&accept);
	transfer_flow_connected(f, talk_at(4));
	transfer_flow_moved(f, 4, talk_at(5));
	transfer_flow_finished(f, talk_at(6));
	expect(f, -DT_ERR_TRUNCATED, "received 4 of 5 bytes");
	p.structured = true;
	p.is_open = true;
	f = fresh(&p);
	(void)talk_give(f, talk_at(1), &talk_claimant, &e);
	EQ_INT(transfer_flow_peek_plan(f)->encoding, TRANSFER_STRIPED,
	    "blocks without a header, but receive needs one: streams");
	EQ_INT(transfer_flow_peek_plan(f)->streams, 2, "two of eight");
	transfer_flow_free(f);
	p.is_open = false;
	f = fresh(&p);
	(void)talk_give(f, talk_at(1), &talk_claimant, &e);
	transfer_flow_fail(f, -ENOSPC, "no space", talk_at(2));
	EQ_INT(talk_drain(f, talk_at(2), ENVELOPE_V2_ACCEPT), 1,
	    "an output that cannot be opened: refused");
	expect(f, -ENOSPC, "no space");
}

/* Strangers, forgeries, reflections, other sessions, wrong kinds. */
static void
test_ignored(void)
{
	struct transfer_params p = params(TRANSFER_RECEIVE_ISSUER);
	struct transfer_flow *f = fresh(&p);
	struct envelope e = talk_complete(3), rival = talk_claim(false);
	struct talk_packet packet;
	size_t len;

	EQ_INT(talk_give(f, talk_at(0), &talk_claimant, &e),
	    TRANSFER_INPUT_IGNORED, "complete before a claim");
	e = talk_abort("x");
	EQ_INT(talk_give(f, talk_at(0), &talk_claimant, &e),
	    TRANSFER_INPUT_IGNORED, "abort before a claim");
	EQ_INT(transfer_flow_state(f), TRANSFER_LISTENING, "still listening");
	e = talk_claim(false);
	talk_build(&packet, &e);
	for (len = 0; len < packet.len; len++)
		if (transfer_flow_input(f, talk_at(0), &talk_claimant,
			packet.bytes, len) != TRANSFER_INPUT_FOREIGN)
			OK(false, "cut to %zu", len);
	packet.bytes[packet.len - 3] ^= 1;
	OK(transfer_flow_input(f, talk_at(0), &talk_claimant, packet.bytes,
	       packet.len) != TRANSFER_INPUT_TAKEN,
	    "a forged claim");
	packet.bytes[packet.len - 3] ^= 1;
	EQ_INT(transfer_flow_input(
		   f, talk_at(0), &talk_claimant, packet.bytes, packet.len),
	    TRANSFER_INPUT_TAKEN, "the claim");
	rival.v2_claim.parallel_initial = 3;
	EQ_INT(talk_give(f, talk_at(1), &talk_stranger, &rival),
	    TRANSFER_INPUT_IGNORED, "a rival");
	EQ_INT(talk_give(f, talk_at(1), &talk_claimant, &rival),
	    TRANSFER_INPUT_IGNORED, "another claim of the same");
	EQ_INT(talk_give(f, talk_at(1), &talk_stranger, &e),
	    TRANSFER_INPUT_IGNORED, "his claim from elsewhere");
	e = talk_abort("x");
	EQ_INT(talk_give(f, talk_at(1), &talk_stranger, &e),
	    TRANSFER_INPUT_IGNORED, "a stranger's abort");
	e = talk_complete(3);
	EQ_INT(talk_give(f, talk_at(1), &talk_claimant, &e),
	    TRANSFER_INPUT_TAKEN, "a complete for a receiver");
	e = talk_progress(3, 1, 1);
	(void)talk_give(f, talk_at(1), &talk_claimant, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_CONNECTING, "has no effect");
	EQ_INT(
	    transfer_flow_input(f, talk_at(1), &talk_claimant, "\x7bquic", 5),
	    TRANSFER_INPUT_FOREIGN, "a datagram that begins with {");
	EQ_INT(transfer_flow_input(
		   f, talk_at(1), &talk_claimant, "derphole-punch", 14),
	    TRANSFER_INPUT_FOREIGN, "a punch");
	transfer_flow_free(f);
}

static void
test_accept_repeats(void)
{
	struct transfer_params p = params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = fresh(&p);
	struct envelope e = talk_claim(false);
	unsigned n = 0;

	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	for (int ms = 0; ms < 14000; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_ACCEPT);
	EQ_INT(n, 6, "accepted once and five times more");
	(void)talk_drain(f, talk_at(15000), ENVELOPE_ABORT);
	expect(f, -DT_ERR_TIMEOUT, "the other side did not connect");
	f = fresh(&p);
	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	n = talk_drain(f, talk_at(0), ENVELOPE_V2_ACCEPT);
	transfer_flow_connected(f, talk_at(10));
	for (int ms = 0; ms < 14000; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_ACCEPT);
	EQ_INT(n, 1, "once when QUIC stands");
	for (int ms = 14000; ms < 24000; ms += 10) {
		(void)talk_give(f, talk_at(ms), &talk_claimant, &e);
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_ACCEPT);
	}
	EQ_INT(n, 17, "1000 repeated claims get 16 answers");
	transfer_flow_free(f);
}

static void
test_relay_only_is_silent(void)
{
	struct transfer_params p = params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = fresh(&p);
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
	struct transfer_params p = params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = fresh(&p);
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
	struct transfer_params p = params(
	    sender_role ? TRANSFER_SEND_ISSUER : TRANSFER_RECEIVE_ISSUER);
	static struct ready_sets lanes = { .n = 1, .set[0].n = 1 };
	struct message_text one = talk_text("192.0.2.9:7");
	struct envelope e = talk_claim(true);
	const struct transfer_plan *plan;
	struct transfer_flow *f;

	if (addr_parse(&lanes.set[0].a[0], "198.51.100.7:9") < 0)
		abort();
	p.offer_raw = true;
	f = fresh(&p);
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
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	static struct ready_sets lanes = { .n = 1, .set[0].n = 1 };
	struct envelope e = talk_accept(true);
	struct transfer_flow *f;

	p.offer_raw = true;
	f = fresh(&p);
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
	f = fresh(&p);
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
	f = fresh(&p);
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

static void
test_progress_sent(void)
{
	struct transfer_flow *f = receiver_at(TRANSFER_MOVING, 100);
	struct envelope e;
	unsigned n = 0;

	EQ_INT(talk_drain(f, talk_at(529), ENVELOPE_PROGRESS), 0, "not yet");
	if (!OK(talk_take(f, talk_at(530), &e), "500 ms after the first byte"))
		abort();
	EQ_INT(e.progress.bytes_received, 100, "bytes");
	EQ_INT(e.progress.transfer_elapsed_ms, 500, "elapsed");
	EQ_INT(e.progress.sequence, 1, "sequence");
	envelope_fini(&e);
	for (int ms = 531; ms < 10530; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_PROGRESS);
	EQ_INT(n, 19, "every 500 ms, also while nothing moves");
	transfer_flow_moved(f, 200, talk_at(10600));
	transfer_flow_set_total(f, 200);
	transfer_flow_finished(f, talk_at(10600));
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "the size is known: done at once");
	if (!OK(talk_take(f, talk_at(10600), &e), "last progress"))
		abort();
	EQ_INT(e.progress.sequence, 21, "comes first");
	EQ_INT(e.progress.bytes_received, 200, "with everything");
	envelope_fini(&e);
	if (!OK(talk_take(f, talk_at(10600), &e), "complete"))
		abort();
	EQ_INT(e.kind, ENVELOPE_V2_COMPLETE, "complete");
	EQ_INT(e.v2_complete.bytes_received, 200, "bytes");
	envelope_fini(&e);
	transfer_flow_free(f);
}

static void
test_complete_repeats(void)
{
	struct transfer_flow *f = receiver_at(TRANSFER_CONFIRMING, 100);
	const char *reason;
	uint64_t code;
	unsigned n = 0;

	EQ_INT(talk_drain(f, talk_at(189), ENVELOPE_V2_COMPLETE), 0,
	    "150 ms for an abort");
	for (int ms = 190; ms < 10000; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_COMPLETE);
	EQ_INT(n, 10, "complete is repeated for 5 s");
	OK(transfer_flow_is_quiet(f), "and no longer");
	OK(transfer_flow_may_close(f, &code, &reason) && code == 0,
	    "then QUIC may be closed");
	EQ_STR(reason, "complete", "with this reason");
	transfer_flow_free(f);
	f = receiver_at(TRANSFER_CONFIRMING, 100);
	n = talk_drain(f, talk_at(190), ENVELOPE_V2_COMPLETE);
	OK(!transfer_flow_may_close(f, &code, &reason), "stays connected");
	transfer_flow_disconnected(f, true, 0, "", talk_at(200));
	EQ_INT(n, 1, "once,");
	OK(transfer_flow_is_quiet(f), "when the sender closes");
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "done");
	transfer_flow_free(f);
}

static void
test_native_end(void)
{
	struct transfer_flow *f = receiver_at(TRANSFER_MOVING, 100);
	uint8_t native[NATIVE_MAX_WIRE];
	struct buf_writer w = buf_writer(native, sizeof(native));

	(void)native_build(&w, &talk_key);
	EQ_INT(
	    transfer_flow_input(f, talk_at(35), &talk_claimant, native, w.len),
	    TRANSFER_INPUT_IGNORED, "relay only: no path to be moved");
	transfer_flow_finished(f, talk_at(40));
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "FIN of ours is the end");
	EQ_INT(talk_drain(f, talk_at(40), ENVELOPE_V2_COMPLETE), 1,
	    "confirmed at once");
	transfer_flow_free(f);
}

static void
test_truncation(void)
{
	struct transfer_flow *f = receiver_at(TRANSFER_CONFIRMING, 100);
	struct envelope e = talk_abort("source failed");

	(void)talk_give(f, talk_at(100), &talk_claimant, &e);
	expect(f, -DT_ERR_PEER_ABORTED, "peer aborted transfer: source failed");
	f = receiver_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "read error", talk_at(100));
	(void)talk_drain(f, talk_at(1099), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING, "waits for words");
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	expect(f, -DT_ERR_PEER_ABORTED, "read error");
	f = receiver_at(TRANSFER_MOVING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "read error", talk_at(100));
	transfer_flow_finished(f, talk_at(110));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	expect(f, -DT_ERR_PEER_ABORTED, "read error");
	f = receiver_at(TRANSFER_MOVING, 100);
	transfer_flow_set_total(f, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "", talk_at(100));
	transfer_flow_finished(f, talk_at(110));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	expect(f, -DT_ERR_PEER_ABORTED, "peer aborted transfer");
	f = receiver_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "", talk_at(50));
	(void)talk_drain(f, talk_at(1050), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "everything came, the sender died: done");
	transfer_flow_free(f);
	f = receiver_at(TRANSFER_MOVING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "", talk_at(50));
	(void)talk_drain(f, talk_at(1050), ENVELOPE_ABORT);
	expect(f, -DT_ERR_PEER_GONE, "peer disconnected");
}

static void
completed(enum transfer_state state, int64_t bytes, const char *reason)
{
	struct transfer_flow *f = sender_at(state, 100);
	struct envelope e = talk_complete(bytes);

	(void)talk_give(f, talk_at(50), &talk_issuer, &e);
	if (reason != NULL) {
		EQ_INT(talk_drain(f, talk_at(50), ENVELOPE_ABORT), 1,
		    "the liar is told");
		expect(f, -DT_ERR_PEER_PROTOCOL, reason);
		return;
	}
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "done");
	OK(transfer_flow_is_quiet(f), "nothing to add");
	transfer_flow_free(f);
}

static void
test_complete_judged(void)
{
	completed(TRANSFER_CONFIRMING, 100, NULL);
	completed(TRANSFER_CONFIRMING, 99, "peer received 99 of 100 bytes");
	completed(TRANSFER_CONFIRMING, 101, "peer received 101 of 100 bytes");
	completed(TRANSFER_CONFIRMING, -5, "invalid v2 complete bytes -5");
	completed(TRANSFER_MOVING, 100, "peer completed early, with 100 bytes");
	completed(TRANSFER_MOVING, 0, "peer completed early, with 0 bytes");
	completed(TRANSFER_CONNECTING, 0, "peer completed early, with 0 bytes");
}

static void
test_progress_judged(void)
{
	struct transfer_flow *f = sender_at(TRANSFER_CONFIRMING, 100);
	struct transfer_report report;
	static const struct {
		int64_t bytes;
		int64_t ms;
		uint64_t sequence;
		int64_t want;
	} step[] = {
		{ 10, 500, 1, 10 },
		{ 20, 600, 1, 10 },         /* seen */
		{ 5, 700, 2, 10 },          /* falls */
		{ -1, 800, 3, 10 },         /* negative */
		{ 101, 900, 4, 10 },        /* more than there is */
		{ INT64_MAX, 1000, 5, 10 }, /* likewise */
		{ 30, 1100, 0, 30 },        /* without a number */
		{ 40, 1200, 5, 30 },        /* seen, with a lie in it */
		{ 50, 1300, UINT64_MAX, 50 },
		{ 60, 1400, 6, 50 }, /* nothing can follow */
		{ 100, 1500, 0, 100 },
	};

	for (size_t i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		struct envelope e =
		    talk_progress(step[i].bytes, step[i].ms, step[i].sequence);

		(void)talk_give(f, talk_at(50), &talk_issuer, &e);
		transfer_flow_report(f, talk_at(50), &report);
		EQ_INT(report.payload, step[i].want, "step %zu", i);
	}
	EQ_INT(report.elapsed_ms, 1500, "the receiver's clock");
	OK(!report.final, "not confirmed");
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING,
	    "progress alone confirms nothing");
	(void)talk_drain(f, talk_at(60049), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING, "for 60 s");
	(void)talk_drain(f, talk_at(60050), ENVELOPE_ABORT);
	expect(
	    f, -DT_ERR_TIMEOUT, "the other side did not confirm the transfer");
}

static void
test_endless_slowness(void)
{
	struct transfer_flow *f = sender_at(TRANSFER_CONFIRMING, 100);
	struct transfer_report report;

	for (int i = 1; i < 3600; i++) {
		struct envelope e = talk_progress(7, i * 1000, (uint64_t)i);

		(void)talk_give(f, talk_at(i * 1000), &talk_issuer, &e);
		(void)talk_drain(f, talk_at(i * 1000), ENVELOPE_ABORT);
	}
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING,
	    "a reader that stopped for an hour is waited for");
	transfer_flow_report(f, talk_at(3600000), &report);
	OK(report.stalled, "and shown as stalled");
	EQ_INT(report.payload, 7, "with what it has");
	transfer_flow_free(f);
}

static void
test_sender_disconnected(void)
{
	struct transfer_flow *f = sender_at(TRANSFER_CONFIRMING, 100);
	struct envelope e = talk_complete(100);

	transfer_flow_disconnected(f, true, 0, "complete", talk_at(100));
	(void)talk_give(f, talk_at(900), &talk_issuer, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "complete comes late");
	transfer_flow_free(f);
	f = sender_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(f, true, 0, "complete", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "complete was lost: an orderly close says the same");
	transfer_flow_free(f);
	f = sender_at(TRANSFER_MOVING, 100);
	transfer_flow_disconnected(f, true, 0, "complete", talk_at(100));
	EQ_INT(talk_drain(f, talk_at(1100), ENVELOPE_ABORT), 1, "aborts");
	expect(f, -DT_ERR_PEER_GONE, "peer disconnected");
	f = sender_at(TRANSFER_CONFIRMING, 100);
	e = talk_progress(100, 5, 1);
	(void)talk_give(f, talk_at(90), &talk_issuer, &e);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "idle", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "QUIC died after all was reported: done");
	transfer_flow_free(f);
	f = sender_at(TRANSFER_CONFIRMING, 100);
	e = talk_progress(99, 5, 1);
	(void)talk_give(f, talk_at(90), &talk_issuer, &e);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "no answer\x1b", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	expect(f, -DT_ERR_PEER_GONE, "no answer?");
	f = sender_at(TRANSFER_CONFIRMING, 100);
	e = talk_abort("disk full");
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "short", talk_at(100));
	(void)talk_give(f, talk_at(500), &talk_issuer, &e);
	EQ_INT(talk_drain(f, talk_at(500), ENVELOPE_ABORT), 0,
	    "who aborted need not be told");
	expect(f, -DT_ERR_PEER_ABORTED, "peer aborted transfer: disk full");
}

static void
test_cancel(void)
{
	struct transfer_params p = params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = sender_at(TRANSFER_MOVING, 100);
	struct envelope e;
	const char *reason;
	uint64_t code;

	transfer_flow_cancel(f, talk_at(100));
	OK(transfer_flow_may_close(f, &code, &reason) && code == 1, "close 1");
	if (!OK(talk_take(f, talk_at(100), &e), "abort at once"))
		abort();
	OK(envelope_text_equal(e.abort.reason, "canceled"), "its words");
	EQ_INT(e.abort.bytes_transferred, 100, "and bytes");
	envelope_fini(&e);
	EQ_INT(talk_drain(f, talk_at(199), ENVELOPE_ABORT), 0, "not yet");
	EQ_INT(talk_drain(f, talk_at(200), ENVELOPE_ABORT), 1, "once more");
	(void)talk_drain(f, talk_at(250), ENVELOPE_ABORT);
	OK(transfer_flow_is_quiet(f), "150 ms in all");
	transfer_flow_finished(f, talk_at(300));
	transfer_flow_connected(f, talk_at(300));
	expect(f, -ECANCELED, "canceled");
	f = sender_at(TRANSFER_CONNECTING, 0);
	transfer_flow_cancel(f, talk_at(100));
	EQ_INT(talk_drain(f, talk_at(100), ENVELOPE_ABORT) +
		   talk_drain(f, talk_at(200), ENVELOPE_ABORT) +
		   talk_drain(f, talk_at(1099), ENVELOPE_ABORT),
	    2, "before QUIC stands");
	EQ_INT(talk_drain(f, talk_at(1100), ENVELOPE_ABORT), 1,
	    "it is said a third time, after 1 s");
	expect(f, -ECANCELED, "canceled");
	f = fresh(&p);
	transfer_flow_cancel(f, talk_at(5));
	OK(transfer_flow_is_quiet(f), "nobody has come: nobody is told");
	expect(f, -ECANCELED, "context canceled");
}

/* A sender's file, in flow B, in blocks and without. */
static void
test_offer_file(bool capable)
{
	struct transfer_params p = params(TRANSFER_SEND_ISSUER);
	static const uint8_t header[] = "DERPHOLE1....";
	struct envelope e = talk_claim(false), got;
	struct transfer_report report;
	struct transfer_flow *f;
	int64_t bytes = capable ? 500 : 500 + (int64_t)sizeof(header);

	p.blocks = true;
	p.structured = true;
	p.header = header;
	p.header_len = sizeof(header);
	p.size = 500;
	f = fresh(&p);
	e.v2_claim.block_capable = capable;
	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	if (!OK(talk_take(f, talk_at(0), &got), "accept"))
		abort();
	OK(envelope_text_equal(
	       got.v2_accept.transfer_mode, capable ? "blocks-v1" : ""),
	    "mode");
	EQ_INT(got.v2_accept.block_size, capable ? 500 : 0, "size");
	EQ_INT(got.v2_accept.block_chunk_size, capable ? 262144 : 0, "chunk");
	EQ_INT(got.v2_accept.block_header.n, capable ? sizeof(header) : 0,
	    "header");
	OK(!got.v2_accept.block_packet_batch_capable, "no bulk");
	envelope_fini(&got);
	transfer_flow_connected(f, talk_at(1));
	transfer_flow_moved(f, bytes, talk_at(2));
	e = talk_progress(200 + (int64_t)sizeof(header), 9, 1);
	(void)talk_give(f, talk_at(3), &talk_claimant, &e);
	transfer_flow_report(f, talk_at(3), &report);
	EQ_INT(report.payload, 200, "the header does not count");
	transfer_flow_finished(f, talk_at(4));
	e = talk_complete(500 + (int64_t)sizeof(header));
	(void)talk_give(f, talk_at(5), &talk_claimant, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "done");
	transfer_flow_report(f, talk_at(6), &report);
	EQ_INT(report.payload, 500, "all of it");
	OK(report.final, "final");
	transfer_flow_free(f);
}

static void
test_huge_file(void)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f;
	struct envelope e;

	p.blocks = true;
	p.size = INT64_C(1) << 46;
	f = fresh(&p);
	if (!OK(talk_take(f, talk_at(0), &e), "claim"))
		abort();
	EQ_INT(e.v2_claim.block_chunk_size, 1 << 20,
	    "64 TiB: chunks so large that 2^26 suffice");
	envelope_fini(&e);
	transfer_flow_free(f);
	p.size = INT64_MAX;
	f = fresh(&p);
	if (!OK(talk_take(f, talk_at(0), &e), "claim"))
		abort();
	EQ_INT(e.v2_claim.transfer_mode.n, 0, "2^63-1: streams");
	envelope_fini(&e);
	transfer_flow_free(f);
}

static void
test_blocks_not_wanted(void)
{
	struct transfer_params p = params(TRANSFER_RECEIVE_CLAIMANT);
	struct envelope e = talk_accept(true);
	struct transfer_flow *f;

	p.structured = true;
	f = fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e.v2_accept.transfer_mode = talk_text("blocks-v1");
	e.v2_accept.block_chunk_size = 262144;
	(void)talk_give(f, talk_at(1), &talk_issuer, &e);
	EQ_INT(talk_drain(f, talk_at(1), ENVELOPE_ABORT), 1, "is told");
	expect(f, -DT_ERR_PEER_PROTOCOL, "block receiver is not configured");
}

/* Nothing to send, and that is known before QUIC stands. */
static void
test_finished_early(void)
{
	struct transfer_flow *f = sender_at(TRANSFER_CONNECTING, 0);
	struct envelope e = talk_complete(0);

	transfer_flow_finished(f, talk_at(15));
	EQ_INT(transfer_flow_state(f), TRANSFER_CONNECTING, "not before QUIC");
	transfer_flow_connected(f, talk_at(20));
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING, "confirming");
	(void)talk_give(f, talk_at(30), &talk_issuer, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "an empty pipe is done");
	transfer_flow_free(f);
}

static void
test_full_buffer(void)
{
	struct transfer_params p = params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f = fresh(&p);
	uint8_t small[TRANSFER_FLOW_MAX_PACKET - 1];
	struct buf_writer w = buf_writer(small, sizeof(small));

	EQ_INT(transfer_flow_output(f, talk_at(0), &w), -DT_ERR_FULL,
	    "a buffer that is too small");
	EQ_INT(w.len, 0, "stays empty");
	EQ_INT(talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM), 1,
	    "nothing was lost by that");
	transfer_flow_free(f);
}

int
main(void)
{
	test_claim_wire();
	test_claim_repeats();
	test_accept();
	test_accept_refused();
	test_long_reason();
	test_unknown_mode_is_plain();
	test_claim_refused();
	test_offered_blocks();
	test_ignored();
	test_accept_repeats();
	test_relay_only_is_silent();
	test_control();
	test_raw_all();
	test_raw_limits();
	test_progress_sent();
	test_complete_repeats();
	test_native_end();
	test_truncation();
	test_complete_judged();
	test_progress_judged();
	test_endless_slowness();
	test_sender_disconnected();
	test_cancel();
	test_offer_file(true);
	test_offer_file(false);
	test_huge_file();
	test_blocks_not_wanted();
	test_finished_early();
	test_full_buffer();
	return tap_done();
}
