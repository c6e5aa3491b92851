/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What this machine's interfaces look like now, in the daemon's network
 * namespace: our addresses, the way out, and word of every change.  By netlink;
 * where that is not to be had, by looking every NETIF_POLL_US at the addresses
 * that the kernel would send from.
 */
#ifndef DAEMON_NETIF_H
#define DAEMON_NETIF_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/netlink.h"
#include "lib/addr.h"
#include "lib/loop.h"

struct netif;

/* Own addresses told at most; the most useful are first. */
#define NETIF_MAX_ADDRS 64
/* Changes come in bursts: a link, its addresses, its routes. */
#define NETIF_SETTLE_US (200 * MONO_MS)
/* An interface that flaps is followed that often, however many sessions would
 * ask the world again; a handover from one network to another takes three or
 * four changes. */
#define NETIF_BURST 6
#define NETIF_REST_US (3 * MONO_SEC)
/* Without netlink. */
#define NETIF_POLL_US (10 * MONO_SEC)

/**
 * netif_new(): looks around before it returns.
 * @cb: addresses or routes changed; never called before this returned.
 * Changes beyond NETIF_BURST wait, and only the last of them is told.
 *
 * Returns NULL when memory is out; a machine that tells nothing has no
 * addresses and no gateway.
 */
struct netif *netif_new(
    struct loop *loop, void (*cb)(void *arg, struct mono now), void *arg);
/** netif_free(): NULL is fine. */
void netif_free(struct netif *n);

/**
 * netif_addrs(): addresses of interfaces that are up, port 0.  No loopback,
 * IPv6 link-local, tentative or deprecated ones, nor those that temporary
 * addresses stand in for.  Those of the interface that leads out come first,
 * IPv4 link-local last.
 * @ret_addrs: NETIF_MAX_ADDRS at most; borrowed until the next callback.
 */
size_t netif_addrs(const struct netif *n, const struct addr **ret_addrs);

/** netif_presence(): can what has this address of ours (port ignored) still be
 * heard?  UP when that is not known. */
enum netlink_presence netif_presence(
    const struct netif *n, const struct addr *a);

/** netif_gateway4(): next hop for IPv4 packets to the Internet; port 0.  False
 * when there is none (no route, or a link without gateway). */
bool netif_gateway4(const struct netif *n, struct addr *ret_gateway);

#endif
