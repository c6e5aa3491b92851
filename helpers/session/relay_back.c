/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The peer has lost the same relay, as a rule, and is back sooner or later than
 * we are.  So it is pinged for a while: whoever comes last is heard by the
 * other, whose QUIC then sends again at once.
 */
#include "helpers/session/relay_back.h"

#include "helpers/session/carrier.h"
#include "helpers/session/session.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/quic/quic_conn.h"

/* After 50, 150, 350, 750 and 1550 ms. */
#define MAX_PINGS 5
#define FIRST_WAIT_US (50 * MONO_MS)

int
relay_back_handle(struct session *s, struct buf_reader *body)
{
	struct relay_back *b = &s->back;

	if (buf_reader_end(body) != 0)
		return -DT_ERR_IPC;
	if (s->mux.selected != &s->relay.path)
		return 0; /* nothing was lost */
	log_debug("path", "the relay is back");
	quic_endpoint_revive(s->quic, s->now);
	*b = (struct relay_back){ MAX_PINGS, mono_add(s->now, FIRST_WAIT_US),
		2 * FIRST_WAIT_US, quic_endpoint_genuine(s->quic) };
	session_wake(s);
	return 0;
}

void
relay_back_run(struct session *s)
{
	struct relay_back *b = &s->back;
	const struct carrier *c;

	if (b->left == 0 || mono_before(s->now, b->next))
		return;
	if (quic_endpoint_genuine(s->quic) != b->n_genuine) {
		b->left = 0;
		return;
	}
	LIST_FOREACH(c, &s->carriers, link)
		if (c->ready)
			quic_conn_ping(c->conn);
	b->left--;
	b->next = mono_add(s->now, b->wait_us);
	b->wait_us *= 2;
}

struct mono
relay_back_next_deadline(const struct session *s)
{
	return s->back.left > 0 ? s->back.next : MONO_NEVER;
}
