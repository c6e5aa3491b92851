/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which lanes have arrived for which TCP connection.  Lanes come in any order
 * and over any QUIC connections; a group is complete when all of its lanes are
 * there, and stays listed until the caller removes it, so that a late lane of
 * a running group is recognised as a duplicate.
 *
 * Peers never give up on incomplete groups; we do, after LANE_TABLE_WAIT_US.
 */
#ifndef PROTO_TUNNEL_LANE_TABLE_H
#define PROTO_TUNNEL_LANE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/queue.h"
#include "proto/tunnel/lane_header.h"

/* A peer that loses lanes must not fill our memory with waiting groups. */
#define LANE_TABLE_MAX_INCOMPLETE 256
#define LANE_TABLE_WAIT_US (30 * MONO_SEC)

/* Embedded by the caller's object for one TCP connection. */
struct lane_group {
	struct id16 id;
	uint8_t count;
	uint8_t n_present;
	uint8_t present[32]; /* bit per index */
	struct mono born;
	LIST_ENTRY(lane_group) link;
};

/* Owner: the tunnel. */
struct lane_table {
	LIST_HEAD(lane_group_list, lane_group) groups;
	size_t n_incomplete;
};

void lane_table_init(struct lane_table *t);

/** lane_table_find(): the group of that id, or NULL. */
struct lane_group *lane_table_find(
    const struct lane_table *t, const struct id16 *id);

/**
 * lane_table_insert(): start a group for the first lane seen of it.
 * @g: the caller's, untouched on failure; removed before its memory goes.
 * @h: not control, not a known id.
 *
 * The lane itself is added with lane_table_add().  Returns 0, or -DT_ERR_LIMIT
 * when too many groups wait for lanes.
 */
int lane_table_insert(struct lane_table *t, struct lane_group *g,
    const struct lane_header *h, struct mono now);

/**
 * lane_table_add(): a lane has arrived.
 *
 * Returns 1 when the group is complete now, 0 when lanes are missing,
 * -DT_ERR_PEER_PROTOCOL for an index that is there already or a count that
 * differs: that stream alone is refused.
 */
int lane_table_add(
    struct lane_table *t, struct lane_group *g, const struct lane_header *h);

/** lane_table_is_complete(): are all lanes there? */
bool lane_table_is_complete(const struct lane_group *g);

/** lane_table_remove(): forget the group. */
void lane_table_remove(struct lane_table *t, struct lane_group *g);

/** lane_table_expired(): an incomplete group that has waited too long, or NULL;
 * the caller removes it and asks again. */
struct lane_group *lane_table_expired(
    const struct lane_table *t, struct mono now);

/** lane_table_next_deadline(): when lane_table_expired() has something. */
struct mono lane_table_next_deadline(const struct lane_table *t);

#endif
