/* SPDX-License-Identifier: BSD-3-Clause */
/* Control messages between a session and the daemon. */
#ifndef HELPERS_SESSION_MSGS_H
#define HELPERS_SESSION_MSGS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "proto/ipc/ipc_body.h"

struct ipc_header;
struct session;

/** msgs_handle(): a permitted message came.  fds: set taken ones to -1.
 * Returns 0, or -DT_ERR_IPC for a malformed one. */
int msgs_handle(struct session *s, const struct ipc_header *header,
    struct buf_reader *body, int *fds, size_t n_fds);

void msgs_send_status(
    struct session *s, enum ipc_status status, const char *text);
/** msgs_send_dial(): 0, or why it did not leave: no answer will come. */
int msgs_send_dial(struct session *s, uint32_t connection);
void msgs_send_claim_back(struct session *s, const uint8_t *claim, size_t len);

/** msgs_run_probes(): answer liveness questions that are decided. */
void msgs_run_probes(struct session *s);
struct mono msgs_next_deadline(const struct session *s);

#endif
