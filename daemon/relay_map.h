/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where DERP maps come from: the caller's text, an URL (with a copy kept for
 * when it cannot be reached), or the built-in map; and which region to mint.
 */
#ifndef DAEMON_RELAY_MAP_H
#define DAEMON_RELAY_MAP_H

#include "daemon/relay_params.h"
#include "lib/loop.h"
#include "proto/derp/derp_map.h"

struct relay_map_source;
struct relay_map_query;

/* How long a measured region is good. */
#define RELAY_MAP_FRESH_US (600 * MONO_SEC)
#define RELAY_MAP_MAX_WHY 480

/**
 * relay_map_source_new(): @cache_dir keeps fetched maps, "" for none; copied.
 * NULL when memory is out.
 */
struct relay_map_source *relay_map_source_new(
    struct loop *loop, const char *cache_dir);
void relay_map_source_free(struct relay_map_source *s);

/** relay_map_nearest(): the region measured last for @params, 0 when that is
 * long ago or never was. */
int64_t relay_map_nearest(
    const struct relay_map_source *s, const struct relay_params *params);

/**
 * relay_map_query_new(): find the map for @params (referenced meanwhile).
 * @measure: also choose the region for a public token.
 * @cb: called once, never before this returned, at the latest after
 *      HTTP_GET_LIMIT_US + LATENCY_LIMIT_US.  r 0: @map is borrowed until the
 *      callee returns, @region is 0 unless @measure.  r < 0: @why tells.
 *      The handle is gone when it runs.
 *
 * Returns NULL when memory is out.
 */
struct relay_map_query *relay_map_query_new(struct relay_map_source *s,
    struct relay_params *params, bool measure,
    void (*cb)(void *arg, int r, const struct derp_map *map, int64_t region,
	const char *why),
    void *arg);
/** relay_map_query_cancel(): no callback.  NULL is fine. */
void relay_map_query_cancel(struct relay_map_query *q);

#endif
