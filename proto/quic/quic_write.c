/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From streams to datagrams.  Streams with something to send wait in a queue
 * and take turns batch by batch, so that the other end can write much at once;
 * small pieces of several streams share one packet.  A packet once begun is
 * always finished before this file is left.
 *
 * A stream leaves the queue when it is empty or waits for the peer's stream
 * credit, and comes back when written to or when credit arrives.  Credit of the
 * whole connection has no event in ngtcp2: it is looked at for every packet.
 *
 * ngtcp2 does not report STOP_SENDING either, it only refuses further data.  So
 * the last call of each packet names one idle stream in turn, which costs
 * nothing and finds out.
 */
#include <errno.h>

#include "proto/quic/quic_internal.h"

#define MAX_VEC 2 /* chunks are larger than packets */

static bool
has_data(const struct quic_stream *s)
{
	return s->written > s->sent;
}

static bool
has_work(const struct quic_stream *s)
{
	return has_data(s) || (s->fin && !s->fin_sent) || s->announce;
}

/* Whose turn is it?  Without connection credit only frames without data go. */
static struct quic_stream *
pick(struct quic_conn *c)
{
	bool credit = ngtcp2_conn_get_max_data_left(c->conn) > 0;
	struct quic_stream *s;

	if (c->state != QUIC_CONN_READY)
		return NULL;
	TAILQ_FOREACH(s, &c->ready, ready_link)
		if (credit || !has_data(s))
			return s;
	return NULL;
}

static size_t
unsent(const struct quic_stream *s, ngtcp2_vec vec[static MAX_VEC])
{
	struct quic_chunk *k = s->next_chunk;
	size_t off = s->next_off, n = 0;

	for (; k != NULL && n < MAX_VEC; k = k->next, off = 0) {
		if (k->len == off)
			continue;
		vec[n].base = k->data + off;
		vec[n].len = k->len - off;
		n++;
	}
	return n;
}

/* ngtcp2 took @n of the bytes offered; did the FIN go with them? */
static void
on_taken(struct quic_stream *s, ngtcp2_ssize n, bool fin)
{
	if (n < 0)
		return;
	quic_stream_on_sent(s, (size_t)n);
	if (n > 0)
		s->conn->served = s;
	if (fin && !has_data(s))
		s->fin_sent = true;
	if (!has_work(s))
		quic_stream_unready(s);
}

/* The next batch begins with another stream. */
static void
rotate(struct quic_conn *c)
{
	struct quic_stream *s = TAILQ_FIRST(&c->ready);

	if (s == NULL || s != c->served)
		return;
	quic_stream_unready(s);
	quic_stream_set_ready(s); /* at the end of the queue */
}

/* Next idle stream that may have been stopped without our knowing. */
static struct quic_stream *
next_probe(struct quic_conn *c)
{
	struct quic_stream *s = c->stop_probe;

	if (s == NULL)
		s = LIST_FIRST(&c->streams);
	c->stop_probe = s != NULL ? LIST_NEXT(s, link) : NULL;
	if (s == NULL || s->is_ready || !s->any_sent || s->fin_sent ||
	    s->tx_over || s->finished)
		return NULL;
	return s;
}

/* End the packet begun, or write what ngtcp2 itself has to say. */
static ngtcp2_ssize
write_rest(struct quic_conn *c, uint8_t *dst, size_t len, uint64_t ts)
{
	struct quic_stream *s = next_probe(c);
	ngtcp2_pkt_info pi;
	ngtcp2_ssize taken, n;

	if (s != NULL) {
		n = ngtcp2_conn_writev_stream(c->conn, NULL, &pi, dst, len,
		    &taken, NGTCP2_WRITE_STREAM_FLAG_NONE, s->id, NULL, 0, ts);
		if (n != NGTCP2_ERR_STREAM_SHUT_WR)
			return n;
		quic_stream_on_stopped(s);
	}
	return ngtcp2_conn_writev_stream(c->conn, NULL, &pi, dst, len, &taken,
	    NGTCP2_WRITE_STREAM_FLAG_NONE, -1, NULL, 0, ts);
}

/* The stream at the head of the queue cannot send; is that its own affair? */
static bool
on_refused(struct quic_stream *s, ngtcp2_ssize n)
{
	switch (n) {
	case NGTCP2_ERR_STREAM_DATA_BLOCKED:
		quic_stream_unready(s);
		s->blocked = true;
		return true;
	case NGTCP2_ERR_STREAM_SHUT_WR:
		quic_stream_on_stopped(s);
		return true;
	case NGTCP2_ERR_STREAM_NOT_FOUND:
		quic_stream_unready(s);
		return true;
	default:
		return false;
	}
}

/* One datagram.  Returns its length, 0 for nothing to send now, or ngtcp2's
 * fatal error. */
static ngtcp2_ssize
write_packet(struct quic_conn *c, uint8_t *dst, size_t len, uint64_t ts)
{
	struct quic_stream *s;

	while ((s = pick(c)) != NULL) {
		ngtcp2_vec vec[MAX_VEC];
		size_t n_vec = unsent(s, vec), total = 0;
		uint32_t flags = NGTCP2_WRITE_STREAM_FLAG_MORE;
		ngtcp2_ssize n, taken = -1;
		ngtcp2_pkt_info pi;
		bool fin;

		for (size_t i = 0; i < n_vec; i++)
			total += vec[i].len;
		fin = s->fin && total == s->written - s->sent;
		if (fin)
			flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
		n = ngtcp2_conn_writev_stream(c->conn, NULL, &pi, dst, len,
		    &taken, flags, s->id, vec, n_vec, ts);
		if (n == NGTCP2_ERR_WRITE_MORE) {
			on_taken(s, taken, fin);
			continue;
		}
		if (n >= 0) {
			on_taken(s, taken, fin);
			return n;
		}
		if (!on_refused(s, n))
			return n;
	}
	return write_rest(c, dst, len, ts);
}

/* Make ngtcp2 believe that its keep-alive is due: it has no other ping. */
static uint64_t
begin_ping(struct quic_conn *c, uint64_t ts)
{
	ngtcp2_conn_set_keep_alive_timeout(c->conn, 1);
	c->last_ns = ts + 1;
	return c->last_ns;
}

/* Until the handshake is over nobody knows what the peer takes. */
static size_t
payload_of(const struct quic_conn *c)
{
	size_t n = c->ep->p.payload;

	if (c->discovers)
		return QUIC_ENDPOINT_PAYLOAD; /* room for ngtcp2's choice */
	return n < c->payload_cap ? n : c->payload_cap;
}

/* What the next datagram may have of @payload: the last of a run is shorter.
 * Handshakes are never that many. */
static size_t
payload_in_run(const struct quic_conn *c, size_t payload)
{
	const struct quic_endpoint *ep = c->ep;

	if (ep->run_most == 0 || ep->run < ep->run_most ||
	    c->state != QUIC_CONN_READY)
		return payload;
	return payload - 1;
}

static void
end_ping(struct quic_conn *c)
{
	c->ping = false;
	ngtcp2_conn_set_keep_alive_timeout(c->conn, quic_conn_keep_alive_ns(c));
}

void
quic_write_conn(struct quic_conn *c, struct mono now, struct quic_batch *b)
{
	size_t payload = payload_of(c), begin = b->len, quantum;
	uint64_t ts = quic_conn_clock(c, now);
	bool ping = c->ping && c->state == QUIC_CONN_READY;
	ngtcp2_ssize n = 0;

	c->served = NULL;
	quantum = ngtcp2_conn_get_send_quantum(c->conn);
	if (ping)
		ts = begin_ping(c, ts);
	while (b->n_pkts < b->max_pkts && b->cap - b->len >= payload) {
		n = write_packet(
		    c, b->buf + b->len, payload_in_run(c, payload), ts);
		if (n <= 0)
			break;
		c->ep->run = (size_t)n == payload ? c->ep->run + 1 : 0;
		b->lens[b->n_pkts++] = (uint16_t)n;
		b->len += (size_t)n;
		c->pkts_sent++;
		c->bytes_sent += (size_t)n;
		if (b->len - begin >= quantum)
			break;
	}
	rotate(c);
	if (ping)
		end_ping(c);
	ngtcp2_conn_update_pkt_tx_time(c->conn, ts);
	if (n < 0)
		quic_conn_fail(c, now, (int)n);
	else if (n > 0)
		quic_conn_touch(c);
}
