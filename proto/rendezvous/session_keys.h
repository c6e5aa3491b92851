/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys derived from the secret that a token carries. */
#ifndef PROTO_RENDEZVOUS_SESSION_KEYS_H
#define PROTO_RENDEZVOUS_SESSION_KEYS_H

#include "lib/secret.h"
#include "proto/rendezvous/message.h"

/** session_keys_envelope(): key of envelope MACs, both directions. */
void session_keys_envelope(struct key32 *ret_key, const struct key32 *bearer,
    const struct id16 *session_id);

/** session_keys_disco(): key of direct-path probes; @a and @b are the two raw
 * DERP public keys in any order. */
void session_keys_disco(struct key32 *ret_key, const struct key32 *bearer,
    const struct id16 *session_id, const struct key32 *a,
    const struct key32 *b);

/**
 * session_keys_bearer_mac(): MAC of a claim under the token's secret; covers
 * all of it but bearer_mac and client.
 *
 * Returns 0, -ENOMEM.
 */
int session_keys_bearer_mac(struct key32 *ret_mac, const struct key32 *bearer,
    const struct message_claim *claim);

/** session_keys_claim_digest(): SHA-256 that tells "the identical claim" from
 * a rival's (client object not included).  0 or -ENOMEM. */
int session_keys_claim_digest(
    struct key32 *ret_digest, const struct message_claim *claim);

#endif
