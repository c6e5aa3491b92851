/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A session of kind transfer: the conversation of proto/transfer/transfer_flow
 * over the relayed packets, QUIC as its plan says, and the bytes between one
 * descriptor and the streams.
 *
 *	transfer        the flow: packets, time, what follows from its state
 *	transfer_quic   connections and streams
 *	transfer_tx     sender: source to streams
 *	transfer_rx     receiver: streams to sink
 *	transfer_sink   the descriptor that takes the bytes
 *	transfer_msgs   control messages of and to the daemon
 */
#ifndef HELPERS_SESSION_TRANSFER_H
#define HELPERS_SESSION_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/session/transfer_rx.h"
#include "helpers/session/transfer_tx.h"
#include "lib/mono.h"
#include "proto/transfer/transfer_flow.h"

struct carrier;
struct session;
struct tunnel_ops;

/* One unidirectional stream of the plan. */
struct transfer_stream {
	struct transfer *t;
	struct quic_stream *quic; /* NULL: closed, or not open yet */
	unsigned index;
	size_t owed; /* receiver: bytes in the sink's buffer, uncredited */
};

struct transfer {
	struct session *s;
	struct transfer_flow *flow; /* from the first turn on */
	bool sender;
	bool has_plan; /* and acted on */
	bool is_announced;
	bool is_asked;   /* receiver: what the claim or accept told was used */
	bool is_stopped; /* no more bytes, whatever the outcome */
	bool is_cancelled;

	unsigned n_conns;
	unsigned n_ready;
	struct carrier *conns[TRANSFER_MAX_STREAMS];
	unsigned n_streams;
	struct transfer_stream streams[TRANSFER_MAX_STREAMS];

	struct transfer_tx tx;
	struct transfer_rx rx;

	struct mono progress_after; /* none is told before */
	int64_t progress_told;      /* sum of what was told */
	bool final_told;
};

const struct tunnel_ops *transfer_ops(void);

/** transfer_new(): from the boot message.  NULL: no memory. */
struct transfer *transfer_new(struct session *s);

/** transfer_check_boot(): does the boot message of a transfer make sense? */
bool transfer_check_boot(const struct session *s);

/** transfer_input(): a packet of the peer.  Returns true if it was an envelope,
 * false if it may be a QUIC datagram. */
bool transfer_input(struct session *s, const uint8_t *pkt, size_t len);

/** transfer_is_moving(): may bytes be taken from the source, or are those of
 * the streams wanted? */
bool transfer_is_moving(const struct transfer *t);

/** transfer_fail(): something of ours went wrong; the peer is told.
 * @reason: for it and the user. */
void transfer_fail(struct transfer *t, int r, const char *reason);

#endif
