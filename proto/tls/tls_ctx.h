/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What many TLS connections share: trusted roots of clients, certificate chain
 * and key of servers.  Everything is read when the context is made.
 */
#ifndef PROTO_TLS_TLS_CTX_H
#define PROTO_TLS_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/secret.h"

struct tls_ctx;

/* A PEM bundle of roots larger than this is refused (Debian's has 220 kB). */
#define TLS_CTX_MAX_PEM ((size_t)4 * 1024 * 1024)
/* "sha256-raw:" + 64 hex digits + NUL */
#define TLS_CTX_PIN_LEN 76

/**
 * tls_ctx_new_client(): roots for clients.
 * @ca_pem: certificates that replace the system's roots (the meaning of
 *          SSL_CERT_FILE), or NULL for the system's bundle.
 * @ca_len: bytes at @ca_pem.
 *
 * A missing system bundle is no error: pinned connections work, others fail
 * with -DT_ERR_CERT_UNTRUSTED.
 *
 * Returns 0, -ENOMEM, -DT_ERR_TOO_LONG, or -DT_ERR_SYNTAX when @ca_pem holds no
 * certificate.
 */
int tls_ctx_new_client(
    struct tls_ctx **ret_ctx, const char *ca_pem, size_t ca_len);

/**
 * tls_ctx_new_server(): certificate and key for servers.
 * @cert_pem: leaf first, then intermediates.
 * @key_pem: its unencrypted private key; the caller wipes it.
 *
 * Returns 0, -ENOMEM, -DT_ERR_SYNTAX for bad PEM, -DT_ERR_KEY when the two do
 * not belong together.
 */
int tls_ctx_new_server(struct tls_ctx **ret_ctx, const char *cert_pem,
    size_t cert_len, const char *key_pem, size_t key_len);

/** tls_ctx_free(): all connections must be gone.  NULL is fine. */
void tls_ctx_free(struct tls_ctx *ctx);

/**
 * tls_ctx_add_metacert(): append a fresh meta certificate that announces the
 * relay's public key to TLS 1.3 clients (DERP fast start).  Once per server
 * context.
 * @server_public: the relay's Curve25519 public key.
 * @unix_now: seconds; the certificate is valid 30 days around it.
 *
 * Returns 0, -ENOMEM, or -DT_ERR_INTERNAL.
 */
int tls_ctx_add_metacert(
    struct tls_ctx *ctx, const struct key32 *server_public, int64_t unix_now);

/** tls_ctx_pin(): "sha256-raw:..." of a server context's leaf certificate. */
void tls_ctx_pin(
    const struct tls_ctx *ctx, char ret_pin[static TLS_CTX_PIN_LEN]);

/**
 * tls_ctx_expiry(): when a server context's leaf ends, unix seconds; 0 when it
 * cannot be told.
 */
int64_t tls_ctx_expiry(const struct tls_ctx *ctx);

#endif
