/* SPDX-License-Identifier: BSD-3-Clause */
/* One client of the relay: HTTP request, DERP handshake, then frames. */
#ifndef HELPERS_RELAY_RELAY_CLIENT_H
#define HELPERS_RELAY_RELAY_CLIENT_H

#include "helpers/relay/relay.h"
#include "lib/addr.h"

/* From accept to a whole request; again from there to ClientInfo. */
#define RELAY_CLIENT_HANDSHAKE_US (10 * MONO_SEC)

/**
 * relay_client_accept(): serve an accepted connection.
 * @fd: non-blocking; owned by the client on success only.
 *
 * Returns 0 or -ENOMEM.
 */
int relay_client_accept(
    struct relay *relay, int fd, const struct addr *remote, struct mono now);

/** relay_client_gone(): callback for relay_peers_new(), @arg is the relay. */
void relay_client_gone(
    void *arg, struct relay_seat *to, const struct key32 *key);

/** relay_client_update_gauges(): bring the counters that are derived from the
 * table of peers up to date. */
void relay_client_update_gauges(struct relay *relay);

#endif
