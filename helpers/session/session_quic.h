/* SPDX-License-Identifier: BSD-3-Clause */
/* The QUIC endpoint of a session and its events. */
#ifndef HELPERS_SESSION_SESSION_QUIC_H
#define HELPERS_SESSION_SESSION_QUIC_H

struct session;

/** session_quic_new(): makes s->quic; loads keys and certificate.  Before
 * confinement.  0 or as quic_endpoint_new(). */
int session_quic_new(struct session *s);

#endif
