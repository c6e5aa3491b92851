/* SPDX-License-Identifier: BSD-3-Clause */
/* The flow machine, while bytes move and when it ends: progress, completes,
 * aborts, disconnections.  See t_transfer_flow_claim.c and _path.c for what is
 * before, t_transfer_pair.c for both ends together, t_transfer_go.c for peer
 * v0.18.2. */
#include "proto/transfer/transfer_flow.h"

#include "proto/rendezvous/native.h"
#include "test/unit/transfer_flow_rig.h"

static void
test_progress_sent(void)
{
	struct transfer_flow *f = flow_receiver_at(TRANSFER_MOVING, 100);
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
	struct transfer_flow *f = flow_receiver_at(TRANSFER_CONFIRMING, 100);
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
	f = flow_receiver_at(TRANSFER_CONFIRMING, 100);
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
	struct transfer_flow *f = flow_receiver_at(TRANSFER_MOVING, 100);
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

/* What a receiver of ours has written it may still fail to save. */
static void
test_native_death(void)
{
	struct transfer_flow *f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	struct envelope e = talk_progress(100, 5, 1);
	uint8_t native[NATIVE_MAX_WIRE];
	struct buf_writer w = buf_writer(native, sizeof(native));

	(void)native_build(&w, &talk_key);
	(void)transfer_flow_input(f, talk_at(80), &talk_issuer, native, w.len);
	(void)talk_give(f, talk_at(90), &talk_issuer, &e);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "idle", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_PEER_GONE, "idle");
}

static void
test_truncation(void)
{
	struct transfer_flow *f = flow_receiver_at(TRANSFER_CONFIRMING, 100);
	struct envelope e = talk_abort("source failed");

	(void)talk_give(f, talk_at(100), &talk_claimant, &e);
	flow_failed(
	    f, -DT_ERR_PEER_ABORTED, "peer aborted transfer: source failed");
	f = flow_receiver_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "read error", talk_at(100));
	(void)talk_drain(f, talk_at(1099), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING, "waits for words");
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_PEER_ABORTED, "read error");
	f = flow_receiver_at(TRANSFER_MOVING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "read error", talk_at(100));
	transfer_flow_finished(f, talk_at(110));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_PEER_ABORTED, "read error");
	f = flow_receiver_at(TRANSFER_MOVING, 100);
	transfer_flow_set_total(f, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "", talk_at(100));
	transfer_flow_finished(f, talk_at(110));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_PEER_ABORTED, "peer aborted transfer");
	f = flow_receiver_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "", talk_at(50));
	(void)talk_drain(f, talk_at(1050), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "everything came, the sender died: done");
	transfer_flow_free(f);
	f = flow_receiver_at(TRANSFER_MOVING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "", talk_at(50));
	(void)talk_drain(f, talk_at(1050), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_PEER_GONE, "peer disconnected");
}

static void
completed(enum transfer_state state, int64_t bytes, const char *reason)
{
	struct transfer_flow *f = flow_sender_at(state, 100);
	struct envelope e = talk_complete(bytes);

	(void)talk_give(f, talk_at(50), &talk_issuer, &e);
	if (reason != NULL) {
		EQ_INT(talk_drain(f, talk_at(50), ENVELOPE_ABORT), 1,
		    "the liar is told");
		flow_failed(f, -DT_ERR_PEER_PROTOCOL, reason);
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
	struct transfer_flow *f = flow_sender_at(TRANSFER_CONFIRMING, 100);
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
	flow_failed(
	    f, -DT_ERR_TIMEOUT, "the other side did not confirm the transfer");
}

/* A receiver whose disk is slow says all the time that it has all. */
static void
test_slow_saving(void)
{
	struct transfer_flow *f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	struct envelope e;

	for (int i = 1; i < 1200; i++) {
		e = talk_progress(100, i * 500, (uint64_t)i);
		(void)talk_give(f, talk_at(i * 500), &talk_issuer, &e);
		(void)talk_drain(f, talk_at(i * 500), ENVELOPE_ABORT);
	}
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING,
	    "10 minutes of saving are waited for");
	e = talk_complete(100);
	(void)talk_give(f, talk_at(600 * 1000), &talk_issuer, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "until it is safe");
	transfer_flow_free(f);
}

/* All has come and is being saved when the sender vanishes. */
static void
test_gone_while_saving(int r, bool saved)
{
	struct transfer_flow *f = flow_receiver_at(TRANSFER_MOVING, 100);

	transfer_flow_received(f);
	transfer_flow_disconnected(f, false, r, "idle", talk_at(100));
	(void)talk_drain(f, talk_at(5000), ENVELOPE_ABORT);
	if (r == -DT_ERR_PEER_ABORTED) {
		flow_failed(f, r, "idle");
		return;
	}
	EQ_INT(transfer_flow_state(f), TRANSFER_MOVING, "its disk decides");
	if (!saved) {
		transfer_flow_fail(f, -EIO, "disk", talk_at(6000));
		flow_failed(f, -EIO, "disk");
		return;
	}
	transfer_flow_finished(f, talk_at(6000));
	(void)talk_drain(f, talk_at(7000), ENVELOPE_V2_COMPLETE);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "saved is saved");
	transfer_flow_free(f);
}

/* Who was not scheduled hears what waits for it before it looks at the time. */
static void
test_heard_late(void)
{
	struct transfer_flow *f = flow_receiver_at(TRANSFER_CONFIRMING, 100);
	struct envelope e = talk_abort("source failed");

	(void)talk_give(f, talk_at(400), &talk_claimant, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_FAILED,
	    "an abort that waited while the receiver's time ran out");
	EQ_INT(transfer_flow_result(f), -DT_ERR_PEER_ABORTED, "counts");
	transfer_flow_free(f);
	f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "idle", talk_at(100));
	e = talk_complete(100);
	(void)talk_give(f, talk_at(3000), &talk_issuer, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "so does a confirmation");
	transfer_flow_free(f);
}

static void
test_endless_slowness(void)
{
	struct transfer_flow *f = flow_sender_at(TRANSFER_CONFIRMING, 100);
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
	struct transfer_flow *f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	struct envelope e = talk_complete(100);

	transfer_flow_disconnected(f, true, 0, "complete", talk_at(100));
	(void)talk_give(f, talk_at(900), &talk_issuer, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "complete comes late");
	transfer_flow_free(f);
	f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	transfer_flow_disconnected(f, true, 0, "complete", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "complete was lost: an orderly close says the same");
	transfer_flow_free(f);
	f = flow_sender_at(TRANSFER_MOVING, 100);
	transfer_flow_disconnected(f, true, 0, "complete", talk_at(100));
	EQ_INT(talk_drain(f, talk_at(1100), ENVELOPE_ABORT), 1, "aborts");
	flow_failed(f, -DT_ERR_PEER_GONE, "peer disconnected");
	f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	e = talk_progress(100, 5, 1);
	(void)talk_give(f, talk_at(90), &talk_issuer, &e);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "idle", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE,
	    "QUIC died after all was reported: done");
	transfer_flow_free(f);
	f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	e = talk_progress(99, 5, 1);
	(void)talk_give(f, talk_at(90), &talk_issuer, &e);
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_GONE, "no answer\x1b", talk_at(100));
	(void)talk_drain(f, talk_at(1100), ENVELOPE_ABORT);
	flow_failed(f, -DT_ERR_PEER_GONE, "no answer?");
	f = flow_sender_at(TRANSFER_CONFIRMING, 100);
	e = talk_abort("disk full");
	transfer_flow_disconnected(
	    f, false, -DT_ERR_PEER_ABORTED, "short", talk_at(100));
	(void)talk_give(f, talk_at(500), &talk_issuer, &e);
	EQ_INT(talk_drain(f, talk_at(500), ENVELOPE_ABORT), 0,
	    "who aborted need not be told");
	flow_failed(
	    f, -DT_ERR_PEER_ABORTED, "peer aborted transfer: disk full");
}

static void
test_cancel(void)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_ISSUER);
	struct transfer_flow *f = flow_sender_at(TRANSFER_MOVING, 100);
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
	flow_failed(f, -ECANCELED, "canceled");
	f = flow_sender_at(TRANSFER_CONNECTING, 0);
	transfer_flow_cancel(f, talk_at(100));
	EQ_INT(talk_drain(f, talk_at(100), ENVELOPE_ABORT) +
		   talk_drain(f, talk_at(200), ENVELOPE_ABORT) +
		   talk_drain(f, talk_at(1099), ENVELOPE_ABORT),
	    2, "before QUIC stands");
	EQ_INT(talk_drain(f, talk_at(1100), ENVELOPE_ABORT), 1,
	    "it is said a third time, after 1 s");
	flow_failed(f, -ECANCELED, "canceled");
	f = flow_fresh(&p);
	transfer_flow_cancel(f, talk_at(5));
	OK(transfer_flow_is_quiet(f), "nobody has come: nobody is told");
	flow_failed(f, -ECANCELED, "context canceled");
}

/* A sender's file, in flow B, in blocks and without. */
static void
test_offer_file(bool capable)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_ISSUER);
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
	f = flow_fresh(&p);
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

/* Nothing to send, and that is known before QUIC stands. */
static void
test_finished_early(void)
{
	struct transfer_flow *f = flow_sender_at(TRANSFER_CONNECTING, 0);
	struct envelope e = talk_complete(0);

	transfer_flow_finished(f, talk_at(15));
	EQ_INT(transfer_flow_state(f), TRANSFER_CONNECTING, "not before QUIC");
	transfer_flow_connected(f, talk_at(20));
	EQ_INT(transfer_flow_state(f), TRANSFER_CONFIRMING, "confirming");
	(void)talk_give(f, talk_at(30), &talk_issuer, &e);
	EQ_INT(transfer_flow_state(f), TRANSFER_DONE, "an empty pipe is done");
	transfer_flow_free(f);
}

int
main(void)
{
	test_progress_sent();
	test_complete_repeats();
	test_native_end();
	test_native_death();
	test_truncation();
	test_complete_judged();
	test_progress_judged();
	test_slow_saving();
	test_gone_while_saving(-DT_ERR_PEER_GONE, true);
	test_gone_while_saving(-DT_ERR_PEER_GONE, false);
	test_gone_while_saving(-DT_ERR_PEER_ABORTED, true);
	test_heard_late();
	test_endless_slowness();
	test_sender_disconnected();
	test_cancel();
	test_offer_file(true);
	test_offer_file(false);
	test_finished_early();
	return tap_done();
}
