/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sessions: born from a gate's ACCEPT. */
#ifndef DAEMON_SESSION_LISTEN_H
#define DAEMON_SESSION_LISTEN_H

#include "daemon/endpoint.h"
#include "daemon/session.h"
#include "proto/ipc/ipc_body.h"

/**
 * session_listen_new(): make certificate, signer and worker.
 * @seq: of the ACCEPT, to be answered by endpoint_session_born() or _ended().
 *
 * Returns 0, -DT_ERR_LIMIT, -ENOMEM or why the worker cannot start; the caller
 * answers the gate then.
 */
int session_listen_new(struct endpoint *e, const struct ipc_accept *a,
    uint32_t seq, struct session **ret_session);

#endif
