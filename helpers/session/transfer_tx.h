/* SPDX-License-Identifier: BSD-3-Clause */
/* The sender's half: from one descriptor into the streams. */
#ifndef HELPERS_SESSION_TRANSFER_TX_H
#define HELPERS_SESSION_TRANSFER_TX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "proto/ipc/ipc_transfer.h"
#include "proto/transfer/blocks_tx.h"
#include "proto/tunnel/stripe_tx.h"

struct loop_io;
struct transfer;

/* Owner: the transfer. */
struct transfer_tx {
	int fd;             /* -1: not there yet, or done with */
	struct loop_io *io; /* unless positioned */
	bool had_source;
	bool positioned;
	int64_t offset; /* positioned: next byte of the file */
	int64_t left;   /* payload bytes to come; -1: until it ends */
	bool readable;
	bool has_more; /* the turn's share was used up */
	bool is_begun; /* header or warm-ups are written */
	bool is_end;

	struct stripe_tx stripe;
	struct blocks_tx blocks;
	uint32_t block_left; /* of the block in progress */
	int64_t taken;       /* payload bytes */
};

void transfer_tx_init(struct transfer *t);
void transfer_tx_fini(struct transfer *t);

/** transfer_tx_source(): the descriptor, owned from now on.
 * 0, or -DT_ERR_STATE for a second one. */
int transfer_tx_source(struct transfer *t, const struct ipc_source *m, int fd);
bool transfer_tx_has_source(const struct transfer_tx *tx);

/** transfer_tx_run(): read what the streams have room for. */
void transfer_tx_run(struct transfer *t);
struct mono transfer_tx_next_deadline(const struct transfer *t);

#endif
