/* SPDX-License-Identifier: BSD-3-Clause */
/* An endpoint's gate worker. */
#ifndef DAEMON_ENDPOINT_GATE_H
#define DAEMON_ENDPOINT_GATE_H

#include "daemon/endpoint.h"

/** endpoint_gate_start(): now; failures are retried. */
void endpoint_gate_start(struct endpoint *e);
/** endpoint_gate_stop(): for good. */
void endpoint_gate_stop(struct endpoint *e);
/** endpoint_gate_answer(): ACCEPTED, RELEASE, CHECKED; lost without a gate. */
void endpoint_gate_answer(struct endpoint *e, enum ipc_type type, uint32_t seq,
    const struct key32 *peer, int value);
/** endpoint_check_waiting(): gate and relay are there: say `waiting`. */
void endpoint_check_waiting(struct endpoint *e);

#endif
