/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * CONNECTING: dial, TLS, upgrade, ClientInfo; the next target each time one
 * fails.  CONNECTED from ServerInfo on.  Any failure leads to WAITING for a
 * backoff that only a connection of 30 s resets.  The whole attempt has the
 * budget of derp_client, 10 s.
 *
 * Output goes derp_client queue -> tls -> socket.  Only as much is put into tls
 * as one turn can send, so that the queue with the limit is the first one.
 * Frames of a turn leave as few TLS records at the end of the turn.
 *
 * A link without users lingers until its queue is empty; it is never freed but
 * by its timer, because relay_link_put() may come from its own callbacks.  A
 * watcher may leave while it is told something, but not make another leave.
 */
#include "daemon/relay_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/backoff.h"
#include "daemon/relay_dial.h"
#include "daemon/stream.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/derp/derp_client.h"

/* Ciphertext in flight towards the socket before more is sealed. */
#define RELAY_LINK_MAX_SEALED ((size_t)64 * 1024)
/* Room for the longest frame and one more read. */
#define RELAY_LINK_MAX_INPUT ((size_t)192 * 1024)
#define RELAY_LINK_MAX_ERROR 320

struct relay_link {
	LIST_ENTRY(relay_link) entry;
	struct relay_pool *pool;
	unsigned users;
	LIST_HEAD(, relay_watch) watches;
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
	struct backoff backoff;
	unsigned failures;
	bool ever_connected;
	bool hopeless;
	bool high;
	bool lingering;
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
	LIST_HEAD(, relay_link) links;
	size_t count;
};

static void start(struct relay_link *link);

static const char *
state_name(const struct relay_link *link)
{
	static const char *const names[] = {
		[RELAY_LINK_CONNECTING] = "connecting",
		[RELAY_LINK_CONNECTED] = "connected",
		[RELAY_LINK_WAITING] = "waiting",
	};

	return names[link->state];
}

static void
disconnect(struct relay_link *link)
{
	relay_dial_cancel(link->dial);
	link->dial = NULL;
	derp_client_free(link->client);
	link->client = NULL;
	stream_free(link->stream);
	link->stream = NULL;
}

static void
destroy(struct relay_link *link)
{
	disconnect(link);
	loop_timer_free(link->timer);
	router_free(link->router);
	relay_params_unref(link->params);
	LIST_REMOVE(link, entry);
	link->pool->count--;
	secret_wipe(&link->own_private, sizeof(link->own_private));
	free(link);
}

/* Tell all watchers; any of them may leave meanwhile, others may not. */
static void
tell_state(struct relay_link *link, struct mono now)
{
	struct relay_watch *w, *next;

	LIST_FOREACH_SAFE(w, &link->watches, entry, next)
		if (w->state != NULL)
			w->state(w->arg, now);
}

static void
tell_pressure(struct relay_link *link, bool high)
{
	struct relay_watch *w, *next;

	if (link->high == high)
		return;
	link->high = high;
	LIST_FOREACH_SAFE(w, &link->watches, entry, next)
		if (w->pressure != NULL)
			w->pressure(w->arg, high);
}

static void
set_state(struct relay_link *link, enum relay_link_state state, struct mono now)
{
	link->state = state;
	link->since = now;
	tell_state(link, now);
}

static size_t
queued(const struct relay_link *link)
{
	size_t n = 0;

	if (link->client != NULL)
		n += fifo_len(derp_client_output(link->client));
	if (link->stream != NULL)
		n += stream_queued(link->stream);
	return n;
}

/* Errors that the next attempt will meet again. */
static bool
is_hopeless(int r)
{
	return r == -DT_ERR_CERT_UNTRUSTED || r == -DT_ERR_CERT_PIN ||
	       r == -DT_ERR_HTTP_STATUS || r == -DT_ERR_NOT_RELAY;
}

static void
log_failure(const struct relay_link *link, int64_t delay_us)
{
	char me[SECRET_FINGERPRINT_LEN];

	secret_fingerprint(me, &link->own_public);
	log_warn("relay", "%s; next try in %lld ms key=%s", link->error,
	    (long long)(delay_us / MONO_MS), me);
}

/* The attempt or connection is over; @text may be "". */
static void
lost(struct relay_link *link, int r, const char *text)
{
	struct mono now = loop_now(link->pool->loop);
	char where[RELAY_TARGET_MAX_TEXT];
	int64_t delay;

	relay_target_text(&link->targets[link->target], where);
	(void)snprintf(link->error, sizeof(link->error), "relay %s: %s%s%s",
	    where, r < 0 ? err_str(r) : "connection closed by the relay",
	    text[0] != '\0' ? ": " : "", text);
	link->error_code = r < 0 ? r : -DT_ERR_CLOSED;
	link->hopeless = is_hopeless(r);
	link->failures++;
	if (link->state == RELAY_LINK_CONNECTED &&
	    mono_diff(now, link->connected_at) >= RELAY_LINK_GOOD_US)
		backoff_reset(&link->backoff);
	disconnect(link);
	link->target = (link->target + 1) % link->n_targets;
	delay = backoff_next(&link->backoff);
	log_failure(link, delay);
	link->retry_at = mono_add(now, delay);
	loop_timer_at(link->timer, link->retry_at);
	tell_pressure(link, false);
	set_state(link, RELAY_LINK_WAITING, now);
}

static void
arm(struct relay_link *link)
{
	loop_timer_at(link->timer, derp_client_next_deadline(link->client));
}

/* derp_client queue -> stream -> socket. */
static void
pump(struct relay_link *link, struct mono now)
{
	struct fifo *out = derp_client_output(link->client);
	size_t n = 1;

	while (n > 0 && fifo_len(out) > 0 &&
	       stream_queued(link->stream) < RELAY_LINK_MAX_SEALED) {
		size_t len = fifo_len(out);

		if (len > RELAY_LINK_MAX_SEALED)
			len = RELAY_LINK_MAX_SEALED;
		n = stream_write(link->stream, fifo_peek(out), len);
		fifo_drop(out, n);
		stream_flush(link->stream, now);
		if (link->stream == NULL || link->client == NULL)
			return; /* it broke: lost() was called */
	}
}

static void
check_pressure(struct relay_link *link)
{
	size_t n = queued(link);

	if (n > RELAY_LINK_HIGH)
		tell_pressure(link, true);
	else if (n <= RELAY_LINK_HIGH / 2)
		tell_pressure(link, false);
}

static void
flush(struct relay_link *link, struct mono now)
{
	if (link->client == NULL || link->stream == NULL)
		return;
	pump(link, now);
	if (link->client == NULL)
		return;
	check_pressure(link);
	if (link->lingering && queued(link) == 0)
		loop_timer_in(link->timer, 0);
}

static void
on_client_ready(void *user, const struct derp_hello_server *info)
{
	struct relay_link *link = user;
	struct mono now = loop_now(link->pool->loop);
	char where[RELAY_TARGET_MAX_TEXT], me[SECRET_FINGERPRINT_LEN];

	(void)info;
	relay_target_text(&link->targets[link->target], where);
	secret_fingerprint(me, &link->own_public);
	log_info("relay", "connected to relay %s key=%s", where, me);
	link->connected_at = now;
	link->ever_connected = true;
	link->failures = 0;
	link->error[0] = '\0';
	link->error_code = 0;
	link->hopeless = false;
	set_state(link, RELAY_LINK_CONNECTED, now);
}

static void
on_client_packet(
    void *user, const struct key32 *src, const uint8_t *data, size_t len)
{
	struct relay_link *link = user;

	link->packets_in++;
	link->bytes_in += len;
	router_input(link->router, src, data, len, loop_now(link->pool->loop));
}

static void
on_client_health(void *user, const char *text)
{
	const struct relay_link *link = user;

	(void)link;
	if (text[0] != '\0')
		log_warn("relay", "relay reports a problem: %s", text);
}

static const struct derp_client_events client_events = {
	.ready = on_client_ready,
	.packet = on_client_packet,
	.health = on_client_health,
};

static void
on_stream_ready(void *arg, struct mono now)
{
	struct relay_link *link = arg;
	const struct relay_target *t = &link->targets[link->target];
	const struct tls *tls = stream_tls(link->stream);
	struct key32 server;
	struct derp_client_params p = {
		.own_private = &link->own_private,
		.own_public = &link->own_public,
		.host = t->host,
		.port = t->port,
		.tls = true,
		.ideal_node = t->ideal[0] != '\0' ? t->ideal : NULL,
		.can_ack_pings = true,
		.max_output = RELAY_LINK_MAX_OUTPUT,
		.connect_deadline = link->attempt_ends,
		.events = &client_events,
		.user = link,
	};
	int r;

	if (tls_peer_metacert(tls, &server))
		p.fast_start_key = &server;
	r = derp_client_new(&p, now, &link->client);
	if (r < 0) {
		lost(link, r, "");
		return;
	}
	arm(link);
	flush(link, now);
}

static ssize_t
on_stream_input(void *arg, const uint8_t *p, size_t len, struct mono now)
{
	struct relay_link *link = arg;
	size_t used = 0;
	int r;

	if (link->client == NULL)
		return (ssize_t)len; /* between ready and failure */
	r = derp_client_input(link->client, now, p, len, &used);
	if (r < 0) {
		lost(link, r, derp_client_error_text(link->client));
		return 0;
	}
	arm(link);
	return (ssize_t)used;
}

static void
on_stream_drained(void *arg, struct mono now)
{
	(void)now;
	check_pressure(arg);
}

static void
on_stream_closed(void *arg, int r, const char *text, struct mono now)
{
	(void)now;
	if (r == -DT_ERR_TRUNCATED) /* most relays end without close_notify */
		lost(arg, 0, "");
	else
		lost(arg, r, text);
}

static int
open_stream(struct relay_link *link, int fd)
{
	const struct relay_target *t = &link->targets[link->target];
	struct stream_params p = {
		.loop = link->pool->loop,
		.fd = fd,
		.host = t->host,
		.cert_name = t->cert_name,
		.max_input = RELAY_LINK_MAX_INPUT,
		.on_ready = on_stream_ready,
		.on_input = on_stream_input,
		.on_drained = on_stream_drained,
		.on_closed = on_stream_closed,
		.arg = link,
	};
	int r = relay_params_tls(link->params, &p.tls);

	return r < 0 ? r : stream_new(&p, &link->stream);
}

static void
on_dialed(void *arg, int r, int fd)
{
	struct relay_link *link = arg;

	link->dial = NULL;
	if (r == 0)
		r = open_stream(link, fd);
	if (r < 0) {
		fd_close(&fd);
		lost(link, r, "");
	}
}

static void
start(struct relay_link *link)
{
	struct mono now = loop_now(link->pool->loop);

	link->attempt_ends = mono_add(now, DERP_CLIENT_CONNECT_US);
	loop_timer_at(link->timer, link->attempt_ends);
	link->dial = relay_dial_new(
	    link->pool->loop, &link->targets[link->target], on_dialed, link);
	if (link->dial == NULL)
		lost(link, -ENOMEM, "");
	else
		set_state(link, RELAY_LINK_CONNECTING, now);
}

static void
on_timer(void *arg, struct mono now)
{
	struct relay_link *link = arg;
	int r;

	if (link->lingering) {
		destroy(link);
		return;
	}
	if (link->state == RELAY_LINK_WAITING) {
		start(link);
		return;
	}
	if (link->client == NULL) {
		lost(link, -DT_ERR_TIMEOUT, "");
		return;
	}
	r = derp_client_on_timer(link->client, now);
	if (r < 0)
		lost(link, r, derp_client_error_text(link->client));
	else
		arm(link); /* its output leaves at the end of the turn */
}

struct relay_pool *
relay_pool_new(struct loop *loop)
{
	struct relay_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->loop = loop;
	LIST_INIT(&pool->links);
	return pool;
}

void
relay_pool_free(struct relay_pool *pool)
{
	struct relay_link *link, *next;

	if (pool == NULL)
		return;
	LIST_FOREACH_SAFE(link, &pool->links, entry, next)
		destroy(link);
	free(pool);
}

void
relay_pool_flush(struct relay_pool *pool, struct mono now)
{
	struct relay_link *link, *next;

	LIST_FOREACH_SAFE(link, &pool->links, entry, next)
		flush(link, now);
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

static int
make(struct relay_pool *pool, const struct key32 *own_private,
    const struct key32 *own_public, struct relay_params *params,
    struct relay_link **ret_link)
{
	struct relay_link *link;

	if (pool->count >= RELAY_LINK_MAX)
		return -DT_ERR_LIMIT;
	link = calloc(1, sizeof(*link));
	if (link == NULL)
		return -ENOMEM;
	link->pool = pool;
	link->timer = loop_timer_new(pool->loop, on_timer, link);
	link->router = router_new(loop_now(pool->loop));
	if (link->timer == NULL || link->router == NULL) {
		loop_timer_free(link->timer);
		router_free(link->router);
		free(link);
		return -ENOMEM;
	}
	LIST_INIT(&link->watches);
	LIST_INSERT_HEAD(&pool->links, link, entry);
	pool->count++;
	link->params = relay_params_ref(params);
	link->own_private = *own_private;
	link->own_public = *own_public;
	backoff_init(
	    &link->backoff, RELAY_LINK_RETRY_US, RELAY_LINK_RETRY_MAX_US, true);
	/* The first attempt begins in the next turn, like any retry. */
	link->state = RELAY_LINK_WAITING;
	link->since = link->retry_at = loop_now(pool->loop);
	loop_timer_in(link->timer, 0);
	*ret_link = link;
	return 0;
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
	if (link == NULL) {
		r = make(pool, own_private, &own_public, params, &link);
		if (r < 0)
			return r;
		for (size_t i = 0; i < n_targets && i < RELAY_TARGET_MAX; i++)
			link->targets[link->n_targets++] = targets[i];
	}
	link->users++;
	LIST_INSERT_HEAD(&link->watches, watch, entry);
	*ret_link = link;
	return 0;
}

void
relay_link_put(struct relay_link *link, struct relay_watch *watch)
{
	LIST_REMOVE(watch, entry);
	if (--link->users > 0)
		return;
	link->lingering = true;
	/* Never freed here: we may be inside one of its callbacks. */
	loop_timer_in(
	    link->timer, link->state == RELAY_LINK_CONNECTED && queued(link) > 0
			     ? RELAY_LINK_LINGER_US
			     : 0);
}

void
relay_link_send(struct relay_link *link, const struct key32 *dst,
    const uint8_t *p, size_t len)
{
	if (link->client == NULL ||
	    derp_client_send(link->client, dst, p, len) < 0) {
		link->packets_lost++;
		return;
	}
	link->packets_out++;
	link->bytes_out += len;
}

bool
relay_link_is_connected(const struct relay_link *link)
{
	return link->state == RELAY_LINK_CONNECTED;
}

bool
relay_link_is_high(const struct relay_link *link)
{
	return link->high;
}

struct router *
relay_link_router(struct relay_link *link)
{
	return link->router;
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
		.queued = queued(link),
	};

	(void)snprintf(i.host, sizeof(i.host), "%s", t->host);
	if (link->state == RELAY_LINK_WAITING)
		i.retry_ms = mono_diff(link->retry_at, now) / MONO_MS;
	if (i.retry_ms < 0)
		i.retry_ms = 0;
	*ret_info = i;
}
