/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The TLS side of QUIC: the only place that knows which TLS library it is.
 * Another one (OpenSSL 3.5) replaces quic_tls.c.
 */
#ifndef PROTO_QUIC_QUIC_TLS_H
#define PROTO_QUIC_QUIC_TLS_H

#include <ngtcp2/ngtcp2.h>

#include "proto/quic/quic_params.h"

struct quic_tls_ctx; /* certificate, key, pin, ALPN of an endpoint */
struct quic_tls;     /* one connection's session */

/** quic_tls_ctx_new(): 0, -ENOMEM, -DT_ERR_KEY. */
int quic_tls_ctx_new(
    struct quic_tls_ctx **ret_ctx, const struct quic_params *p);
/** quic_tls_ctx_free(): after its sessions.  NULL is fine. */
void quic_tls_ctx_free(struct quic_tls_ctx *ctx);

/** quic_tls_callbacks(): the crypto entries of @cb. */
void quic_tls_callbacks(ngtcp2_callbacks *cb);

/**
 * quic_tls_new(): a session for @conn, which keeps it as its TLS handle; free
 * it after the connection.  0, -ENOMEM or -DT_ERR_INTERNAL.
 */
int quic_tls_new(
    struct quic_tls **ret_tls, struct quic_tls_ctx *ctx, ngtcp2_conn *conn);
void quic_tls_free(struct quic_tls *t);

/** quic_tls_alpn(): the agreed protocol, a string of the context; "" if none.
 */
const char *quic_tls_alpn(const struct quic_tls *t);

#endif
