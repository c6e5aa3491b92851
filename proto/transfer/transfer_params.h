/* SPDX-License-Identifier: BSD-3-Clause */
/* What a transfer_flow is told at birth, and its states. */
#ifndef PROTO_TRANSFER_TRANSFER_PARAMS_H
#define PROTO_TRANSFER_TRANSFER_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/transfer/transfer_policy.h"

#define TRANSFER_FLOW_ACCEPT_LIMIT_US (60 * MONO_SEC) /* default; ours */

/* See transfer_flow.h. */
enum transfer_state {
	TRANSFER_LISTENING,
	TRANSFER_CLAIMING,
	TRANSFER_OPENING,
	TRANSFER_CONNECTING,
	TRANSFER_MOVING,
	TRANSFER_CONFIRMING,
	TRANSFER_DONE,
	TRANSFER_FAILED,
};

/* Secret.  Zero is a sensible value of everything not commented otherwise. */
struct transfer_params {
	enum transfer_role role;
	struct key32 envelope_key;
	struct key32 peer_derp;       /* claimant: the issuer's */
	struct key32 own_quic_public; /* claimant: goes into the claim */
	bool force_relay;
	bool allow_loopback; /* candidates; tests on one machine */
	bool offer_raw;      /* lanes follow: transfer_flow_set_lanes() */
	bool is_open;        /* source or output needs no opening */

	/* Sender: streams; 0: TRANSFER_OWN_STREAMS, or 1 with force_relay. */
	unsigned streams;
	/* Sender: a file that can be read by offset.  Receiver: an output that
	 * can be written by offset (not O_APPEND). */
	bool blocks;
	/* Sender: the bytes start with `header`.  Receiver: they must
	 * (receive), or must not (listen). */
	bool structured;
	const uint8_t *header; /* structured sender; copied */
	size_t header_len;     /* at most TRANSFER_HEADER_MAX_OWN */
	int64_t size;          /* sender: payload bytes; -1: unknown */
	/* Claimant; 0: TRANSFER_FLOW_ACCEPT_LIMIT_US, negative: for ever. */
	int64_t accept_limit_us;
};

#endif
