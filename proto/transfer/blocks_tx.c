/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/transfer/blocks_tx.h"

#include <assert.h>

#include "lib/buf.h"

bool
blocks_tx_is_valid(int64_t size, int64_t chunk)
{
	return size >= 0 && chunk >= BLOCKS_MIN_CHUNK &&
	       chunk <= BLOCKS_MAX_CHUNK &&
	       /* rounded up, without overflow */
	       (uint64_t)size / (uint64_t)chunk +
		       ((uint64_t)size % (uint64_t)chunk > 0) <=
		   BLOCKS_MAX_BLOCKS;
}

void
blocks_tx_init(struct blocks_tx *tx, int64_t size, uint32_t chunk)
{
	assert(blocks_tx_is_valid(size, chunk));
	tx->size = size;
	tx->chunk = chunk;
	tx->next = 0;
}

bool
blocks_tx_next(struct blocks_tx *tx, uint8_t ret_frame[static BLOCKS_FRAME_LEN],
    int64_t *ret_offset, uint32_t *ret_len)
{
	struct buf_writer w = buf_writer(ret_frame, BLOCKS_FRAME_LEN);
	int64_t left = tx->size - tx->next;
	uint32_t len = left < tx->chunk ? (uint32_t)left : tx->chunk;

	if (left == 0)
		return false;
	buf_put_u64(&w, (uint64_t)tx->next);
	buf_put_u32(&w, len);
	*ret_offset = tx->next;
	*ret_len = len;
	tx->next += len;
	return true;
}
