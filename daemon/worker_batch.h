/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets on their way to workers, gathered in one buffer for all of them: they
 * mostly come in runs for the same one.  A packet for another channel sends
 * what is there.
 */
#ifndef DAEMON_WORKER_BATCH_H
#define DAEMON_WORKER_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/chan.h"
#include "proto/ipc/ipc.h"

/* Zero is empty. */
struct worker_batch {
	struct chan *to; /* NULL: empty; borrowed */
	struct buf_writer w;
	uint8_t bytes[IPC_MAX_BATCH];
};

/** worker_batch_put(): @key is 32 bytes for a gate, NULL for a session. */
void worker_batch_put(struct worker_batch *b, struct chan *to,
    const uint8_t *key, const uint8_t *p, size_t len);
/** worker_batch_flush(): hand over what is there. */
void worker_batch_flush(struct worker_batch *b);
/** worker_batch_forget(): @to is about to be freed; may be NULL. */
void worker_batch_forget(struct worker_batch *b, const struct chan *to);

#endif
