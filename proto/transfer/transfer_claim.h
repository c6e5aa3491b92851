/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the holder of a transfer token's secret (the gate) does with packets of
 * strangers: find the first authentic v2_claim, and refuse later ones.  The
 * peer v0.18.2 has no gate here: the first claim wins, others hang unanswered.
 */
#ifndef PROTO_TRANSFER_TRANSFER_CLAIM_H
#define PROTO_TRANSFER_TRANSFER_CLAIM_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/rendezvous/envelope.h"

/* Reasons for transfer_claim_build_refusal(). */
#define TRANSFER_CLAIM_TAKEN "session already claimed"
#define TRANSFER_CLAIM_EXPIRED "token expired"
#define TRANSFER_CLAIM_UNSUPPORTED "external v2 transfer unsupported"

/**
 * transfer_claim_judge(): is this payload a v2_claim under @envelope_key that a
 * session may be started for?  Feed the same payload to transfer_flow_input()
 * of that session.
 * @ret_quic_public: the claimant's identity, to pin.
 *
 * Returns 0; -DT_ERR_SYNTAX (no envelope) and -DT_ERR_AUTH (wrong MAC, other
 * kinds): stay silent; -DT_ERR_UNSUPPORTED (another protocol) and -DT_ERR_KEY
 * (identity of zeros): refuse; -ENOMEM.
 */
int transfer_claim_judge(const void *p, size_t len,
    const struct key32 *envelope_key, struct key32 *ret_quic_public);

/**
 * transfer_claim_build_refusal(): a v2_accept with accepted=false, the only
 * thing that wakes every kind of claimant.
 * @reason: terminated, cut and repaired.
 *
 * Returns 0, -DT_ERR_FULL, -ENOMEM.
 */
int transfer_claim_build_refusal(
    struct buf_writer *w, const char *reason, const struct key32 *envelope_key);

#endif
