/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/session_quic.h"

#include <stdlib.h>

#include "helpers/session/carrier.h"
#include "helpers/session/lane.h"
#include "helpers/session/session.h"
#include "helpers/session/signer.h"
#include "helpers/session/splice.h"
#include "helpers/session/transfer_quic.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_stream.h"

/*
 * Share: Go's own is 30 s and 5 s, the smaller idle time counts on both sides
 * and Go pings at half of it; so a dead peer frees the slot within 15 s: idle
 * time begins anew with our first ping into the silence.
 */
#define SHARE_IDLE_US (10 * MONO_SEC)
#define SHARE_KEEP_ALIVE_US (4 * MONO_SEC)
#define DERPTUN_IDLE_US (10 * MONO_SEC)      /* peer v0.18.2 */
#define DERPTUN_KEEP_ALIVE_US (2 * MONO_SEC) /* peer v0.18.2 */
/* Peer v0.18.2: more streams are opened only after some have ended. */
#define SHARE_MAX_STREAMS 64
/* One counts; others may be a peer's second try. */
#define SHARE_MAX_CONNS 4
/* A derptun connection carries one lane, and there may be a thousand. */
#define DERPTUN_STREAM_WINDOW ((uint64_t)1 << 20)
#define DERPTUN_CONN_WINDOW ((uint64_t)2 << 20)

static struct carrier *
carrier_of(struct session *s, struct quic_conn *conn)
{
	struct carrier *c = quic_conn_user(conn);

	if (c != NULL)
		return c;
	c = carrier_new(s, conn, CARRIER_UNKNOWN);
	if (c == NULL)
		quic_conn_close(conn, TUNNEL_CODE_ERROR, "out of memory");
	else
		quic_conn_set_user(conn, c);
	return c;
}

static void
on_conn_ready(void *arg, struct quic_conn *conn)
{
	struct session *s = arg;
	struct carrier *c = carrier_of(s, conn);

	if (c == NULL)
		return;
	c->conn = conn;
	c->ready = true;
	s->tunnel->conn_ready(s, c);
	session_wake(s);
}

static void
on_conn_closed(void *arg, struct quic_conn *conn, const struct quic_close *why)
{
	struct session *s = arg;
	struct carrier *c = quic_conn_user(conn);

	if (c == NULL) /* a stranger's attempt */
		return;
	log_debug("session", "connection closed kind=%d code=%llu", why->kind,
	    (unsigned long long)why->code);
	s->tunnel->conn_closed(s, c, why);
	carrier_free(c);
	session_wake(s);
}

static void
on_conn_streams(void *arg, struct quic_conn *conn)
{
	(void)conn;
	local_resume(arg);
}

static void
on_stream_open(void *arg, struct quic_stream *stream)
{
	struct session *s = arg;
	struct carrier *c = carrier_of(s, quic_stream_conn(stream));

	if (c != NULL)
		s->tunnel->stream_open(s, c, stream);
	session_wake(s);
}

static void
on_stream_data(void *arg, struct quic_stream *stream, const uint8_t *p,
    size_t len, bool fin)
{
	struct lane *l = quic_stream_user(stream);

	session_wake(arg);
	if (l == NULL)
		quic_stream_consume(stream, len);
	else
		lane_input(l, p, len, fin);
}

static struct splice *
splice_of(struct quic_stream *stream)
{
	struct lane *l = quic_stream_user(stream);

	return l != NULL && l->kind == LANE_DATA ? l->splice : NULL;
}

static void
on_stream_writable(void *arg, struct quic_stream *stream)
{
	struct splice *sp = splice_of(stream);

	(void)arg;
	if (sp != NULL)
		splice_writable(sp);
}

static void
on_stream_reset(void *arg, struct quic_stream *stream, uint64_t app_code)
{
	struct splice *sp = splice_of(stream);

	(void)arg;
	if (sp != NULL)
		splice_reset(sp, app_code == TUNNEL_CODE_REFUSED
				     ? TUNNEL_CODE_REFUSED
				     : TUNNEL_CODE_RESET);
}

static void
on_stream_stopped(void *arg, struct quic_stream *stream)
{
	struct splice *sp = splice_of(stream);

	(void)arg;
	if (sp != NULL)
		splice_stopped(sp);
}

static void
on_stream_closed(void *arg, struct quic_stream *stream, bool clean)
{
	struct lane *l = quic_stream_user(stream);

	session_wake(arg);
	if (l == NULL)
		return;
	if (l->kind == LANE_DATA)
		splice_lane_closed(l->splice, l, clean);
	quic_stream_set_user(stream, NULL);
	lane_free(l);
}

static const struct quic_events events = {
	.conn_ready = on_conn_ready,
	.conn_closed = on_conn_closed,
	.conn_streams = on_conn_streams,
	.stream_open = on_stream_open,
	.stream_data = on_stream_data,
	.stream_writable = on_stream_writable,
	.stream_reset = on_stream_reset,
	.stream_stopped = on_stream_stopped,
	.stream_closed = on_stream_closed,
};

static void
set_kind(struct quic_params *p, const struct session *s)
{
	const struct ipc_boot_session *b = &s->boot;

	p->stream_window_max = SESSION_STREAM_WINDOW_MAX;
	if (b->kind == IPC_KIND_TRANSFER) {
		transfer_quic_params(s, p);
	} else if (b->kind == IPC_KIND_SHARE) {
		p->idle_timeout_us = SHARE_IDLE_US;
		p->keep_alive_us = SHARE_KEEP_ALIVE_US;
		p->max_bidi = SHARE_MAX_STREAMS;
		p->max_conns = SHARE_MAX_CONNS;
	} else {
		p->idle_timeout_us = DERPTUN_IDLE_US;
		p->keep_alive_us = DERPTUN_KEEP_ALIVE_US;
		p->stream_window = DERPTUN_STREAM_WINDOW;
		p->conn_window = DERPTUN_CONN_WINDOW;
		p->conn_window_max = SESSION_STREAM_WINDOW_MAX;
		p->max_conns = SESSION_MAX_CONNS;
	}
}

int
session_quic_new(struct session *s)
{
	struct quic_params p = {
		.server = s->boot.listener,
		.cert_der = s->boot.cert,
		.cert_len = s->boot.cert_len,
		.peer_key = s->boot.peer_quic,
		.payload = PATH_RELAY_PAYLOAD,
		.payload_in = QUIC_ENDPOINT_MAX_PAYLOAD,
		.cc = QUIC_CC_BBR,
		.events = events,
		.arg = s,
	};
	struct identity_cert own;
	int r;

	set_kind(&p, s);
	if (s->boot.listener) {
		p.sign = signer_ask;
		p.sign_arg = &s->signer;
		return quic_endpoint_new(&s->quic, &p);
	}
	secret_ed25519_keypair(&s->own_seed, &s->boot.own_quic);
	r = identity_cert_make(&own, &s->own_seed, mono_unix_seconds());
	if (r == 0) {
		p.cert_der = own.der;
		p.cert_len = own.len;
		p.seed = &s->own_seed;
		r = quic_endpoint_new(&s->quic, &p);
	}
	secret_wipe(&s->own_seed, sizeof(s->own_seed));
	return r;
}
