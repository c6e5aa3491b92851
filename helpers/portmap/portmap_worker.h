/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * derptun-portmap: asks the default gateway to forward UDP ports, by PCP,
 * NAT-PMP or UPnP.  The only process that reads what a gateway says; it holds
 * nothing secret and can make no socket.
 */
#ifndef HELPERS_PORTMAP_PORTMAP_WORKER_H
#define HELPERS_PORTMAP_PORTMAP_WORKER_H

/** portmap_worker_main(): the whole process.  Returns its exit status. */
int portmap_worker_main(void);

#endif
