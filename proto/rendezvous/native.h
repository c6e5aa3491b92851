/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How two ends of ours recognise each other on the compatible wire: one extra
 * authenticated control envelope, of a type that the sibling tools ignore.
 * Tokens cannot say it: compact ones have no room, and claims are echoed.  What
 * follows from the announcement is confirmed inside QUIC, by offering
 * NATIVE_ALPN before the compatible one; a peer that knows only the latter
 * picks it.
 */
#ifndef PROTO_RENDEZVOUS_NATIVE_H
#define PROTO_RENDEZVOUS_NATIVE_H

#include <stdbool.h>

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/rendezvous/envelope.h"

/* The number grows when an older end would misunderstand a newer one. */
#define NATIVE_CONTROL_TYPE "derptund-native/1"
#define NATIVE_ALPN "derptund-quic/1"
/* Octets of an announcement: about 130. */
#define NATIVE_MAX_WIRE 256

/**
 * native_build(): the announcement, ready to be sent to the peer.
 * @key: the session's envelope key.
 *
 * Returns 0, -DT_ERR_FULL, -ENOMEM.
 */
int native_build(struct buf_writer *w, const struct key32 *key);

/** native_is_announcement(): is @e, already verified, one of this version? */
bool native_is_announcement(const struct envelope *e);

#endif
