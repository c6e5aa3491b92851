/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving half of block framing: bytes of the streams go in, pieces of the
 * file with their offsets come out, at once: nothing is held but 12 bytes per
 * stream and a bit per block.
 */
#ifndef PROTO_TRANSFER_BLOCKS_RX_H
#define PROTO_TRANSFER_BLOCKS_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/transfer/blocks_tx.h"

#define BLOCKS_RX_MAX_STREAMS 16 /* peer v0.18.2 */
#define BLOCKS_RX_MAX_REASON 96

struct blocks_rx;

/*
 * @stream brought @len bytes that are done with; return them as credit once
 * they were written.  @p: for @offset of the file; NULL for framing.
 * Returns 0, or negative to stop: blocks_rx_input() then fails with it.
 */
typedef int blocks_rx_deliver_fn(
    void *arg, size_t stream, int64_t offset, const uint8_t *p, size_t len);

/**
 * blocks_rx_new():
 * @n_streams: 1 .. BLOCKS_RX_MAX_STREAMS.
 * @size, @chunk: blocks_tx_is_valid().
 *
 * Returns NULL when memory is out.
 */
struct blocks_rx *blocks_rx_new(size_t n_streams, int64_t size, uint32_t chunk,
    blocks_rx_deliver_fn *deliver, void *arg);
/** blocks_rx_free(): NULL is fine. */
void blocks_rx_free(struct blocks_rx *rx);

/**
 * blocks_rx_input(): the next bytes of a stream.
 * @fin: nothing follows on it.
 *
 * Returns 0; -DT_ERR_PEER_PROTOCOL when the peer broke a rule (see
 * blocks_rx_reason()), -DT_ERR_TRUNCATED when a stream ends inside a frame or
 * the last one ends and blocks are missing; or what deliver returned.  After an
 * error only blocks_rx_reason() and blocks_rx_free() are allowed.
 */
int blocks_rx_input(struct blocks_rx *rx, size_t stream, const uint8_t *p,
    size_t len, bool fin);

/** blocks_rx_reason(): for abort and user, as peer v0.18.2 words it; "" while
 * nothing is wrong. */
const char *blocks_rx_reason(const struct blocks_rx *rx);

/** blocks_rx_received(): payload bytes delivered. */
int64_t blocks_rx_received(const struct blocks_rx *rx);

/** blocks_rx_is_end(): every stream had its FIN and every block came. */
bool blocks_rx_is_end(const struct blocks_rx *rx);

#endif
