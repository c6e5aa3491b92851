/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection's life:
 *
 *	HANDSHAKE -> READY -> CLOSING -> TOMB -> gone
 *
 * READY begins at handshake_confirmed on a client and handshake_completed on a
 * server: before that the other side has not accepted us.  CLOSING lasts only
 * while the last events are given.  Whoever closed stays for three probe
 * timeouts as a TOMB: just the CONNECTION_CLOSE packet, repeated for late
 * comers (RFC 9000 10.2.1).
 *
 * ngtcp2 aborts when its clock goes back, so each connection has one clock that
 * never does: the endpoint's time plus an offset that kicks enlarge.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/quic/quic_internal.h"

#define NS_PER_US 1000
/* Connection ids that the peer may give us: as peer v0.18.2; and as many as
 * ngtcp2 can keep, so that a path that follows others soon finds one. */
#define PEER_CIDS 4
#define RENEWABLE_CIDS 8
/* Close packets are short: header, code, reason, tag. */
#define CLOSE_MAX 1200
/* After so long without a word of the peer the path may have been dead, and the
 * probe timer have doubled several times. */
#define SILENCE_US (300 * MONO_MS)
/* Lost first packets go again after 0.6, 1.8, 4.2 and 9 s.  RFC 9002's 333 ms
 * would make it 1, 3 and 7: four lost ones cost a handshake all its 10 s. */
#define INITIAL_RTT_NS ((uint64_t)(200 * MONO_MS) * NS_PER_US)
/* How long after it was asked the peer is expected to be heard. */
#define ASKED_NS ((uint64_t)(10 * MONO_SEC) * NS_PER_US)
/* Longest a tomb stays, and what a handshake has for a probe timeout. */
#define TOMB_MAX_US (3 * MONO_SEC)

/* The most first, which nearly all paths carry; then MTU 1420 (WireGuard), 1360
 * (IPsec), 1280 (the least of IPv6), less IPv4's headers. */
static const uint16_t payload_probes[] = { QUIC_ENDPOINT_PAYLOAD, 1392, 1332,
	1252 };
#define N_PAYLOAD_PROBES (sizeof(payload_probes) / sizeof(payload_probes[0]))

bool
quic_conn_is_live(const struct quic_conn *c)
{
	return c->state == QUIC_CONN_HANDSHAKE || c->state == QUIC_CONN_READY;
}

void
quic_conn_touch(struct quic_conn *c)
{
	c->ep->slots[c->slot].dirty = true;
}

uint64_t
quic_conn_clock(struct quic_conn *c, struct mono now)
{
	uint64_t ns = (uint64_t)now.us * NS_PER_US + c->offset_ns;

	if (ns > c->last_ns)
		c->last_ns = ns;
	return c->last_ns;
}

struct mono
quic_conn_expiry(struct quic_conn *c)
{
	uint64_t ns;

	if (c->state == QUIC_CONN_TOMB)
		return c->tomb_until;
	ns = ngtcp2_conn_get_expiry(c->conn);
	if (ns == UINT64_MAX)
		return MONO_NEVER;
	ns = ns > c->offset_ns ? ns - c->offset_ns : 0;
	return (struct mono){ (int64_t)((ns + NS_PER_US - 1) / NS_PER_US) };
}

uint64_t
quic_conn_keep_alive_ns(const struct quic_conn *c)
{
	int64_t us = c->ep->p.keep_alive_us;

	return us < 0 ? UINT64_MAX : (uint64_t)us * NS_PER_US;
}

static void
fill_settings(const struct quic_conn *c, ngtcp2_settings *settings, uint64_t ts)
{
	const struct quic_params *p = &c->ep->p;

	ngtcp2_settings_default(settings);
	settings->cc_algo =
	    p->cc == QUIC_CC_CUBIC ? NGTCP2_CC_ALGO_CUBIC : NGTCP2_CC_ALGO_BBR;
	settings->initial_ts = ts;
	/* It is also what the validation of a renewed path begins with. */
	if (!c->renewable)
		settings->initial_rtt = INITIAL_RTT_NS;
	settings->handshake_timeout = QUIC_ENDPOINT_HANDSHAKE_US * NS_PER_US;
	settings->max_window = p->conn_window_max;
	settings->max_stream_window = p->stream_window_max;
	settings->ack_thresh = 10; /* saves peers ACK work when unbatched */
	if (c->discovers) {
		settings->max_tx_udp_payload_size = QUIC_ENDPOINT_PAYLOAD;
		settings->pmtud_probes = payload_probes;
		settings->pmtud_probeslen = N_PAYLOAD_PROBES;
		return;
	}
	/* The packet size is what the caller of each write says. */
	settings->no_pmtud = 1;
	settings->no_tx_udp_payload_size_shaping = 1;
	settings->max_tx_udp_payload_size = c->ep->payload_max;
}

static void
fill_transport(const struct quic_conn *c, ngtcp2_transport_params *t)
{
	const struct quic_params *p = &c->ep->p;

	ngtcp2_transport_params_default(t);
	t->initial_max_stream_data_bidi_local = p->stream_window;
	t->initial_max_stream_data_bidi_remote = p->stream_window;
	t->initial_max_stream_data_uni = p->stream_window;
	t->initial_max_data = p->conn_window;
	t->initial_max_streams_bidi = p->max_bidi;
	t->initial_max_streams_uni = p->max_uni;
	t->max_idle_timeout = (uint64_t)p->idle_timeout_us * NS_PER_US;
	t->max_udp_payload_size = p->payload_in;
	t->active_connection_id_limit =
	    c->renewable ? RENEWABLE_CIDS : PEER_CIDS;
	t->disable_active_migration = !c->renewable;
}

static int
new_client(struct quic_conn *c, const ngtcp2_callbacks *cb,
    const ngtcp2_settings *settings, const ngtcp2_transport_params *t)
{
	ngtcp2_cid scid, dcid;

	quic_endpoint_cid(c, &scid);
	dcid.datalen = NGTCP2_MIN_INITIAL_DCIDLEN;
	secret_random(dcid.data, dcid.datalen);
	return ngtcp2_conn_client_new(&c->conn, &dcid, &scid, &c->path.path,
	    NGTCP2_PROTO_VER_V1, cb, settings, t, NULL, c);
}

static int
new_server(struct quic_conn *c, const ngtcp2_pkt_hd *hd,
    const ngtcp2_callbacks *cb, const ngtcp2_settings *settings,
    ngtcp2_transport_params *t)
{
	ngtcp2_cid scid;

	quic_endpoint_cid(c, &scid);
	c->odcid = hd->dcid;
	t->original_dcid = hd->dcid;
	t->original_dcid_present = 1;
	return ngtcp2_conn_server_new(&c->conn, &hd->scid, &scid, &c->path.path,
	    hd->version, cb, settings, t, NULL, c);
}

int
quic_conn_new(struct quic_conn *c, const ngtcp2_pkt_hd *hd, struct mono now)
{
	ngtcp2_callbacks cb;
	ngtcp2_settings settings;
	ngtcp2_transport_params t;
	int r;

	LIST_INIT(&c->streams);
	TAILQ_INIT(&c->ready);
	secret_random(&c->tag, sizeof(c->tag));
	c->state = QUIC_CONN_HANDSHAKE;
	c->last_received = now;
	c->payload_cap = QUIC_ENDPOINT_MIN_PAYLOAD;
	c->discovers = c->ep->discovers;
	quic_renew_init(c);
	c->born_ns = c->heard_ns = quic_conn_clock(c, now);
	c->idle_ns = (uint64_t)c->ep->p.idle_timeout_us * NS_PER_US;
	quic_callback_fill(&cb);
	fill_settings(c, &settings, c->born_ns);
	fill_transport(c, &t);
	r = hd != NULL ? new_server(c, hd, &cb, &settings, &t)
		       : new_client(c, &cb, &settings, &t);
	if (r != 0)
		return r == NGTCP2_ERR_NOMEM ? -ENOMEM : -DT_ERR_INTERNAL;
	r = quic_tls_new(&c->tls, c->ep->tls, c->conn);
	if (r < 0)
		return r;
	ngtcp2_conn_set_keep_alive_timeout(c->conn, quic_conn_keep_alive_ns(c));
	return 0;
}

static void
release_tls(struct quic_conn *c)
{
	if (c->conn != NULL)
		ngtcp2_conn_del(c->conn);
	c->conn = NULL;
	quic_tls_free(c->tls);
	c->tls = NULL;
}

void
quic_conn_fini(struct quic_conn *c)
{
	struct quic_stream *s, *next;

	LIST_FOREACH_SAFE(s, &c->streams, link, next)
		quic_stream_destroy(s);
	release_tls(c);
	free(c->close_pkt);
}

void
quic_conn_on_ready(struct quic_conn *c)
{
	const struct quic_events *e = &c->ep->p.events;
	const ngtcp2_transport_params *t;

	if (c->state != QUIC_CONN_HANDSHAKE)
		return;
	c->state = QUIC_CONN_READY;
	if (c->ep->p.server)
		c->ep->n_handshakes--;
	t = ngtcp2_conn_get_remote_transport_params(c->conn);
	if (t != NULL && t->max_idle_timeout != 0 &&
	    t->max_idle_timeout < c->idle_ns)
		c->idle_ns = t->max_idle_timeout;
	if (t != NULL)
		c->payload_cap = (size_t)t->max_udp_payload_size;
	if (e->conn_ready != NULL)
		e->conn_ready(c->ep->p.arg, c);
}

/* Keep the CONNECTION_CLOSE for output() and the tomb. */
static void
prepare_close(struct quic_conn *c, const ngtcp2_ccerr *e, uint64_t ts)
{
	uint8_t pkt[CLOSE_MAX];
	ngtcp2_pkt_info pi;
	ngtcp2_ssize n;

	n = ngtcp2_conn_write_connection_close(
	    c->conn, NULL, &pi, pkt, sizeof(pkt), e, ts);
	if (n <= 0)
		return; /* no keys to say it with */
	c->close_pkt = malloc((size_t)n);
	if (c->close_pkt == NULL)
		return;
	memcpy(c->close_pkt, pkt, (size_t)n);
	c->close_len = (size_t)n;
	c->close_due = true;
}

/* Last events, then a tomb, or nothing. */
static void
end(struct quic_conn *c, struct mono now)
{
	const struct quic_events *e = &c->ep->p.events;
	uint64_t pto_us = ngtcp2_conn_get_pto(c->conn) / NS_PER_US;
	struct quic_stream *s;

	if (c->state == QUIC_CONN_HANDSHAKE && c->ep->p.server)
		c->ep->n_handshakes--;
	c->state = QUIC_CONN_CLOSING;
	quic_close_finish(&c->why);
	while ((s = LIST_FIRST(&c->streams)) != NULL)
		quic_stream_retire(s);
	if (e->conn_closed != NULL)
		e->conn_closed(c->ep->p.arg, c, &c->why);
	if (c->close_pkt == NULL) {
		quic_endpoint_drop(c);
		return;
	}
	release_tls(c);
	c->state = QUIC_CONN_TOMB;
	c->ep->n_conns--;
	c->tomb_until = mono_add(now,
	    3 * pto_us < TOMB_MAX_US ? (int64_t)(3 * pto_us) : TOMB_MAX_US);
	quic_conn_touch(c);
}

void
quic_conn_fail(struct quic_conn *c, struct mono now, int r)
{
	ngtcp2_ccerr e;
	bool tell = false;

	ngtcp2_ccerr_default(&e);
	memset(&c->why, 0, sizeof(c->why));
	switch (r) {
	case NGTCP2_ERR_DRAINING:
	case NGTCP2_ERR_CLOSING:
		quic_close_set(&c->why, ngtcp2_conn_get_ccerr(c->conn), true);
		break;
	case NGTCP2_ERR_IDLE_CLOSE:
		c->why.kind = QUIC_CLOSE_IDLE;
		break;
	case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
		c->why.kind = QUIC_CLOSE_HANDSHAKE;
		break;
	case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
	case NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE:
		c->why.kind = QUIC_CLOSE_VERSION;
		break;
	case NGTCP2_ERR_CRYPTO:
		ngtcp2_ccerr_set_tls_alert(
		    &e, ngtcp2_conn_get_tls_alert(c->conn), NULL, 0);
		quic_close_set(&c->why, &e, false);
		tell = true;
		break;
	case NGTCP2_ERR_NOMEM:
	case NGTCP2_ERR_CALLBACK_FAILURE:
	case NGTCP2_ERR_INTERNAL:
		ngtcp2_ccerr_set_liberr(&e, r, NULL, 0);
		c->why.kind = QUIC_CLOSE_INTERNAL;
		tell = true;
		break;
	default:
		ngtcp2_ccerr_set_liberr(&e, r, NULL, 0);
		quic_close_set(&c->why, &e, false);
		tell = true;
		break;
	}
	if (tell)
		prepare_close(c, &e, quic_conn_clock(c, now));
	end(c, now);
}

void
quic_conn_do_close(struct quic_conn *c, struct mono now)
{
	ngtcp2_ccerr e;

	ngtcp2_ccerr_set_application_error(&e, c->why.code,
	    (const uint8_t *)c->why.reason, strlen(c->why.reason));
	prepare_close(c, &e, quic_conn_clock(c, now));
	end(c, now);
}

int
quic_conn_read(
    struct quic_conn *c, struct mono now, const uint8_t *pkt, size_t len)
{
	const ngtcp2_pkt_info pi = { 0 };
	uint64_t before = quic_callback_decrypted();
	/* Before, the keys may be those that anybody can have. */
	bool was_ready = c->state == QUIC_CONN_READY;
	bool was_silent = mono_diff(now, c->last_received) >= SILENCE_US;
	int r;

	c->pkts_received++;
	c->bytes_received += len;
	quic_conn_touch(c);
	r = ngtcp2_conn_read_pkt(c->conn, quic_renew_path(c, pkt, len), &pi,
	    pkt, len, quic_conn_clock(c, now));
	if (quic_callback_decrypted() != before) {
		c->last_received = now;
		c->heard_ns = c->last_ns;
		if (was_ready)
			c->ep->n_genuine++;
		/* A jump may not age the validation of a renewed path. */
		if (was_ready && was_silent &&
		    (!c->renewable || c->last_ns < c->asked_ns + ASKED_NS))
			quic_revive_want(c, c->idle_ns);
	}
	if (r == 0)
		return 0;
	if ((r == NGTCP2_ERR_DROP_CONN || r == NGTCP2_ERR_RETRY) &&
	    c->ep->p.server && c->state == QUIC_CONN_HANDSHAKE) {
		/* Not even the start of a connection: nobody was told. */
		c->ep->n_handshakes--;
		quic_endpoint_drop(c);
		return r == NGTCP2_ERR_RETRY ? -EAGAIN : 0;
	}
	quic_conn_fail(c, now, r);
	return 0;
}

void
quic_conn_expire(struct quic_conn *c, struct mono now)
{
	int r = ngtcp2_conn_handle_expiry(c->conn, quic_conn_clock(c, now));

	if (r != 0)
		quic_conn_fail(c, now, r);
}

void
quic_conn_reap(struct quic_conn *c)
{
	struct quic_stream *s, *next;

	if (c->n_finished == 0)
		return;
	LIST_FOREACH_SAFE(s, &c->streams, link, next)
		if (s->finished && s->consumed == s->given)
			quic_stream_retire(s);
}

void *
quic_conn_user(const struct quic_conn *c)
{
	return c->user;
}

void
quic_conn_set_user(struct quic_conn *c, void *user)
{
	c->user = user;
}

void *
quic_conn_endpoint_arg(const struct quic_conn *c)
{
	return c->ep->p.arg;
}

bool
quic_conn_is_ready(const struct quic_conn *c)
{
	return c->state == QUIC_CONN_READY;
}

const char *
quic_conn_alpn(const struct quic_conn *c)
{
	return c->state == QUIC_CONN_READY ? quic_tls_alpn(c->tls) : "";
}

void
quic_conn_close(struct quic_conn *c, uint64_t code, const char *reason)
{
	size_t n = strlen(reason);

	if (!quic_conn_is_live(c) || c->close_wanted)
		return;
	memset(&c->why, 0, sizeof(c->why));
	c->why.kind = QUIC_CLOSE_LOCAL;
	c->why.code = code;
	if (n > QUIC_CONN_MAX_REASON)
		n = QUIC_CONN_MAX_REASON;
	memcpy(c->why.reason, reason, n);
	c->close_wanted = true;
	quic_conn_touch(c);
}

static int
open_stream(
    struct quic_conn *c, void *user, bool uni, struct quic_stream **ret_stream)
{
	struct quic_stream *s;
	int64_t id;
	int r;

	if (c->state != QUIC_CONN_READY || c->close_wanted)
		return -DT_ERR_STATE;
	r = uni ? ngtcp2_conn_open_uni_stream(c->conn, &id, NULL)
		: ngtcp2_conn_open_bidi_stream(c->conn, &id, NULL);
	if (r == NGTCP2_ERR_STREAM_ID_BLOCKED)
		return -EAGAIN;
	if (r != 0)
		return -ENOMEM;
	s = quic_stream_new(c, id, user, false);
	if (s == NULL) {
		(void)ngtcp2_conn_shutdown_stream(
		    c->conn, 0, id, QUIC_CONN_CODE_ERROR);
		return -ENOMEM;
	}
	r = ngtcp2_conn_set_stream_user_data(c->conn, id, s);
	assert(r == 0); /* it was opened just now */
	*ret_stream = s;
	return 0;
}

int
quic_conn_open_bidi(
    struct quic_conn *c, void *user, struct quic_stream **ret_stream)
{
	return open_stream(c, user, false, ret_stream);
}

int
quic_conn_open_uni(
    struct quic_conn *c, void *user, struct quic_stream **ret_stream)
{
	return open_stream(c, user, true, ret_stream);
}

void
quic_conn_ping(struct quic_conn *c)
{
	c->ping = true;
	quic_conn_touch(c);
}

struct mono
quic_conn_last_received(const struct quic_conn *c)
{
	return c->last_received;
}

void
quic_conn_stats(struct quic_conn *c, struct quic_stats *ret_stats)
{
	struct quic_stats st = {
		.bytes_sent = c->bytes_sent,
		.bytes_received = c->bytes_received,
		.pkts_sent = c->pkts_sent,
		.pkts_received = c->pkts_received,
		.streams_lost = c->streams_lost,
	};
	ngtcp2_conn_info info;

	if (c->conn != NULL) {
		struct quic_stream *s;

		ngtcp2_conn_get_conn_info(c->conn, &info);
		if (info.min_rtt != UINT64_MAX) {
			st.rtt_us = (int64_t)(info.smoothed_rtt / NS_PER_US);
			st.min_rtt_us = (int64_t)(info.min_rtt / NS_PER_US);
		}
		st.cwnd = info.cwnd;
		st.in_flight = info.bytes_in_flight;
		LIST_FOREACH(s, &c->streams, link)
			if (!s->finished)
				st.streams_lost +=
				    ngtcp2_conn_get_stream_loss_count(
					c->conn, s->id);
	}
	*ret_stats = st;
}
