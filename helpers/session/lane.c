/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/lane.h"

#include <stdlib.h>
#include <string.h>

#include "helpers/session/carrier.h"
#include "helpers/session/session.h"
#include "helpers/session/splice.h"
#include "proto/quic/quic_stream.h"

struct lane *
lane_new(struct session *s, struct carrier *c, struct quic_stream *stream,
    enum lane_kind kind)
{
	struct lane *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->s = s;
	l->carrier = c;
	l->stream = stream;
	l->kind = kind;
	c->n_lanes++;
	quic_stream_set_user(stream, l);
	return l;
}

void
lane_free(struct lane *l)
{
	l->carrier->n_lanes--;
	free(l);
}

void
lane_kill(struct lane *l, unsigned code)
{
	l->kind = LANE_DEAD;
	l->splice = NULL;
	(void)lane_credit(l, l->owed); /* of the connection; thrown away */
	if (quic_stream_can_write(l->stream))
		quic_stream_reset(l->stream, code);
	quic_stream_stop_sending(l->stream, code);
	session_wake(l->s);
}

size_t
lane_credit(struct lane *l, size_t n)
{
	if (n > l->owed)
		n = l->owed;
	if (n == 0)
		return 0;
	l->owed -= n;
	quic_stream_consume(l->stream, n);
	session_wake(l->s);
	return n;
}

/* Collect the header; returns how many bytes it took. */
static size_t
take_header(struct lane *l, const uint8_t *p, size_t len, bool fin)
{
	size_t n = LANE_HEADER_LEN - l->head_len;

	if (n > len)
		n = len;
	if (n > 0)
		memcpy(l->head + l->head_len, p, n);
	l->head_len += n;
	quic_stream_consume(l->stream, n);
	if (l->head_len == LANE_HEADER_LEN)
		l->s->tunnel->lane_header(l->s, l);
	else if (fin)
		carrier_close(l->carrier, TUNNEL_CODE_ERROR, "short header");
	return n;
}

void
lane_input(struct lane *l, const uint8_t *p, size_t len, bool fin)
{
	size_t used = 0;

	if (l->kind == LANE_HEADER) {
		used = take_header(l, p, len, fin);
		if (l->kind == LANE_HEADER)
			return;
	}
	if (l->kind == LANE_DATA)
		splice_input(l->splice, l, p + used, len - used, fin);
	else
		quic_stream_consume(l->stream, len - used);
}
