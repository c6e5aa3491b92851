/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The one certificate each QUIC end presents: self-signed, Ed25519, one hour,
 * CN and DNS name "derphole" (peer v0.18.2).  Peers look at nothing but the
 * key, yet parse the rest strictly.
 */
#ifndef PROTO_QUIC_IDENTITY_CERT_H
#define PROTO_QUIC_IDENTITY_CERT_H

#include <stddef.h>
#include <stdint.h>

#include "lib/secret.h"

/* Real ones have about 320 bytes. */
#define IDENTITY_CERT_MAX 512

/* DER; public, nothing to wipe. */
struct identity_cert {
	uint8_t der[IDENTITY_CERT_MAX];
	size_t len;
};

/**
 * identity_cert_make(): build and sign.
 * @seed: Ed25519 private key (RFC 8032 5.1.5).
 * @unix_now: seconds; validity is one minute before to one hour after it.
 *
 * Returns 0, or -ERANGE when @unix_now is outside the years 1970 to 9998.
 */
int identity_cert_make(
    struct identity_cert *ret_cert, const struct key32 *seed, int64_t unix_now);

#endif
