/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: streams, size in 2 bytes, then records {stream, length, bytes}.  The
 * top bit of the stream is a FIN.  No byte of the file comes twice, none
 * outside, and the end means that all came.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/transfer/blocks_rx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sink {
	int64_t size;
	int64_t total;
	uint8_t seen[65536];
};

static int
deliver(void *arg, size_t stream, int64_t offset, const uint8_t *p, size_t len)
{
	struct sink *k = arg;

	(void)stream;
	if (p == NULL)
		return 0;
	assert(offset >= 0 && offset + (int64_t)len <= k->size);
	for (size_t i = 0; i < len; i++)
		assert(k->seen[(size_t)offset + i]++ == 0);
	k->total += (int64_t)len + (p[len - 1] & 0);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sink sink;
	struct blocks_rx *rx;
	size_t n_streams;
	int r = 0;

	if (size < 3)
		return 0;
	memset(&sink, 0, sizeof(sink));
	n_streams = data[0] % BLOCKS_RX_MAX_STREAMS + 1u;
	sink.size = data[1] * 256 + data[2];
	rx = blocks_rx_new(
	    n_streams, sink.size, BLOCKS_MIN_CHUNK, deliver, &sink);
	if (rx == NULL)
		return 0;
	data += 3;
	size -= 3;
	while (size >= 2 && r == 0) {
		size_t stream = (data[0] & 0x7f) % n_streams;
		int fin = data[0] & 0x80;
		size_t len = data[1];

		data += 2;
		size -= 2;
		if (len > size)
			len = size;
		r = blocks_rx_input(rx, stream, data, len, fin != 0);
		assert((r != 0) == (blocks_rx_reason(rx)[0] != '\0'));
		data += len;
		size -= len;
	}
	assert(blocks_rx_received(rx) == sink.total);
	assert(!blocks_rx_is_end(rx) || sink.total == sink.size);
	blocks_rx_free(rx);
	return 0;
}
