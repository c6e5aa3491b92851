/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Each local stream gets a QUIC connection of its own, because Go servers end a
 * stream's trouble by closing the connection it is on.  One spare connection is
 * kept ready, so that a new stream does not wait for a handshake; as many more
 * are started at a time as streams are parked, up to MAX_DIALING.
 */
#include "helpers/session/derptun_client.h"

#include <errno.h>

#include "helpers/session/carrier.h"
#include "helpers/session/lane.h"
#include "helpers/session/session.h"
#include "helpers/session/splice.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_stream.h"

/* Handshakes at a time: a page of a browser opens six; a server may cost each
 * 1 ms of CPU. */
#define MAX_DIALING 16
/* Connections that fail are not replaced faster than this. */
#define STOCK_RETRY_US MONO_SEC

static void
start(struct session *s)
{
	if (carrier_connect(s, CARRIER_CONTROL) == NULL)
		session_end(s, -DT_ERR_INTERNAL, "cannot start QUIC");
}

/* Open the only stream of @c and write its header. */
static struct lane *
open_lane(struct session *s, struct carrier *c, const struct lane_header *h,
    enum lane_kind kind)
{
	uint8_t wire[LANE_HEADER_LEN];
	struct quic_stream *stream;
	struct lane *l;

	if (quic_conn_open_bidi(c->conn, NULL, &stream) != 0)
		return NULL;
	l = lane_new(s, c, stream, kind);
	if (l == NULL)
		return NULL;
	lane_header_encode(wire, h);
	if (quic_stream_write(stream, wire, sizeof(wire)) !=
	    (ssize_t)sizeof(wire))
		return NULL; /* the caller closes the connection */
	session_wake(s);
	return l;
}

static void
control_ready(struct session *s, struct carrier *c)
{
	struct lane_header h = { 0 };
	struct lane *l = open_lane(s, c, &h, LANE_CONTROL);

	if (l == NULL) {
		session_end(s, -DT_ERR_INTERNAL, "cannot open control stream");
		return;
	}
	quic_stream_fin(l->stream);
	session_set_ready(s, c);
}

static void
conn_ready(struct session *s, struct carrier *c)
{
	if (c->use == CARRIER_CONTROL)
		control_ready(s, c);
	else
		local_resume(s);
}

/* A stream cannot wait for ever for connections that fail. */
static void
drop_one_parked(struct session *s, int r)
{
	struct splice *sp;

	TAILQ_FOREACH(sp, &s->splices, link) {
		if (!sp->is_parked || sp->aborted)
			continue;
		splice_abort(sp, TUNNEL_CODE_ERROR, r);
		return;
	}
}

static void
conn_closed(struct session *s, struct carrier *c, const struct quic_close *why)
{
	if (c->use == CARRIER_CONTROL) {
		s->anchor = NULL;
		session_end_why(s, why);
		return;
	}
	if (c->use == CARRIER_IDLE) {
		s->stock_after = mono_add(s->now, STOCK_RETRY_US);
		if (!c->ready)
			drop_one_parked(s, why->r);
	}
	if (c->splice == NULL)
		return;
	if (why->kind == QUIC_CLOSE_APP && why->code == TUNNEL_CODE_REFUSED &&
	    c->splice->result != -DT_ERR_BACKEND_REFUSED) {
		c->splice->result = -DT_ERR_BACKEND_REFUSED;
		s->counts.streams_refused++;
	}
	c->splice = NULL;
}

static void
stream_open(struct session *s, struct carrier *c, struct quic_stream *stream)
{
	/* Servers open none; lane_new() makes it harmless. */
	struct lane *l = lane_new(s, c, stream, LANE_DEAD);

	if (l != NULL)
		lane_kill(l, TUNNEL_CODE_PROTOCOL);
}

static int
attach(struct session *s, struct splice *sp)
{
	struct lane_header h = { .count = 1, .index = 0 };
	struct carrier *c;
	struct lane *l;

	LIST_FOREACH(c, &s->carriers, link)
		if (c->use == CARRIER_IDLE && c->ready && !c->closing)
			break;
	if (c == NULL)
		return -EAGAIN;
	secret_random(h.id.b, sizeof(h.id.b));
	c->use = CARRIER_BUSY;
	l = open_lane(s, c, &h, LANE_DATA);
	if (l == NULL) {
		carrier_close(c, TUNNEL_CODE_ERROR, "cannot open lane");
		return -DT_ERR_INTERNAL;
	}
	c->splice = sp;
	splice_join(sp, l, 0);
	return 0;
}

static void
close_carrier(struct session *s, struct splice *sp, unsigned code)
{
	struct carrier *c;

	LIST_FOREACH(c, &s->carriers, link) {
		if (c->splice != sp)
			continue;
		c->splice = NULL;
		carrier_close(c, code, "");
		session_wake(s);
		return;
	}
}

static void
splice_aborted(struct session *s, struct splice *sp, unsigned code)
{
	close_carrier(s, sp, code);
}

static void
splice_done(struct session *s, struct splice *sp)
{
	close_carrier(s, sp, TUNNEL_CODE_OK);
}

static size_t
spares_wanted(const struct session *s)
{
	size_t n = s->local.n_parked;

	if (s->local.listen_io != NULL ||
	    (s->boot.one_stream && !s->local.had_stdio))
		n++;
	return n < MAX_DIALING ? n : MAX_DIALING;
}

static void
run(struct session *s)
{
	size_t have = 0;
	struct carrier *c;

	if (!s->ready || s->ending.decided ||
	    mono_before(s->now, s->stock_after))
		return;
	LIST_FOREACH(c, &s->carriers, link)
		have += c->use == CARRIER_IDLE && !c->closing;
	for (; have < spares_wanted(s); have++) {
		if (carrier_connect(s, CARRIER_IDLE) == NULL) {
			s->stock_after = mono_add(s->now, STOCK_RETRY_US);
			return;
		}
	}
}

static struct mono
next_deadline(const struct session *s)
{
	return mono_before(s->now, s->stock_after) ? s->stock_after
						   : MONO_NEVER;
}

const struct tunnel_ops *
derptun_client_ops(void)
{
	static const struct tunnel_ops ops = {
		.start = start,
		.conn_ready = conn_ready,
		.conn_closed = conn_closed,
		.stream_open = stream_open,
		.attach = attach,
		.splice_aborted = splice_aborted,
		.splice_done = splice_done,
		.run = run,
		.next_deadline = next_deadline,
	};

	return &ops;
}
