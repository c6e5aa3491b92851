/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/tunnel/lane_table.h"

#include <assert.h>
#include <string.h>

#include "lib/err.h"

void
lane_table_init(struct lane_table *t)
{
	LIST_INIT(&t->groups);
	t->n_incomplete = 0;
}

struct lane_group *
lane_table_find(const struct lane_table *t, const struct id16 *id)
{
	struct lane_group *g;

	LIST_FOREACH(g, &t->groups, link)
		if (memcmp(g->id.b, id->b, sizeof(id->b)) == 0)
			return g;
	return NULL;
}

int
lane_table_insert(struct lane_table *t, struct lane_group *g,
    const struct lane_header *h, struct mono now)
{
	assert(!lane_header_is_control(h));
	if (t->n_incomplete >= LANE_TABLE_MAX_INCOMPLETE)
		return -DT_ERR_LIMIT;
	memset(g, 0, sizeof(*g));
	g->id = h->id;
	g->count = h->count;
	g->born = now;
	LIST_INSERT_HEAD(&t->groups, g, link);
	t->n_incomplete++;
	return 0;
}

int
lane_table_add(
    struct lane_table *t, struct lane_group *g, const struct lane_header *h)
{
	uint8_t bit = (uint8_t)(1u << (h->index % 8));

	if (h->count != g->count || (g->present[h->index / 8] & bit) != 0)
		return -DT_ERR_PEER_PROTOCOL;
	g->present[h->index / 8] |= bit;
	g->n_present++;
	if (g->n_present < g->count)
		return 0;
	t->n_incomplete--;
	return 1;
}

bool
lane_table_is_complete(const struct lane_group *g)
{
	return g->n_present == g->count;
}

void
lane_table_remove(struct lane_table *t, struct lane_group *g)
{
	LIST_REMOVE(g, link);
	if (!lane_table_is_complete(g))
		t->n_incomplete--;
}

struct mono
lane_table_next_deadline(const struct lane_table *t)
{
	struct mono at = MONO_NEVER;
	const struct lane_group *g;

	LIST_FOREACH(g, &t->groups, link)
		if (!lane_table_is_complete(g))
			at =
			    mono_min(at, mono_add(g->born, LANE_TABLE_WAIT_US));
	return at;
}

struct lane_group *
lane_table_expired(const struct lane_table *t, struct mono now)
{
	struct lane_group *g;

	LIST_FOREACH(g, &t->groups, link)
		if (!lane_table_is_complete(g) &&
		    mono_diff(now, g->born) >= LANE_TABLE_WAIT_US)
			return g;
	return NULL;
}
