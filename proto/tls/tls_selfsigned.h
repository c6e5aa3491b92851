/* SPDX-License-Identifier: BSD-3-Clause */
/* Self-signed certificates for relays without a name of their own. */
#ifndef PROTO_TLS_TLS_SELFSIGNED_H
#define PROTO_TLS_TLS_SELFSIGNED_H

#include <stddef.h>
#include <stdint.h>

/* PEM of a P-256 certificate (about 700 bytes) and of its key, with room. */
#define TLS_SELFSIGNED_MAX_PEM 2048

/* Both PEMs are NUL-terminated.  The owner wipes the key with secret_wipe(). */
struct tls_selfsigned {
	char cert_pem[TLS_SELFSIGNED_MAX_PEM];
	char key_pem[TLS_SELFSIGNED_MAX_PEM];
};

/**
 * tls_selfsigned_make(): ECDSA P-256 certificate for one name, good for one
 * year, usable as its own trust anchor (SSL_CERT_FILE, Go's root pool).
 * @name: DNS name or IP literal; becomes CN and the only SAN.
 * @unix_now: seconds; validity starts an hour earlier.
 *
 * Returns 0, -DT_ERR_SYNTAX for an unusable name, -DT_ERR_INTERNAL.
 */
int tls_selfsigned_make(
    struct tls_selfsigned *ret_pair, const char *name, int64_t unix_now);

#endif
