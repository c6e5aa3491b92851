/* SPDX-License-Identifier: BSD-3-Clause */
/* The reading half of relay_conn.c: from the socket to ops->input. */
#ifndef HELPERS_RELAY_RELAY_CONN_READ_H
#define HELPERS_RELAY_RELAY_CONN_READ_H

#include "helpers/relay/relay_conn.h"

/** relay_conn_read_ready(): the socket has bytes, or an end; may kill @c. */
void relay_conn_read_ready(struct relay_conn *c, struct mono now);

#endif
