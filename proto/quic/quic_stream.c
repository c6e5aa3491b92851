/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A stream's two halves.
 *
 * Sending: bytes lie in a list of chunks, acked <= sent <= written.  ngtcp2
 * keeps pointers into them for retransmission, so a chunk is released only when
 * its last byte is acknowledged, or when the stream or connection is gone.
 *
 * Receiving: nothing is kept here; what ngtcp2 has in order goes to stream_data
 * at once.  given - consumed is what the reader holds.  When ngtcp2 has
 * forgotten a stream (both directions over), it lives on here until the reader
 * has consumed everything; only then is the peer allowed a new stream.  So a
 * peer cannot make a slow reader hold more than its windows.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/quic/quic_internal.h"

/* A remainder smaller than this is not worth a read(2). */
#define MIN_SPAN 4096

struct quic_stream *
quic_stream_new(struct quic_conn *c, int64_t id, void *user, bool remote)
{
	struct quic_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->conn = c;
	s->id = id;
	s->user = user;
	s->remote = remote;
	/* Nothing can be sent on the peer's one-way streams. */
	s->tx_over = remote && quic_stream_is_uni(s);
	LIST_INSERT_HEAD(&c->streams, s, link);
	return s;
}

static void
drop_chunks(struct quic_stream *s)
{
	struct quic_chunk *next;

	for (struct quic_chunk *k = s->head; k != NULL; k = next) {
		next = k->next;
		quic_endpoint_give_chunk(s->conn->ep, k);
	}
	s->head = s->tail = s->next_chunk = NULL;
	s->head_off = s->next_off = 0;
}

void
quic_stream_destroy(struct quic_stream *s)
{
	quic_stream_unready(s);
	if (s->conn->stop_probe == s)
		s->conn->stop_probe = LIST_NEXT(s, link);
	if (s->finished)
		s->conn->n_finished--;
	LIST_REMOVE(s, link);
	drop_chunks(s);
	free(s);
}

bool
quic_stream_is_clean(const struct quic_stream *s)
{
	bool out = s->remote && quic_stream_is_uni(s);
	bool in = !s->remote && quic_stream_is_uni(s);

	return (out || quic_stream_is_delivered(s)) && (in || s->rx_fin);
}

void
quic_stream_set_ready(struct quic_stream *s)
{
	if (!quic_conn_is_live(s->conn) || s->tx_over || s->finished)
		return;
	quic_conn_touch(s->conn);
	if (s->is_ready || s->blocked)
		return;
	s->is_ready = true;
	TAILQ_INSERT_TAIL(&s->conn->ready, s, ready_link);
}

void
quic_stream_unready(struct quic_stream *s)
{
	if (!s->is_ready)
		return;
	s->is_ready = false;
	TAILQ_REMOVE(&s->conn->ready, s, ready_link);
}

void *
quic_stream_user(const struct quic_stream *s)
{
	return s->user;
}

void
quic_stream_set_user(struct quic_stream *s, void *user)
{
	s->user = user;
}

struct quic_conn *
quic_stream_conn(const struct quic_stream *s)
{
	return s->conn;
}

int64_t
quic_stream_id(const struct quic_stream *s)
{
	return s->id;
}

bool
quic_stream_is_uni(const struct quic_stream *s)
{
	return (s->id & 0x2) != 0; /* RFC 9000 2.1 */
}

bool
quic_stream_can_write(const struct quic_stream *s)
{
	return quic_conn_is_live(s->conn) && !s->fin && !s->tx_over &&
	       !s->finished;
}

/* Bytes that may still be written now. */
static size_t
room(const struct quic_stream *s)
{
	size_t held = (size_t)(s->written - s->acked);
	size_t most = s->conn->ep->p.send_buffer;

	return held < most ? most - held : 0;
}

/* A tail chunk with at least @want bytes free, or NULL when memory is out. */
static struct quic_chunk *
tail_with_room(struct quic_stream *s, size_t want)
{
	struct quic_chunk *k = s->tail;

	if (k != NULL && QUIC_CHUNK_LEN - k->len >= want)
		return k;
	k = quic_endpoint_chunk(s->conn->ep);
	if (k == NULL)
		return NULL;
	if (s->tail != NULL)
		s->tail->next = k;
	else
		s->head = k;
	s->tail = k;
	if (s->next_chunk == NULL) {
		s->next_chunk = k;
		s->next_off = 0;
	}
	return k;
}

uint8_t *
quic_stream_reserve(struct quic_stream *s, size_t *ret_len)
{
	struct quic_chunk *k;
	size_t n;

	if (!quic_stream_can_write(s))
		return NULL;
	n = room(s);
	k = n > 0 ? tail_with_room(s, n < MIN_SPAN ? n : MIN_SPAN) : NULL;
	if (k == NULL) {
		s->want_write = true;
		return NULL;
	}
	if (n > QUIC_CHUNK_LEN - k->len)
		n = QUIC_CHUNK_LEN - k->len;
	*ret_len = n;
	return k->data + k->len;
}

void
quic_stream_commit(struct quic_stream *s, size_t n)
{
	if (n == 0)
		return;
	assert(s->tail != NULL && n <= QUIC_CHUNK_LEN - s->tail->len);
	s->tail->len += n;
	s->written += n;
	quic_stream_set_ready(s);
}

ssize_t
quic_stream_write(struct quic_stream *s, const void *p, size_t len)
{
	const uint8_t *src = p;
	size_t done = 0;

	if (!quic_stream_can_write(s))
		return -DT_ERR_CLOSED;
	while (done < len && room(s) > 0) {
		struct quic_chunk *k = tail_with_room(s, 1);
		size_t n = len - done;

		if (k == NULL)
			break;
		if (n > room(s))
			n = room(s);
		if (n > QUIC_CHUNK_LEN - k->len)
			n = QUIC_CHUNK_LEN - k->len;
		memcpy(k->data + k->len, src + done, n);
		quic_stream_commit(s, n);
		done += n;
	}
	if (done < len)
		s->want_write = true;
	return done > 0 || len == 0 ? (ssize_t)done : -EAGAIN;
}

void
quic_stream_fin(struct quic_stream *s)
{
	if (!quic_stream_can_write(s))
		return;
	s->fin = true;
	quic_stream_set_ready(s);
}

void
quic_stream_announce(struct quic_stream *s)
{
	if (s->sent > 0 || s->written > 0 || !quic_stream_can_write(s))
		return;
	s->announce = true;
	quic_stream_set_ready(s);
}

static bool
can_call(const struct quic_stream *s)
{
	return quic_conn_is_live(s->conn) && !s->finished;
}

void
quic_stream_reset(struct quic_stream *s, uint64_t app_code)
{
	if (!can_call(s) || s->tx_over)
		return;
	quic_stream_unready(s);
	s->tx_over = true;
	quic_conn_touch(s->conn);
	(void)ngtcp2_conn_shutdown_stream_write(s->conn->conn, 0, s->id,
	    app_code); /* out of memory: nothing is sent, as wanted */
}

/* Give the peer @n bytes of credit back. */
static void
return_credit(struct quic_stream *s, uint64_t n)
{
	struct quic_conn *c = s->conn;

	if (n == 0 || !quic_conn_is_live(c))
		return;
	if (!s->finished)
		(void)ngtcp2_conn_extend_max_stream_offset(c->conn, s->id,
		    n); /* out of memory: told again with the next bytes */
	ngtcp2_conn_extend_max_offset(c->conn, n);
	quic_conn_touch(c);
}

void
quic_stream_retire(struct quic_stream *s)
{
	struct quic_conn *c = s->conn;
	const struct quic_events *e = &c->ep->p.events;

	/* The peer may have one more now. */
	if (s->remote && quic_conn_is_live(c)) {
		if (quic_stream_is_uni(s))
			ngtcp2_conn_extend_max_streams_uni(c->conn, 1);
		else
			ngtcp2_conn_extend_max_streams_bidi(c->conn, 1);
		quic_conn_touch(c);
	}
	if (e->stream_closed != NULL)
		e->stream_closed(c->ep->p.arg, s, quic_stream_is_clean(s));
	quic_stream_destroy(s);
}

void
quic_stream_stop_sending(struct quic_stream *s, uint64_t app_code)
{
	uint64_t held = s->given - s->consumed;

	if (s->discard)
		return;
	s->discard = true;
	if (can_call(s))
		(void)ngtcp2_conn_shutdown_stream_read(
		    s->conn->conn, 0, s->id, app_code);
	s->consumed = s->given;
	return_credit(s, held);
	quic_conn_touch(s->conn);
}

void
quic_stream_consume(struct quic_stream *s, size_t n)
{
	if (s->discard)
		return;
	assert(n <= s->given - s->consumed);
	s->consumed += n;
	return_credit(s, n);
	if (s->finished)
		quic_conn_touch(s->conn);
}

size_t
quic_stream_unacked(const struct quic_stream *s)
{
	return s->tx_over ? 0 : (size_t)(s->written - s->acked);
}

bool
quic_stream_is_delivered(const struct quic_stream *s)
{
	/* ngtcp2 forgets a stream only when our FIN or reset is acknowledged.
	 */
	return s->finished && s->fin_sent && !s->tx_over;
}

void
quic_stream_on_sent(struct quic_stream *s, size_t n)
{
	s->sent += n;
	s->announce = false;
	s->any_sent = true;
	while (n > 0) {
		size_t left = s->next_chunk->len - s->next_off;

		if (n < left) {
			s->next_off += n;
			return;
		}
		n -= left;
		if (s->next_chunk->next == NULL) {
			/* stays: more may be appended to it */
			s->next_off = s->next_chunk->len;
			assert(n == 0);
			return;
		}
		s->next_chunk = s->next_chunk->next;
		s->next_off = 0;
	}
}

void
quic_stream_on_acked(struct quic_stream *s, uint64_t offset)
{
	const struct quic_events *e = &s->conn->ep->p.events;

	while (s->acked < offset && s->head != NULL) {
		struct quic_chunk *k = s->head;
		uint64_t left = k->len - s->head_off;

		if (offset - s->acked < left) {
			s->head_off += (size_t)(offset - s->acked);
			s->acked = offset;
			break;
		}
		s->acked += left;
		s->head_off = 0;
		s->head = k->next;
		if (k == s->next_chunk) {
			s->next_chunk = k->next;
			s->next_off = 0;
		}
		if (s->head == NULL)
			s->tail = NULL;
		quic_endpoint_give_chunk(s->conn->ep, k);
	}
	if (s->want_write && quic_stream_can_write(s) &&
	    room(s) >= s->conn->ep->p.send_buffer / 4) {
		s->want_write = false;
		if (e->stream_writable != NULL)
			e->stream_writable(s->conn->ep->p.arg, s);
	}
}

void
quic_stream_on_stopped(struct quic_stream *s)
{
	const struct quic_events *e = &s->conn->ep->p.events;

	quic_stream_unready(s);
	if (s->tx_over)
		return;
	s->tx_over = true;
	if (e->stream_stopped != NULL)
		e->stream_stopped(s->conn->ep->p.arg, s);
}

void
quic_stream_on_data(
    struct quic_stream *s, const uint8_t *p, size_t len, bool fin)
{
	s->given += len;
	if (s->discard) {
		s->consumed = s->given;
		return_credit(s, len);
		return;
	}
	s->rx_fin = s->rx_fin || fin;
	s->conn->ep->p.events.stream_data(s->conn->ep->p.arg, s, p, len, fin);
}

void
quic_stream_on_finished(struct quic_stream *s)
{
	quic_stream_unready(s);
	s->finished = true;
	s->conn->n_finished++;
	drop_chunks(s);
	quic_conn_touch(s->conn);
}
