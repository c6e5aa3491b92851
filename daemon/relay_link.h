/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One identity on one relay: connects, reconnects, and moves packets.  Shared
 * by everything that uses the same key with the same parameters.  A relay that
 * goes away is packet loss, never an error of a session.
 */
#ifndef DAEMON_RELAY_LINK_H
#define DAEMON_RELAY_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/relay_params.h"
#include "daemon/relay_target.h"
#include "daemon/router.h"
#include "lib/loop.h"
#include "lib/queue.h"

struct netif;
struct relay_pool;
struct relay_link;

/* Above this, workers are not read any more. */
#define RELAY_LINK_HIGH ((size_t)256 * 1024)
/* Packets that may wait: what workers can hand over in one turn. */
#define RELAY_LINK_MAX_OUTPUT ((size_t)1024 * 1024)
/* What a server may take from its accept to ServerInfo in the first attempt in
 * a row; in others DERP_CLIENT_CONNECT_US is all that there is.  A connection
 * can hang that the next one is spared, as with a full accept queue. */
#define RELAY_LINK_FIRST_US (5 * MONO_SEC)
/* Retries after a failure: at once, then 250 ms doubling to 5 s:
 * shorter than what claimants of ours wait for somebody to come back
 * (absence.h). */
#define RELAY_LINK_RETRY_US (250 * MONO_MS)
#define RELAY_LINK_RETRY_MAX_US (5 * MONO_SEC)
/* A connection just lost has sessions on it that live 10 s without: for twice
 * that long it is tried every second. */
#define RELAY_LINK_URGENT_US (20 * MONO_SEC)
#define RELAY_LINK_URGENT_RETRY_US (1 * MONO_SEC)
/* A relay that restarts refuses at once: as often as this, later every
 * twentieth of the time that it has been away. */
#define RELAY_LINK_QUICK_RETRY_US (50 * MONO_MS)
/* A connection that lived this long was not merely let in to be thrown out. */
#define RELAY_LINK_LIVED_US (1 * MONO_SEC)
/* A connection that lived this long makes the next retry immediate again. */
#define RELAY_LINK_GOOD_US (30 * MONO_SEC)
/* How long a link that nobody uses may take to send its last packets and see
 * the relay close. */
#define RELAY_LINK_LINGER_US (1 * MONO_SEC)
#define RELAY_LINK_MAX 320

enum relay_link_state {
	RELAY_LINK_CONNECTING, /* an attempt is under way */
	RELAY_LINK_CONNECTED,
	RELAY_LINK_WAITING, /* the last attempt or connection failed */
};

/* Somebody who wants to know.  Embedded in its owner; callbacks may be NULL */
struct relay_watch {
	LIST_ENTRY(relay_watch) entry;
	void (*state)(void *arg, struct mono now);
	/* The output queue is above (or again well below) RELAY_LINK_HIGH. */
	void (*pressure)(void *arg, bool high);
	/* The relay, no more than that, says: a peer that sent something has
	 * left it, or a packet was for nobody here; a DERP_FRAME_GONE_*. */
	void (*peer_gone)(void *arg, const struct key32 *peer, uint8_t reason,
	    struct mono now);
	void *arg;
};

struct relay_link_info {
	enum relay_link_state state;
	/* "connecting", "connected", "waiting", or "spare": nobody's yet */
	const char *state_name;
	char host[ADDR_MAX_HOST];
	uint16_t port;
	const char *error; /* of the last failure, in words; "" for none */
	int error_code;    /* the same, as a number; 0 for none */
	unsigned failures; /* in a row */
	bool ever_connected;
	bool hopeless;    /* the last failure will come again: wrong
				     certificate, no relay there */
	int64_t since_ms; /* in this state */
	int64_t retry_ms; /* WAITING: until the next attempt */
	uint64_t packets_in, packets_out, packets_lost;
	uint64_t bytes_in, bytes_out;
	size_t queued;
};

struct relay_pool *relay_pool_new(struct loop *loop);
/** relay_pool_free(): all links, whoever uses them. */
void relay_pool_free(struct relay_pool *pool);
/** relay_pool_flush(): at the end of each turn. */
void relay_pool_flush(struct relay_pool *pool, struct mono now);
/**
 * relay_pool_check_network(): addresses or routes of this machine changed.  A
 * connection whose address is gone, or was down meanwhile, is made anew at once
 * instead of being waited for; so is one that is waiting for its next attempt.
 */
void relay_pool_check_network(
    struct relay_pool *pool, const struct netif *netif);
void relay_pool_each(const struct relay_pool *pool,
    void (*cb)(void *arg, const struct relay_link_info *info), void *arg);
/** relay_pool_is_busy(): does a link still linger? */
bool relay_pool_is_busy(const struct relay_pool *pool);

/**
 * relay_link_get(): the link of this identity, made or shared.
 * @own_private: copied, wiped with the link.
 * @targets: @n_targets >= 1 relays to try in turn; copied.
 * @watch: added; stays until relay_link_put().
 *
 * Returns 0, -DT_ERR_KEY, -DT_ERR_LIMIT, -ENOMEM.
 */
int relay_link_get(struct relay_pool *pool, const struct key32 *own_private,
    struct relay_params *params, const struct relay_target *targets,
    size_t n_targets, struct relay_watch *watch, struct relay_link **ret_link);
/**
 * relay_link_get_fresh(): a link under a key that nobody else uses or has used.
 * It may be connected already: look at relay_link_is_connected().
 * @ret_own: the key; secret.
 *
 * Returns 0, -DT_ERR_LIMIT, -ENOMEM.
 */
int relay_link_get_fresh(struct relay_pool *pool, struct relay_params *params,
    const struct relay_target *targets, size_t n_targets,
    struct relay_watch *watch, struct key32 *ret_own,
    struct relay_link **ret_link);
/** relay_link_put(): remove @watch and one user; the last one closes it. */
void relay_link_put(struct relay_link *link, struct relay_watch *watch);

/** relay_link_send(): queue a packet, or lose it. */
void relay_link_send(struct relay_link *link, const struct key32 *dst,
    const uint8_t *p, size_t len);
bool relay_link_is_connected(const struct relay_link *link);
/** relay_link_is_high(): the pressure of relay_watch. */
bool relay_link_is_high(const struct relay_link *link);
/** relay_link_router(): who gets its packets. */
struct router *relay_link_router(struct relay_link *link);
void relay_link_info(
    const struct relay_link *link, struct relay_link_info *ret_info);

#endif
