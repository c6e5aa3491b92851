/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 *   HEAD --request for /derp--> INFO --ClientInfo opens--> LIVE
 *     \--any other request--> (answer, orderly close)
 *
 * Each of the first two has RELAY_CLIENT_HANDSHAKE_US, then the same timer
 * paces KeepAlive.  Any breach of the protocol closes the connection without a
 * word: DERP has no error frame.
 */
#include "helpers/relay/relay_client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/relay/relay_conn.h"
#include "helpers/relay/relay_frames.h"
#include "helpers/relay/relay_http.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_hello.h"
#include "proto/derp/derp_http.h"

/* KeepAlive comes this part of its period late, at most; drawn once. */
#define JITTER_FRACTION 12

static struct relay_client *
client_of(struct relay_conn *c)
{
	/* conn is the first member. */
	return (struct relay_client *)(void *)c;
}

static void
on_timer(void *arg, struct mono now)
{
	struct relay_client *cl = arg;
	uint8_t frame[DERP_FRAME_HEADER_LEN];
	size_t n;

	if (cl->state != RELAY_CLIENT_LIVE) {
		cl->conn.relay->stats.handshake_timeouts++;
		relay_conn_kill(&cl->conn);
		return;
	}
	n = derp_frame_put_keep_alive(frame);
	/* Full means it does not read: the stall timer will see to that. */
	(void)relay_conn_put_control(&cl->conn, frame, n, now);
	loop_timer_at(cl->timer, mono_add(now, cl->keepalive_us));
}

/* Send one answer and say goodbye. */
static int
answer(struct relay_client *cl, const struct buf_writer *w, struct mono now)
{
	int r;

	if (w->err < 0)
		return w->err;
	cl->conn.relay->stats.http_requests++;
	r = relay_conn_put_control(&cl->conn, w->p, w->len, now);
	relay_conn_finish(&cl->conn);
	return r;
}

static int
answer_request(
    struct relay_client *cl, const struct derp_http_head *h, struct mono now)
{
	struct relay *relay = cl->conn.relay;
	char counters[RELAY_STATS_MAX_JSON];
	uint8_t out[RELAY_HTTP_MAX_ANSWER];
	struct buf_writer cw = buf_writer(counters, sizeof(counters));
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct addr remote = addr_unmap(&cl->conn.remote);
	struct relay_http_env env = { .is_loopback =
					  addr_is_loopback(&remote) };
	int r;

	if (relay_http_is_debug(h) && env.is_loopback) {
		struct mono up = { mono_diff(now, relay->started) };

		relay_client_update_gauges(relay);
		relay_stats_json(&relay->stats, up, &cw);
		env.counters = counters;
		env.counters_len = cw.len;
	}
	r = relay_http_answer(h, &env, &w);
	return r < 0 ? r : answer(cl, &w, now);
}

/* The 101, unless the client does not want it, and our key, in one piece. */
static int
upgrade(
    struct relay_client *cl, const struct derp_http_head *h, struct mono now)
{
	struct relay *relay = cl->conn.relay;
	uint8_t out[DERP_HTTP_MAX_SWITCHING + DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));

	if (!derp_http_is_fast_start(h))
		derp_http_put_switching(&w, &relay->public_key);
	derp_hello_put_server_key(&w, &relay->public_key);
	if (w.err < 0)
		return w.err;
	cl->is_not_ideal = derp_http_is_not_ideal(h);
	cl->state = RELAY_CLIENT_INFO;
	loop_timer_at(cl->timer, mono_add(now, RELAY_CLIENT_HANDSHAKE_US));
	return relay_conn_put_control(&cl->conn, w.p, w.len, now);
}

static int
input_head(struct relay_client *cl, const uint8_t *p, size_t len,
    struct mono now, size_t *ret_consumed)
{
	struct derp_http_head head;
	int r = derp_http_parse_request(p, len, &head);

	*ret_consumed = 0;
	if (r == -DT_ERR_TRUNCATED)
		return 0;
	if (r < 0) {
		uint8_t out[RELAY_HTTP_MAX_ANSWER];
		struct buf_writer w = buf_writer(out, sizeof(out));

		r = relay_http_refuse(r, &w);
		return r < 0 ? r : answer(cl, &w, now);
	}
	*ret_consumed = head.head_len;
	if (relay_http_is_upgrade(&head))
		return upgrade(cl, &head, now);
	return answer_request(cl, &head, now);
}

static int
send_server_info(
    struct relay_client *cl, const struct key32 *peer, struct mono now)
{
	struct relay *relay = cl->conn.relay;
	struct derp_hello_keys keys = {
		.own_private = &relay->private_key,
		.own_public = &relay->public_key,
		.peer_public = peer,
	};
	struct derp_hello_server info = { .version = DERP_HELLO_VERSION };
	uint8_t out[DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));
	int r = derp_hello_seal_server_info(&w, &keys, &info, NULL);

	if (r < 0)
		return r;
	return relay_conn_put_control(&cl->conn, w.p, w.len, now);
}

/* Whoever opened a box with this key is let in. */
static int
admit(struct relay_client *cl, const struct key32 *key, struct mono now)
{
	struct relay *relay = cl->conn.relay;
	int64_t period = relay->keepalive_us;
	uint32_t jitter_ms = (uint32_t)(period / JITTER_FRACTION / MONO_MS);
	int r = send_server_info(cl, key, now);

	if (r == 0)
		r = relay_peers_join(relay->peers, &cl->seat, key);
	if (r < 0)
		return r;
	cl->seat.owner = cl;
	cl->key = *key;
	cl->state = RELAY_CLIENT_LIVE;
	cl->admitted = now;
	cl->keepalive_us =
	    period + (int64_t)secret_random_below(jitter_ms + 1) * MONO_MS;
	ratelimit_init(&cl->not_here, 1, 3, now);
	if (cl->is_not_ideal)
		relay->stats.gauge_current_notideal_connections++;
	loop_timer_at(cl->timer, mono_add(now, cl->keepalive_us));
	relay_conn_admit(&cl->conn);
	return 0;
}

static int
input_info(struct relay_client *cl, const uint8_t *p, size_t len,
    struct mono now, size_t *ret_consumed)
{
	struct derp_hello_client info;
	struct derp_frame f;
	struct key32 key;
	size_t need;
	int r;

	*ret_consumed = 0;
	/* Not ClientInfo: do not wait for the rest of it. */
	if (len > 0 && p[0] != DERP_FRAME_CLIENT_INFO)
		return -DT_ERR_PEER_PROTOCOL;
	r = derp_frame_parse(p, len, DERP_HELLO_MAX_CLIENT_INFO, &f, &need);
	if (r == -DT_ERR_TRUNCATED)
		return 0;
	if (r < 0)
		return r;
	r = derp_hello_open_client_info(
	    f.payload, f.len, &cl->conn.relay->private_key, &key, &info);
	if (r < 0)
		return r;
	secret_wipe(&info, sizeof(info)); /* it may name a mesh key */
	*ret_consumed = f.total;
	return admit(cl, &key, now);
}

static int
input_state(struct relay_client *cl, const uint8_t *p, size_t len,
    struct mono now, size_t *ret_consumed)
{
	switch (cl->state) {
	case RELAY_CLIENT_HEAD:
		return input_head(cl, p, len, now, ret_consumed);
	case RELAY_CLIENT_INFO:
		return input_info(cl, p, len, now, ret_consumed);
	case RELAY_CLIENT_LIVE:
	default:
		return relay_frames_input(cl, p, len, now, ret_consumed);
	}
}

static int
on_input(struct relay_conn *c, const uint8_t *p, size_t len, struct mono now,
    size_t *ret_consumed)
{
	struct relay_client *cl = client_of(c);
	size_t off = 0;

	/* A fast start brings all three states' bytes in one read. */
	while (off < len && c->mode == RELAY_CONN_OPEN) {
		enum relay_client_state state = cl->state;
		size_t consumed;
		int r = input_state(cl, p + off, len - off, now, &consumed);

		if (r < 0) {
			if (state != RELAY_CLIENT_LIVE)
				c->relay->stats.handshake_failures++;
			else
				c->relay->stats.protocol_violations++;
			log_debug_r(r, "relay", "closing a client");
			return r;
		}
		off += consumed;
		if (cl->state == state)
			break;
	}
	*ret_consumed = off;
	return 0;
}

static void
on_closed(struct relay_conn *c)
{
	struct relay_client *cl = client_of(c);
	struct relay_stats *stats = &c->relay->stats;

	if (cl->seat.peer != NULL) {
		relay_peers_leave(c->relay->peers, &cl->seat);
		if (cl->is_home)
			stats->gauge_current_home_connections--;
		if (cl->is_not_ideal)
			stats->gauge_current_notideal_connections--;
	}
	loop_timer_free(cl->timer);
	free(cl);
}

static const struct relay_conn_ops client_ops = {
	.input = on_input,
	.closed = on_closed,
};

int
relay_client_accept(
    struct relay *relay, int fd, const struct addr *remote, struct mono now)
{
	struct relay_client *cl = calloc(1, sizeof(*cl));

	if (cl == NULL)
		return -ENOMEM;
	cl->state = RELAY_CLIENT_HEAD;
	cl->timer = loop_timer_new(relay->loop, on_timer, cl);
	if (cl->timer == NULL ||
	    relay_conn_start(&cl->conn, relay, fd, remote, &client_ops) < 0) {
		if (cl->timer != NULL)
			loop_timer_free(cl->timer);
		free(cl);
		return -ENOMEM;
	}
	loop_timer_at(cl->timer, mono_add(now, RELAY_CLIENT_HANDSHAKE_US));
	return 0;
}

void
relay_client_gone(void *arg, struct relay_seat *to, const struct key32 *key)
{
	struct relay *relay = arg;
	struct relay_client *cl = to->owner;

	if (relay_frames_put_gone(
		cl, key, DERP_FRAME_GONE_DISCONNECTED, loop_now(relay->loop)))
		relay->stats.peer_gone_disconnected_frames++;
}

void
relay_client_update_gauges(struct relay *relay)
{
	struct relay_peers_counts n = relay_peers_counts(relay->peers);
	struct relay_stats *s = &relay->stats;

	s->gauge_clients_total = n.keys;
	s->gauge_clients_local = n.keys;
	s->gauge_current_dup_client_keys = n.dup_keys;
	s->gauge_current_dup_client_conns = n.dup_seats;
	s->counter_total_dup_client_conns = n.dup_total;
	s->gauge_peer_gone_watches = n.edges;
}
