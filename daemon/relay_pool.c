/* SPDX-License-Identifier: BSD-3-Clause */
/* All relay links: found, shared, made, given back, described. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/relay_link.h"
#include "daemon/relay_link_state.h"
#include "lib/err.h"

static const char *
state_name(const struct relay_link *link)
{
	static const char *const names[] = {
		[RELAY_LINK_CONNECTING] = "connecting",
		[RELAY_LINK_CONNECTED] = "connected",
		[RELAY_LINK_WAITING] = "waiting",
	};

	return link == link->pool->spare.link ? "spare" : names[link->state];
}

struct relay_pool *
relay_pool_new(struct loop *loop)
{
	struct relay_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->loop = loop;
	LIST_INIT(&pool->links);
	if (relay_spare_init(&pool->spare, pool) == 0)
		return pool;
	free(pool);
	return NULL;
}

void
relay_pool_free(struct relay_pool *pool)
{
	struct relay_link *link, *next;

	if (pool == NULL)
		return;
	relay_spare_fini(&pool->spare);
	LIST_FOREACH_SAFE(link, &pool->links, entry, next)
		relay_link_destroy(link);
	free(pool);
}

void
relay_pool_flush(struct relay_pool *pool, struct mono now)
{
	struct relay_link *link, *next;

	LIST_FOREACH_SAFE(link, &pool->links, entry, next)
		relay_link_flush(link, now);
}

bool
relay_pool_is_busy(const struct relay_pool *pool)
{
	const struct relay_link *link;

	LIST_FOREACH(link, &pool->links, entry)
		if (link->lingering)
			return true;
	return false;
}

void
relay_pool_check_network(struct relay_pool *pool, const struct netif *netif)
{
	struct relay_link *link, *next;

	LIST_FOREACH_SAFE(link, &pool->links, entry, next)
		relay_link_check_network(link, netif);
}

void
relay_pool_each(const struct relay_pool *pool,
    void (*cb)(void *arg, const struct relay_link_info *info), void *arg)
{
	const struct relay_link *link;
	struct relay_link_info info;

	LIST_FOREACH(link, &pool->links, entry) {
		if (link->lingering)
			continue;
		relay_link_info(link, &info);
		cb(arg, &info);
	}
}

static struct relay_link *
find(const struct relay_pool *pool, const struct key32 *public_key,
    const struct relay_params *params)
{
	struct relay_link *link;

	LIST_FOREACH(link, &pool->links, entry)
		if (!link->lingering &&
		    memcmp(&link->own_public, public_key,
			sizeof(link->own_public)) == 0 &&
		    memcmp(&link->params->digest, &params->digest,
			sizeof(params->digest)) == 0)
			return link;
	return NULL;
}

static struct relay_link *
new_link(struct relay_pool *pool)
{
	struct relay_link *link = calloc(1, sizeof(*link));

	if (link == NULL)
		return NULL;
	link->pool = pool;
	link->timer = relay_link_timer(link);
	link->router = router_new(loop_now(pool->loop));
	if (link->timer != NULL && link->router != NULL)
		return link;
	loop_timer_free(link->timer);
	router_free(link->router);
	free(link);
	return NULL;
}

int
relay_link_make(struct relay_pool *pool, const struct key32 *own_private,
    struct relay_params *params, const struct relay_target *targets,
    size_t n_targets, struct relay_link **ret_link)
{
	struct key32 own_public;
	struct relay_link *link;
	int r = secret_curve_public(&own_public, own_private);

	if (r < 0)
		return r;
	if (pool->count >= RELAY_LINK_MAX)
		return -DT_ERR_LIMIT;
	link = new_link(pool);
	if (link == NULL)
		return -ENOMEM;
	LIST_INIT(&link->watches);
	LIST_INSERT_HEAD(&pool->links, link, entry);
	pool->count++;
	link->params = relay_params_ref(params);
	link->own_private = *own_private;
	link->own_public = own_public;
	for (size_t i = 0; i < n_targets && i < RELAY_TARGET_MAX; i++)
		link->targets[link->n_targets++] = targets[i];
	backoff_init(
	    &link->backoff, RELAY_LINK_RETRY_US, RELAY_LINK_RETRY_MAX_US, true);
	/* The first attempt begins in the next turn, like any retry. */
	link->state = RELAY_LINK_WAITING;
	link->since = link->retry_at = loop_now(pool->loop);
	loop_timer_in(link->timer, 0);
	*ret_link = link;
	return 0;
}

static void
add_user(struct relay_link *link, struct relay_watch *watch)
{
	link->users++;
	LIST_INSERT_HEAD(&link->watches, watch, entry);
}

int
relay_link_get(struct relay_pool *pool, const struct key32 *own_private,
    struct relay_params *params, const struct relay_target *targets,
    size_t n_targets, struct relay_watch *watch, struct relay_link **ret_link)
{
	struct relay_link *link;
	struct key32 own_public;
	int r = secret_curve_public(&own_public, own_private);

	if (r < 0)
		return r;
	link = find(pool, &own_public, params);
	if (link == NULL)
		r = relay_link_make(
		    pool, own_private, params, targets, n_targets, &link);
	if (r < 0)
		return r;
	add_user(link, watch);
	*ret_link = link;
	return 0;
}

int
relay_link_get_fresh(struct relay_pool *pool, struct relay_params *params,
    const struct relay_target *targets, size_t n_targets,
    struct relay_watch *watch, struct key32 *ret_own,
    struct relay_link **ret_link)
{
	struct relay_link *link =
	    relay_spare_use(&pool->spare, params, targets, n_targets);
	struct key32 own, own_public;
	int r = 0;

	if (link == NULL) {
		secret_curve_keypair(&own, &own_public);
		r = relay_link_make(
		    pool, &own, params, targets, n_targets, &link);
		secret_wipe(&own, sizeof(own));
	}
	if (r < 0)
		return r;
	add_user(link, watch);
	*ret_own = link->own_private;
	*ret_link = link;
	return 0;
}

void
relay_link_put(struct relay_link *link, struct relay_watch *watch)
{
	LIST_REMOVE(watch, entry);
	if (--link->users == 0)
		relay_link_leave(link);
}

void
relay_link_leave(struct relay_link *link)
{
	link->lingering = true;
	/* Never freed here: we may be inside one of its callbacks. */
	loop_timer_in(link->timer,
	    link->state == RELAY_LINK_CONNECTED ? RELAY_LINK_LINGER_US : 0);
}

void
relay_link_info(const struct relay_link *link, struct relay_link_info *ret_info)
{
	struct mono now = loop_now(link->pool->loop);
	const struct relay_target *t = &link->targets[link->target];
	struct relay_link_info i = {
		.state = link->state,
		.state_name = state_name(link),
		.port = t->port,
		.error = link->error,
		.error_code = link->error_code,
		.failures = link->failures,
		.ever_connected = link->ever_connected,
		.hopeless = link->hopeless,
		.since_ms = mono_diff(now, link->since) / MONO_MS,
		.packets_in = link->packets_in,
		.packets_out = link->packets_out,
		.packets_lost = link->packets_lost,
		.bytes_in = link->bytes_in,
		.bytes_out = link->bytes_out,
		.queued = relay_link_queued(link),
	};

	(void)snprintf(i.host, sizeof(i.host), "%s", t->host);
	if (link->state == RELAY_LINK_WAITING)
		i.retry_ms = mono_diff(link->retry_at, now) / MONO_MS;
	if (i.retry_ms < 0)
		i.retry_ms = 0;
	*ret_info = i;
}
