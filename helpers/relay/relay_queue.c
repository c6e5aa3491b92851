/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: the last block takes frames until the next one does not
 * fit; a frame larger than a block gets a block of its own size, which goes
 * back to the allocator instead of the pool.  Dropping the oldest frame moves
 * the first block's start, found from the length field of the frame itself.
 */
#include "helpers/relay/relay_queue.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/buf.h"

/* Frame header: type and u32 length. */
#define HEADER_LEN 5

void
relay_pool_init(struct relay_pool *p, size_t max_free)
{
	TAILQ_INIT(&p->free);
	p->n_free = 0;
	p->max_free = max_free;
}

void
relay_pool_fini(struct relay_pool *p)
{
	struct relay_block *b;

	while ((b = TAILQ_FIRST(&p->free)) != NULL) {
		TAILQ_REMOVE(&p->free, b, link);
		free(b);
	}
	p->n_free = 0;
}

/* A block that holds at least @len bytes; NULL when memory is out. */
static struct relay_block *
pool_take(struct relay_pool *p, size_t len)
{
	struct relay_block *b = TAILQ_FIRST(&p->free);
	size_t cap = len > RELAY_QUEUE_BLOCK ? len : RELAY_QUEUE_BLOCK;

	if (cap == RELAY_QUEUE_BLOCK && b != NULL) {
		TAILQ_REMOVE(&p->free, b, link);
		p->n_free--;
	} else {
		b = malloc(sizeof(*b) + cap);
		if (b == NULL)
			return NULL;
		b->cap = cap;
	}
	b->start = 0;
	b->end = 0;
	b->packets = 0;
	return b;
}

static void
pool_give(struct relay_pool *p, struct relay_block *b)
{
	if (b->cap != RELAY_QUEUE_BLOCK || p->n_free >= p->max_free) {
		free(b);
		return;
	}
	/* Last used first: it is still in the cache. */
	TAILQ_INSERT_HEAD(&p->free, b, link);
	p->n_free++;
}

void
relay_queue_init(struct relay_queue *q, struct relay_pool *pool,
    size_t max_packets, size_t max_bytes)
{
	TAILQ_INIT(&q->blocks);
	q->pool = pool;
	q->bytes = 0;
	q->packets = 0;
	q->max_bytes = max_bytes;
	q->max_packets = max_packets;
}

void
relay_queue_fini(struct relay_queue *q)
{
	while (!TAILQ_EMPTY(&q->blocks))
		(void)relay_queue_drop_block(q); /* nobody wants the count */
}

int
relay_queue_fits(const struct relay_queue *q, size_t len)
{
	return q->packets < q->max_packets && len <= q->max_bytes - q->bytes;
}

uint8_t *
relay_queue_add(struct relay_queue *q, size_t len, struct mono now)
{
	struct relay_block *b = TAILQ_LAST(&q->blocks, relay_blocks);
	uint8_t *p;

	assert(len >= HEADER_LEN && relay_queue_fits(q, len));
	if (b == NULL || b->cap - b->end < len) {
		b = pool_take(q->pool, len);
		if (b == NULL)
			return NULL;
		b->oldest = now;
		TAILQ_INSERT_TAIL(&q->blocks, b, link);
	}
	p = b->data + b->end;
	b->end += len;
	b->packets++;
	q->bytes += len;
	q->packets++;
	return p;
}

const uint8_t *
relay_queue_oldest(const struct relay_queue *q, size_t *ret_len)
{
	const struct relay_block *b = TAILQ_FIRST(&q->blocks);

	if (b == NULL)
		return NULL;
	*ret_len = HEADER_LEN + (size_t)buf_u32_at(b->data + b->start + 1);
	return b->data + b->start;
}

void
relay_queue_drop_oldest(struct relay_queue *q)
{
	struct relay_block *b = TAILQ_FIRST(&q->blocks);
	size_t len = 0;

	(void)relay_queue_oldest(q, &len); /* only its length matters */
	assert(b != NULL && len <= b->end - b->start);
	b->start += len;
	b->packets--;
	q->bytes -= len;
	q->packets--;
	if (b->packets > 0)
		return;
	TAILQ_REMOVE(&q->blocks, b, link);
	pool_give(q->pool, b);
}

const uint8_t *
relay_queue_peek(
    const struct relay_queue *q, size_t *ret_len, struct mono *ret_since)
{
	const struct relay_block *b = TAILQ_FIRST(&q->blocks);

	if (b == NULL)
		return NULL;
	*ret_len = b->end - b->start;
	*ret_since = b->oldest;
	return b->data + b->start;
}

size_t
relay_queue_drop_block(struct relay_queue *q)
{
	struct relay_block *b = TAILQ_FIRST(&q->blocks);
	size_t packets;

	assert(b != NULL);
	/* The analyzer does not see that TAILQ_REMOVE moved the head on.
	 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
	packets = b->packets;
	q->bytes -= b->end - b->start;
	q->packets -= packets;
	TAILQ_REMOVE(&q->blocks, b, link);
	pool_give(q->pool, b);
	return packets;
}
