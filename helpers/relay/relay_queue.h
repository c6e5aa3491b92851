/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A bounded queue of encoded frames for one receiver.
 *
 * Frames lie back to back in blocks of a few TLS records, so the writer hands
 * over a whole block at a time and nobody copies a frame twice.  Blocks
 * come from a pool shared by all receivers: a connection without a backlog
 * holds none.  A frame is in the queue whole or not at all, and only whole
 * frames leave it.
 */
#ifndef HELPERS_RELAY_RELAY_QUEUE_H
#define HELPERS_RELAY_RELAY_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/queue.h"

/* Three TLS records' worth (RFC 8446 5.1): TLS seals whole ones straight from
 * here and gathers only the rest, which costs a copy. */
#define RELAY_QUEUE_BLOCK ((size_t)3 * 16384)

/* Owner: the queue it is in, else the pool. */
struct relay_block {
	TAILQ_ENTRY(relay_block) link;
	size_t cap;         /* bytes in data */
	size_t start;       /* first byte not yet removed */
	size_t end;         /* one past the last byte */
	size_t packets;     /* whole frames between start and end */
	struct mono oldest; /* when the first frame came */
	uint8_t data[];
};

TAILQ_HEAD(relay_blocks, relay_block);

/* Free blocks, kept for the next burst.  Owner: the server. */
struct relay_pool {
	struct relay_blocks free;
	size_t n_free;
	size_t max_free;
};

/* Invariant: bytes <= max_bytes, packets <= max_packets, no empty block. */
struct relay_queue {
	struct relay_blocks blocks;
	struct relay_pool *pool;
	size_t bytes;
	size_t packets;
	size_t max_bytes;
	size_t max_packets;
};

/** relay_pool_init(): an empty pool that keeps up to @max_free blocks. */
void relay_pool_init(struct relay_pool *p, size_t max_free);
/** relay_pool_fini(): release the free blocks.  Queues must be gone. */
void relay_pool_fini(struct relay_pool *p);

/**
 * relay_queue_init(): an empty queue; allocates nothing.
 * @pool: outlives the queue.
 * @max_packets, @max_bytes: bounds, framing included.
 */
void relay_queue_init(struct relay_queue *q, struct relay_pool *pool,
    size_t max_packets, size_t max_bytes);
/** relay_queue_fini(): drop everything. */
void relay_queue_fini(struct relay_queue *q);

/** relay_queue_fits(): would a frame of @len bytes stay inside the bounds? */
int relay_queue_fits(const struct relay_queue *q, size_t len);

/**
 * relay_queue_add(): room for one frame at the end.
 * @len: size of the whole frame, header included; relay_queue_fits() said yes.
 * @now: when it was queued.
 *
 * Returns the bytes to fill in at once, or NULL when memory is out.
 */
uint8_t *relay_queue_add(struct relay_queue *q, size_t len, struct mono now);

/**
 * relay_queue_oldest(): the frame that relay_queue_drop_oldest() would remove.
 * @ret_len: its size, header included.
 *
 * Returns the frame, or NULL when the queue is empty.
 */
const uint8_t *relay_queue_oldest(const struct relay_queue *q, size_t *ret_len);

/** relay_queue_drop_oldest(): remove the oldest frame; not when empty. */
void relay_queue_drop_oldest(struct relay_queue *q);

/**
 * relay_queue_peek(): the first block's frames, for the writer.
 * @ret_len: bytes of whole frames, in order.
 * @ret_since: when the oldest of them was queued.
 *
 * Returns the bytes, or NULL when the queue is empty.
 */
const uint8_t *relay_queue_peek(
    const struct relay_queue *q, size_t *ret_len, struct mono *ret_since);

/**
 * relay_queue_drop_block(): what relay_queue_peek() gave has been written.
 * Returns the number of frames that were in it.
 */
size_t relay_queue_drop_block(struct relay_queue *q);

#endif
