/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * CONNECTING: dial, TLS, upgrade, ClientInfo; the next target each time one
 * fails.  CONNECTED from ServerInfo on.  Any failure leads to WAITING for a
 * backoff that only a connection of 30 s resets.  The whole attempt has a
 * budget, 10 s; of the first one in a row TLS and what follows get only half.
 *
 * Output goes derp_client queue -> tls -> socket.  Only as much is put into tls
 * as one turn can send, so that the queue with the limit is the first one.
 * Frames of a turn leave as few TLS records at the end of the turn.
 *
 * A link without users lingers until its queue is empty and the relay has seen
 * the end of it: closing a socket with bytes unread would take back what is on
 * its way.  It is never freed but by its timer, because relay_link_put() may
 * come from its own callbacks.  A watcher may leave while it is told something,
 * but not make another leave.
 */
#include "daemon/relay_link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/netif.h"
#include "daemon/relay_link_state.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

/* Ciphertext in flight towards the socket before more is sealed. */
#define RELAY_LINK_MAX_SEALED ((size_t)64 * 1024)
/* Room for the longest frame and one more read. */
#define RELAY_LINK_MAX_INPUT ((size_t)192 * 1024)

static void start(struct relay_link *link);

static void
disconnect(struct relay_link *link)
{
	relay_dial_cancel(link->dial);
	link->dial = NULL;
	derp_client_free(link->client);
	link->client = NULL;
	stream_free(link->stream);
	link->stream = NULL;
	link->suspended = false;
}

void
relay_link_destroy(struct relay_link *link)
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

size_t
relay_link_queued(const struct relay_link *link)
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

/* How long until the next attempt, after @r at @now. */
static int64_t
retry_delay(struct relay_link *link, int r, struct mono now)
{
	int64_t delay = backoff_next(&link->backoff), most, gone;

	gone = mono_diff(now, link->lost_at);
	if (!link->ever_connected || gone >= RELAY_LINK_URGENT_US)
		return delay;
	most = RELAY_LINK_URGENT_RETRY_US;
	/* Its machine lives, and says that it is not up yet: that costs nobody
	 * anything, and what waits is to wait little longer than it has to. */
	if (r == -ECONNREFUSED || link->lived_us >= RELAY_LINK_LIVED_US) {
		most = gone / 20;
		if (most < RELAY_LINK_QUICK_RETRY_US)
			most = RELAY_LINK_QUICK_RETRY_US;
		if (most > RELAY_LINK_URGENT_RETRY_US)
			most = RELAY_LINK_URGENT_RETRY_US;
		most = most * (750 + (int64_t)secret_random_below(501)) / 1000;
	}
	return delay < most ? delay : most;
}

static void
log_failure(const struct relay_link *link, int64_t delay_us)
{
	char me[SECRET_FINGERPRINT_LEN];

	secret_fingerprint(me, &link->own_public);
	if (link == link->pool->spare.link)
		log_debug(
		    "relay", "%s; it was a spare key=%s", link->error, me);
	else if (link->error_code == -ECONNREFUSED &&
		 delay_us < RELAY_LINK_URGENT_RETRY_US / 2 &&
		 link->failures > 2)
		log_debug("relay", "%s; next try in %lld ms key=%s",
		    link->error, (long long)(delay_us / MONO_MS), me);
	else
		log_warn("relay", "%s; next try in %lld ms key=%s", link->error,
		    (long long)(delay_us / MONO_MS), me);
}

/* The attempt or connection is over; @text may be "". */
static void
lost(struct relay_link *link, int r, const char *text)
{
	const char *what =
	    r < 0 ? err_str(r) : "connection closed by the relay";
	struct mono now = loop_now(link->pool->loop);
	char where[RELAY_TARGET_MAX_TEXT];
	int64_t delay;

	/* Some texts begin with what the error says. */
	if (strncmp(text, what, strlen(what)) == 0)
		text += strlen(what);
	text += strspn(text, ": ");
	relay_target_text(&link->targets[link->target], where);
	(void)snprintf(link->error, sizeof(link->error), "relay %s: %s%s%s",
	    where, what, text[0] != '\0' ? ": " : "", text);
	link->error_code = r < 0 ? r : -DT_ERR_CLOSED;
	link->hopeless = is_hopeless(r);
	link->failures++;
	link->lived_us = 0;
	if (link->state == RELAY_LINK_CONNECTED) {
		link->lost_at = now;
		link->lived_us = mono_diff(now, link->connected_at);
		if (link->lived_us >= RELAY_LINK_GOOD_US)
			backoff_reset(&link->backoff);
	}
	disconnect(link);
	link->target = (link->target + 1) % link->n_targets;
	delay = retry_delay(link, r, now);
	log_failure(link, delay);
	link->retry_at = mono_add(now, delay);
	loop_timer_at(link->timer, link->lingering ? now : link->retry_at);
	tell_pressure(link, false);
	set_state(link, RELAY_LINK_WAITING, now);
	relay_spare_lost(&link->pool->spare, link);
}

static void
arm(struct relay_link *link)
{
	if (!link->lingering) /* then the timer has a better use */
		loop_timer_at(
		    link->timer, derp_client_next_deadline(link->client));
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
	size_t n = relay_link_queued(link);

	if (n > RELAY_LINK_HIGH)
		tell_pressure(link, true);
	else if (n <= RELAY_LINK_HIGH / 2)
		tell_pressure(link, false);
}

void
relay_link_flush(struct relay_link *link, struct mono now)
{
	if (link->client == NULL || link->stream == NULL)
		return;
	pump(link, now);
	if (link->client == NULL)
		return;
	check_pressure(link);
	if (link->lingering && fifo_len(derp_client_output(link->client)) == 0)
		stream_end(link->stream, now);
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
	link->suspended = false;
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
on_client_peer_gone(void *user, const struct key32 *peer, uint8_t reason)
{
	struct relay_link *link = user;
	struct mono now = loop_now(link->pool->loop);
	struct relay_watch *w, *next;

	LIST_FOREACH_SAFE(w, &link->watches, entry, next)
		if (w->peer_gone != NULL)
			w->peer_gone(w->arg, peer, reason, now);
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
	.peer_gone = on_client_peer_gone,
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
	relay_link_flush(link, now);
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
	struct relay_link *link = arg;

	if (link->lingering)
		loop_timer_at(link->timer, now);
	else if (r == -DT_ERR_TRUNCATED) /* most end without close_notify */
		lost(link, 0, "");
	else
		lost(link, r, text);
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
	if (r == 0 && link->failures == 0 && !link->lingering) {
		link->attempt_ends = mono_min(link->attempt_ends,
		    mono_add(loop_now(link->pool->loop), RELAY_LINK_FIRST_US));
		loop_timer_at(link->timer, link->attempt_ends);
	}
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
		relay_link_destroy(link);
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

static void
retry_now(struct relay_link *link)
{
	backoff_reset(&link->backoff);
	link->retry_at = loop_now(link->pool->loop);
	loop_timer_at(link->timer, link->retry_at);
}

void
relay_link_check_network(struct relay_link *link, const struct netif *netif)
{
	struct addr own;

	if (link->lingering)
		return;
	if (link->state == RELAY_LINK_WAITING) {
		retry_now(link);
		return;
	}
	if (link->stream == NULL)
		return; /* being dialled: that has its own limits */
	own = stream_local(link->stream);
	if (own.family == 0 || addr_is_loopback(&own))
		return;
	switch (netif_presence(netif, &own)) {
	case NETLINK_DOWN:
		/* It may come back; TCP would be slow to notice. */
		link->suspended = true;
		return;
	case NETLINK_UP:
		if (!link->suspended)
			return;
		break;
	case NETLINK_GONE:
		break;
	}
	lost(link, -ENETDOWN, "the network changed");
	if (link->state == RELAY_LINK_WAITING && !link->lingering)
		retry_now(link);
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

struct loop_timer *
relay_link_timer(struct relay_link *link)
{
	return loop_timer_new(link->pool->loop, on_timer, link);
}
