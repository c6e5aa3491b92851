/* SPDX-License-Identifier: BSD-3-Clause */
/* One pipe, many connections, and everything else that comes out of a pipe:
 * junk, dead paths. */
#include "test/tap.h"
#include "test/unit/quic_pair.h"

#define N_CONNS 50
#ifdef VALGRIND
#define LONG UINT64_C(6000000)
#else
#define LONG UINT64_C(20000000)
#endif

static bool
fifty_ready(struct pair *p)
{
	return p->side[0].n_ready == N_CONNS && p->side[1].n_ready == N_CONNS;
}

static struct quic_conn *many[N_CONNS];

static void
test_many(void)
{
	struct pair *p = pair_new(1);
	int good = 0, n = 0;

	p->loss_permille = 20;
	p->jitter_us = 3000;
	p->side[1].echo_len = 20000;
	if (pair_start(p, NULL, NULL) != 0)
		OK(false, "start");
	many[0] = p->side[0].conn;
	for (int i = 1; i < N_CONNS; i++)
		if (quic_endpoint_connect(
			p->side[0].ep, p->now, NULL, &many[i]) != 0)
			OK(false, "connect %d", i);
	OK(pair_run(p, 9 * MONO_SEC, fifty_ready), "fifty handshakes");
	for (int i = 0; i < N_CONNS; i++) {
		struct quic_stream *qs;
		struct pair_stream *ps;

		if (quic_conn_open_bidi(many[i], NULL, &qs) != 0)
			continue;
		ps = pair_track(&p->side[0], qs);
		ps->to_send = 30000;
		pair_pump(ps);
	}
	(void)pair_run(p, 10 * MONO_SEC, NULL);
	for (int k = 0; k < 2; k++)
		for (struct pair_stream *s = p->side[k].streams; s != NULL;
		     s = s->next, n++)
			if (s->clean && !s->bad &&
			    s->got == (k == 0 ? 20000u : 30000u))
				good++;
	EQ_INT(n, 2 * N_CONNS, "fifty streams, two ends each");
	EQ_INT(good, 2 * N_CONNS, "each has the right bytes");
	for (int i = 0; i < N_CONNS; i += 2)
		quic_conn_close(many[i], 0, "");
	(void)pair_run(p, 40 * MONO_SEC, NULL);
	EQ_INT(quic_endpoint_count(p->side[0].ep), N_CONNS / 2, "half closed");
	EQ_INT(
	    quic_endpoint_count(p->side[1].ep), N_CONNS / 2, "on both sides");
	EQ_INT(quic_endpoint_connect(p->side[0].ep, p->now, NULL, &many[0]), 0,
	    "their slots are used again");
	(void)pair_run(p, 5 * MONO_SEC, NULL);
	EQ_INT(p->side[1].n_ready, N_CONNS + 1, "by another connection");
	pair_free(p);
}

/* The only stranger's datagrams that can cost us anything are Initials. */
static void
test_handshake_cap(void)
{
	struct pair *p = pair_new(2);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);
	struct quic_conn *c;
	struct quic_batch out = {
		.buf = p->buf, .cap = sizeof(p->buf), .max_pkts = PAIR_BATCH
	};
	size_t off, n = 0;

	if (quic_endpoint_new(&p->side[0].ep, &a) != 0 ||
	    quic_endpoint_new(&p->side[1].ep, &b) != 0)
		OK(false, "endpoints");
	for (int i = 0; i < 100; i++)
		if (quic_endpoint_connect(p->side[0].ep, p->now, NULL, &c) != 0)
			OK(false, "connect");
	/* First flights only: no client ever hears an answer. */
	while (quic_endpoint_output(p->side[0].ep, p->now, &out) > 0) {
		off = 0;
		for (size_t k = 0; k < out.n_pkts; off += out.lens[k], k++, n++)
			quic_endpoint_input(
			    p->side[1].ep, p->now, p->buf + off, out.lens[k]);
	}
	OK(n >= 100, "a hundred hellos");
	EQ_INT(quic_endpoint_count(p->side[1].ep), QUIC_ENDPOINT_MAX_HANDSHAKES,
	    "64 are looked at");
	p->now = mono_add(p->now, QUIC_ENDPOINT_HANDSHAKE_US + MONO_SEC);
	while (quic_endpoint_output(p->side[1].ep, p->now, &out) > 0)
		;
	EQ_INT(quic_endpoint_count(p->side[1].ep), 0,
	    "and forgotten after ten seconds");
	EQ_INT(p->side[1].n_closed, QUIC_ENDPOINT_MAX_HANDSHAKES,
	    "which is reported");
	quic_endpoint_stop_accepting(p->side[1].ep, true);
	if (quic_endpoint_connect(p->side[0].ep, p->now, NULL, &c) != 0)
		OK(false, "connect");
	(void)quic_endpoint_output(p->side[0].ep, p->now, &out);
	quic_endpoint_input(p->side[1].ep, p->now, p->buf, out.lens[0]);
	EQ_INT(quic_endpoint_count(p->side[1].ep), 0, "stopped accepting");
	pair_free(p);
}

static void
send_junk(struct pair *p, int to)
{
	static const char json[] =
	    "{\"type\":\"control\",\"mac\":\"000102030405\"}";
	uint8_t junk[1500];
	size_t len = 1 + pair_rand(p) % (sizeof(junk) - 1);

	for (size_t i = 0; i < len; i++)
		junk[i] = (uint8_t)pair_rand(p);
	pair_send(p, to, junk, len);
	pair_send(p, to, (const uint8_t *)json, sizeof(json) - 1);
	junk[0] = (uint8_t)(0x40 | (junk[0] & 0x3f)); /* short header */
	pair_send(p, to, junk, 65);
	junk[0] = (uint8_t)(0xc0 | (junk[0] & 0x3f)); /* long header, v1 */
	memcpy(junk + 1, "\0\0\0\1\10", 5);
	pair_send(p, to, junk, len);
	pair_send(p, to, junk, 1);
	pair_send(p, to, junk, 0);
}

static void
test_junk(void)
{
	struct pair *p = pair_new(3);
	uint64_t before;

	p->side[1].echo_len = 100000;
	if (pair_start(p, NULL, NULL) != 0)
		OK(false, "start");
	for (int i = 0; i < 200; i++) {
		send_junk(p, i & 1);
		(void)pair_run(p, MONO_MS, NULL);
	}
	OK(pair_run(p, 9 * MONO_SEC, pair_both_ready), "handshake amid junk");
	(void)pair_must_open(&p->side[0], 100000);
	for (int i = 0; i < 2000; i++) {
		send_junk(p, i & 1);
		(void)pair_run(p, MONO_MS, NULL);
	}
	OK(p->side[1].n_opened == 1 && pair_all_streams_closed(p) &&
		p->side[0].streams->clean && !p->side[0].streams->bad,
	    "transfer amid junk");
	(void)pair_run(p, 15 * MONO_SEC, NULL);
	EQ_INT(quic_endpoint_count(p->side[1].ep), 1,
	    "junk leaves no connection behind");
	EQ_INT(p->side[0].n_closed, 0, "and ends none");
	before = p->side[0].pkts + p->side[1].pkts;
	for (int i = 0; i < 100; i++) {
		uint8_t b[65] = { 0x40 };

		pair_send(p, i & 1, b, sizeof(b));
	}
	(void)pair_run(p, 50 * MONO_MS, NULL);
	OK(p->side[0].pkts + p->side[1].pkts - before < 4,
	    "junk is not answered");
	OK(mono_diff(p->now, quic_conn_last_received(p->side[0].conn)) >
		40 * MONO_MS,
	    "and does not count as a sign of life");
	pair_free(p);
}

static bool
got_some(struct pair *p)
{
	return p->side[1].streams != NULL && p->side[1].streams->got > 200000;
}

static uint64_t resume_mark;

static bool
got_more(struct pair *p)
{
	return p->side[1].streams->got > resume_mark;
}

static int64_t
resume_time(bool kick, int64_t outage_us)
{
	struct pair *p = pair_new(5);
	int64_t began, took;

	p->delay_us = 20 * MONO_MS;
	p->us_per_pkt = 500;
	p->side[1].no_answer = true;
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	(void)pair_must_open(&p->side[0], 50000000);
	(void)pair_run(p, 5 * MONO_SEC, got_some);
	p->hole = true;
	(void)pair_run(p, outage_us, NULL);
	p->hole = false;
	began = p->now.us;
	resume_mark = p->side[1].streams->got;
	if (kick) {
		quic_endpoint_kick(p->side[0].ep, p->now);
		quic_endpoint_kick(p->side[1].ep, p->now);
	}
	(void)pair_run(p, 20 * MONO_SEC, got_more);
	took = p->now.us - began;
	(void)pair_run(p, 5 * MONO_SEC, NULL);
	OK(p->side[0].n_closed == 0 && !p->side[1].streams->bad,
	    "the connection lives");
	pair_free(p);
	return took;
}

static void
test_kick(void)
{
	static const int64_t outages[] = { 3 * MONO_SEC, 6 * MONO_SEC,
		20 * MONO_SEC };

	for (size_t i = 0; i < 3; i++) {
		int64_t slow = resume_time(false, outages[i]);
		int64_t fast = resume_time(true, outages[i]);

		printf("# outage %lld ms: back after %lld ms, kicked %lld ms\n",
		    (long long)outages[i] / 1000, (long long)slow / 1000,
		    (long long)fast / 1000);
		OK(fast < 200 * MONO_MS, "a kick brings data back at once");
	}
}

/* Kicks at odd moments must not end anything. */
static void
test_kick_idle(void)
{
	struct pair *p = pair_new(6);
	struct quic_params a = pair_params(p, 0);

	a.keep_alive_us = -1;
	if (pair_start(p, &a, NULL) != 0)
		OK(false, "start");
	for (int i = 0; i < 20; i++) {
		quic_endpoint_kick(p->side[0].ep, p->now);
		quic_endpoint_kick(p->side[1].ep, p->now);
		(void)pair_run(p, 3 * MONO_MS, NULL);
	}
	OK(pair_run(p, MONO_SEC, pair_both_ready), "kicked in the handshake");
	for (int i = 0; i < 100; i++) {
		quic_endpoint_kick(p->side[0].ep, p->now);
		quic_endpoint_kick(p->side[1].ep, p->now);
		(void)pair_run(p, 200 * MONO_MS, NULL);
	}
	OK(p->side[0].n_closed == 0 && p->side[1].n_closed == 0,
	    "kicked a hundred times while idle");
	pair_free(p);
}

static void
test_ping(void)
{
	struct pair *p = pair_new(7);
	struct mono asked;

	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	(void)pair_run(p, 2 * MONO_SEC, NULL);
	asked = p->now;
	OK(mono_before(quic_conn_last_received(p->side[0].conn), asked),
	    "quiet before");
	quic_conn_ping(p->side[0].conn);
	(void)pair_run(p, 100 * MONO_MS, NULL);
	OK(mono_before(asked, quic_conn_last_received(p->side[0].conn)),
	    "a ping is answered");
	p->hole = true;
	asked = p->now;
	quic_conn_ping(p->side[0].conn);
	(void)pair_run(p, MONO_SEC, NULL);
	OK(!mono_before(asked, quic_conn_last_received(p->side[0].conn)),
	    "but not over a dead path");
	pair_free(p);
}

static void
test_payload(void)
{
	struct pair *p = pair_new(8);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);
	uint64_t pkts;

	a.payload = b.payload = a.payload_in = b.payload_in = 16000;
	p->loss_permille = 10;
	p->side[1].no_answer = true;
	if (pair_start(p, &a, &b) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	(void)pair_must_open(&p->side[0], LONG);
	(void)pair_run(p, 50 * MONO_MS, NULL);
	pkts = p->side[0].pkts;
	OK(p->side[1].streams->got < LONG && p->side[0].bytes / pkts > 5000,
	    "large packets");
	EQ_INT(quic_endpoint_set_payload(p->side[0].ep, 1200), 0,
	    "path with small packets");
	p->side[0].longest = 0;
	(void)pair_run(p, 20 * MONO_SEC, NULL);
	OK(p->side[1].streams->got == LONG && !p->side[1].streams->bad &&
		p->side[0].longest <= 1200,
	    "data goes on, cut anew");
	pair_free(p);
}

/* The peer's limit holds; until it is known, the least that QUIC has. */
static void
test_payload_cap(size_t limit)
{
	struct pair *p = pair_new(9);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);

	a.payload = b.payload = QUIC_ENDPOINT_MAX_PAYLOAD;
	a.payload_in = b.payload_in = limit;
	if (pair_start(p, &a, &b) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	EQ_INT((long)p->side[0].longest, QUIC_ENDPOINT_MIN_PAYLOAD,
	    "a handshake's longest, client");
	OK(p->side[1].longest <= QUIC_ENDPOINT_MIN_PAYLOAD, "and server");
	(void)pair_must_open(&p->side[0], 1000000);
	(void)pair_run(p, MONO_SEC, NULL);
	EQ_INT(
	    (long)p->side[0].longest, (long)limit, "then what the peer takes");
	pair_free(p);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	test_many();
	test_handshake_cap();
	test_junk();
	test_kick();
	test_kick_idle();
	test_ping();
	test_payload();
	test_payload_cap(QUIC_ENDPOINT_PAYLOAD);
	test_payload_cap(QUIC_ENDPOINT_MAX_PAYLOAD);
	return tap_done();
}
