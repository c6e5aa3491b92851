/* SPDX-License-Identifier: BSD-3-Clause */
/* Connections and streams of a transfer. */
#ifndef HELPERS_SESSION_TRANSFER_QUIC_H
#define HELPERS_SESSION_TRANSFER_QUIC_H

#include <stddef.h>

struct carrier;
struct quic_close;
struct quic_params;
struct session;
struct transfer;
struct transfer_stream;

/** transfer_quic_params(): what a transfer's endpoint needs. */
void transfer_quic_params(const struct session *s, struct quic_params *p);

/** transfer_quic_run(): dial, and open the sender's streams. */
void transfer_quic_run(struct transfer *t);

/** transfer_quic_close(): every connection, once. */
void transfer_quic_close(struct transfer *t, unsigned code, const char *reason);

/** transfer_quic_credit(): @n bytes that streams brought have left us; returned
 * to any that are owed. */
void transfer_quic_credit(struct transfer *t, size_t n);

/* Of struct tunnel_ops. */
void transfer_quic_conn_ready(struct session *s, struct carrier *c);
void transfer_quic_conn_closed(
    struct session *s, struct carrier *c, const struct quic_close *why);

#endif
