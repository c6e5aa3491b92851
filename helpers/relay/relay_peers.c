/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: a peer exists while at least one seat has its key.  Its
 * seats are ordered by when they last spoke.  `active` is the receiver: always
 * set when there is one seat, maybe NULL when there are more.
 *
 * An edge says "this seat got a packet from that peer".  It is found by the
 * two ids through a second table, hangs in a list of either end, and dies with
 * the first of them.  Edges are hints, so both limits below just stop adding.
 *
 * Every change of seats bumps the generation, which makes all cached routes
 * stale; so a cached route also proves that its edge exists.
 */
#include "helpers/relay/relay_peers.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/keymap.h"

/* Receivers told of one key's departure: a key that speaks with more than
 * this many at a time is a scanner. */
#define MAX_EDGES_PER_PEER 1024
/* Edges in all, for each connection allowed: 16 at about 150 bytes. */
#define EDGES_PER_SEAT 16

TAILQ_HEAD(relay_seats, relay_seat);

struct relay_peer {
	struct key32 key;
	uint64_t id;
	struct relay_seats seats; /* most recent speaker first */
	size_t n_seats;
	struct relay_seat *active;
	struct relay_edges told; /* receivers to tell */
	size_t n_told;
};

struct relay_edge {
	LIST_ENTRY(relay_edge) of_peer;
	LIST_ENTRY(relay_edge) of_seat;
	struct relay_peer *peer;
	struct relay_seat *seat;
};

struct relay_peers {
	struct keymap *by_key;
	struct keymap *edges;
	size_t max_seats;
	size_t max_edges;
	uint64_t next_id;
	uint64_t generation;
	struct relay_peers_counts counts;
	void (*gone)(void *, struct relay_seat *, const struct key32 *);
	void *arg;
};

struct relay_peers *
relay_peers_new(size_t max_seats,
    void (*gone)(void *arg, struct relay_seat *to, const struct key32 *key),
    void *arg)
{
	struct relay_peers *ps = calloc(1, sizeof(*ps));

	if (ps == NULL)
		return NULL;
	ps->max_seats = max_seats;
	ps->max_edges = max_seats * EDGES_PER_SEAT;
	ps->by_key = keymap_new(max_seats);
	ps->edges = keymap_new(ps->max_edges);
	ps->gone = gone;
	ps->arg = arg;
	ps->generation = 1; /* 0 marks a cache that was never filled */
	if (ps->by_key == NULL || ps->edges == NULL) {
		relay_peers_free(ps);
		return NULL;
	}
	return ps;
}

void
relay_peers_free(struct relay_peers *ps)
{
	if (ps == NULL)
		return;
	assert(ps->counts.seats == 0);
	keymap_free(ps->by_key);
	keymap_free(ps->edges);
	free(ps);
}

/* The edge table's key: both ids, the rest zero. */
static struct key32
edge_key(const struct relay_peer *p, const struct relay_seat *s)
{
	struct key32 k = { { 0 } };
	struct buf_writer w = buf_writer(k.b, sizeof(k.b));

	buf_put_u64(&w, p->id);
	buf_put_u64(&w, s->id);
	return k;
}

static void
edge_add(struct relay_peers *ps, struct relay_peer *p, struct relay_seat *s)
{
	struct key32 k = edge_key(p, s);
	struct relay_edge *e;

	if (p->n_told >= MAX_EDGES_PER_PEER ||
	    keymap_get(ps->edges, &k) != NULL)
		return;
	e = malloc(sizeof(*e));
	if (e == NULL)
		return;
	e->peer = p;
	e->seat = s;
	if (keymap_put(ps->edges, &k, e) < 0) {
		free(e);
		return;
	}
	LIST_INSERT_HEAD(&p->told, e, of_peer);
	LIST_INSERT_HEAD(&s->heard, e, of_seat);
	p->n_told++;
	ps->counts.edges++;
}

static void
edge_free(struct relay_peers *ps, struct relay_edge *e)
{
	struct key32 k = edge_key(e->peer, e->seat);

	(void)keymap_remove(ps->edges, &k); /* it is e */
	LIST_REMOVE(e, of_peer);
	LIST_REMOVE(e, of_seat);
	e->peer->n_told--;
	ps->counts.edges--;
	free(e);
}

static struct relay_peer *
peer_new(struct relay_peers *ps, const struct key32 *key)
{
	struct relay_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->key = *key;
	p->id = ++ps->next_id;
	TAILQ_INIT(&p->seats);
	LIST_INIT(&p->told);
	if (keymap_put(ps->by_key, key, p) < 0) {
		free(p);
		return NULL;
	}
	ps->counts.keys++;
	return p;
}

static void
peer_free(struct relay_peers *ps, struct relay_peer *p)
{
	struct relay_edge *e;

	while ((e = LIST_FIRST(&p->told)) != NULL) {
		ps->gone(ps->arg, e->seat, &p->key);
		edge_free(ps, e);
	}
	(void)keymap_remove(ps->by_key, &p->key); /* it is p */
	ps->counts.keys--;
	free(p);
}

/* Gauges of keys with several seats, when one went from @was to @is seats. */
static void
count_dups(struct relay_peers *ps, size_t was, size_t is)
{
	if (was > 1) {
		ps->counts.dup_keys--;
		ps->counts.dup_seats -= was;
	}
	if (is > 1) {
		ps->counts.dup_keys++;
		ps->counts.dup_seats += is;
	}
}

int
relay_peers_join(
    struct relay_peers *ps, struct relay_seat *s, const struct key32 *key)
{
	struct relay_peer *p = keymap_get(ps->by_key, key);

	assert(s->peer == NULL);
	if (ps->counts.seats >= ps->max_seats)
		return -DT_ERR_FULL;
	if (p == NULL)
		p = peer_new(ps, key);
	if (p == NULL)
		return -ENOMEM;
	s->peer = p;
	s->id = ++ps->next_id;
	s->spoke = false;
	s->cached_generation = 0;
	LIST_INIT(&s->heard);
	TAILQ_INSERT_TAIL(&p->seats, s, link);
	p->active = s;
	count_dups(ps, p->n_seats, p->n_seats + 1);
	p->n_seats++;
	if (p->n_seats > 1)
		ps->counts.dup_total++;
	ps->counts.seats++;
	ps->generation++;
	return 0;
}

/* The receiver left: who takes over? */
static struct relay_seat *
successor(const struct relay_peer *p)
{
	struct relay_seat *s = TAILQ_FIRST(&p->seats);

	if (p->n_seats == 1 || s->spoke)
		return s;
	return NULL;
}

void
relay_peers_leave(struct relay_peers *ps, struct relay_seat *s)
{
	struct relay_peer *p = s->peer;
	struct relay_edge *e;

	if (p == NULL)
		return;
	while ((e = LIST_FIRST(&s->heard)) != NULL) {
		/* The analyzer does not see that LIST_REMOVE moved the head on.
		 * NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		edge_free(ps, e);
	}
	TAILQ_REMOVE(&p->seats, s, link);
	s->peer = NULL;
	count_dups(ps, p->n_seats, p->n_seats - 1);
	p->n_seats--;
	ps->counts.seats--;
	ps->generation++;
	if (p->n_seats == 0)
		peer_free(ps, p);
	else if (p->active == s || p->n_seats == 1)
		p->active = successor(p);
}

void
relay_peers_spoke(struct relay_peers *ps, struct relay_seat *s)
{
	struct relay_peer *p = s->peer;

	if (s->spoke && p->active == s && TAILQ_FIRST(&p->seats) == s)
		return;
	s->spoke = true;
	TAILQ_REMOVE(&p->seats, s, link);
	TAILQ_INSERT_HEAD(&p->seats, s, link);
	if (p->active != s)
		ps->generation++;
	p->active = s;
}

struct relay_seat *
relay_peers_route(struct relay_peers *ps, struct relay_seat *from,
    const struct key32 *dst, enum relay_miss *ret_miss)
{
	struct relay_peer *p;

	/* Keys on the wire are public: memcmp will do. */
	if (from->cached_generation == ps->generation &&
	    memcmp(from->cached_dst.b, dst->b, sizeof(dst->b)) == 0)
		return from->cached_seat;
	p = keymap_get(ps->by_key, dst);
	if (p == NULL || p->active == NULL) {
		*ret_miss =
		    p == NULL ? RELAY_MISS_UNKNOWN : RELAY_MISS_DUPLICATE;
		return NULL;
	}
	if (p != from->peer)
		edge_add(ps, from->peer, p->active);
	from->cached_dst = *dst;
	from->cached_seat = p->active;
	from->cached_generation = ps->generation;
	return p->active;
}

const struct key32 *
relay_peers_key(const struct relay_seat *s)
{
	return &s->peer->key;
}

struct relay_peers_counts
relay_peers_counts(const struct relay_peers *ps)
{
	return ps->counts;
}
