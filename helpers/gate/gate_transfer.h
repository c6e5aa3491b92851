/* SPDX-License-Identifier: BSD-3-Clause */
/* What a gate does with packets when its token is one of transfers. */
#ifndef HELPERS_GATE_GATE_TRANSFER_H
#define HELPERS_GATE_GATE_TRANSFER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/ipc/ipc_body.h"

/* Secret.  Owner: the gate. */
struct gate_transfer {
	struct key32 bearer;
	struct key32 envelope_key;
	struct key32 own_derp; /* public */
	struct id16 session_id;
	int64_t expires_unix; /* seconds */
};

/* A packet of a stranger; the first three are given. */
struct gate_claim {
	struct key32 source;
	const void *p;
	size_t len;
	struct key32 quic_public; /* of an acceptable claimant */
	const char *refusal;      /* else why, for him; NULL: stay silent */
};

void gate_transfer_init(
    struct gate_transfer *t, const struct ipc_boot_gate *boot);

/**
 * gate_transfer_judge(): may a session be started for it?
 * @holder: who has the slot, or NULL.
 *
 * Returns 0, or negative; fills in the rest of @c.
 */
int gate_transfer_judge(const struct gate_transfer *t,
    const struct key32 *holder, int64_t now_unix, struct gate_claim *c);

/** gate_transfer_accept(): what the daemon is told of a claimant.
 * @ret_accept: 33 KiB, zeroed; secret. */
void gate_transfer_accept(const struct gate_transfer *t,
    const struct gate_claim *c, struct ipc_accept *ret_accept);

/** gate_transfer_refuse(): the answer.  0, -DT_ERR_FULL, -ENOMEM. */
int gate_transfer_refuse(
    const struct gate_transfer *t, const char *why, struct buf_writer *w);

#endif
