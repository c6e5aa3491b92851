/* SPDX-License-Identifier: BSD-3-Clause */
/* Block framing, both halves.  Golden bytes: peer v0.18.2. */
#include "proto/transfer/blocks_rx.h"

#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "test/tap.h"

#define CHUNK BLOCKS_MIN_CHUNK
#define MAX_SIZE (8 * CHUNK)

/* A payload of 1024 + 2 in chunks of 1024. */
static const uint8_t golden_head_0[] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0 };
static const uint8_t golden_head_1[] = { 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 2 };

struct sink {
	uint8_t file[MAX_SIZE];
	size_t credit[BLOCKS_RX_MAX_STREAMS];
	int refuse;
	int outside;
};
static struct sink sink;

static int
deliver(void *arg, size_t stream, int64_t offset, const uint8_t *p, size_t len)
{
	struct sink *k = arg;

	if (k->refuse != 0)
		return k->refuse;
	k->credit[stream] += len;
	if (p == NULL)
		return 0;
	if (offset < 0 || (size_t)offset + len > sizeof(k->file)) {
		k->outside++;
		return 0;
	}
	memcpy(k->file + offset, p, len);
	return 0;
}

static struct blocks_rx *
fresh(size_t n, int64_t size)
{
	memset(&sink, 0, sizeof(sink));
	return blocks_rx_new(n, size, CHUNK, deliver, &sink);
}

static int
frame(struct blocks_rx *rx, size_t stream, uint64_t offset, uint32_t len)
{
	uint8_t wire[BLOCKS_FRAME_LEN + MAX_SIZE];
	struct buf_writer w = buf_writer(wire, sizeof(wire));

	buf_put_u64(&w, offset);
	buf_put_u32(&w, len);
	memset(wire + w.len, (int)(offset / CHUNK) + 1, MAX_SIZE);
	return blocks_rx_input(rx, stream, wire,
	    BLOCKS_FRAME_LEN + (len <= MAX_SIZE ? len : 0), false);
}

static void
test_sender(void)
{
	struct blocks_tx tx;
	uint8_t head[BLOCKS_FRAME_LEN];
	int64_t offset;
	uint32_t len;

	blocks_tx_init(&tx, CHUNK + 2, CHUNK);
	OK(blocks_tx_next(&tx, head, &offset, &len), "first block");
	EQ_MEM(head, golden_head_0, sizeof(head), "its frame");
	EQ_INT(offset, 0, "offset");
	EQ_INT(len, CHUNK, "length");
	OK(blocks_tx_next(&tx, head, &offset, &len), "last block");
	EQ_MEM(head, golden_head_1, sizeof(head), "its frame");
	EQ_INT(offset, CHUNK, "offset");
	EQ_INT(len, 2, "length");
	OK(!blocks_tx_next(&tx, head, &offset, &len), "no more");
	OK(!blocks_tx_next(&tx, head, &offset, &len), "still none");
	blocks_tx_init(&tx, 0, CHUNK);
	OK(!blocks_tx_next(&tx, head, &offset, &len), "empty file: none");
	blocks_tx_init(&tx, CHUNK, CHUNK);
	OK(blocks_tx_next(&tx, head, &offset, &len), "one full block");
	OK(!blocks_tx_next(&tx, head, &offset, &len), "and no empty one");
}

static void
test_valid(void)
{
	OK(blocks_tx_is_valid(0, BLOCKS_MIN_CHUNK), "smallest");
	OK(!blocks_tx_is_valid(0, BLOCKS_MIN_CHUNK - 1), "chunk too small");
	OK(!blocks_tx_is_valid(0, 0), "chunk 0");
	OK(!blocks_tx_is_valid(0, -1), "chunk -1");
	OK(blocks_tx_is_valid(0, BLOCKS_MAX_CHUNK), "largest chunk");
	OK(!blocks_tx_is_valid(0, BLOCKS_MAX_CHUNK + 1), "one more");
	OK(!blocks_tx_is_valid(-1, BLOCKS_CHUNK), "size -1");
	OK(blocks_tx_is_valid(
	       (int64_t)BLOCKS_MAX_BLOCKS * BLOCKS_MIN_CHUNK, 1024),
	    "most blocks");
	OK(!blocks_tx_is_valid(
	       (int64_t)BLOCKS_MAX_BLOCKS * BLOCKS_MIN_CHUNK + 1, 1024),
	    "one byte more");
	OK(!blocks_tx_is_valid(INT64_MAX, BLOCKS_MAX_CHUNK), "2^63-1");
	OK(!blocks_tx_is_valid((int64_t)1 << 62, BLOCKS_MAX_CHUNK), "2^62");
}

/* A whole transfer on one stream, in two pieces, cut anywhere. */
static void
test_cut_everywhere(void)
{
	uint8_t wire[2 * BLOCKS_FRAME_LEN + CHUNK + 2];
	int bad = 0;

	memset(wire, 'x', sizeof(wire));
	memcpy(wire, golden_head_0, BLOCKS_FRAME_LEN);
	memcpy(
	    wire + BLOCKS_FRAME_LEN + CHUNK, golden_head_1, BLOCKS_FRAME_LEN);
	memcpy(wire + sizeof(wire) - 2, "yz", 2);
	for (size_t cut = 0; cut <= sizeof(wire); cut++) {
		struct blocks_rx *rx = fresh(1, CHUNK + 2);
		int r;

		bad += blocks_rx_input(rx, 0, wire, cut, false) != 0;
		bad += blocks_rx_input(
			   rx, 0, wire + cut, sizeof(wire) - cut, true) != 0;
		bad += !blocks_rx_is_end(rx) ||
		       sink.credit[0] != sizeof(wire) ||
		       memcmp(sink.file + CHUNK - 1, "xyz", 3) != 0;
		blocks_rx_free(rx);
		rx = fresh(1, CHUNK + 2);
		r = blocks_rx_input(rx, 0, wire, cut, true);
		bad += r != (cut == sizeof(wire) ? 0 : -DT_ERR_TRUNCATED);
		bad += blocks_rx_is_end(rx) != (cut == sizeof(wire));
		bad += (blocks_rx_reason(rx)[0] != '\0') != (r != 0);
		blocks_rx_free(rx);
	}
	EQ_INT(bad, 0, "cut anywhere: whole; ended anywhere: truncated");
}

static void
test_many_streams(void)
{
	struct blocks_rx *rx = fresh(3, 3 * CHUNK + 1);
	uint8_t head[BLOCKS_FRAME_LEN] = {
		[6] = CHUNK >> 8, [10] = CHUNK >> 8
	};

	EQ_INT(frame(rx, 2, 3 * CHUNK, 1), 0, "the last block first");
	EQ_INT(blocks_rx_input(rx, 1, head, sizeof(head), false), 0,
	    "block 1 begins");
	EQ_INT(frame(rx, 0, 2 * CHUNK, CHUNK), 0, "block 2 meanwhile");
	EQ_INT(frame(rx, 0, 0, CHUNK), 0, "block 0");
	EQ_INT(blocks_rx_input(rx, 0, NULL, 0, true), 0, "FIN");
	EQ_INT(blocks_rx_input(rx, 2, NULL, 0, true), 0, "FIN");
	EQ_INT(blocks_rx_received(rx), 2 * CHUNK + 1, "received so far");
	OK(!blocks_rx_is_end(rx), "not the end");
	EQ_INT(blocks_rx_input(rx, 1, sink.file, CHUNK, false), 0, "block 1");
	EQ_INT(blocks_rx_input(rx, 1, NULL, 0, true), 0, "last FIN");
	OK(blocks_rx_is_end(rx), "the end");
	EQ_INT(sink.file[3 * CHUNK], 4, "each where it belongs");
	EQ_INT(sink.file[2 * CHUNK], 3, "each where it belongs");
	blocks_rx_free(rx);
	rx = fresh(2, 0);
	EQ_INT(blocks_rx_input(rx, 0, NULL, 0, true), 0, "empty file: FIN");
	OK(!blocks_rx_is_end(rx), "not the end");
	EQ_INT(blocks_rx_input(rx, 1, NULL, 0, true), 0, "FIN");
	OK(blocks_rx_is_end(rx), "the end");
	blocks_rx_free(rx);
}

static void
refused(uint64_t offset, uint32_t len, const char *reason)
{
	struct blocks_rx *rx = fresh(1, 2 * CHUNK + 5);

	EQ_INT(frame(rx, 0, CHUNK, CHUNK), 0, "a good block");
	EQ_INT(frame(rx, 0, offset, len), -DT_ERR_PEER_PROTOCOL, "a bad one");
	EQ_STR(blocks_rx_reason(rx), reason, "reason");
	EQ_INT(blocks_rx_received(rx), CHUNK, "nothing of it was delivered");
	OK(!blocks_rx_is_end(rx), "no end");
	blocks_rx_free(rx);
}

static void
test_violations(void)
{
	struct blocks_rx *rx;

	refused(0, CHUNK + 1, "unexpected EOF");
	refused(0, UINT32_MAX, "unexpected EOF");
	refused(0, 0, "empty block frame");
	refused(1, CHUNK, "misaligned block offset 1");
	refused(CHUNK, CHUNK, "duplicate block offset 1024");
	refused(
	    UINT64_C(1) << 63, 1, "negative block offset -9223372036854775808");
	refused(UINT64_MAX, 1, "negative block offset -1");
	refused(INT64_MAX - 1023, 5,
	    "block offset 9223372036854774784 length 5 exceeds payload size "
	    "2053");
	refused(3 * CHUNK, 1,
	    "block offset 3072 length 1 exceeds payload size 2053");
	refused(2 * CHUNK, 6,
	    "block offset 2048 length 6 exceeds payload size 2053");
	refused(2 * CHUNK, 4, "block offset 2048 length 4, want 5");
	refused(0, CHUNK - 1, "block offset 0 length 1023, want 1024");
	rx = fresh(1, CHUNK);
	(void)frame(rx, 0, 0, CHUNK);
	EQ_INT(blocks_rx_input(rx, 0, NULL, 0, true), 0, "end");
	EQ_INT(blocks_rx_input(rx, 0, NULL, 0, true), -DT_ERR_PEER_PROTOCOL,
	    "after the end");
	blocks_rx_free(rx);
	rx = fresh(1, 3 * CHUNK);
	(void)frame(rx, 0, 0, CHUNK);
	EQ_INT(blocks_rx_input(rx, 0, NULL, 0, true), -DT_ERR_TRUNCATED,
	    "blocks missing");
	EQ_STR(blocks_rx_reason(rx),
	    "incomplete block transfer: received 1024 of 3072", "reason");
	blocks_rx_free(rx);
	rx = fresh(2, 3 * CHUNK);
	EQ_INT(blocks_rx_input(rx, 0, golden_head_0, 12, false), 0, "a frame");
	EQ_INT(blocks_rx_input(rx, 0, NULL, 0, true), -DT_ERR_TRUNCATED,
	    "and FIN: the other stream is not waited for");
	EQ_STR(blocks_rx_reason(rx), "unexpected EOF", "reason");
	blocks_rx_free(rx);
	rx = fresh(1, CHUNK);
	sink.refuse = -DT_ERR_FULL;
	EQ_INT(frame(rx, 0, 0, CHUNK), -DT_ERR_FULL, "deliver's error");
	blocks_rx_free(rx);
	EQ_INT(sink.outside, 0, "never outside the file");
}

/* Both halves, blocks dealt to streams at random, pieces of any size. */
static void
test_random(void)
{
	unsigned seed = 1;
	int bad = 0;

	for (int round = 0; round < 200; round++) {
		size_t n = (size_t)(seed % 16) + 1;
		int64_t size = seed / 16 % MAX_SIZE;
		struct blocks_rx *rx = fresh(n, size);
		struct blocks_tx tx;
		uint8_t wire[BLOCKS_FRAME_LEN + CHUNK];
		int64_t offset;
		uint32_t len;

		blocks_tx_init(&tx, size, CHUNK);
		while (blocks_tx_next(&tx, wire, &offset, &len)) {
			size_t stream, cut;

			seed = seed * 1103515245u + 12345u;
			stream = seed / 65536 % n;
			cut = seed / 65536 % (BLOCKS_FRAME_LEN + len);
			for (uint32_t i = 0; i < len; i++)
				wire[BLOCKS_FRAME_LEN + i] =
				    (uint8_t)((offset + i) * 7 / 5);
			bad += blocks_rx_input(rx, stream, wire, cut, false);
			bad += blocks_rx_input(rx, stream, wire + cut,
			    BLOCKS_FRAME_LEN + len - cut, false);
		}
		for (size_t i = 0; i < n; i++)
			bad += blocks_rx_input(rx, i, NULL, 0, true);
		bad += !blocks_rx_is_end(rx) || blocks_rx_received(rx) != size;
		for (int64_t i = 0; i < size; i++)
			bad += sink.file[i] != (uint8_t)(i * 7 / 5);
		blocks_rx_free(rx);
		seed = seed * 1103515245u + 12345u;
	}
	EQ_INT(bad, 0, "random sizes, streams and pieces");
}

int
main(void)
{
	test_sender();
	test_valid();
	test_cut_everywhere();
	test_many_streams();
	test_violations();
	test_random();
	return tap_done();
}
