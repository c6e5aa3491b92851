/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  Each stream is either collecting the 12 octets of a
 * frame (left == 0) or passing the bytes of its block on (left > 0).  A block's
 * bit is set when its frame was accepted, so no two streams can be in one
 * block.  All rules are checked on the frame, before any byte is delivered.
 */
#include "proto/transfer/blocks_rx.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

struct stream {
	uint8_t head[BLOCKS_FRAME_LEN];
	size_t head_len;
	int64_t offset; /* of the next byte of the block */
	uint32_t left;  /* bytes of the block still to come */
	bool fin;
};

struct blocks_rx {
	blocks_rx_deliver_fn *deliver;
	void *arg;
	int64_t size;
	uint32_t chunk;
	int64_t received;
	size_t n_streams;
	size_t n_fin;
	bool bad;
	char reason[BLOCKS_RX_MAX_REASON];
	uint8_t *seen; /* a bit for each block */
	struct stream stream[];
};

struct blocks_rx *
blocks_rx_new(size_t n_streams, int64_t size, uint32_t chunk,
    blocks_rx_deliver_fn *deliver, void *arg)
{
	struct blocks_rx *rx;

	assert(n_streams > 0 && n_streams <= BLOCKS_RX_MAX_STREAMS);
	assert(blocks_tx_is_valid(size, chunk));
	rx = calloc(1, sizeof(*rx) + n_streams * sizeof(rx->stream[0]));
	if (rx == NULL)
		return NULL;
	rx->seen = calloc((size_t)(size / chunk) / 8 + 1, 1);
	if (rx->seen == NULL) {
		free(rx);
		return NULL;
	}
	rx->deliver = deliver;
	rx->arg = arg;
	rx->size = size;
	rx->chunk = chunk;
	rx->n_streams = n_streams;
	return rx;
}

void
blocks_rx_free(struct blocks_rx *rx)
{
	if (rx == NULL)
		return;
	free(rx->seen);
	free(rx);
}

__attribute__((format(printf, 3, 4))) static int
fail(struct blocks_rx *rx, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(rx->reason, sizeof(rx->reason), fmt, ap);
	va_end(ap);
	rx->bad = true;
	return r;
}

/* The frame in head[]: rules and words of peer v0.18.2. */
static int
admit(struct blocks_rx *rx, struct stream *s)
{
	uint64_t raw = buf_u64_at(s->head);
	uint32_t len = buf_u32_at(s->head + 8);
	int64_t offset = (int64_t)raw;
	int64_t want;
	uint8_t *seen, bit;

	if (len > rx->chunk)
		return fail(rx, -DT_ERR_PEER_PROTOCOL, "unexpected EOF");
	if (offset < 0)
		return fail(rx, -DT_ERR_PEER_PROTOCOL,
		    "negative block offset %" PRId64, offset);
	if (len == 0)
		return fail(rx, -DT_ERR_PEER_PROTOCOL, "empty block frame");
	if (offset % rx->chunk != 0)
		return fail(rx, -DT_ERR_PEER_PROTOCOL,
		    "misaligned block offset %" PRId64, offset);
	if (offset > rx->size || len > rx->size - offset)
		return fail(rx, -DT_ERR_PEER_PROTOCOL,
		    "block offset %" PRId64 " length %" PRIu32
		    " exceeds payload size %" PRId64,
		    offset, len, rx->size);
	want = rx->size - offset < rx->chunk ? rx->size - offset : rx->chunk;
	if (len != want)
		return fail(rx, -DT_ERR_PEER_PROTOCOL,
		    "block offset %" PRId64 " length %" PRIu32
		    ", want %" PRId64,
		    offset, len, want);
	seen = &rx->seen[offset / rx->chunk / 8];
	bit = (uint8_t)(1u << (offset / rx->chunk % 8));
	if ((*seen & bit) != 0)
		return fail(rx, -DT_ERR_PEER_PROTOCOL,
		    "duplicate block offset %" PRId64, offset);
	*seen |= bit;
	s->offset = offset;
	s->left = len;
	s->head_len = 0;
	return 0;
}

static int
take_head(struct blocks_rx *rx, struct stream *s, const uint8_t *p, size_t len,
    size_t *ret_used)
{
	size_t n = BLOCKS_FRAME_LEN - s->head_len;
	int r;

	if (n > len)
		n = len;
	memcpy(s->head + s->head_len, p, n);
	s->head_len += n;
	*ret_used = n;
	r = rx->deliver(rx->arg, (size_t)(s - rx->stream), 0, NULL, n);
	if (r == 0 && s->head_len == BLOCKS_FRAME_LEN)
		r = admit(rx, s);
	return r;
}

static int
take_payload(struct blocks_rx *rx, struct stream *s, const uint8_t *p,
    size_t len, size_t *ret_used)
{
	size_t n = len < s->left ? len : s->left;
	int64_t offset = s->offset;

	*ret_used = n;
	s->offset += (int64_t)n;
	s->left -= (uint32_t)n;
	rx->received += (int64_t)n;
	return rx->deliver(rx->arg, (size_t)(s - rx->stream), offset, p, n);
}

static int
on_fin(struct blocks_rx *rx, struct stream *s)
{
	s->fin = true;
	rx->n_fin++;
	if (s->left > 0 || s->head_len > 0)
		return fail(rx, -DT_ERR_TRUNCATED, "unexpected EOF");
	if (rx->n_fin == rx->n_streams && rx->received != rx->size)
		return fail(rx, -DT_ERR_TRUNCATED,
		    "incomplete block transfer: received %" PRId64
		    " of %" PRId64,
		    rx->received, rx->size);
	return 0;
}

int
blocks_rx_input(
    struct blocks_rx *rx, size_t stream, const uint8_t *p, size_t len, bool fin)
{
	struct stream *s = &rx->stream[stream];
	size_t off = 0, used;
	int r = 0;

	assert(stream < rx->n_streams && !rx->bad);
	if (s->fin)
		return fail(rx, -DT_ERR_PEER_PROTOCOL, "data after end");
	while (off < len && r == 0) {
		if (s->left > 0)
			r = take_payload(rx, s, p + off, len - off, &used);
		else
			r = take_head(rx, s, p + off, len - off, &used);
		off += used;
	}
	return r == 0 && fin ? on_fin(rx, s) : r;
}

const char *
blocks_rx_reason(const struct blocks_rx *rx)
{
	return rx->reason;
}

int64_t
blocks_rx_received(const struct blocks_rx *rx)
{
	return rx->received;
}

bool
blocks_rx_is_end(const struct blocks_rx *rx)
{
	return rx->n_fin == rx->n_streams && !rx->bad &&
	       rx->received == rx->size;
}
