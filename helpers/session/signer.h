/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signatures by the daemon, which keeps the long-lived identity keys.  The
 * socket is a SEQPACKET pair of its own: one message with the 130 or 146 bytes
 * of a TLS 1.3 CertificateVerify goes out, one with the 64-byte signature comes
 * back; any other length means no.
 */
#ifndef HELPERS_SESSION_SIGNER_H
#define HELPERS_SESSION_SIGNER_H

#include <stddef.h>
#include <stdint.h>

/* Owner: the session. */
struct signer {
	int fd;              /* -1: nobody signs */
	unsigned unanswered; /* questions; answers come in their order */
};

/** signer_ask(): a quic_sign_fn; blocks for 2 s at most.
 * @arg: struct signer *.  Returns 0 or negative. */
int signer_ask(
    void *arg, const uint8_t *msg, size_t len, uint8_t ret_sig[static 64]);

#endif
