/* SPDX-License-Identifier: BSD-3-Clause */
/* Striped framing, both halves.  Golden bytes: peer v0.18.2. */
#include "proto/tunnel/stripe_rx.h"

#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "proto/tunnel/stripe_tx.h"
#include "test/tap.h"

#define MAX_PARKED (1u << 20)

static const uint8_t warm_up[] = { 255, 255, 255, 255, 255, 255, 255, 255, 0, 0,
	0, 0 };
static const uint8_t chunk_0[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 'h', 'e',
	'l', 'l', 'o' };
static const uint8_t chunk_1[] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 'a', 'b',
	'c' };

/* What came out. */
struct sink {
	uint8_t bytes[1 << 16];
	size_t len;   /* of bytes; more is only counted */
	size_t total; /* delivered */
	size_t credit[STRIPE_RX_MAX_LANES];
	int refuse;
};

static struct sink sink;

static int
deliver(void *arg, size_t lane, const uint8_t *p, size_t len)
{
	struct sink *k = arg;

	if (k->refuse != 0)
		return k->refuse;
	k->credit[lane] += len;
	if (p == NULL)
		return 0;
	k->total += len;
	for (size_t i = 0; i < len && k->len < sizeof(k->bytes); i++)
		k->bytes[k->len++] = p[i];
	return 0;
}

static struct stripe_rx *
fresh(size_t n_lanes)
{
	memset(&sink, 0, sizeof(sink));
	return stripe_rx_new(n_lanes, MAX_PARKED, deliver, &sink);
}

/* Send a chunk of @len times @fill. */
static int
chunk(struct stripe_rx *rx, size_t lane, uint64_t sequence, uint32_t len,
    uint8_t fill)
{
	static uint8_t wire[STRIPE_FRAME_LEN + STRIPE_MAX_CHUNK + 1];
	struct buf_writer w = buf_writer(wire, sizeof(wire));

	buf_put_u64(&w, sequence);
	buf_put_u32(&w, len);
	memset(wire + STRIPE_FRAME_LEN, fill, len);
	return stripe_rx_input(rx, lane, wire, STRIPE_FRAME_LEN + len, false);
}

static int
fin(struct stripe_rx *rx, size_t lane)
{
	return stripe_rx_input(rx, lane, NULL, 0, true);
}

static void
test_sender(void)
{
	struct stripe_tx tx;
	uint8_t frame[STRIPE_FRAME_LEN];

	stripe_tx_init(&tx);
	stripe_tx_frame(&tx, frame, 5);
	EQ_MEM(frame, chunk_0, STRIPE_FRAME_LEN, "chunk 0");
	stripe_tx_frame(&tx, frame, 3);
	EQ_MEM(frame, chunk_1, STRIPE_FRAME_LEN, "chunk 1");
	stripe_tx_warm_up(frame);
	EQ_MEM(frame, warm_up, STRIPE_FRAME_LEN, "warm-up");
}

static void
test_golden_cut_everywhere(void)
{
	uint8_t wire[sizeof(warm_up) + sizeof(chunk_0) + sizeof(chunk_1)];
	int bad = 0;

	memcpy(wire, warm_up, sizeof(warm_up));
	memcpy(wire + sizeof(warm_up), chunk_0, sizeof(chunk_0));
	memcpy(
	    wire + sizeof(warm_up) + sizeof(chunk_0), chunk_1, sizeof(chunk_1));
	for (size_t cut = 0; cut <= sizeof(wire); cut++) {
		struct stripe_rx *rx = fresh(1);

		bad += stripe_rx_input(rx, 0, wire, cut, false) != 0;
		bad += stripe_rx_input(
			   rx, 0, wire + cut, sizeof(wire) - cut, true) != 0;
		bad += !stripe_rx_is_end(rx);
		bad += sink.len != 8 || memcmp(sink.bytes, "helloabc", 8) != 0;
		bad += sink.credit[0] != sizeof(wire);
		stripe_rx_free(rx);
	}
	EQ_INT(bad, 0, "golden bytes in two pieces, cut anywhere");
}

static void
test_truncated_everywhere(void)
{
	int bad = 0;

	for (size_t cut = 0; cut < sizeof(chunk_0); cut++) {
		struct stripe_rx *rx = fresh(1);
		int r = stripe_rx_input(rx, 0, chunk_0, cut, true);

		if (cut == 0)
			bad += r != 0 || !stripe_rx_is_end(rx);
		else
			bad += r != -DT_ERR_PEER_PROTOCOL;
		stripe_rx_free(rx);
	}
	EQ_INT(bad, 0, "FIN inside header, after it, inside payload: error");
}

static void
test_order(void)
{
	struct stripe_rx *rx = fresh(3);

	EQ_INT(chunk(rx, 2, 2, 2, 'c'), 0, "2 before its turn");
	EQ_INT(chunk(rx, 1, 1, 1, 'b'), 0, "1 before its turn");
	EQ_INT(sink.total, 0, "nothing is delivered");
	EQ_INT(stripe_rx_held(rx), 3, "but held");
	EQ_INT(sink.credit[2], STRIPE_FRAME_LEN, "without credit");
	EQ_INT(chunk(rx, 0, 0, 1, 'a'), 0, "0 comes");
	EQ_MEM(sink.bytes, "abcc", 4, "all in order");
	EQ_INT(sink.credit[2], STRIPE_FRAME_LEN + 2, "credit follows");
	EQ_INT(chunk(rx, 0, 4, 1, 'e'), 0, "a lane may go back:");
	EQ_INT(chunk(rx, 0, 3, 0, 0), 0, "an empty chunk uses its number");
	EQ_MEM(sink.bytes, "abcce", 5, "and is passed over");
	EQ_INT(chunk(rx, 1, STRIPE_WARM_UP, 9, 'x'), 0, "warm-up with payload");
	EQ_INT(sink.total, 5, "is dropped");
	EQ_INT(fin(rx, 0), 0, "FIN 1 of 3");
	EQ_INT(fin(rx, 1), 0, "FIN 2 of 3");
	OK(!stripe_rx_is_end(rx), "not the end");
	EQ_INT(chunk(rx, 2, 5, 1, 'f'), 0, "the last lane goes on");
	EQ_INT(fin(rx, 2), 0, "FIN 3 of 3");
	OK(stripe_rx_is_end(rx), "the end");
	stripe_rx_free(rx);
}

static void
test_partial_becomes_wanted(void)
{
	struct stripe_rx *rx = fresh(2);

	EQ_INT(stripe_rx_input(rx, 1, chunk_1, 13, false), 0,
	    "half a chunk before its turn");
	EQ_INT(stripe_rx_input(rx, 0, chunk_0, sizeof(chunk_0), false), 0,
	    "the wanted one");
	EQ_MEM(sink.bytes, "helloa", 6, "the half follows it at once");
	EQ_INT(stripe_rx_input(rx, 1, chunk_1 + 13, 2, false), 0, "the rest");
	EQ_MEM(sink.bytes, "helloabc", 8, "goes straight through");
	EQ_INT(stripe_rx_held(rx), 0, "nothing is held");
	stripe_rx_free(rx);
}

/* Each is one thing a peer must not do. */
static void
test_violations(void)
{
	struct stripe_rx *rx = fresh(1);

	EQ_INT(chunk(rx, 0, 0, STRIPE_MAX_CHUNK, 1), 0, "longest chunk");
	EQ_INT(chunk(rx, 0, 1, STRIPE_MAX_CHUNK + 1, 1), -DT_ERR_PEER_PROTOCOL,
	    "one byte more");
	stripe_rx_free(rx);
	rx = fresh(1);
	(void)chunk(rx, 0, 0, 1, 1);
	EQ_STR(stripe_rx_reason(rx), "", "no reason yet");
	EQ_INT(chunk(rx, 0, 0, 1, 1), -DT_ERR_PEER_PROTOCOL, "old number");
	EQ_STR(stripe_rx_reason(rx), "duplicate striped chunk sequence",
	    "its reason");
	stripe_rx_free(rx);
	rx = fresh(2);
	(void)chunk(rx, 0, 3, 1, 1);
	EQ_INT(chunk(rx, 1, 3, 1, 1), -DT_ERR_PEER_PROTOCOL,
	    "same number twice, both ahead");
	stripe_rx_free(rx);
	rx = fresh(2);
	(void)stripe_rx_input(rx, 0, chunk_0, 14, false);
	EQ_INT(chunk(rx, 1, 0, 1, 1), -DT_ERR_PEER_PROTOCOL,
	    "same number twice, the first still coming");
	stripe_rx_free(rx);
	rx = fresh(2);
	(void)chunk(rx, 0, 1, 1, 1);
	(void)fin(rx, 0);
	EQ_INT(fin(rx, 1), -DT_ERR_PEER_PROTOCOL, "a gap at the end");
	EQ_STR(stripe_rx_reason(rx), "missing striped chunk sequence",
	    "its reason");
	stripe_rx_free(rx);
	rx = fresh(2);
	(void)fin(rx, 0);
	EQ_INT(chunk(rx, 0, 0, 1, 1), -DT_ERR_PEER_PROTOCOL, "after FIN");
	stripe_rx_free(rx);
	rx = fresh(1);
	EQ_INT(chunk(rx, 0, STRIPE_RX_MAX_CHUNKS, 1, 1), -DT_ERR_PEER_PROTOCOL,
	    "out of reach on the only lane");
	stripe_rx_free(rx);
	rx = fresh(1);
	sink.refuse = -DT_ERR_FULL;
	EQ_INT(chunk(rx, 0, 0, 1, 1), -DT_ERR_FULL, "deliver's error");
	stripe_rx_free(rx);
}

static void
test_look_ahead_in_numbers(void)
{
	struct stripe_rx *rx = fresh(2);

	EQ_INT(chunk(rx, 1, STRIPE_RX_MAX_CHUNKS - 1, 1, 1), 0,
	    "the farthest number");
	EQ_INT(stripe_rx_held(rx), 1, "is kept");
	EQ_INT(chunk(rx, 1, STRIPE_RX_MAX_CHUNKS, 1, 1), 0, "the next parks");
	EQ_INT(chunk(rx, 1, STRIPE_RX_MAX_CHUNKS + 1, 1, 1), 0, "its lane");
	EQ_INT(sink.credit[1], 2 * STRIPE_FRAME_LEN,
	    "and gives no credit for what it has not parsed");
	EQ_INT(chunk(rx, 0, 0, 1, 1), 0, "the wanted one, on the other lane");
	EQ_INT(sink.credit[1], 3 * STRIPE_FRAME_LEN, "one is unparked");
	for (uint64_t i = 1; i < STRIPE_RX_MAX_CHUNKS - 1; i++)
		(void)chunk(rx, 0, i, 1, 1);
	EQ_INT(sink.total, STRIPE_RX_MAX_CHUNKS + 2, "all came in the end");
	EQ_INT(stripe_rx_held(rx), 0, "nothing is left");
	(void)fin(rx, 0);
	EQ_INT(fin(rx, 1), 0, "and it ends well");
	stripe_rx_free(rx);
}

/* Lengths that nothing follows. */
static void
test_announced_only(void)
{
	struct stripe_rx *rx;
	uint8_t wire[STRIPE_FRAME_LEN + 1];
	size_t n_lanes = STRIPE_RX_MAX_AHEAD / STRIPE_MAX_CHUNK;
	int bad = 0;

	for (size_t more = 0; more <= 1; more++) {
		rx = fresh(n_lanes + 1);
		for (size_t i = 1; i <= n_lanes; i++) {
			struct buf_writer w = buf_writer(wire, sizeof(wire));

			buf_put_u64(&w, i);
			buf_put_u32(&w, STRIPE_MAX_CHUNK);
			buf_put_u8(&w, 7);
			bad += stripe_rx_input(rx, i, wire,
				   STRIPE_FRAME_LEN + more, false) != 0;
		}
		EQ_INT(bad, 0, "chunks are announced, %zu octets come", more);
		OK(stripe_rx_held(rx) <= more * n_lanes * 16384,
		    "no memory for what does not come: %zu",
		    stripe_rx_held(rx));
		EQ_INT(chunk(rx, 0, n_lanes + 1, STRIPE_MAX_CHUNK, 1), 0,
		    "but their room is kept: the next one is parked");
		stripe_rx_free(rx);
	}
}

static void
test_look_ahead_in_bytes(void)
{
	struct stripe_rx *rx = fresh(2);
	uint64_t n = STRIPE_RX_MAX_AHEAD / STRIPE_MAX_CHUNK;
	int bad = 0;

	for (uint64_t i = 1; i <= n; i++)
		bad += chunk(rx, 1, i, STRIPE_MAX_CHUNK, 1) != 0;
	EQ_INT(bad, 0, "8 MiB ahead are taken");
	EQ_INT(stripe_rx_held(rx), STRIPE_RX_MAX_AHEAD, "and held");
	EQ_INT(chunk(rx, 1, n + 1, 100, 1), 0, "more parks the lane");
	EQ_INT(stripe_rx_held(rx), STRIPE_RX_MAX_AHEAD + 100, "unparsed");
	for (int i = 0; i < 5 && bad == 0; i++)
		bad = chunk(rx, 1, n + 2 + (uint64_t)i, STRIPE_MAX_CHUNK, 1);
	EQ_INT(bad, -DT_ERR_FULL, "beyond any stream window: error");
	stripe_rx_free(rx);

	rx = fresh(2);
	for (uint64_t i = 1; i <= n + 1; i++)
		(void)chunk(rx, 1, i, STRIPE_MAX_CHUNK, 1);
	EQ_INT(chunk(rx, 0, 0, 1, 1), 0, "the wanted one frees all");
	EQ_INT(sink.total, (n + 1) * STRIPE_MAX_CHUNK + 1, "delivered");
	EQ_INT(stripe_rx_held(rx), 0, "nothing held");
	stripe_rx_free(rx);

	rx = fresh(2);
	for (uint64_t i = 1; i <= n + 1; i++)
		(void)chunk(rx, 1, i, STRIPE_MAX_CHUNK, 1);
	EQ_INT(fin(rx, 0), -DT_ERR_PEER_PROTOCOL,
	    "parked, and nobody left to bring it: an error, not a spin");
	stripe_rx_free(rx);
}

/* Random cuts over random lanes come out as they went in. */
static void
test_random(void)
{
	enum { LANES = 12, CHUNKS = 600 };
	static uint8_t lane_bytes[LANES][CHUNKS * 64];
	size_t len[LANES] = { 0 };
	size_t off[LANES] = { 0 };
	struct stripe_rx *rx = fresh(LANES);
	struct stripe_tx tx;
	uint8_t expect = 0;
	size_t total = 0;
	size_t bad = 0;
	size_t open = LANES;

	srandom(42);
	stripe_tx_init(&tx);
	for (int i = 0; i < CHUNKS; i++) {
		size_t l = (size_t)random() % LANES;
		size_t n = (size_t)random() % 50 + 1;

		stripe_tx_frame(&tx, lane_bytes[l] + len[l], n);
		len[l] += STRIPE_FRAME_LEN;
		for (size_t k = 0; k < n; k++)
			lane_bytes[l][len[l]++] = (uint8_t)(total++ & 0xff);
	}
	while (open > 0 && bad == 0) {
		size_t l = (size_t)random() % LANES;
		size_t n = (size_t)random() % 100;

		if (off[l] > len[l])
			continue;
		if (n > len[l] - off[l])
			n = len[l] - off[l];
		bad += stripe_rx_input(rx, l, lane_bytes[l] + off[l], n,
			   off[l] + n == len[l]) != 0;
		off[l] += n;
		if (off[l] == len[l]) {
			off[l]++; /* FIN was given */
			open--;
		}
	}
	EQ_INT(bad, 0, "random lanes and cuts");
	OK(stripe_rx_is_end(rx), "the end is seen");
	EQ_INT(sink.total, total, "all bytes");
	for (size_t i = 0; i < sink.len; i++)
		bad += sink.bytes[i] != expect++;
	EQ_INT(bad, 0, "in order");
	for (size_t l = 0; l < LANES; l++)
		bad += sink.credit[l] != len[l];
	EQ_INT(bad, 0, "every byte's credit was returned to its lane");
	stripe_rx_free(rx);
}

int
main(void)
{
	test_sender();
	test_golden_cut_everywhere();
	test_truncated_everywhere();
	test_order();
	test_partial_becomes_wanted();
	test_violations();
	test_look_ahead_in_numbers();
	test_look_ahead_in_bytes();
	test_announced_only();
	test_random();
	return tap_done();
}
