/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending half of block framing (peer v0.18.2, `blocks-v1`): hands out the
 * blocks of a file of known size, each whole to one stream, in any order.
 *
 *	0  8  offset in the payload     8  4  length     12  bytes
 *
 * Every block but the last has the chunk size.  No block for an empty file.
 */
#ifndef PROTO_TRANSFER_BLOCKS_TX_H
#define PROTO_TRANSFER_BLOCKS_TX_H

#include <stdbool.h>
#include <stdint.h>

#define BLOCKS_FRAME_LEN 12
#define BLOCKS_CHUNK 262144 /* what peer v0.18.2 offers */
/* The peer takes what it is told; we accept and offer this range. */
#define BLOCKS_MIN_CHUNK 1024
#define BLOCKS_MAX_CHUNK (16u << 20)
/* The receiver keeps a bit for each: 8 MiB. */
#define BLOCKS_MAX_BLOCKS (UINT64_C(1) << 26)

struct blocks_tx {
	int64_t size;
	uint32_t chunk;
	int64_t next; /* offset of the next block */
};

/** blocks_tx_is_valid(): may a payload of @size be cut into chunks of @chunk?
 */
bool blocks_tx_is_valid(int64_t size, int64_t chunk);

/** blocks_tx_init(): @size and @chunk are valid. */
void blocks_tx_init(struct blocks_tx *tx, int64_t size, uint32_t chunk);

/**
 * blocks_tx_next(): hand out the next block.
 * @ret_frame: goes in front of its bytes, on the same stream.
 *
 * Returns true with *@ret_offset and *@ret_len; false when all were handed out:
 * FIN every stream.
 */
bool blocks_tx_next(struct blocks_tx *tx,
    uint8_t ret_frame[static BLOCKS_FRAME_LEN], int64_t *ret_offset,
    uint32_t *ret_len);

#endif
