/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port mappings on the default gateway, for UDP ports of sessions: this side of
 * derptun-portmap, the only process that reads what a gateway says.
 *
 * Whoever owns a UDP socket asks with portmap_want() and hears of every change
 * until portmap_unwant().  The worker is started with the first want and a
 * gateway, and ended some seconds after the last; one that dies is replaced
 * after a growing pause, and its mappings are known again when the new one has
 * renewed them.  A gateway that is silent costs one attempt at a time.
 */
#ifndef DAEMON_PORTMAP_H
#define DAEMON_PORTMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/loop.h"
#include "proto/ipc/ipc_portmap.h"

struct portmap;
struct portmap_want;
struct worker_pool;

/* Wants at the same time; DAEMON_MAX_SESSIONS with a socket each, and room. */
#define PORTMAP_MAX_WANTS 160

/* A mapping that stands. */
struct portmap_mapping {
	struct addr external; /* IPv4, neither unspecified nor loopback */
	enum ipc_portmap_protocol protocol;
};

/**
 * portmap_new(): nothing happens before there are a gateway and a want.
 * @loop, @workers: kept; freed after the result.
 * @enabled: false (--no-port-mapping): wants are taken and never answered.
 *
 * Returns NULL when memory is out.
 */
struct portmap *portmap_new(
    struct loop *loop, struct worker_pool *workers, bool enabled);
/**
 * portmap_free(): calls nobody back.  Wants left are freed; their pointers are
 * dead.  A worker that is left is told to end but hardly in order: that is what
 * portmap_stop() is for.  NULL is fine.
 */
void portmap_free(struct portmap *p);

/**
 * portmap_stop(): the daemon is stopping: all mappings are removed and the
 * worker ends, within WORKER_GRACE_US; no other is started.  Wants hear nothing
 * more, but are still to be withdrawn.
 */
void portmap_stop(struct portmap *p);

/**
 * portmap_set_gateway(): the IPv4 default gateway, at the start and upon every
 * change of routes or addresses; the port is ignored.  Nothing happens when
 * neither it nor our own address towards it is another than before.
 * @gateway: family 0 when there is none.  Only private addresses (RFC 1918, RFC
 *           6598) are asked for mappings.
 *
 * A change withdraws all mappings (the callbacks hear NULL before this returns)
 * and maps anew.
 */
void portmap_set_gateway(struct portmap *p, const struct addr *gateway);

/**
 * portmap_want(): have UDP @port of this machine reachable from outside.
 * @port: local port, not 0; each want is a mapping of its own, so a port may be
 *        wanted once at a time.
 * @cb: never called before this returns.  @mapping: a mapping appeared or its
 *      address changed; borrowed.  NULL: the one told before is gone.  Renewals
 *      say nothing.  It may call portmap_want() and portmap_unwant().
 *
 * Returns 0, -EEXIST, -DT_ERR_LIMIT, -ENOMEM.
 */
int portmap_want(struct portmap *p, uint16_t port,
    void (*cb)(void *arg, const struct portmap_mapping *mapping), void *arg,
    struct portmap_want **ret_want);
/** portmap_unwant(): removes the mapping; @cb is not called again.  NULL: fine.
 */
void portmap_unwant(struct portmap_want *w);
/** portmap_current(): what the callback was told last, or NULL; borrowed until
 * the next callback. */
const struct portmap_mapping *portmap_current(const struct portmap_want *w);

/** What `netcheck` and `status` show. */
struct portmap_status {
	bool enabled;
	bool running;        /* the worker is there */
	struct addr gateway; /* family 0: none that may be asked */
	/* What worked last on this gateway; 0: nothing yet. */
	enum ipc_portmap_protocol protocol;
	size_t wants;
	size_t mapped;
};
void portmap_get_status(const struct portmap *p, struct portmap_status *ret);

#endif
