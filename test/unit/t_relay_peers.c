/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_peers.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "test/tap.h"

/* What the table said about departures. */
struct gone {
	int count;
	struct relay_seat *to;
	uint8_t key;
};

static void
on_gone(void *arg, struct relay_seat *to, const struct key32 *key)
{
	struct gone *g = arg;

	g->count++;
	g->to = to;
	g->key = key->b[0];
}

static struct key32
key(uint8_t n)
{
	struct key32 k = { { n, 1, 2, 3 } };

	return k;
}

static struct relay_seat *
join(struct relay_peers *ps, struct relay_seat *s, uint8_t n)
{
	struct key32 k = key(n);

	memset(s, 0, sizeof(*s));
	return relay_peers_join(ps, s, &k) == 0 ? s : NULL;
}

static struct relay_seat *
route(struct relay_peers *ps, struct relay_seat *from, uint8_t to)
{
	enum relay_miss why;
	struct key32 k = key(to);

	return relay_peers_route(ps, from, &k, &why);
}

static enum relay_miss
miss(struct relay_peers *ps, struct relay_seat *from, uint8_t to)
{
	enum relay_miss why = RELAY_MISS_UNKNOWN;
	struct key32 k = key(to);

	if (relay_peers_route(ps, from, &k, &why) != NULL)
		return (enum relay_miss) - 1;
	return why;
}

static void
test_route(void)
{
	struct gone g = { .count = 0 };
	struct relay_peers *ps = relay_peers_new(3, on_gone, &g);
	struct relay_seat a, b, c, d;

	OK(join(ps, &a, 1) && join(ps, &b, 2) && join(ps, &c, 3), "three join");
	EQ_INT(relay_peers_join(
		   ps, memset(&d, 0, sizeof(d)), &(struct key32){ { 4 } }),
	    -DT_ERR_FULL, "a fourth does not");
	OK(route(ps, &a, 2) == &b, "a to b");
	OK(route(ps, &a, 2) == &b, "again, from the cache");
	OK(route(ps, &a, 1) == &a, "a to itself");
	EQ_INT(miss(ps, &a, 9), RELAY_MISS_UNKNOWN, "nobody");
	OK(relay_peers_key(&b)->b[0] == 2, "whose seat it is");
	relay_peers_leave(ps, &b);
	EQ_INT(miss(ps, &a, 2), RELAY_MISS_UNKNOWN, "b left: cache is stale");
	EQ_INT(g.count, 0, "b sent nothing, so nobody is told");
	relay_peers_leave(ps, &b);
	relay_peers_leave(ps, &d);
	OK(true, "leaving twice or unseated is fine");
	relay_peers_leave(ps, &a);
	relay_peers_leave(ps, &c);
	EQ_INT(relay_peers_counts(ps).keys, 0, "no keys");
	EQ_INT(relay_peers_counts(ps).edges, 0, "no edges");
	relay_peers_free(ps);
}

static void
test_gone(void)
{
	struct gone g = { .count = 0 };
	struct relay_peers *ps = relay_peers_new(8, on_gone, &g);
	struct relay_seat a, b, c;

	OK(join(ps, &a, 1) && join(ps, &b, 2) && join(ps, &c, 3), "three join");
	for (int round = 1; round <= 3; round++) {
		(void)route(ps, &a, 2);
		(void)route(ps, &a, 2);
		(void)route(ps, &a, 1);
		EQ_INT(relay_peers_counts(ps).edges, 1,
		    "one edge, none to itself");
		relay_peers_leave(ps, &a);
		EQ_INT(g.count, round, "one is told, each time");
		OK(g.to == &b && g.key == 1, "b hears about a");
		OK(join(ps, &a, 1) != NULL, "a is back");
	}
	(void)route(ps, &a, 2);
	(void)route(ps, &a, 3);
	relay_peers_leave(ps, &b);
	EQ_INT(relay_peers_counts(ps).edges, 1,
	    "a receiver takes its edges along");
	g.count = 0;
	relay_peers_leave(ps, &a);
	OK(g.count == 1 && g.to == &c, "c alone is told");
	relay_peers_leave(ps, &c);
	relay_peers_free(ps);
}

static void
test_duplicates(void)
{
	struct gone g = { .count = 0 };
	struct relay_peers *ps = relay_peers_new(8, on_gone, &g);
	struct relay_peers_counts n;
	struct relay_seat a, one, two, three;

	OK(join(ps, &a, 1) && join(ps, &one, 2), "two join");
	OK(route(ps, &a, 2) == &one, "the only one");
	OK(join(ps, &two, 2) && route(ps, &a, 2) == &two, "the newest");
	relay_peers_spoke(ps, &one);
	OK(route(ps, &a, 2) == &one, "who spoke");
	relay_peers_spoke(ps, &two);
	relay_peers_spoke(ps, &two);
	OK(route(ps, &a, 2) == &two, "who spoke last");
	n = relay_peers_counts(ps);
	OK(n.keys == 2 && n.seats == 3 && n.dup_keys == 1 && n.dup_seats == 2 &&
		n.dup_total == 1,
	    "counts");
	OK(join(ps, &three, 2) && route(ps, &a, 2) == &three, "a third");
	relay_peers_leave(ps, &three);
	OK(route(ps, &a, 2) == &two, "back to who spoke last");
	relay_peers_leave(ps, &one);
	OK(route(ps, &a, 2) == &two, "another's leaving changes nothing");
	(void)route(ps, &two, 1);
	OK(join(ps, &one, 2) && join(ps, &three, 2), "two more");
	relay_peers_leave(ps, &two);
	EQ_INT(g.count, 0, "the key is still here");
	OK(route(ps, &a, 2) == &three, "the receiver stays");
	relay_peers_leave(ps, &three);
	OK(route(ps, &a, 2) == &one, "one left: it receives");
	relay_peers_leave(ps, &one);
	OK(g.count == 1 && g.to == &a, "now the key is gone");
	relay_peers_leave(ps, &a);
	relay_peers_free(ps);
}

static void
test_silent_duplicates(void)
{
	struct gone g = { .count = 0 };
	struct relay_peers *ps = relay_peers_new(8, on_gone, &g);
	struct relay_seat a, one, two, three;

	OK(join(ps, &a, 1) && join(ps, &one, 2) && join(ps, &two, 2) &&
		join(ps, &three, 2),
	    "three of one key, all silent");
	relay_peers_leave(ps, &three);
	EQ_INT(miss(ps, &a, 2), RELAY_MISS_DUPLICATE, "none is active");
	relay_peers_spoke(ps, &one);
	OK(route(ps, &a, 2) == &one, "until one speaks");
	relay_peers_leave(ps, &one);
	OK(route(ps, &a, 2) == &two, "the last one receives");
	EQ_INT(relay_peers_counts(ps).dup_keys, 0, "no duplicates");
	EQ_INT(relay_peers_counts(ps).dup_seats, 0, "none at all");
	relay_peers_leave(ps, &two);
	relay_peers_leave(ps, &a);
	relay_peers_free(ps);
}

/* Edges are bounded: a scanner stops leaving traces. */
static void
test_edge_limit(void)
{
	enum { N = 1100 };
	struct gone g = { .count = 0 };
	struct relay_peers *ps = relay_peers_new(N + 1, on_gone, &g);
	struct relay_seat *seats = calloc(N, sizeof(*seats));
	struct relay_seat a;
	bool good = seats != NULL && join(ps, &a, 1) != NULL;

	for (size_t i = 0; good && i < N; i++) {
		struct key32 k = { { 2, (uint8_t)i, (uint8_t)(i >> 8) } };
		enum relay_miss why;

		good = relay_peers_join(ps, &seats[i], &k) == 0 &&
		       relay_peers_route(ps, &a, &k, &why) == &seats[i];
	}
	OK(good, "%d receivers", N);
	EQ_INT(relay_peers_counts(ps).edges, 1024, "1024 will be told");
	relay_peers_leave(ps, &a);
	EQ_INT(g.count, 1024, "and are");
	for (size_t i = 0; good && i < N; i++)
		relay_peers_leave(ps, &seats[i]);
	relay_peers_free(ps);
	free(seats);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_route();
	test_gone();
	test_duplicates();
	test_silent_duplicates();
	test_edge_limit();
	return tap_done();
}
