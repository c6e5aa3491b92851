/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/worker_batch.h"

void
worker_batch_flush(struct worker_batch *b)
{
	struct chan *to = b->to;

	b->to = NULL;
	if (to == NULL || b->w.len == 0)
		return;
	/* A full queue loses packets, as any network does: sessions resend,
	 * and strangers claim again. */
	(void)chan_send(to, b->bytes, b->w.len, NULL, 0);
}

void
worker_batch_forget(struct worker_batch *b, const struct chan *to)
{
	if (b->to == to)
		b->to = NULL;
}

static void
start(struct worker_batch *b, struct chan *to)
{
	worker_batch_flush(b);
	b->to = to;
	b->w = buf_writer(b->bytes, sizeof(b->bytes));
}

void
worker_batch_put(struct worker_batch *b, struct chan *to, const uint8_t *key,
    const uint8_t *p, size_t len)
{
	if (len == 0)
		return; /* an entry has at least one byte */
	if (b->to != to)
		start(b, to);
	if (ipc_packet_put(&b->w, key, p, len) == 0)
		return;
	start(b, to);
	/* Fits an empty batch: relayed packets have at most 64 KiB. */
	(void)ipc_packet_put(&b->w, key, p, len);
}
