/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first stream with lane count 0 makes its connection the anchor: when that
 * ends the tunnel ends, whatever else works.  Other control streams are
 * ignored.  The backend is dialled when the last lane of a group is there; if
 * that fails, the lanes are reset and those connections closed that carried
 * nothing but this group, which is what Go claimers understand.
 */
#include "helpers/session/derptun_server.h"

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
	(void)s; /* claimers only */
}

static void
conn_ready(struct session *s, struct carrier *c)
{
	(void)s;
	(void)c; /* its streams will say what it is for */
}

static void
conn_closed(struct session *s, struct carrier *c, const struct quic_close *why)
{
	if (c == s->anchor) {
		s->anchor = NULL;
		session_end_why(s, why);
	}
}

static void
stream_open(struct session *s, struct carrier *c, struct quic_stream *stream)
{
	if (lane_new(s, c, stream, LANE_HEADER) == NULL)
		carrier_close(c, TUNNEL_CODE_ERROR, "out of memory");
}

static void
control_stream(struct session *s, struct lane *l)
{
	l->kind = LANE_CONTROL;
	quic_stream_fin(l->stream);
	if (s->anchor != NULL)
		return;
	l->carrier->use = CARRIER_CONTROL;
	session_set_ready(s, l->carrier);
}

static struct splice *
new_group(struct session *s, const struct lane_header *h)
{
	struct splice *sp = splice_new(s, h->count, true);

	if (sp == NULL)
		return NULL;
	sp->state = SPLICE_GATHERING;
	if (lane_table_insert(&s->table, &sp->group, h, s->now) != 0) {
		splice_abort(sp, TUNNEL_CODE_LIMIT, -DT_ERR_LIMIT);
		return NULL;
	}
	sp->in_table = true;
	return sp;
}

static struct splice *
find_group(struct session *s, const struct lane_header *h)
{
	struct lane_group *g = lane_table_find(&s->table, &h->id);
	struct splice *sp;

	if (g == NULL)
		return new_group(s, h);
	TAILQ_FOREACH(sp, &s->splices, link)
		if (&sp->group == g)
			break;
	return sp;
}

static void
lane_header(struct session *s, struct lane *l)
{
	struct lane_header h;
	struct splice *sp;
	int r = lane_header_decode(&h, l->head);

	if (r != 0) {
		log_info_r(r, "session", "bad lane header");
		l->kind = LANE_DEAD;
		carrier_close(l->carrier, TUNNEL_CODE_ERROR, "bad lane header");
		return;
	}
	if (lane_header_is_control(&h)) {
		control_stream(s, l);
		return;
	}
	sp = find_group(s, &h);
	if (sp == NULL || sp->aborted) {
		lane_kill(l, TUNNEL_CODE_LIMIT);
		return;
	}
	r = lane_table_add(&s->table, &sp->group, &h);
	if (r < 0) {
		log_info_r(r, "session", "lane refused");
		lane_kill(l, TUNNEL_CODE_PROTOCOL);
		return;
	}
	splice_join(sp, l, h.index);
	if (r == 1) {
		sp->state = SPLICE_DIALING;
		if (msgs_send_dial(s, sp->id) != 0)
			splice_abort(sp, TUNNEL_CODE_REFUSED, -DT_ERR_INTERNAL);
	}
}

static int
attach(struct session *s, struct splice *sp)
{
	(void)s;
	(void)sp;
	return -DT_ERR_STATE; /* claimers only */
}

/* Runs after the lanes were let go: carriers that carried them have it in
 * n_doomed. */
static void
splice_aborted(struct session *s, struct splice *sp, unsigned code)
{
	const char *reason =
	    code == TUNNEL_CODE_REFUSED ? TUNNEL_REASON_REFUSED : "";
	struct carrier *c;

	(void)sp;
	LIST_FOREACH(c, &s->carriers, link) {
		bool only = c->n_doomed > 0 && c->n_doomed == c->n_lanes;

		c->n_doomed = 0;
		if (only && c != s->anchor)
			carrier_close(c, code, reason);
	}
}

static void
splice_done(struct session *s, struct splice *sp)
{
	(void)s;
	(void)sp; /* the claimer closes its connections */
}

static void
run(struct session *s)
{
	struct lane_group *g;
	struct splice *sp;

	while ((g = lane_table_expired(&s->table, s->now)) != NULL) {
		lane_table_remove(&s->table, g);
		TAILQ_FOREACH(sp, &s->splices, link)
			if (&sp->group == g)
				break;
		if (sp == NULL)
			continue;
		sp->in_table = false;
		log_info(
		    "session", "stream %u never got all its lanes", sp->id);
		splice_abort(sp, TUNNEL_CODE_LIMIT, -DT_ERR_TIMEOUT);
	}
}

static struct mono
next_deadline(const struct session *s)
{
	return lane_table_next_deadline(&s->table);
}

const struct tunnel_ops *
derptun_server_ops(void)
{
	static const struct tunnel_ops ops = {
		.start = start,
		.conn_ready = conn_ready,
		.conn_closed = conn_closed,
		.stream_open = stream_open,
		.lane_header = lane_header,
		.attach = attach,
		.splice_aborted = splice_aborted,
		.splice_done = splice_done,
		.run = run,
		.next_deadline = next_deadline,
	};

	return &ops;
}
