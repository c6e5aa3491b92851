/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An address within a body: u8 family (0 none, 4, 6), u16 port, then 4 or 16
 * octets; "none" is the family alone.
 */
#ifndef PROTO_IPC_IPC_ADDR_H
#define PROTO_IPC_IPC_ADDR_H

#include "lib/addr.h"
#include "lib/buf.h"

#define IPC_MAX_ADDR 19 /* octets of one on the wire */

void ipc_put_addr(struct buf_writer *w, const struct addr *a);
/** ipc_get_addr(): an unknown family is a sticky -DT_ERR_SYNTAX. */
struct addr ipc_get_addr(struct buf_reader *r);

#endif
