/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiver's half: from the streams into one descriptor. */
#ifndef HELPERS_SESSION_TRANSFER_RX_H
#define HELPERS_SESSION_TRANSFER_RX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/session/transfer_sink.h"
#include "lib/mono.h"
#include "proto/ipc/ipc_transfer.h"
#include "proto/transfer/transfer_intake.h"
#include "proto/transfer/transfer_policy.h"
#include "proto/transfer/transfer_window.h"

struct blocks_rx;
struct stripe_rx;
struct transfer;
struct transfer_stream;

/* What the daemon is being asked. */
enum transfer_question {
	TRANSFER_ASKS_NOTHING,
	TRANSFER_ASKS_OPEN,
	TRANSFER_ASKS_SAVE,
};

/* Owner: the transfer. */
struct transfer_rx {
	struct transfer_sink sink;
	enum transfer_question question;
	uint32_t seq;    /* of it */
	bool has_opened; /* OPEN was asked, or is not needed */
	bool is_end;     /* all streams ended, nothing is missing */
	enum transfer_encoding encoding;
	struct stripe_rx *stripe;
	struct blocks_rx *blocks;
	struct transfer_intake intake; /* of a header in the stream */
	int64_t header_len;            /* session bytes that are not payload */
	int64_t came;    /* payload bytes that were put into the sink */
	int64_t total;   /* payload bytes announced, or -1 */
	int64_t counted; /* of sink.written, by the window */
	struct transfer_window window;
	size_t credit; /* bytes whose credit waits for the window */
};

void transfer_rx_init(struct transfer *t);
void transfer_rx_fini(struct transfer *t);

/** transfer_rx_sink(): SINK or OPENED came; the descriptor is owned from now
 * on, -1 with a negative result.  0, or -DT_ERR_STATE when not asked for. */
int transfer_rx_sink(struct transfer *t, const struct ipc_sink *m, int fd,
    bool is_answer, uint32_t seq);
/** transfer_rx_saved(): likewise. */
int transfer_rx_saved(
    struct transfer *t, const struct ipc_saved *m, uint32_t seq);

/** transfer_rx_open_early(): before QUIC: a sink for what has no header or has
 * told of one already.  Is there nothing to wait for? */
bool transfer_rx_open_early(struct transfer *t);
/** transfer_rx_plan(): in which form the bytes come. */
void transfer_rx_plan(struct transfer *t, const struct transfer_plan *plan);
/** transfer_rx_input(): bytes of a stream. */
void transfer_rx_input(
    struct transfer_stream *st, const uint8_t *p, size_t len, bool fin);

/** transfer_rx_run(): write, return credit, save at the end. */
void transfer_rx_run(struct transfer *t);
struct mono transfer_rx_next_deadline(const struct transfer *t);

#endif
