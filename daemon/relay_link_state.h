/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by relay_link.c, relay_pool.c and relay_spare.c only. */
#ifndef DAEMON_RELAY_LINK_STATE_H
#define DAEMON_RELAY_LINK_STATE_H

#include "daemon/backoff.h"
#include "daemon/relay_dial.h"
#include "daemon/relay_link.h"
#include "daemon/relay_spare.h"
#include "daemon/stream.h"
#include "proto/derp/derp_client.h"

/* "relay HOST:PORT: " and what TLS or the server said. */
#define RELAY_LINK_MAX_ERROR 320
struct relay_link {
	LIST_ENTRY(relay_link) entry;
	struct relay_pool *pool;
	unsigned users;
	LIST_HEAD(relay_watch_list, relay_watch) watches;
	struct relay_params *params;
	struct key32 own_private;
	struct key32 own_public;
	struct relay_target targets[RELAY_TARGET_MAX];
	size_t n_targets;
	size_t target; /* the one in use */
	struct router *router;
	enum relay_link_state state;
	struct mono since;
	struct mono retry_at;
	struct mono connected_at;
	struct mono lost_at; /* end of the last connection */
	int64_t lived_us;    /* just lost: how long it lived; else 0 */
	struct backoff backoff;
	unsigned failures;
	bool ever_connected;
	bool hopeless;
	bool high;
	bool lingering;
	bool suspended; /* its address was seen on a link that is down */
	int error_code;
	char error[RELAY_LINK_MAX_ERROR];
	struct loop_timer *timer; /* client deadline, or retry, or linger */
	struct relay_dial *dial;
	struct stream *stream;
	struct derp_client *client;
	struct mono attempt_ends;
	uint64_t packets_in, packets_out, packets_lost, bytes_in, bytes_out;
};

struct relay_pool {
	struct loop *loop;
	LIST_HEAD(relay_link_list, relay_link) links;
	size_t count;
	struct relay_spare spare;
};

/** relay_link_make(): without users yet; as relay_link_get(). */
int relay_link_make(struct relay_pool *pool, const struct key32 *own_private,
    struct relay_params *params, const struct relay_target *targets,
    size_t n_targets, struct relay_link **ret_link);
/** relay_link_leave(): nobody uses it: it goes when its queue is empty and the
 * relay knows. */
void relay_link_leave(struct relay_link *link);

/** relay_link_timer(): for relay_link_get(). */
struct loop_timer *relay_link_timer(struct relay_link *link);
/** relay_link_destroy(): disconnect, remove from the pool, free. */
void relay_link_destroy(struct relay_link *link);
/** relay_link_check_network(): addresses of ours came or went. */
void relay_link_check_network(
    struct relay_link *link, const struct netif *netif);
/** relay_link_flush(): what this turn queued. */
void relay_link_flush(struct relay_link *link, struct mono now);
/** relay_link_queued(): bytes not yet in the socket. */
size_t relay_link_queued(const struct relay_link *link);

#endif
