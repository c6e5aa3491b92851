/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signs for one listening session: its worker makes TLS handshakes, the key
 * stays here.  A request is the whole message to be signed, an answer its
 * 64-byte signature, or one zero byte: refused.
 */
#ifndef DAEMON_SIGNER_H
#define DAEMON_SIGNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/loop.h"
#include "lib/secret.h"

struct signer;

/*
 * A Go derptun client makes 12 QUIC connections, each a signature, for one TCP
 * connection: 170 TCP connections at once, 80 a second after that.  A signature
 * takes about 30 us.
 */
#define SIGNER_BURST 2048
#define SIGNER_RATE 1000
/* 64 blanks, the context string, a zero byte (RFC 8446 4.4.3). */
#define SIGNER_PREFIX_LEN 98
/* ... and the transcript hash, SHA-256 or SHA-384. */
#define SIGNER_MAX_REQUEST (SIGNER_PREFIX_LEN + 48)
#define SIGNER_SIGNATURE_LEN 64

/** signer_is_permitted(): is this the content of a TLS 1.3 server's
 * CertificateVerify, and nothing else?  Pure. */
bool signer_is_permitted(const uint8_t *p, size_t len);

/**
 * signer_new(): serve one worker.
 * @seed: Ed25519 private key; copied, wiped with the signer.
 * @ret_fd: the worker's end, the caller's to pass on.
 *
 * Returns 0, -errno, -ENOMEM.
 */
int signer_new(struct loop *loop, const struct key32 *seed,
    struct signer **ret_signer, int *ret_fd);
/** signer_free(): NULL is fine. */
void signer_free(struct signer *s);

#endif
