/* SPDX-License-Identifier: BSD-3-Clause */
/* Streams between two endpoints: loss, ends, credit, limits. */
#include "test/tap.h"
#include "test/unit/quic_pair.h"

#define N_STREAMS 4

static bool
all_done(struct pair *p)
{
	return p->side[1].n_opened == N_STREAMS && pair_all_streams_closed(p);
}

static bool
is_good(const struct pair_side *sd, uint64_t want)
{
	int n = 0;

	for (struct pair_stream *s = sd->streams; s != NULL; s = s->next) {
		if (s->bad || !s->fin_got || s->got != want || !s->clean ||
		    s->reset)
			return false;
		n++;
	}
	return n == N_STREAMS;
}

static void
test_transfer(
    unsigned loss_permille, int64_t jitter_us, uint64_t len, enum quic_cc cc)
{
	struct pair *p = pair_new(loss_permille + 77);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);
	struct quic_stats st;
	int64_t began;
	bool ready;

	a.cc = b.cc = cc;
	p->loss_permille = loss_permille;
	p->jitter_us = jitter_us;
	p->us_per_pkt = 50; /* 190 Mb/s */
	p->side[1].echo_len = len;
	EQ_INT(pair_start(p, &a, &b), 0, "start");
	ready = pair_run(p, 9 * MONO_SEC, pair_both_ready);
	OK(ready, "handshake with %u permille loss", loss_permille);
	if (!ready) {
		pair_free(p);
		return;
	}
	began = p->now.us;
	for (int i = 0; i < N_STREAMS; i++)
		if (pair_open(&p->side[0], len) == NULL)
			OK(false, "open stream %d", i);
	OK(pair_run(p, 600 * MONO_SEC, all_done),
	    "%d streams of %u KiB each way end", N_STREAMS,
	    (unsigned)(len / 1024));
	OK(is_good(&p->side[0], len), "client got every byte");
	OK(is_good(&p->side[1], len), "server got every byte");
	quic_conn_stats(p->side[0].conn, &st);
	OK(st.bytes_sent > N_STREAMS * len && st.rtt_us > 0 && st.cwnd > 0 &&
		st.pkts_received > 0,
	    "statistics");
	OK(loss_permille == 0 || st.streams_lost > 0, "losses are counted");
	printf("# %lld ms of virtual time, %llu packets out\n",
	    (long long)(p->now.us - began) / 1000,
	    (unsigned long long)p->side[0].pkts);
	pair_free(p);
}

static struct pair *
ready_pair(struct quic_params *a, struct quic_params *b)
{
	struct pair *p = pair_new(3);
	struct quic_params da = pair_params(p, 0), db = pair_params(p, 1);

	if (a != NULL) {
		a->cert_der = da.cert_der;
		a->cert_len = da.cert_len;
		a->seed = da.seed;
		a->peer_key = da.peer_key;
		a->events = da.events;
		a->arg = da.arg;
		da = *a;
	}
	if (b != NULL) {
		b->server = true;
		b->cert_der = db.cert_der;
		b->cert_len = db.cert_len;
		b->seed = db.seed;
		b->peer_key = db.peer_key;
		b->events = db.events;
		b->arg = db.arg;
		db = *b;
	}
	if (pair_start(p, &da, &db) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	return p;
}

static void
test_half_close(void)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct pair_stream *c, *s;

	p->side[1].no_answer = true;
	c = pair_must_open(&p->side[0], 10000);
	(void)pair_run(p, MONO_SEC, NULL);
	s = pair_get(&p->side[1], c->id);
	OK(s->fin_got && s->got == 10000, "half is closed");
	OK(!c->closed && !s->closed, "the other half lives");
	EQ_INT(quic_stream_unacked(c->s), 0, "all is acknowledged");
	s->to_send = 3000000;
	pair_pump(s);
	(void)pair_run(p, 5 * MONO_SEC, all_done);
	OK(c->got == 3000000 && c->fin_got && !c->bad, "and carries data");
	OK(c->closed && c->clean && s->closed && s->clean, "both end clean");
	pair_free(p);
}

static void
test_announce(void)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct quic_stream *qs;
	struct pair_stream *s;

	p->side[1].no_answer = true;
	EQ_INT(quic_conn_open_bidi(p->side[0].conn, NULL, &qs), 0, "open");
	(void)pair_track(&p->side[0], qs);
	(void)pair_run(p, MONO_SEC, NULL);
	EQ_INT(p->side[1].n_opened, 0, "an unused stream stays unseen");
	quic_stream_announce(qs);
	(void)pair_run(p, MONO_SEC, NULL);
	EQ_INT(p->side[1].n_opened, 1, "announce shows it");
	s = pair_get(&p->side[1], quic_stream_id(qs));
	OK(s->got == 0 && !s->fin_got, "without data or FIN");
	EQ_INT(quic_stream_write(qs, "", 0), 0, "empty write");
	quic_stream_fin(qs);
	EQ_INT(quic_stream_write(qs, "x", 1), -DT_ERR_CLOSED,
	    "no write after fin");
	(void)pair_run(p, MONO_SEC, NULL);
	OK(s->fin_got && s->got == 0, "FIN without data arrives");
	pair_free(p);
}

static void
test_reset(void)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct pair_stream *c, *s;

	p->side[1].no_answer = true;
	p->side[1].hoard = true;
	c = pair_must_open(&p->side[0], 30000000);
	(void)pair_run(p, MONO_SEC, NULL);
	s = pair_get(&p->side[1], c->id);
	quic_stream_reset(c->s, 77);
	OK(!quic_stream_can_write(c->s), "nothing can be written after reset");
	(void)pair_run(p, MONO_SEC, NULL);
	OK(s->reset && s->reset_code == 77, "reset arrives with its code");
	OK(!s->fin_got, "and is no end of data");
	s->to_send = 5000;
	pair_pump(s);
	(void)pair_run(p, MONO_SEC, NULL);
	OK(c->got == 5000 && c->fin_got, "the other direction lives");
	OK(c->closed && !c->clean, "the resetter sees an unclean end");
	OK(!s->closed, "what was not consumed keeps the stream");
	quic_stream_consume(s->s, (size_t)s->held);
	(void)pair_run(p, MONO_SEC, NULL);
	OK(s->closed && !s->clean, "consuming lets it go");
	pair_free(p);
}

static void
test_stop_sending(bool idle)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct pair_stream *c, *s;

	p->side[1].no_answer = true;
	p->side[1].hoard = true;
	c = pair_must_open(&p->side[0], idle ? 1000 : 30000000);
	if (idle) /* keep our direction open with nothing to send */
		c->fin_sent = true;
	(void)pair_run(p, MONO_SEC, NULL);
	s = pair_get(&p->side[1], c->id);
	quic_stream_stop_sending(s->s, 5);
	(void)pair_run(p, MONO_SEC, NULL);
	if (idle) {
		/* Our FIN went out before: nothing is left to stop. */
		OK(!c->stopped, "a finished direction is not stopped");
	} else {
		OK(c->stopped, "the sender learns that it is to stop");
		OK(!quic_stream_can_write(c->s), "and cannot write");
		OK(s->reset && s->reset_code == 5, "it answers with a reset");
	}
	s->to_send = 10;
	pair_pump(s);
	(void)pair_run(p, MONO_SEC, NULL);
	OK(c->closed && s->closed, "the stream ends on both sides");
	pair_free(p);
}

static void
test_stop_sending_idle(void)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct quic_stream *qs;
	struct pair_stream *c, *s;

	p->side[1].no_answer = true;
	if (quic_conn_open_bidi(p->side[0].conn, NULL, &qs) != 0)
		return;
	c = pair_track(&p->side[0], qs);
	EQ_INT(quic_stream_write(qs, "\x55", 1), 1, "write one byte");
	(void)pair_run(p, MONO_SEC, NULL);
	s = pair_get(&p->side[1], c->id);
	quic_stream_stop_sending(s->s, 9);
	(void)pair_run(p, MONO_SEC, NULL);
	OK(c->stopped, "an idle sender learns that it is to stop");
	pair_free(p);
}

static void
test_back_pressure(void)
{
	struct quic_params a = { .send_buffer = 1u << 20 };
	struct quic_params b = { .stream_window = 256u << 10,
		.stream_window_max = 1u << 20,
		.conn_window = 512u << 10,
		.conn_window_max = 1u << 20 };
	struct pair *p = ready_pair(&a, &b);
	struct pair_stream *c, *c2, *s;
	uint64_t before;

	p->side[1].no_answer = true;
	p->side[1].hoard = true;
	c = pair_must_open(&p->side[0], 8u << 20);
	c2 = pair_must_open(&p->side[0], 8u << 20);
	(void)pair_run(p, 5 * MONO_SEC, NULL);
	s = pair_get(&p->side[1], c->id);
	EQ_INT(s->got, 256u << 10,
	    "a reader that does not consume is left "
	    "with one window");
	EQ_INT(quic_stream_unacked(c->s), 1u << 20, "send buffer is full");
	EQ_INT(c->sent, (256u << 10) + (1u << 20), "and bounds the writer");
	OK(quic_stream_write(c->s, "x", 1) == -EAGAIN, "write says so");
	before = p->side[0].pkts;
	(void)pair_run(p, 4 * MONO_SEC, NULL);
	OK(p->side[0].pkts - before < 20, "a blocked sender is quiet");
	p->side[1].hoard = false;
	quic_stream_consume(s->s, (size_t)s->held);
	s->held = 0;
	(void)pair_run(p, 20 * MONO_SEC, NULL);
	OK(s->got == 8u << 20 && s->fin_got && !s->bad,
	    "consuming lets it go on");
	OK(p->side[0].n_writable > 0, "writable was reported");
	s = pair_get(&p->side[1], c2->id);
	EQ_INT(s->got, 256u << 10, "the other stream still waits");
	quic_stream_consume(s->s, (size_t)s->held);
	(void)pair_run(p, 20 * MONO_SEC, NULL);
	OK(s->got == 8u << 20 && !s->bad, "until it is consumed too");
	pair_free(p);
}

static void
test_conn_credit(void)
{
	struct quic_params b = { .stream_window = 1u << 20,
		.stream_window_max = 1u << 20,
		.conn_window = 1u << 20,
		.conn_window_max = 1u << 20 };
	struct pair *p = ready_pair(NULL, &b);
	struct pair_stream *s;
	uint64_t sum = 0;

	p->side[1].no_answer = true;
	p->side[1].hoard = true;
	for (int i = 0; i < 4; i++)
		(void)pair_open(&p->side[0], 4u << 20);
	(void)pair_run(p, 3 * MONO_SEC, NULL);
	for (s = p->side[1].streams; s != NULL; s = s->next)
		sum += s->got;
	EQ_INT(sum, 1u << 20, "all streams share the connection's window");
	p->side[1].hoard = false;
	for (s = p->side[1].streams; s != NULL; s = s->next)
		quic_stream_consume(s->s, (size_t)s->held);
	(void)pair_run(p, 20 * MONO_SEC, NULL);
	sum = 0;
	for (s = p->side[1].streams; s != NULL; s = s->next)
		sum += s->got;
	EQ_INT(sum, 16u << 20, "and go on when it opens");
	pair_free(p);
}

static void
test_stream_limit(void)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct pair_stream *first;
	struct quic_stream *qs;
	int n;

	p->side[1].no_answer = true;
	first = pair_must_open(&p->side[0], 10);
	for (n = 1; n < 100 && pair_open(&p->side[0], 10) != NULL; n++)
		;
	EQ_INT(n, 64, "64 streams open at once");
	EQ_INT(quic_conn_open_bidi(p->side[0].conn, NULL, &qs), -EAGAIN,
	    "the 65th waits");
	EQ_INT(quic_conn_open_uni(p->side[0].conn, NULL, &qs), -EAGAIN,
	    "no one-way streams");
	(void)pair_run(p, MONO_SEC, NULL);
	EQ_INT(p->side[0].n_more_streams, 0, "no credit yet");
	pair_pump(pair_get(&p->side[1], first->id)); /* FIN */
	(void)pair_run(p, MONO_SEC, NULL);
	OK(first->closed, "one ends");
	OK(p->side[0].n_more_streams > 0, "the limit moves");
	OK(pair_open(&p->side[0], 10) != NULL, "the 65th opens");
	pair_free(p);
}

static void
test_uni(void)
{
	struct quic_params b = { .max_uni = 64 };
	struct pair *p = ready_pair(NULL, &b);
	struct quic_stream *qs;
	struct pair_stream *c, *s;

	EQ_INT(quic_conn_open_uni(p->side[0].conn, NULL, &qs), 0,
	    "one-way stream");
	c = pair_track(&p->side[0], qs);
	c->to_send = 2000000;
	pair_pump(c);
	(void)pair_run(p, 5 * MONO_SEC, NULL);
	s = pair_get(&p->side[1], c->id);
	OK(s->got == 2000000 && s->fin_got && !s->bad, "arrives");
	OK(c->closed && c->clean && s->closed && s->clean, "and ends clean");
	pair_free(p);
}

static bool
any_ended(struct pair *p)
{
	for (struct pair_stream *s = p->side[1].streams; s != NULL; s = s->next)
		if (s->fin_got)
			return true;
	return false;
}

/* Streams take turns batch by batch, and are served alike. */
static void
test_turns(void)
{
	struct pair *p = ready_pair(NULL, NULL);
	struct pair_side *sd = &p->side[1];
	uint64_t len = 2u << 20, pkts = p->side[0].pkts, least = len;

	sd->no_answer = true;
	for (int i = 0; i < N_STREAMS; i++)
		(void)pair_must_open(&p->side[0], len);
	OK(pair_run(p, 60 * MONO_SEC, any_ended), "a stream ends");
	for (struct pair_stream *s = sd->streams; s != NULL; s = s->next)
		if (s->got < least)
			least = s->got;
	EQ_INT(sd->n_opened, N_STREAMS, "streams");
	OK(least > len / 2, "no stream lags: %u KiB", (unsigned)(least >> 10));
	pkts = p->side[0].pkts - pkts;
	OK(sd->n_turns > 2 * N_STREAMS &&
		(uint64_t)sd->n_turns < pkts / N_STREAMS,
	    "%d turns in %u packets", sd->n_turns, (unsigned)pkts);
	pair_free(p);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	test_transfer(0, 0, 2u << 20, QUIC_CC_BBR);
	test_transfer(10, 2000, 1u << 20, QUIC_CC_BBR);
	test_transfer(10, 2000, 1u << 20, QUIC_CC_CUBIC);
	test_transfer(100, 20000, 512u << 10, QUIC_CC_BBR);
	test_turns();
	test_half_close();
	test_announce();
	test_reset();
	test_stop_sending(false);
	test_stop_sending(true);
	test_stop_sending_idle();
	test_back_pressure();
	test_conn_credit();
	test_stream_limit();
	test_uni();
	return tap_done();
}
