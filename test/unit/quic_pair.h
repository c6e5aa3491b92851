/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two QUIC endpoints joined by a simulated network on virtual time: delay,
 * seeded loss and reordering, a bottleneck rate.  Streams carry a pattern that
 * depends on their id and direction, so that every byte is checked.
 */
#ifndef TEST_UNIT_QUIC_PAIR_H
#define TEST_UNIT_QUIC_PAIR_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"

#define PAIR_BATCH 54
#define PAIR_UNIX INT64_C(1790000000)
#define PAIR_MAX_PKTS 65536

/* One end of one stream. */
struct pair_stream {
	struct quic_stream *s; /* NULL once closed */
	struct pair_side *side;
	int64_t id;
	uint64_t to_send, sent, got;
	bool fin_sent, fin_got, bad, closed, clean, reset, stopped;
	uint64_t reset_code;
	uint64_t held; /* given and not consumed */
	struct pair_stream *next;
};

struct pair_side {
	struct pair *pair;
	const char *name;
	struct quic_endpoint *ep;
	struct key32 seed, public_key;
	struct identity_cert cert;
	struct quic_conn *conn; /* the latest */
	struct pair_stream *streams;
	/* behaviour */
	uint64_t echo_len; /* streams of the peer are answered with this */
	bool hoard;        /* never consume */
	bool no_answer;    /* do not answer or finish the peer's streams */
	/* seen */
	int n_ready, n_closed, n_opened, n_more_streams, n_writable;
	int n_turns; /* another stream than before had data */
	const struct pair_stream *turn;
	struct quic_close why;
	uint64_t pkts, bytes; /* sent */
	size_t longest;       /* of the packets sent */
};

struct pair_pkt {
	int64_t at;
	uint64_t seq;
	int to; /* 0 client, 1 server */
	size_t len;
	uint8_t *data;
};

struct pair {
	struct pair_side side[2]; /* 0 client, 1 server */
	struct mono now;
	uint64_t rng;
	unsigned loss_permille;
	int64_t delay_us, jitter_us;
	int64_t us_per_pkt; /* bottleneck; 0 = none */
	int64_t busy_until[2];
	bool hole; /* everything is lost */
	/* Of the packets towards each side, counted from 0, so many are lost
	 * from the first on. */
	unsigned drop_first[2], drop_n[2], n_sent[2];
	size_t mtu; /* longer datagrams are lost; 0: none is */
	struct pair_pkt heap[PAIR_MAX_PKTS];
	size_t n_heap;
	uint64_t seq;
	uint8_t buf[PAIR_BATCH * QUIC_ENDPOINT_MAX_PAYLOAD];
};

static inline uint32_t
pair_rand(struct pair *p)
{
	/* xorshift64*: seeded, so that a failing run can be repeated */
	p->rng ^= p->rng >> 12;
	p->rng ^= p->rng << 25;
	p->rng ^= p->rng >> 27;
	return (uint32_t)((p->rng * UINT64_C(2685821657736338717)) >> 32);
}

static inline uint8_t
pair_byte(int64_t id, bool from_client, uint64_t off)
{
	return (uint8_t)((off * 31) ^ (off >> 8) ^ (off >> 16) ^
			 ((uint64_t)id * 7) ^ (from_client ? 0x55 : 0));
}

static inline bool
pair_is_client(const struct pair_side *sd)
{
	return sd == &sd->pair->side[0];
}

static inline void
pair_pump(struct pair_stream *ps)
{
	while (ps->s != NULL && ps->sent < ps->to_send) {
		size_t room;
		uint8_t *p = quic_stream_reserve(ps->s, &room);

		if (p == NULL)
			return;
		if (room > ps->to_send - ps->sent)
			room = (size_t)(ps->to_send - ps->sent);
		for (size_t i = 0; i < room; i++)
			p[i] = pair_byte(
			    ps->id, pair_is_client(ps->side), ps->sent + i);
		quic_stream_commit(ps->s, room);
		ps->sent += room;
	}
	if (ps->s != NULL && !ps->fin_sent && ps->sent == ps->to_send) {
		quic_stream_fin(ps->s);
		ps->fin_sent = true;
	}
}

static inline struct pair_stream *
pair_track(struct pair_side *sd, struct quic_stream *s)
{
	struct pair_stream *ps = calloc(1, sizeof(*ps));

	if (ps == NULL)
		abort();
	ps->s = s;
	ps->side = sd;
	ps->next = sd->streams;
	sd->streams = ps;
	ps->id = quic_stream_id(s);
	quic_stream_set_user(s, ps);
	return ps;
}

/* The stream that has been seen before; its absence ends the test. */
static inline struct pair_stream *
pair_get(struct pair_side *sd, int64_t id)
{
	struct pair_stream *ps = sd->streams;

	while (ps != NULL && ps->id != id)
		ps = ps->next;
	if (ps == NULL)
		abort();
	return ps;
}

/* A stream of our own that sends @len bytes and a FIN. */
static inline struct pair_stream *
pair_open(struct pair_side *sd, uint64_t len)
{
	struct quic_stream *s;
	struct pair_stream *ps;

	if (quic_conn_open_bidi(sd->conn, NULL, &s) != 0)
		return NULL;
	ps = pair_track(sd, s);
	ps->to_send = len;
	pair_pump(ps);
	return ps;
}

/* The same, where the limit cannot be reached. */
static inline struct pair_stream *
pair_must_open(struct pair_side *sd, uint64_t len)
{
	struct pair_stream *ps = pair_open(sd, len);

	if (ps == NULL)
		abort();
	return ps;
}

static inline void
pair_on_ready(void *arg, struct quic_conn *c)
{
	struct pair_side *sd = arg;

	sd->conn = c;
	sd->n_ready++;
}

static inline void
pair_on_closed(void *arg, struct quic_conn *c, const struct quic_close *why)
{
	struct pair_side *sd = arg;

	if (sd->conn == c)
		sd->conn = NULL;
	sd->why = *why;
	sd->n_closed++;
}

static inline void
pair_on_more(void *arg, struct quic_conn *c)
{
	(void)c;
	((struct pair_side *)arg)->n_more_streams++;
}

static inline void
pair_on_open(void *arg, struct quic_stream *s)
{
	struct pair_side *sd = arg;
	struct pair_stream *ps = pair_track(sd, s);

	sd->n_opened++;
	if (quic_stream_is_uni(s))
		ps->fin_sent = true;
	else if (!sd->no_answer) {
		ps->to_send = sd->echo_len;
		pair_pump(ps);
	}
}

static inline void
pair_on_data(
    void *arg, struct quic_stream *s, const uint8_t *p, size_t len, bool fin)
{
	struct pair_stream *ps = quic_stream_user(s);
	struct pair_side *sd = arg;

	for (size_t i = 0; i < len; i++)
		if (p[i] != pair_byte(ps->id, !pair_is_client(sd), ps->got + i))
			ps->bad = true;
	ps->got += len;
	if (sd->turn != ps)
		sd->n_turns++;
	sd->turn = ps;
	if (ps->fin_got)
		ps->bad = true;
	ps->fin_got = fin;
	if (sd->hoard)
		ps->held += len;
	else
		quic_stream_consume(s, len);
}

static inline void
pair_on_writable(void *arg, struct quic_stream *s)
{
	((struct pair_side *)arg)->n_writable++;
	pair_pump(quic_stream_user(s));
}

static inline void
pair_on_reset(void *arg, struct quic_stream *s, uint64_t code)
{
	struct pair_stream *ps = quic_stream_user(s);

	(void)arg;
	ps->reset = true;
	ps->reset_code = code;
}

static inline void
pair_on_stopped(void *arg, struct quic_stream *s)
{
	struct pair_stream *ps = quic_stream_user(s);

	(void)arg;
	ps->stopped = true;
}

static inline void
pair_on_stream_closed(void *arg, struct quic_stream *s, bool clean)
{
	struct pair_stream *ps = quic_stream_user(s);

	(void)arg;
	ps->closed = true;
	ps->clean = clean;
	ps->s = NULL;
}

static inline struct pair *
pair_new(uint64_t seed)
{
	struct pair *p = calloc(1, sizeof(*p));

	if (p == NULL)
		abort();
	p->rng = seed * 2 + 1;
	p->now.us = 1000 * MONO_SEC;
	p->delay_us = 5 * MONO_MS;
	for (int i = 0; i < 2; i++) {
		struct pair_side *sd = &p->side[i];

		sd->pair = p;
		sd->name = i == 0 ? "client" : "server";
		secret_ed25519_keypair(&sd->seed, &sd->public_key);
		if (identity_cert_make(&sd->cert, &sd->seed, PAIR_UNIX) != 0)
			abort();
	}
	return p;
}

/* Parameters that make both ends accept each other. */
static inline struct quic_params
pair_params(struct pair *p, int i)
{
	struct pair_side *sd = &p->side[i];
	struct quic_params q = {
		.server = i == 1,
		.cert_der = sd->cert.der,
		.cert_len = sd->cert.len,
		.seed = &sd->seed,
		.peer_key = p->side[1 - i].public_key,
		.events = {
			.conn_ready = pair_on_ready,
			.conn_closed = pair_on_closed,
			.conn_streams = pair_on_more,
			.stream_open = pair_on_open,
			.stream_data = pair_on_data,
			.stream_writable = pair_on_writable,
			.stream_reset = pair_on_reset,
			.stream_stopped = pair_on_stopped,
			.stream_closed = pair_on_stream_closed,
		},
		.arg = sd,
	};

	return q;
}

static inline int
pair_start(struct pair *p, const struct quic_params *client,
    const struct quic_params *server)
{
	struct quic_params a = client ? *client : pair_params(p, 0);
	struct quic_params b = server ? *server : pair_params(p, 1);
	int r = quic_endpoint_new(&p->side[0].ep, &a);

	if (r == 0)
		r = quic_endpoint_new(&p->side[1].ep, &b);
	if (r == 0)
		r = quic_endpoint_connect(
		    p->side[0].ep, p->now, NULL, &p->side[0].conn);
	return r;
}

static inline bool
pair_less(const struct pair_pkt *a, const struct pair_pkt *b)
{
	return a->at < b->at || (a->at == b->at && a->seq < b->seq);
}

static inline void
pair_push(struct pair *p, struct pair_pkt pkt)
{
	size_t i = p->n_heap++;

	if (p->n_heap > PAIR_MAX_PKTS)
		abort();
	for (; i > 0 && pair_less(&pkt, &p->heap[(i - 1) / 2]); i = (i - 1) / 2)
		p->heap[i] = p->heap[(i - 1) / 2];
	p->heap[i] = pkt;
}

static inline struct pair_pkt
pair_pop(struct pair *p)
{
	struct pair_pkt top = p->heap[0], last = p->heap[--p->n_heap];
	size_t i = 0, kid;

	while ((kid = 2 * i + 1) < p->n_heap) {
		if (kid + 1 < p->n_heap &&
		    pair_less(&p->heap[kid + 1], &p->heap[kid]))
			kid++;
		if (!pair_less(&p->heap[kid], &last))
			break;
		p->heap[i] = p->heap[kid];
		i = kid;
	}
	p->heap[i] = last;
	return top;
}

/* Put one datagram on the wire towards side @to. */
static inline void
pair_send(struct pair *p, int to, const uint8_t *data, size_t len)
{
	int64_t at = p->now.us;
	struct pair_pkt pkt = { .to = to, .len = len };
	unsigned n = p->n_sent[to]++;

	if (n >= p->drop_first[to] && n - p->drop_first[to] < p->drop_n[to])
		return;
	if (p->mtu > 0 && len > p->mtu)
		return;
	if (p->hole || pair_rand(p) % 1000 < p->loss_permille)
		return;
	if (p->us_per_pkt > 0) {
		if (p->busy_until[to] > at)
			at = p->busy_until[to];
		if (at - p->now.us > 50 * MONO_MS)
			return; /* queue of 50 ms is full */
		at += p->us_per_pkt;
		p->busy_until[to] = at;
	}
	pkt.at = at + p->delay_us;
	if (p->jitter_us > 0)
		pkt.at += pair_rand(p) % p->jitter_us;
	pkt.seq = p->seq++;
	pkt.data = malloc(len > 0 ? len : 1);
	if (pkt.data == NULL)
		abort();
	memcpy(pkt.data, data, len);
	pair_push(p, pkt);
}

static inline void
pair_flush(struct pair *p, int i)
{
	struct pair_side *sd = &p->side[i];
	struct quic_batch b = {
		.buf = p->buf, .cap = sizeof(p->buf), .max_pkts = PAIR_BATCH
	};

	while (quic_endpoint_output(sd->ep, p->now, &b) > 0) {
		size_t off = 0;

		for (size_t k = 0; k < b.n_pkts; off += b.lens[k], k++) {
			pair_send(p, 1 - i, p->buf + off, b.lens[k]);
			if (b.lens[k] > sd->longest)
				sd->longest = b.lens[k];
		}
		sd->pkts += b.n_pkts;
		sd->bytes += b.len;
	}
}

/* One event of the simulation.  False when nothing will ever happen again. */
static inline bool
pair_step(struct pair *p, struct mono until)
{
	struct mono next = until, d;

	for (int i = 0; i < 2; i++) {
		pair_flush(p, i);
		d = quic_endpoint_next_deadline(p->side[i].ep);
		next = mono_min(next, d);
	}
	if (p->n_heap > 0)
		next = mono_min(next, (struct mono){ p->heap[0].at });
	if (next.us > p->now.us)
		p->now = next;
	while (p->n_heap > 0 && p->heap[0].at <= p->now.us) {
		struct pair_pkt pkt = pair_pop(p);

		quic_endpoint_input(
		    p->side[pkt.to].ep, p->now, pkt.data, pkt.len);
		free(pkt.data);
	}
	pair_flush(p, 0);
	pair_flush(p, 1);
	return mono_before(p->now, until);
}

/* Run until @done says so or @us have passed; true if done. */
static inline bool
pair_run(struct pair *p, int64_t us, bool (*done)(struct pair *p))
{
	struct mono until = mono_add(p->now, us);

	for (;;) {
		if (done != NULL && done(p))
			return true;
		if (!pair_step(p, until))
			return done != NULL && done(p);
	}
}

static inline bool
pair_both_ready(struct pair *p)
{
	return p->side[0].n_ready > 0 && p->side[1].n_ready > 0;
}

static inline bool
pair_both_closed(struct pair *p)
{
	return p->side[0].n_closed > 0 && p->side[1].n_closed > 0;
}

/* Every stream of both sides has closed. */
static inline bool
pair_all_streams_closed(struct pair *p)
{
	for (int i = 0; i < 2; i++)
		for (struct pair_stream *s = p->side[i].streams; s != NULL;
		     s = s->next)
			if (!s->closed)
				return false;
	return true;
}

static inline void
pair_free(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		struct pair_stream *next, *s = p->side[i].streams;

		quic_endpoint_free(p->side[i].ep);
		for (; s != NULL; s = next) {
			next = s->next;
			free(s);
		}
	}
	while (p->n_heap > 0)
		free(pair_pop(p).data);
	free(p);
}

#endif
