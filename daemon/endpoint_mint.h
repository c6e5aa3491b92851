/* SPDX-License-Identifier: BSD-3-Clause */
/* What endpoint.c and its parts share: making, minting, opening. */
#ifndef DAEMON_ENDPOINT_MINT_H
#define DAEMON_ENDPOINT_MINT_H

#include "daemon/endpoint.h"

/** endpoint_new(): an empty one in the table, or NULL; takes the reference of
 * q->params on success. */
struct endpoint *endpoint_new(
    struct daemon *d, const struct endpoint_request *q, enum ipc_kind kind);
void endpoint_set_state(struct endpoint *e, enum endpoint_state state);
/** endpoint_open(): identity and relay are known: link and gate.  May end @e */
void endpoint_open(
    struct endpoint *e, const struct relay_target *targets, size_t n);
/** endpoint_tell_token(): answer the caller, if that is still due. */
void endpoint_tell_token(struct endpoint *e);
/** endpoint_gate_timer(): for endpoint_new(). */
struct loop_timer *endpoint_gate_timer(struct endpoint *e);

#endif
