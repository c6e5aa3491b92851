/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow machine, until both ends have agreed: claims and accepts, and who is
 * not listened to. */
#include "proto/transfer/transfer_header.h"
#include "test/unit/transfer_flow_rig.h"

static void
test_claim_wire(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
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
	struct transfer_params p = flow_params(TRANSFER_RECEIVE_CLAIMANT);
	struct transfer_flow *f = flow_fresh(&p);
	unsigned n = 0;
	int64_t ms = 0;

	for (; ms < 59999; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_CLAIM);
	EQ_INT(n, 21, "claimed once, ten times more, and then every 5 s");
	EQ_INT(transfer_flow_state(f), TRANSFER_CLAIMING, "still waiting");
	EQ_INT(talk_drain(f, talk_at(60000), ENVELOPE_ABORT), 1,
	    "after 60 s it tells the other side");
	flow_failed(f, -DT_ERR_TIMEOUT, "the other side did not answer");
	p.accept_limit_us = -1;
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	for (ms = 0; ms < 24 * 3600000; ms += 1000)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_CLAIM);
	EQ_INT(
	    n, 21 + 74, "then every 5 min, in a day less than fills a queue");
	EQ_INT(transfer_flow_state(f), TRANSFER_CLAIMING, "or waits for ever");
	transfer_flow_free(f);
}

static void
test_accept(void)
{
	struct transfer_params p = flow_params(TRANSFER_RECEIVE_CLAIMANT);
	struct transfer_flow *f = flow_fresh(&p);
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
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f = flow_fresh(&p);

	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	(void)talk_give(f, talk_at(1), &talk_issuer, e);
	flow_failed(f, result, reason);
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
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f = flow_fresh(&p);
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
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f;
	struct envelope e = talk_accept(false);

	p.blocks = true;
	p.size = 100;
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e.v2_accept.transfer_mode = talk_text("quantum-v9");
	(void)talk_give(f, talk_at(1), &talk_issuer, &e);
	EQ_INT(transfer_flow_peek_plan(f)->encoding, TRANSFER_STRIPED,
	    "an unknown mode means streams");
	transfer_flow_free(f);
	p.offer_raw = true;
	f = flow_fresh(&p);
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
	struct transfer_params p = flow_params(role);
	bool flow_a = role == TRANSFER_RECEIVE_ISSUER;
	struct transfer_flow *f = flow_fresh(&p);
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
	flow_failed(f, result, reason);
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
	struct transfer_params p = flow_params(TRANSFER_RECEIVE_ISSUER);
	struct envelope e = talk_claim(true), accept;
	struct transfer_flow *f;
	size_t len;

	e.v2_claim.transfer_mode = talk_text("blocks-v1");
	e.v2_claim.block_size = 5;
	e.v2_claim.block_chunk_size = 262144;
	p.is_open = false;
	p.blocks = true;
	f = flow_fresh(&p);
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
	flow_failed(f, -DT_ERR_TRUNCATED, "received 4 of 5 bytes");
	p.structured = true;
	p.is_open = true;
	f = flow_fresh(&p);
	(void)talk_give(f, talk_at(1), &talk_claimant, &e);
	EQ_INT(transfer_flow_peek_plan(f)->encoding, TRANSFER_STRIPED,
	    "blocks without a header, but receive needs one: streams");
	EQ_INT(transfer_flow_peek_plan(f)->streams, 2, "two of eight");
	transfer_flow_free(f);
	p.is_open = false;
	f = flow_fresh(&p);
	(void)talk_give(f, talk_at(1), &talk_claimant, &e);
	transfer_flow_fail(f, -ENOSPC, "no space", talk_at(2));
	EQ_INT(talk_drain(f, talk_at(2), ENVELOPE_V2_ACCEPT), 1,
	    "an output that cannot be opened: refused");
	flow_failed(f, -ENOSPC, "no space");
}

/* Strangers, forgeries, reflections, other sessions, wrong kinds. */
static void
test_ignored(void)
{
	struct transfer_params p = flow_params(TRANSFER_RECEIVE_ISSUER);
	struct transfer_flow *f = flow_fresh(&p);
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
	struct transfer_params p = flow_params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = flow_fresh(&p);
	struct envelope e = talk_claim(false);
	unsigned n = 0;

	(void)talk_give(f, talk_at(0), &talk_claimant, &e);
	for (int ms = 0; ms < 14000; ms += 10)
		n += talk_drain(f, talk_at(ms), ENVELOPE_V2_ACCEPT);
	EQ_INT(n, 6, "accepted once and five times more");
	(void)talk_drain(f, talk_at(15000), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_TIMEOUT, "the other side did not connect");
	f = flow_fresh(&p);
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
test_huge_file(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f;
	struct envelope e;

	p.blocks = true;
	p.size = INT64_C(1) << 46;
	f = flow_fresh(&p);
	if (!OK(talk_take(f, talk_at(0), &e), "claim"))
		abort();
	EQ_INT(e.v2_claim.block_chunk_size, 1 << 20,
	    "64 TiB: chunks so large that 2^26 suffice");
	envelope_fini(&e);
	transfer_flow_free(f);
	p.size = INT64_MAX;
	f = flow_fresh(&p);
	if (!OK(talk_take(f, talk_at(0), &e), "claim"))
		abort();
	EQ_INT(e.v2_claim.transfer_mode.n, 0, "2^63-1: streams");
	envelope_fini(&e);
	transfer_flow_free(f);
}

static void
test_blocks_not_wanted(void)
{
	struct transfer_params p = flow_params(TRANSFER_RECEIVE_CLAIMANT);
	struct envelope e = talk_accept(true);
	struct transfer_flow *f;

	p.structured = true;
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	e.v2_accept.transfer_mode = talk_text("blocks-v1");
	e.v2_accept.block_chunk_size = 262144;
	(void)talk_give(f, talk_at(1), &talk_issuer, &e);
	EQ_INT(talk_drain(f, talk_at(1), ENVELOPE_ABORT), 1, "is told");
	flow_failed(
	    f, -DT_ERR_PEER_PROTOCOL, "block receiver is not configured");
}

static void
test_full_buffer(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f = flow_fresh(&p);
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
	test_huge_file();
	test_blocks_not_wanted();
	test_full_buffer();
	return tap_done();
}
