/* SPDX-License-Identifier: BSD-3-Clause */
/* What both ends agree on, and the gate's view of claims. */
#include "proto/transfer/transfer_policy.h"

#include "lib/err.h"
#include "proto/transfer/transfer_claim.h"
#include "proto/transfer/transfer_header.h"
#include "test/unit/transfer_talk.h"

static void
normalised(const char *mode, int64_t initial, int64_t cap, bool automatic,
    unsigned want, unsigned want_cap)
{
	struct transfer_parallel p =
	    transfer_policy_normalise(talk_text(mode), initial, cap);

	EQ_INT(p.automatic, automatic, "%s: mode", mode);
	EQ_INT(p.initial, want, "initial");
	EQ_INT(p.cap, want_cap, "cap");
}

static void
test_parallel(void)
{
	struct transfer_parallel p = transfer_policy_fixed(8), answer;

	normalised("fixed", 1, 0, false, 1, 1);
	normalised("fixed", 16, 3, false, 16, 16);
	normalised("fixed", 17, 17, false, 16, 16);
	normalised("fixed", INT64_MAX, 1, false, 16, 16);
	normalised("fixed", 0, 0, false, 8, 8);
	normalised("fixed", -5, 0, false, 8, 8);
	normalised("auto", 0, 0, true, 8, 16);
	normalised("auto", 4, 6, true, 4, 6);
	normalised("auto", 4, 3, true, 4, 16);
	normalised("auto", 99, 99, true, 16, 16);
	normalised("", 3, 3, false, 8, 8);
	normalised("more", 3, 3, false, 8, 8);
	normalised("Fixed", 3, 3, false, 8, 8);
	EQ_INT(transfer_policy_fixed(0).initial, 1, "at least one");
	EQ_INT(transfer_policy_fixed(17).initial, 16, "at most sixteen");
	OK(envelope_text_equal(transfer_policy_mode_text(&p), "fixed"),
	    "fixed");
	p.automatic = true;
	OK(envelope_text_equal(transfer_policy_mode_text(&p), "auto"), "auto");
	answer = transfer_policy_answer(&p, false);
	EQ_INT(answer.initial, 2, "answer to eight");
	EQ_INT(transfer_policy_answer(&p, true).initial, 1, "on a relay: one");
	p = transfer_policy_fixed(1);
	EQ_INT(transfer_policy_answer(&p, false).initial, 1, "to one: one");
}

static void
test_roles(void)
{
	static const struct {
		enum transfer_role role;
		bool issuer, sender, manager, raw;
	} row[] = {
		{ TRANSFER_RECEIVE_ISSUER, true, false, true, true },
		{ TRANSFER_SEND_CLAIMANT, false, true, false, false },
		{ TRANSFER_SEND_ISSUER, true, true, true, false },
		{ TRANSFER_RECEIVE_CLAIMANT, false, false, false, true },
	};

	for (size_t i = 0; i < 4; i++) {
		EQ_INT(transfer_policy_is_issuer(row[i].role), row[i].issuer,
		    "role %zu: issuer", i);
		EQ_INT(transfer_policy_is_sender(row[i].role), row[i].sender,
		    "role %zu: sender", i);
		EQ_INT(transfer_policy_is_server(
			   row[i].role, TRANSFER_PATH_MANAGER),
		    row[i].manager, "role %zu: server, manager path", i);
		EQ_INT(
		    transfer_policy_is_server(row[i].role, TRANSFER_PATH_RAW),
		    row[i].raw, "role %zu: server, raw path", i);
	}
}

static void
test_modes(void)
{
	EQ_INT(transfer_policy_mode(talk_text("")), TRANSFER_MODE_STREAM,
	    "absent");
	EQ_INT(transfer_policy_mode(talk_text("blocks-v1")),
	    TRANSFER_MODE_BLOCKS, "blocks");
	EQ_INT(transfer_policy_mode(talk_text("bulk-packets-v1")),
	    TRANSFER_MODE_BULK, "bulk");
	EQ_INT(transfer_policy_mode(talk_text("direct-tcp-files-v1")),
	    TRANSFER_MODE_DIRECT_TCP, "direct TCP");
	EQ_INT(transfer_policy_mode(talk_text("blocks-v2")),
	    TRANSFER_MODE_STREAM, "unknown");
}

static void
test_blocks(void)
{
	static struct transfer_header h = {
		.kind = TRANSFER_KIND_FILE, .name = "x", .size = 7
	};
	uint8_t header[TRANSFER_HEADER_MAX_OWN];
	struct buf_writer w = buf_writer(header, sizeof(header));
	struct envelope claim = talk_claim(true), accept = talk_accept(true);
	struct transfer_blocks b = { .size = -7 };
	char reason[200] = "";

	(void)transfer_header_encode(&w, &h);
	EQ_INT(transfer_policy_claim_blocks(
		   &claim.v2_claim, &b, reason, sizeof(reason)),
	    0, "a claim without");
	EQ_INT(transfer_policy_accept_blocks(
		   &accept.v2_accept, &b, reason, sizeof(reason)),
	    0, "an accept without");
	EQ_INT(b.size, -7, "nothing written");
	claim.v2_claim.transfer_mode = talk_text("blocks-v1");
	claim.v2_claim.block_size = 7;
	EQ_INT(transfer_policy_claim_blocks(
		   &claim.v2_claim, &b, reason, sizeof(reason)),
	    0, "chunk 0: the peer means streams");
	claim.v2_claim.block_chunk_size = 262144;
	claim.v2_claim.block_header = (struct message_octets){ header, w.len };
	EQ_INT(transfer_policy_claim_blocks(
		   &claim.v2_claim, &b, reason, sizeof(reason)),
	    1, "a claim with");
	EQ_INT(b.size, 7, "size");
	EQ_INT(b.chunk_size, 262144, "chunk");
	EQ_INT(b.header.n, w.len, "header");
	accept.v2_accept.transfer_mode = talk_text("bulk-packets-v1");
	accept.v2_accept.block_size = 8;
	accept.v2_accept.block_chunk_size = 1 << 20;
	accept.v2_accept.block_header = claim.v2_claim.block_header;
	EQ_INT(transfer_policy_accept_blocks(
		   &accept.v2_accept, &b, reason, sizeof(reason)),
	    -DT_ERR_PEER_PROTOCOL, "sizes differ");
	EQ_STR(reason, "block payload size mismatch: got 8, want header size 7",
	    "reason");
	accept.v2_accept.block_size = 7;
	EQ_INT(transfer_policy_accept_blocks(
		   &accept.v2_accept, &b, reason, sizeof(reason)),
	    1, "an accept with");
	EQ_INT(b.chunk_size, 1 << 20, "chunk");
	for (size_t n = 1; n < w.len; n++) {
		accept.v2_accept.block_header.n = n;
		if (transfer_policy_accept_blocks(&accept.v2_accept, &b, reason,
			sizeof(reason)) != -DT_ERR_PEER_PROTOCOL)
			OK(false, "header cut to %zu", n);
	}
}

static void
judged(const struct envelope *e, int want, const char *what)
{
	struct talk_packet p;
	struct key32 quic = { { 0 } };

	talk_build(&p, e);
	EQ_INT(transfer_claim_judge(p.bytes, p.len, &talk_key, &quic), want,
	    "%s", what);
	EQ_INT(memcmp(&quic, &talk_quic, sizeof(quic)) == 0, want == 0,
	    "its identity");
}

static void
test_claim(void)
{
	struct envelope e = talk_claim(true);
	struct talk_packet p;
	struct key32 quic;
	int bad = 0;

	judged(&e, 0, "a claim");
	talk_build(&p, &e);
	EQ_INT(transfer_claim_judge(p.bytes, p.len, &talk_quic, &quic),
	    -DT_ERR_AUTH, "of another session");
	for (size_t n = 0; n < p.len; n++)
		bad += transfer_claim_judge(p.bytes, n, &talk_key, &quic) !=
		       -DT_ERR_SYNTAX;
	EQ_INT(bad, 0, "cut anywhere");
	e.v2_claim.protocol = talk_text("x");
	judged(&e, -DT_ERR_UNSUPPORTED, "another protocol");
	e = talk_claim(true);
	memset(&e.v2_claim.quic_public, 0, sizeof(struct key32));
	judged(&e, -DT_ERR_KEY, "no identity");
	e = talk_accept(true);
	judged(&e, -DT_ERR_AUTH, "an accept");
	e = talk_claim(true);
	e.has_v2_claim = false;
	judged(&e, -DT_ERR_AUTH, "a claim without a body");
}

static void
test_refusal(void)
{
	static char longest[ENVELOPE_MAX_REASON + 100];
	uint8_t wire[TRANSFER_FLOW_MAX_PACKET];
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct envelope e;

	EQ_INT(
	    transfer_claim_build_refusal(&w, TRANSFER_CLAIM_TAKEN, &talk_key),
	    0, "refusal");
	EQ_INT(envelope_open(&e, wire, w.len, &talk_key), 0, "opens");
	EQ_INT(e.kind, ENVELOPE_V2_ACCEPT, "an accept");
	OK(!e.v2_accept.accepted, "that does not accept");
	OK(envelope_text_equal(e.v2_accept.reason, "session already claimed"),
	    "and says why");
	OK(envelope_text_equal(e.v2_accept.protocol, "derphole-transfer-v2"),
	    "protocol");
	envelope_fini(&e);
	memset(longest, 'a', sizeof(longest) - 1);
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(transfer_claim_build_refusal(&w, longest, &talk_key), 0, "long");
	EQ_INT(envelope_open(&e, wire, w.len, &talk_key), 0, "opens");
	EQ_INT(e.v2_accept.reason.n, ENVELOPE_MAX_REASON, "cut");
	envelope_fini(&e);
	w = buf_writer(wire, 20);
	EQ_INT(transfer_claim_build_refusal(&w, "x", &talk_key), -DT_ERR_FULL,
	    "no room");
}

/* The peer's own bytes, appendix A of its description. */
static void
test_golden(void)
{
	static const char complete[] =
	    "{\"type\":\"v2_complete\",\"mac\":"
	    "\"ccFTTuGgqD8G7jJJfjgeDUoBTkXzq1-ULW6rlVGErkM\",\"v2_complete\":"
	    "{\"protocol\":\"derphole-transfer-v2\",\"bytes_received\":5}}";
	static const char accept[] =
	    "{\"type\":\"v2_accept\",\"mac\":"
	    "\"gclutp_npAZVLCa3rDRS-7zN-lIAzsIP_MWeQ1do23o\",\"v2_accept\":"
	    "{\"protocol\":\"derphole-transfer-v2\",\"accepted\":true,"
	    "\"relay_capable\":false,\"parallel_mode\":\"fixed\","
	    "\"parallel_initial\":8,\"parallel_cap\":8,"
	    "\"manager_connections\":1}}";
	static const struct key32 key = { { 0x38, 0x83, 0x81, 0xab, 0x9a, 0xaf,
	    0xd7, 0xcf, 0x9d, 0x31, 0x64, 0xf4, 0x6f, 0xb3, 0xb9, 0xcb, 0x28,
	    0x1e, 0x10, 0xb4, 0x3a, 0xd5, 0xcb, 0x62, 0xf1, 0x07, 0xfa, 0x4b,
	    0x14, 0xf1, 0x07, 0x42 } };
	struct transfer_params p = { .role = TRANSFER_SEND_CLAIMANT,
		.envelope_key = key,
		.peer_derp = talk_issuer,
		.own_quic_public = talk_quic,
		.is_open = true,
		.size = 5 };
	struct transfer_flow *f = transfer_flow_new(&p, NULL, talk_at(0));
	uint8_t wire[TRANSFER_FLOW_MAX_PACKET];
	struct buf_writer w = buf_writer(wire, sizeof(wire));

	EQ_INT(transfer_flow_output(f, talk_at(0), &w), 1, "claim");
	(void)transfer_flow_input(
	    f, talk_at(1), &talk_issuer, accept, sizeof(accept) - 1);
	EQ_INT(transfer_flow_state(f), TRANSFER_CONNECTING, "golden accept");
	EQ_INT(transfer_flow_peek_plan(f)->streams, 8, "eight streams");
	transfer_flow_connected(f, talk_at(2));
	transfer_flow_moved(f, 5, talk_at(3));
	transfer_flow_finished(f, talk_at(4));
	(void)transfer_flow_input(
	    f, talk_at(5), &talk_issuer, complete, sizeof(complete) - 1);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "golden complete");
	transfer_flow_free(f);
}

int
main(void)
{
	test_parallel();
	test_roles();
	test_modes();
	test_blocks();
	test_claim();
	test_refusal();
	test_golden();
	return tap_done();
}
