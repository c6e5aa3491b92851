/* SPDX-License-Identifier: BSD-3-Clause */
/* A session's worker: boot, messages, packets. */
#ifndef DAEMON_SESSION_WORKER_H
#define DAEMON_SESSION_WORKER_H

#include "daemon/session.h"
#include "proto/ipc/ipc_body.h"

/**
 * session_worker_boot(): start the worker and route the peer's packets to it.
 * @boot: wiped by the caller.
 * @fd: signer's end for a listener, or -1; moves on success.
 *
 * Returns 0 or a negative error.
 */
int session_worker_boot(
    struct session *s, const struct ipc_boot_session *boot, int fd);

/** session_worker_probe(): ask whether the peer lives; the endpoint hears. */
void session_worker_probe(struct session *s, uint32_t check_seq);

/** session_worker_give_listener(): a copy of listen_fd, if there is one. */
void session_worker_give_listener(struct session *s);

/** session_worker_relay_state(): the link's state changed: tell the worker that
 * it stands again. */
void session_worker_relay_state(struct session *s);

/** session_worker_dialed(): outcome of ctl_dial(); takes @fd (or -1). */
void session_worker_dialed(
    struct daemon *d, uint32_t session, uint32_t connection, int r, int fd);

/** session_worker_counters(): "worker" of session.show; NULL: no memory. */
json_t *session_worker_counters(
    const struct session *s, const struct ipc_description *d);

#endif
