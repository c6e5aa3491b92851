/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STUN servers for the sessions of one endpoint or claimer: chosen from the map
 * or route that leads to their relay, names resolved beside everything else.
 */
#ifndef DAEMON_STUN_SERVERS_H
#define DAEMON_STUN_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/loop.h"
#include "proto/derp/derp_map.h"
#include "proto/ipc/ipc_network.h"
#include "proto/token/token_route.h"

struct stun_servers;

/* Of the session's own region: two tell whether our NAT is symmetric, the rest
 * comes from elsewhere, for when that region is down. */
#define STUN_SERVERS_MAX_OWN 2
/* IPv6 needs no mapping to be found out, only to be seen at work. */
#define STUN_SERVERS_MAX_V6 2
/* Names are looked up again for a session that starts so much later. */
#define STUN_SERVERS_FRESH_US (600 * MONO_SEC)

/**
 * stun_servers_new(): none yet.
 * @cb: stun_servers_get() gives something else now; never called from within a
 *      function of this header.
 *
 * Returns NULL when memory is out.
 */
struct stun_servers *stun_servers_new(
    struct loop *loop, void (*cb)(void *arg), void *arg);
/** stun_servers_free(): NULL is fine. */
void stun_servers_free(struct stun_servers *s);

/**
 * stun_servers_from_map(): choose anew.  @map is not kept.
 * @region: of the relay; its nodes come first.
 * @home: the region nearest to us, 0 when that is not known: it comes next,
 *        then the others in the order of the map.
 */
void stun_servers_from_map(struct stun_servers *s, const struct derp_map *map,
    int64_t region, int64_t home);
/** stun_servers_from_route(): the relay's own server alone. */
void stun_servers_from_route(
    struct stun_servers *s, const struct token_route *route);

/** stun_servers_refresh(): a session starts: look names up again that failed
 * or are old.  What is known stays in use meanwhile. */
void stun_servers_refresh(struct stun_servers *s);

/**
 * stun_servers_get(): the addresses known so far, nearest first.  Loopback only
 * where the relay itself was chosen to be there.
 * @with_v6: there is a socket for them.
 *
 * Returns how many.
 */
size_t stun_servers_get(const struct stun_servers *s, bool with_v6,
    struct addr out[static IPC_MAX_STUN]);

#endif
