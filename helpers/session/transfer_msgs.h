/* SPDX-License-Identifier: BSD-3-Clause */
/* Control messages of transfers between the session and the daemon. */
#ifndef HELPERS_SESSION_TRANSFER_MSGS_H
#define HELPERS_SESSION_TRANSFER_MSGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/mono.h"
#include "proto/ipc/ipc_transfer.h"

struct ipc_header;
struct session;
struct transfer;

/** transfer_msgs_handle(): SOURCE, SINK, OPENED or SAVED came.  fds: set taken
 * ones to -1.  Returns 0, or -DT_ERR_IPC. */
int transfer_msgs_handle(struct session *s, const struct ipc_header *header,
    struct buf_reader *body, int *fds, size_t n_fds);

/** transfer_msgs_send_open(), _save(): 0, or why it did not leave: no answer
 * will come. */
int transfer_msgs_send_open(
    struct transfer *t, const struct ipc_open *m, uint32_t seq);
int transfer_msgs_send_save(
    struct transfer *t, const struct ipc_save *m, uint32_t seq);

/** transfer_msgs_run(): tell of progress when it is due. */
void transfer_msgs_run(struct transfer *t);
struct mono transfer_msgs_next_deadline(const struct transfer *t);

#endif
