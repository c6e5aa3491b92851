/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The claimant dials as many connections as the plan says, once the path is
 * decided; the issuer takes as many.  A handshake that runs out of time while
 * the peer still negotiates is tried again: the flow limits that.  Streams are
 * unidirectional and the sender's; stream i is on connection i mod connections.
 */
#include "helpers/session/transfer_quic.h"

#include "helpers/session/carrier.h"
#include "helpers/session/session.h"
#include "helpers/session/transfer.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_stream.h"
#include "proto/transfer/transfer_window.h"
#include "proto/tunnel/stripe_tx.h"

/* A dead peer is noticed within 15 s: idle time begins anew with our first ping
 * into the silence, and the flow waits 1 s for words that explain it. */
#define IDLE_US (9 * MONO_SEC)
#define KEEP_ALIVE_US (3 * MONO_SEC)
/* Those of the plan, and second tries. */
#define MAX_CONNS (TRANSFER_MAX_STREAMS + 4)
/* 1.3 Gb/s at 200 ms: what one stream may have under way. */
#define WINDOW_MAX ((uint64_t)TRANSFER_WINDOW_MAX)
/* Unasked credit where no slow reader can be behind it: files, and flow B,
 * whose senders wait for ever.  5 s of an output of 1.7 MB/s. */
#define WINDOW_FIRST ((uint64_t)8 << 20)
/* The same at the sender, and what the source is read ahead. */
#define SEND_BUFFER ((size_t)TRANSFER_WINDOW_MAX + ((size_t)1 << 20))

static struct transfer_stream *
stream_of(struct quic_stream *quic)
{
	return quic_stream_user(quic);
}

static void
refuse(struct quic_stream *quic)
{
	quic_stream_stop_sending(quic, TUNNEL_CODE_ERROR);
	if (quic_stream_can_write(quic))
		quic_stream_reset(quic, TUNNEL_CODE_ERROR);
}

static void
on_stream_open(void *arg, struct quic_stream *quic)
{
	struct session *s = arg;
	struct transfer *t = s->transfer;
	const struct transfer_plan *plan = NULL;
	struct transfer_stream *st;

	session_wake(s);
	if (t->flow != NULL && !t->sender)
		plan = transfer_flow_peek_plan(t->flow);
	if (plan == NULL || t->n_streams >= plan->streams ||
	    !quic_stream_is_uni(quic)) {
		refuse(quic);
		return;
	}
	st = &t->streams[t->n_streams++];
	st->quic = quic;
	quic_stream_set_user(quic, st);
}

static void
on_stream_data(
    void *arg, struct quic_stream *quic, const uint8_t *p, size_t len, bool fin)
{
	struct session *s = arg;
	struct transfer_stream *st = stream_of(quic);

	session_wake(s);
	if (st == NULL || s->transfer->is_stopped)
		quic_stream_consume(quic, len);
	else
		transfer_rx_input(st, p, len, fin);
}

static void
disconnected(struct transfer *t, bool orderly, int r, const char *reason)
{
	transfer_flow_disconnected(t->flow, orderly, r, reason, t->s->now);
	session_wake(t->s);
}

static void
on_stream_reset(void *arg, struct quic_stream *quic, uint64_t code)
{
	struct session *s = arg;

	(void)code;
	if (stream_of(quic) != NULL)
		disconnected(s->transfer, false, -DT_ERR_PEER_ABORTED, "");
}

static void
on_stream_stopped(void *arg, struct quic_stream *quic)
{
	on_stream_reset(arg, quic, 0);
}

static void
on_stream_closed(void *arg, struct quic_stream *quic, bool clean)
{
	struct transfer_stream *st = stream_of(quic);

	(void)clean;
	session_wake(arg);
	if (st == NULL)
		return;
	st->quic = NULL;
	st->owed = 0;
}

/* More room, or more streams: the turn's end looks. */
static void
on_stream_writable(void *arg, struct quic_stream *quic)
{
	(void)quic;
	session_wake(arg);
}

static void
on_conn_streams(void *arg, struct quic_conn *conn)
{
	(void)conn;
	session_wake(arg);
}

void
transfer_quic_params(const struct session *s, struct quic_params *p)
{
	struct transfer_window w;

	/* As an issuer we say how many streams there are; others need room for
	 * a chunk of each of 16. */
	transfer_window_init(&w, TRANSFER_OWN_STREAMS);
	p->conn_window = WINDOW_FIRST;
	if (s->boot.listener && !s->boot.transfer.blocks)
		p->conn_window = (uint64_t)transfer_window_limit(&w);
	p->stream_window = p->conn_window;
	p->idle_timeout_us = IDLE_US;
	p->keep_alive_us = KEEP_ALIVE_US;
	p->max_conns = MAX_CONNS;
	p->max_bidi = 1; /* refused; 0 would be a default */
	p->max_uni = s->transfer->sender ? 0 : TRANSFER_MAX_STREAMS;
	p->stream_window_max = WINDOW_MAX;
	p->conn_window_max = WINDOW_MAX;
	p->send_buffer = SEND_BUFFER;
	p->events.conn_streams = on_conn_streams;
	p->events.stream_open = on_stream_open;
	p->events.stream_data = on_stream_data;
	p->events.stream_writable = on_stream_writable;
	p->events.stream_reset = on_stream_reset;
	p->events.stream_stopped = on_stream_stopped;
	p->events.stream_closed = on_stream_closed;
}

void
transfer_quic_conn_ready(struct session *s, struct carrier *c)
{
	struct transfer *t = s->transfer;
	const struct transfer_plan *plan =
	    t->flow != NULL ? transfer_flow_peek_plan(t->flow) : NULL;
	unsigned i = 0;

	if (plan == NULL || t->n_ready >= plan->connections) {
		carrier_close(c, TUNNEL_CODE_ERROR, "too many connections");
		return;
	}
	/* A claimant's have their places. */
	while (i < t->n_conns && t->conns[i] != c)
		i++;
	if (i == t->n_conns)
		t->n_conns++;
	t->conns[i] = c;
	t->n_ready++;
	if (t->n_ready < plan->connections)
		return;
	transfer_flow_connected(t->flow, s->now);
	session_set_ready(s, t->conns[0]);
}

static bool
is_retried(const struct transfer *t, const struct carrier *c,
    const struct quic_close *why)
{
	return !t->s->boot.listener && !c->ready && !t->is_stopped &&
	       why->kind == QUIC_CLOSE_HANDSHAKE &&
	       transfer_flow_state(t->flow) == TRANSFER_CONNECTING;
}

void
transfer_quic_conn_closed(
    struct session *s, struct carrier *c, const struct quic_close *why)
{
	struct transfer *t = s->transfer;
	bool orderly =
	    why->kind == QUIC_CLOSE_APP && why->code == TUNNEL_CODE_OK;
	unsigned i = 0;

	if (s->anchor == c)
		s->anchor = NULL;
	while (i < t->n_conns && t->conns[i] != c)
		i++;
	if (i == t->n_conns) {
		log_info_r(why->r, "session", "connection attempt failed");
		return;
	}
	t->conns[i] = NULL;
	if (is_retried(t, c, why))
		t->conns[i] = carrier_connect(s, CARRIER_SHARE);
	if (t->conns[i] == NULL && why->kind != QUIC_CLOSE_LOCAL)
		disconnected(t, orderly, why->r, why->reason);
}

static void
dial(struct transfer *t, const struct transfer_plan *plan)
{
	while (t->n_conns < plan->connections) {
		struct carrier *c = carrier_connect(t->s, CARRIER_SHARE);

		if (c == NULL) {
			transfer_fail(t, -DT_ERR_INTERNAL, "cannot start QUIC");
			return;
		}
		t->conns[t->n_conns++] = c;
	}
}

/* Made visible at once: the peer waits for all of them. */
static void
open_streams(struct transfer *t, const struct transfer_plan *plan)
{
	while (t->n_streams < plan->streams) {
		struct transfer_stream *st = &t->streams[t->n_streams];
		struct carrier *c = t->conns[st->index % plan->connections];

		if (c == NULL ||
		    quic_conn_open_uni(c->conn, st, &st->quic) != 0)
			return; /* closed, or the peer's limit */
		t->n_streams++;
		quic_stream_announce(st->quic);
	}
}

void
transfer_quic_run(struct transfer *t)
{
	const struct transfer_plan *plan = transfer_flow_peek_plan(t->flow);
	enum transfer_state state = transfer_flow_state(t->flow);

	if (plan == NULL || plan->path == TRANSFER_PATH_UNDECIDED)
		return;
	if (state == TRANSFER_CONNECTING && !plan->quic_server)
		dial(t, plan);
	if (state == TRANSFER_MOVING && t->sender)
		open_streams(t, plan);
}

void
transfer_quic_close(struct transfer *t, unsigned code, const char *reason)
{
	struct carrier *c;

	LIST_FOREACH(c, &t->s->carriers, link)
		carrier_close(c, code, reason);
}

void
transfer_quic_credit(struct transfer *t, size_t n)
{
	for (unsigned i = 0; i < t->n_streams && n > 0; i++) {
		struct transfer_stream *st = &t->streams[i];
		size_t part = n < st->owed ? n : st->owed;

		if (part == 0)
			continue;
		st->owed -= part;
		n -= part;
		quic_stream_consume(st->quic, part);
	}
}
