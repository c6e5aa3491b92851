/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/tunnel/lane_table.h"

#include "lib/err.h"
#include "test/tap.h"

static const struct mono T0 = { 1000 };

static struct lane_header
header(uint32_t id, uint8_t count, uint8_t index)
{
	struct lane_header h = { .count = count, .index = index };

	memcpy(h.id.b, &id, sizeof(id));
	return h;
}

static void
test_assembly(void)
{
	struct lane_table t;
	struct lane_group g;
	struct lane_header h = header(1, 255, 0);
	int r = 0;

	lane_table_init(&t);
	OK(lane_table_find(&t, &h.id) == NULL, "nothing at first");
	EQ_INT(lane_table_insert(&t, &g, &h, T0), 0, "a group starts");
	OK(lane_table_find(&t, &h.id) == &g, "and is found");
	for (int i = 254; i >= 0 && r == 0; i--) {
		h = header(1, 255, (uint8_t)i);
		OK(!lane_table_is_complete(&g), "waiting for %d", i);
		r = lane_table_add(&t, &g, &h);
		OK(r == (i == 0), "lane %d is %s", i,
		    i == 0 ? "the last" : "taken");
	}
	OK(lane_table_is_complete(&g), "complete");
	EQ_INT(t.n_incomplete, 0, "no longer counted");
	EQ_INT(lane_table_add(&t, &g, &h), -DT_ERR_PEER_PROTOCOL,
	    "a late lane of a complete group is a duplicate");
	OK(mono_is_never(lane_table_next_deadline(&t)), "it never expires");
	lane_table_remove(&t, &g);
	OK(lane_table_find(&t, &h.id) == NULL, "removed");
}

static void
test_rejects(void)
{
	struct lane_table t;
	struct lane_group g;
	struct lane_header a = header(1, 2, 0);
	struct lane_header other = header(1, 3, 1);
	struct lane_header b = header(1, 2, 1);

	lane_table_init(&t);
	EQ_INT(lane_table_insert(&t, &g, &a, T0), 0, "group of two");
	EQ_INT(lane_table_add(&t, &g, &a), 0, "first");
	EQ_INT(lane_table_add(&t, &g, &a), -DT_ERR_PEER_PROTOCOL, "twice");
	EQ_INT(lane_table_add(&t, &g, &other), -DT_ERR_PEER_PROTOCOL,
	    "another count");
	EQ_INT(lane_table_add(&t, &g, &b), 1, "the group goes on");
	lane_table_remove(&t, &g);
}

static void
test_limits(void)
{
	static struct lane_group g[LANE_TABLE_MAX_INCOMPLETE + 1];
	struct lane_table t;
	struct mono late = mono_add(T0, LANE_TABLE_WAIT_US);
	struct lane_header h;
	struct lane_group *x;
	size_t n = 0;

	lane_table_init(&t);
	for (uint32_t i = 0; i < LANE_TABLE_MAX_INCOMPLETE; i++) {
		h = header(i, 2, 0);
		n += lane_table_insert(&t, &g[i], &h, mono_add(T0, i % 2)) == 0;
		(void)lane_table_add(&t, &g[i], &h);
	}
	EQ_INT(n, LANE_TABLE_MAX_INCOMPLETE, "as many as allowed");
	h = header(9999, 2, 0);
	EQ_INT(lane_table_insert(&t, &g[n], &h, T0), -DT_ERR_LIMIT,
	    "one more is refused");
	h = header(0, 2, 1);
	EQ_INT(lane_table_add(&t, &g[0], &h), 1, "one completes");
	h = header(9999, 2, 0);
	EQ_INT(lane_table_insert(&t, &g[n], &h, late), 0, "which makes room");
	OK(lane_table_expired(&t, mono_add(late, -1)) == NULL,
	    "nothing expires early");
	EQ_INT(mono_diff(lane_table_next_deadline(&t), late), 0, "deadline");
	for (n = 0; (x = lane_table_expired(&t, late)) != NULL; n++)
		lane_table_remove(&t, x);
	EQ_INT(n, LANE_TABLE_MAX_INCOMPLETE / 2 - 1,
	    "those born first expire first");
	EQ_INT(t.n_incomplete, LANE_TABLE_MAX_INCOMPLETE / 2 + 1,
	    "the others stay");
}

int
main(void)
{
	test_assembly();
	test_rejects();
	test_limits();
	return tap_done();
}
