/* SPDX-License-Identifier: BSD-3-Clause */
/* Log lines of workers become ours. */
#ifndef DAEMON_WORKER_LOG_H
#define DAEMON_WORKER_LOG_H

#include <stdint.h>

#include "lib/buf.h"

/**
 * worker_log(): re-log the body of a LOG message.
 * @topic: static; the worker's role.
 * @id: of its session or endpoint.
 *
 * Returns 0 or -DT_ERR_IPC.
 */
int worker_log(const char *topic, uint32_t id, struct buf_reader *body);

#endif
