/* SPDX-License-Identifier: BSD-3-Clause */
/* The writing half of relay_conn.c: from the queues to the socket. */
#ifndef HELPERS_RELAY_RELAY_CONN_WRITE_H
#define HELPERS_RELAY_RELAY_CONN_WRITE_H

#include "helpers/relay/relay_conn.h"

/** relay_conn_write_flush(): write what is queued until the socket blocks; may
 * kill @c, and ends a finishing connection when all is out. */
void relay_conn_write_flush(struct relay_conn *c, struct mono now);

/** relay_conn_write_ready(): the socket takes bytes again. */
void relay_conn_write_ready(struct relay_conn *c, struct mono now);

/** relay_conn_write_stalled(): c->stall fired. */
void relay_conn_write_stalled(struct relay_conn *c, struct mono now);

#endif
