/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/share.h"

#include <errno.h>

#include "helpers/session/carrier.h"
#include "helpers/session/lane.h"
#include "helpers/session/msgs.h"
#include "helpers/session/session.h"
#include "helpers/session/splice.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_stream.h"

static void
start(struct session *s)
{
	if (carrier_connect(s, CARRIER_SHARE) == NULL)
		session_end(s, -DT_ERR_INTERNAL, "cannot start QUIC");
}

static void
conn_ready(struct session *s, struct carrier *c)
{
	if (s->anchor != NULL) {
		carrier_close(c, TUNNEL_CODE_ERROR, "one connection only");
		return;
	}
	c->use = CARRIER_SHARE;
	session_set_ready(s, c);
}

static void
conn_closed(struct session *s, struct carrier *c, const struct quic_close *why)
{
	if (c == s->anchor || !s->boot.listener) {
		s->anchor = NULL;
		session_end_why(s, why);
	} else {
		log_info_r(why->r, "session", "connection attempt failed");
	}
}

static void
stream_open(struct session *s, struct carrier *c, struct quic_stream *stream)
{
	struct splice *sp;
	struct lane *l;

	if (!s->boot.listener) { /* listeners open none; made harmless */
		l = lane_new(s, c, stream, LANE_DEAD);
		if (l != NULL)
			lane_kill(l, TUNNEL_CODE_PROTOCOL);
		return;
	}
	sp = splice_new(s, 1, false);
	l = sp != NULL ? lane_new(s, c, stream, LANE_DATA) : NULL;
	if (l == NULL) { /* no memory: the connection is not worth keeping */
		if (sp != NULL)
			splice_abort(sp, TUNNEL_CODE_LIMIT, -ENOMEM);
		carrier_close(c, TUNNEL_CODE_ERROR, "out of memory");
		return;
	}
	splice_join(sp, l, 0);
	sp->state = SPLICE_DIALING;
	if (msgs_send_dial(s, sp->id) != 0)
		splice_abort(sp, TUNNEL_CODE_REFUSED, -DT_ERR_INTERNAL);
}

static int
attach(struct session *s, struct splice *sp)
{
	struct quic_stream *stream;
	struct lane *l;
	int r = s->anchor == NULL
		    ? -DT_ERR_TUNNEL_LOST
		    : quic_conn_open_bidi(s->anchor->conn, NULL, &stream);

	if (r != 0)
		return r;
	l = lane_new(s, s->anchor, stream, LANE_DATA);
	if (l == NULL) {
		quic_stream_reset(stream, TUNNEL_CODE_ERROR);
		return -ENOMEM;
	}
	splice_join(sp, l, 0);
	/* The peer's backend may speak first. */
	quic_stream_announce(stream);
	return 0;
}

static void
splice_aborted(struct session *s, struct splice *sp, unsigned code)
{
	(void)s;
	(void)sp;
	(void)code; /* the stream has said it */
}

static void
splice_done(struct session *s, struct splice *sp)
{
	(void)sp;
	/* Its credit may let another one in. */
	session_wake(s);
}

static void
run(struct session *s)
{
	(void)s; /* no timers */
}

static struct mono
next_deadline(const struct session *s)
{
	(void)s;
	return MONO_NEVER;
}

const struct tunnel_ops *
share_ops(void)
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
