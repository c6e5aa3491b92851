/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which region of a DERP map is nearest: one STUN request to the first node of
 * each, all at once.
 */
#ifndef DAEMON_LATENCY_H
#define DAEMON_LATENCY_H

#include <stdbool.h>

#include "lib/loop.h"
#include "proto/derp/derp_map.h"

struct latency;

/* After this many answers the rest is farther away than the best of them. */
#define LATENCY_ENOUGH 3
#define LATENCY_LIMIT_US (400 * MONO_MS)
/* One more request to those silent so far. */
#define LATENCY_RESEND_US (150 * MONO_MS)
/* Regions measured at most. */
#define LATENCY_MAX_REGIONS 32
/* Datagrams read per wake-up and family: anybody may send some. */
#define LATENCY_MAX_BURST ((size_t)2 * LATENCY_MAX_REGIONS)
/* Public tokens may name only regions that Go peers have compiled in. */
#define LATENCY_MAX_PUBLIC 12

/**
 * latency_is_candidate(): may a public token name this region, given @map?
 * Regions above LATENCY_MAX_PUBLIC only if there is none below.
 */
bool latency_is_candidate(
    const struct derp_map *map, const struct derp_map_region *region);

/**
 * latency_new(): measure.  @map is not kept.
 * @cb: called once, never before this returned, with the region's id: the
 *      nearest, or the lowest when nothing answered; 0 when there is none.
 *      The handle is gone when it runs.
 *
 * Returns NULL when memory is out.
 */
struct latency *latency_new(struct loop *loop, const struct derp_map *map,
    void (*cb)(void *arg, int64_t region), void *arg);
/** latency_cancel(): no callback.  NULL is fine. */
void latency_cancel(struct latency *l);

#endif
