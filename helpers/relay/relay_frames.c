/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_frames.h"

#include "lib/err.h"
#include "proto/derp/derp_frame.h"

/* A home note in the first seconds is part of connecting, not a move. */
#define SETTLE_US (5 * MONO_SEC)

bool
relay_frames_put_gone(struct relay_client *cl, const struct key32 *key,
    uint8_t reason, struct mono now)
{
	uint8_t frame[DERP_FRAME_PACKET_HEADER_LEN + 1];
	size_t n = derp_frame_put_peer_gone(frame, key, reason);

	return relay_conn_put_control(&cl->conn, frame, n, now) == 0;
}

/* Nobody receives: count it, and tell the sender if it was disco. */
static void
miss(struct relay_client *cl, const struct key32 *dst, const uint8_t *data,
    size_t len, enum relay_miss why)
{
	struct relay_stats *stats = &cl->conn.relay->stats;
	bool is_disco = derp_frame_is_disco(data, len);
	struct mono now = loop_now(cl->conn.relay->loop);

	if (why == RELAY_MISS_DUPLICATE) {
		relay_stats_drop(
		    stats, RELAY_STATS_DROP_DUP_CLIENT, is_disco, len);
		return;
	}
	relay_stats_drop(stats, RELAY_STATS_DROP_UNKNOWN_DEST, is_disco, len);
	if (!is_disco || !ratelimit_take(&cl->not_here, now))
		return;
	if (relay_frames_put_gone(cl, dst, DERP_FRAME_GONE_NOT_HERE, now))
		stats->peer_gone_not_here_frames++;
}

static int
on_send_packet(
    struct relay_client *cl, const struct derp_frame *f, struct mono now)
{
	struct relay *relay = cl->conn.relay;
	struct relay_seat *to;
	struct relay_client *receiver;
	enum relay_miss why;
	struct key32 dst;
	const uint8_t *data;
	size_t len;

	if (derp_frame_get_packet(f, &dst, &data, &len) < 0)
		return -DT_ERR_PEER_PROTOCOL;
	relay->stats.packets_received++;
	relay->stats.bytes_received += len;
	relay->stats.received_kind[derp_frame_is_disco(data, len)
				       ? RELAY_STATS_DISCO
				       : RELAY_STATS_OTHER]++;
	to = relay_peers_route(relay->peers, &cl->seat, &dst, &why);
	if (to == NULL) {
		miss(cl, &dst, data, len, why);
		return 0;
	}
	receiver = to->owner;
	relay_conn_put_packet(&receiver->conn, &cl->key, data, len, now);
	return 0;
}

static int
on_note_preferred(
    struct relay_client *cl, const struct derp_frame *f, struct mono now)
{
	struct relay_stats *stats = &cl->conn.relay->stats;
	bool is_late = mono_diff(now, cl->admitted) > SETTLE_US;
	bool is_home;

	if (derp_frame_get_note_preferred(f, &is_home) < 0)
		return -DT_ERR_PEER_PROTOCOL;
	if (is_home == cl->is_home)
		return 0;
	cl->is_home = is_home;
	if (is_home) {
		stats->gauge_current_home_connections++;
		stats->home_moves_in += is_late;
	} else {
		stats->gauge_current_home_connections--;
		stats->home_moves_out += is_late;
	}
	return 0;
}

static int
on_ping(struct relay_client *cl, const struct derp_frame *f, struct mono now)
{
	struct relay_stats *stats = &cl->conn.relay->stats;
	uint8_t pong[DERP_FRAME_HEADER_LEN + DERP_FRAME_PING_LEN];
	uint8_t data[DERP_FRAME_PING_LEN];
	size_t n;

	if (derp_frame_get_ping(f, data) < 0)
		return -DT_ERR_PEER_PROTOCOL;
	stats->got_ping++;
	n = derp_frame_put_ping(pong, true, data);
	/* While one waits, further pings are swallowed. */
	if (relay_conn_put_pong(&cl->conn, pong, n, now) == 0)
		stats->sent_pong++;
	return 0;
}

/* Sizes a client's frame may have, known from its header alone. */
static int
check_size(uint8_t type, size_t len)
{
	switch (type) {
	case DERP_FRAME_SEND_PACKET:
		if (len < DERP_FRAME_KEY_LEN || len > DERP_FRAME_MAX_SEND)
			return -DT_ERR_PEER_PROTOCOL;
		return 0;
	case DERP_FRAME_NOTE_PREFERRED:
		return len == 1 ? 0 : -DT_ERR_PEER_PROTOCOL;
	case DERP_FRAME_PING:
		if (len < DERP_FRAME_PING_LEN || len > DERP_FRAME_MAX_PING)
			return -DT_ERR_PEER_PROTOCOL;
		return 0;
	case DERP_FRAME_WATCH_CONNS:
	case DERP_FRAME_CLOSE_PEER:
	case DERP_FRAME_FORWARD_PACKET:
		/* Other relays of one region may; this one has none. */
		return -DT_ERR_PEER_PROTOCOL;
	default:
		return len > DERP_FRAME_MAX_LEN ? -DT_ERR_TOO_LONG : 0;
	}
}

static int
on_frame(struct relay_client *cl, const struct derp_frame *f, struct mono now)
{
	switch (f->type) {
	case DERP_FRAME_SEND_PACKET:
		return on_send_packet(cl, f, now);
	case DERP_FRAME_NOTE_PREFERRED:
		return on_note_preferred(cl, f, now);
	case DERP_FRAME_PING:
		return on_ping(cl, f, now);
	default:
		return 0;
	}
}

static bool
is_known(uint8_t type)
{
	return type == DERP_FRAME_SEND_PACKET ||
	       type == DERP_FRAME_NOTE_PREFERRED || type == DERP_FRAME_PING;
}

/* Skip an unknown frame as far as it has come. */
static size_t
skip(struct relay_client *cl, size_t len)
{
	size_t n = cl->discard < len ? (size_t)cl->discard : len;

	cl->discard -= n;
	return n;
}

int
relay_frames_input(struct relay_client *cl, const uint8_t *p, size_t len,
    struct mono now, size_t *ret_consumed)
{
	struct relay *relay = cl->conn.relay;
	size_t off = skip(cl, len);

	while (len - off >= DERP_FRAME_HEADER_LEN) {
		struct derp_frame f;
		uint32_t body_len;
		uint8_t type;
		size_t need;
		int r;

		derp_frame_peek(p + off, &type, &body_len);
		r = check_size(type, body_len);
		if (r < 0)
			return r;
		if (!is_known(type)) {
			relay->stats.unknown_frames++;
			relay_peers_spoke(relay->peers, &cl->seat);
			cl->discard =
			    DERP_FRAME_HEADER_LEN + (uint64_t)body_len;
			off += skip(cl, len - off);
			continue;
		}
		if (derp_frame_parse(
			p + off, len - off, DERP_FRAME_MAX_LEN, &f, &need) < 0)
			break;
		relay_peers_spoke(relay->peers, &cl->seat);
		r = on_frame(cl, &f, now);
		if (r < 0)
			return r;
		off += f.total;
	}
	*ret_consumed = off;
	return 0;
}
