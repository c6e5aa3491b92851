/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Learning our own mapped addresses by asking several STUN servers from one
 * socket.  Pure.  Keeps asking in the background: answers keep the mapping
 * fresh and tell when it changed.
 */
#ifndef PROTO_STUN_STUN_GATHER_H
#define PROTO_STUN_STUN_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/mono.h"
#include "proto/stun/stun.h"

#define STUN_GATHER_MAX_SERVERS 8
#define STUN_GATHER_TRIES 3                  /* per server and round */
#define STUN_GATHER_RETRY_US (200 * MONO_MS) /* doubled each time */
#define STUN_GATHER_MAX_MAPPED 4
/* While wanted: below the 30 s that NATs keep UDP mappings (RFC 4787 4.3 asks
 * for 2 min). */
#define STUN_GATHER_REFRESH_US (25 * MONO_SEC)
/* After a new start the second round comes this soon, the next ones after twice
 * and four times this: the first may have been lost with the path that died, or
 * a NAT that forgot its flows may have chosen anew since. */
#define STUN_GATHER_EARLY_US (3 * MONO_SEC)
#define STUN_GATHER_EARLY_ROUNDS 3

/* Networks and paths that come and go: so often everything is asked anew. */
#define STUN_GATHER_RESTARTS 4
#define STUN_GATHER_REST_US (3 * MONO_SEC)

struct stun_gather;

struct stun_gather *stun_gather_new(struct mono now);
void stun_gather_free(struct stun_gather *g);

/** stun_gather_set_servers(): replaces the list (at most
 * STUN_GATHER_MAX_SERVERS are kept); new ones are asked at once and soon again.
 * @a: addresses of this socket's family only. */
void stun_gather_set_servers(
    struct stun_gather *g, const struct addr *a, size_t n, struct mono now);

/** stun_gather_restart(): the network changed: forget, ask at once and soon
 * again; later when that was done STUN_GATHER_RESTARTS times just now. */
void stun_gather_restart(struct stun_gather *g, struct mono now);

/** stun_gather_pause(): stop or resume the background refresh (a direct path
 * keeps its own mapping alive). */
void stun_gather_pause(struct stun_gather *g, bool paused, struct mono now);

/** stun_gather_input(): a datagram for which stun_is_message() holds.  Only a
 * response with an outstanding transaction from the server it was sent to is
 * believed.  Returns true when stun_gather_mapped() changed. */
bool stun_gather_input(struct stun_gather *g, const struct addr *from,
    const uint8_t *pkt, size_t len, struct mono now);

/** stun_gather_output(): the next request due; true with destination. */
bool stun_gather_output(struct stun_gather *g, struct mono now,
    struct addr *ret_to, uint8_t out[static STUN_REQUEST_LEN]);
struct mono stun_gather_next_deadline(const struct stun_gather *g);

/**
 * stun_gather_mapped(): what we believe our address looks like from outside:
 * the first answer, and any other that two servers agree on (peer v0.18.2).
 * Returns how many, at most STUN_GATHER_MAX_MAPPED; 0 before the first answer.
 */
size_t stun_gather_mapped(const struct stun_gather *g,
    struct addr ret_mapped[static STUN_GATHER_MAX_MAPPED]);

/** stun_gather_is_symmetric(): did servers see different ports (an
 * endpoint-dependent NAT)?  False while fewer than two have answered. */
bool stun_gather_is_symmetric(const struct stun_gather *g);
/** stun_gather_counts(): of the current servers, for `why`. */
void stun_gather_counts(
    const struct stun_gather *g, size_t *ret_asked, size_t *ret_answered);

#endif
