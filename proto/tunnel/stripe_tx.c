/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/tunnel/stripe_tx.h"

#include <assert.h>

#include "lib/buf.h"

static void
put_frame(uint8_t *frame, uint64_t sequence, uint32_t len)
{
	struct buf_writer w = buf_writer(frame, STRIPE_FRAME_LEN);

	buf_put_u64(&w, sequence);
	buf_put_u32(&w, len);
}

void
stripe_tx_init(struct stripe_tx *tx)
{
	tx->next = 0;
}

void
stripe_tx_frame(struct stripe_tx *tx,
    uint8_t ret_frame[static STRIPE_FRAME_LEN], size_t len)
{
	assert(len > 0 && len <= STRIPE_MAX_CHUNK);
	put_frame(ret_frame, tx->next++, (uint32_t)len);
}

void
stripe_tx_warm_up(uint8_t ret_frame[static STRIPE_FRAME_LEN])
{
	put_frame(ret_frame, STRIPE_WARM_UP, 0);
}
