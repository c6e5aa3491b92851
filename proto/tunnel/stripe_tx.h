/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sending half of striped framing: each chunk of a TCP connection's bytes goes
 * out on any one lane behind {u64 sequence, u32 length}, numbered 0, 1, 2 ...
 * over all lanes.  The end of a direction is a FIN on every lane.
 */
#ifndef PROTO_TUNNEL_STRIPE_TX_H
#define PROTO_TUNNEL_STRIPE_TX_H

#include <stddef.h>
#include <stdint.h>

#define STRIPE_FRAME_LEN 12
/* Longer chunks are refused by peers (v0.18.2). */
#define STRIPE_MAX_CHUNK 262144
/* Sequence of a warm-up frame: no data, not numbered. */
#define STRIPE_WARM_UP UINT64_MAX

struct stripe_tx {
	uint64_t next; /* sequence of the next chunk */
};

void stripe_tx_init(struct stripe_tx *tx);

/** stripe_tx_frame(): the header of the next chunk, and step on.
 * @len: 1 .. STRIPE_MAX_CHUNK. */
void stripe_tx_frame(struct stripe_tx *tx,
    uint8_t ret_frame[static STRIPE_FRAME_LEN], size_t len);

/** stripe_tx_warm_up(): what a peer writes first on each of several lanes. */
void stripe_tx_warm_up(uint8_t ret_frame[static STRIPE_FRAME_LEN]);

#endif
