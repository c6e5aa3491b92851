/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who is here: keys, the connections that proved them, which of several with
 * the same key receives, and who must be told when a key leaves.
 *
 * Rules for a key with several connections: the newest receives; any frame
 * from another one makes that one the receiver; when the receiver leaves, the
 * one that spoke last takes over, or nobody until one speaks; the last one
 * left receives again.
 *
 * A receiver that got a packet from a key hears once that the key has left.
 * When the key returns and sends again, it will hear of that departure too.
 */
#ifndef HELPERS_RELAY_RELAY_PEERS_H
#define HELPERS_RELAY_RELAY_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/queue.h"
#include "lib/secret.h"

struct relay_peers;
struct relay_peer;
struct relay_edge;

LIST_HEAD(relay_edges, relay_edge);

/*
 * One connection's place in the table.  Owner: the connection, which embeds it
 * zeroed; the table links it between join and leave.
 */
struct relay_seat {
	struct relay_peer *peer; /* NULL while not seated */
	void *owner; /* the caller's; the table keeps its hands off */
	TAILQ_ENTRY(relay_seat) link;
	bool spoke;               /* sent a frame since it joined */
	uint64_t id;              /* never reused */
	struct relay_edges heard; /* keys this one got packets from */
	/* The last route, good while the table has not changed since. */
	struct key32 cached_dst;
	struct relay_seat *cached_seat;
	uint64_t cached_generation;
};

/* Why a packet has no receiver. */
enum relay_miss {
	RELAY_MISS_UNKNOWN,   /* nobody with that key */
	RELAY_MISS_DUPLICATE, /* several, and none is active */
};

/* Numbers for the gauges. */
struct relay_peers_counts {
	size_t keys;        /* distinct keys */
	size_t seats;       /* connections */
	size_t dup_keys;    /* keys with two or more */
	size_t dup_seats;   /* connections of those keys */
	uint64_t dup_total; /* connections that joined as a duplicate, ever */
	size_t edges;       /* departures somebody waits for */
};

/**
 * relay_peers_new(): an empty table.
 * @max_seats: most connections at a time.
 * @gone: called during relay_peers_leave() for each receiver that must hear
 *        that @key has left; must not change the table.
 *
 * Returns NULL when memory is out.
 */
struct relay_peers *relay_peers_new(size_t max_seats,
    void (*gone)(void *arg, struct relay_seat *to, const struct key32 *key),
    void *arg);
/** relay_peers_free(): all seats have left before.  NULL is fine. */
void relay_peers_free(struct relay_peers *ps);

/** relay_peers_join(): seat a connection under @key; it becomes the receiver.
 * Returns 0, -DT_ERR_FULL at the maximum, or -ENOMEM. */
int relay_peers_join(
    struct relay_peers *ps, struct relay_seat *s, const struct key32 *key);

/** relay_peers_leave(): fine for one that never joined. */
void relay_peers_leave(struct relay_peers *ps, struct relay_seat *s);

/** relay_peers_spoke(): a frame came from @s. */
void relay_peers_spoke(struct relay_peers *ps, struct relay_seat *s);

/**
 * relay_peers_route(): who receives a packet of @from for @dst; remembers that
 * the receiver heard from that key.
 * @ret_miss: the reason, written only when there is no receiver.
 *
 * Returns the receiver (maybe @from itself), or NULL.
 */
struct relay_seat *relay_peers_route(struct relay_peers *ps,
    struct relay_seat *from, const struct key32 *dst,
    enum relay_miss *ret_miss);

/** relay_peers_key(): the key a seated connection proved. */
const struct key32 *relay_peers_key(const struct relay_seat *s);

/** relay_peers_counts(): the numbers now. */
struct relay_peers_counts relay_peers_counts(const struct relay_peers *ps);

#endif
