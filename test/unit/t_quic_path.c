/* SPDX-License-Identifier: BSD-3-Clause */
/* What QUIC does for paths: finding their size, telling genuine datagrams, and
 * dying while nothing can be sent. */
#include "test/tap.h"
#include "test/unit/quic_pair.h"

#ifdef VALGRIND
#define LEN UINT64_C(600000)
#define SLOWER 20 /* links carry so much less */
#define CASE_STEP 4
#else
#define LEN UINT64_C(3000000)
#define SLOWER 1
#define CASE_STEP 1
#endif

static bool
delivered(struct pair *p)
{
	return p->side[1].streams != NULL && p->side[1].streams->got == LEN;
}

static bool
ready_twice(struct pair *p)
{
	return p->side[0].n_ready > 1 && p->side[1].n_ready > 1;
}

/* A pair whose current connection was made on a path that it measures. */
static struct pair *
discovering(size_t mtu, unsigned loss_permille)
{
	struct pair *p = pair_new(3);

	p->side[1].no_answer = true;
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "first connection");
	for (int i = 0; i < 2; i++)
		quic_endpoint_set_discovery(p->side[i].ep, true);
	p->mtu = mtu;
	p->loss_permille = loss_permille;
	if (quic_endpoint_connect(
		p->side[0].ep, p->now, NULL, &p->side[0].conn) != 0 ||
	    !pair_run(p, 5 * MONO_SEC, ready_twice))
		OK(false, "second connection");
	return p;
}

/* The longest datagram in use once the path was measured. */
static size_t
longest_on(size_t mtu, unsigned loss_permille)
{
	struct pair *p = discovering(mtu, loss_permille);
	size_t longest;

	(void)pair_must_open(&p->side[0], LEN / 2);
	(void)pair_run(p, 20 * MONO_SEC, pair_all_streams_closed);
	p->side[0].longest = 0;
	(void)pair_must_open(&p->side[0], LEN);
	OK(pair_run(p, 60 * MONO_SEC, delivered) && !p->side[1].streams->bad,
	    "mtu %zu, loss %u: all bytes", mtu, loss_permille);
	EQ_INT(p->side[0].n_closed, 0, "the connection lives");
	longest = p->side[0].longest;
	pair_free(p);
	return longest;
}

static void
test_discovery(void)
{
	EQ_INT(longest_on(0, 0), 1452, "a wide path");
	EQ_INT(longest_on(1452, 0), 1452, "one that just fits");
	EQ_INT(longest_on(1451, 0), 1392, "one octet less");
	EQ_INT(longest_on(1300, 0), 1252, "a narrow path");
	EQ_INT(longest_on(1200, 0), 1200, "the narrowest");
	EQ_INT(longest_on(1400, 20), 1392, "with loss");
}

/* Equal datagrams in a row, of a bulk on @n streams with loss. */
static size_t
most_run(size_t limit, int n)
{
	struct pair *p = pair_new(9);
	bool bad = false;
	size_t run;

	p->side[1].no_answer = true;
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "start");
	quic_endpoint_set_run(p->side[0].ep, limit);
	p->loss_permille = 10;
	for (int i = 0; i < n; i++)
		(void)pair_must_open(&p->side[0], LEN / 4);
	(void)pair_run(p, 60 * MONO_SEC, NULL);
	for (struct pair_stream *s = p->side[1].streams; s != NULL; s = s->next)
		bad = bad || s->bad || s->got != LEN / 4;
	OK(!bad, "runs of %zu, %d streams: all bytes", limit, n);
	EQ_INT(p->side[0].longest, 1200, "the size stays");
	run = p->side[0].most_run;
	pair_free(p);
	return run;
}

static void
test_run(void)
{
	size_t free_run = most_run(0, 1);

	OK(free_run > 20, "without a limit runs are long: %zu", free_run);
	EQ_INT(most_run(20, 1), 20, "no more than 20");
	EQ_INT(most_run(20, 3), 20, "of several streams neither");
}

static void
test_genuine(void)
{
	struct pair *p = pair_new(4);
	struct quic_endpoint *ep;
	uint8_t junk[1400];
	uint64_t before;

	p->side[1].no_answer = true;
	if (pair_start(p, NULL, NULL) != 0)
		OK(false, "start");
	ep = p->side[1].ep;
	pair_flush(p, 0);
	for (int i = 0; i < 3; i++)
		(void)pair_step(p, mono_add(p->now, 4 * MONO_MS));
	EQ_INT(quic_endpoint_genuine(ep), 0,
	    "the keys of Initials are everybody's");
	(void)pair_run(p, MONO_SEC, pair_both_ready);
	(void)pair_run(p, MONO_SEC, NULL);
	before = quic_endpoint_genuine(ep);
	for (int i = 0; i < 1000; i++) {
		for (size_t k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)pair_rand(p);
		quic_endpoint_input(ep, p->now, junk, sizeof(junk));
	}
	EQ_INT(quic_endpoint_genuine(ep), before, "junk is not genuine");
	(void)pair_must_open(&p->side[0], LEN);
	(void)pair_run(p, 20 * MONO_SEC, delivered);
	OK(quic_endpoint_genuine(ep) >= before + LEN / 1452,
	    "what the peer sent is");
	pair_free(p);
}

/* Nothing can be sent and nothing comes: only time passes. */
static void
test_blocked(bool handshake)
{
	const char *what = handshake ? "handshake" : "connection";
	struct pair *p = pair_new(5);
	struct quic_endpoint *ep;
	struct mono begin;
	int n = 0;

	if (pair_start(p, NULL, NULL) != 0)
		OK(false, "start");
	ep = p->side[0].ep;
	if (!handshake) {
		(void)pair_run(p, MONO_SEC, pair_both_ready);
		(void)pair_must_open(&p->side[0], LEN);
	}
	begin = p->now;
	while (p->side[0].n_closed == 0 && n++ < 2000) {
		p->now = mono_add(p->now, 100 * MONO_MS);
		quic_endpoint_expire(ep, p->now);
	}
	EQ_INT(p->side[0].n_closed, 1, "%s: a blocked one ends", what);
	EQ_INT(p->side[0].why.kind,
	    handshake ? QUIC_CLOSE_HANDSHAKE : QUIC_CLOSE_IDLE, "%s: why",
	    what);
	OK(mono_diff(p->now, begin) <= 31 * MONO_SEC, "%s: in time", what);
	pair_free(p);
}

/* Time passed while blocked, and then the path is back. */
static void
test_unblocked(void)
{
	struct pair *p = pair_new(6);

	p->side[1].no_answer = true;
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	(void)pair_must_open(&p->side[0], LEN);
	for (int i = 0; i < 80; i++) {
		p->now = mono_add(p->now, 100 * MONO_MS);
		quic_endpoint_expire(p->side[0].ep, p->now);
	}
	quic_endpoint_kick(p->side[0].ep, p->now);
	OK(pair_run(p, 5 * MONO_SEC, delivered) && !p->side[1].streams->bad,
	    "after 8 s of blockade all bytes arrive");
	EQ_INT(p->side[0].n_closed, 0, "on the same connection");
	pair_free(p);
}

static void
make_renewable(struct pair *p, bool client, bool server)
{
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "first connection");
	if (client)
		quic_endpoint_set_renewable(p->side[0].ep);
	if (server)
		quic_endpoint_set_renewable(p->side[1].ep);
	if (quic_endpoint_connect(
		p->side[0].ep, p->now, NULL, &p->side[0].conn) != 0 ||
	    !pair_run(p, 5 * MONO_SEC, ready_twice))
		OK(false, "second connection");
}

/* Renewed at random moments, too often, with loss and on a path that changes:
 * no byte is lost and no connection ends. */
static void
test_renew(bool client, bool server)
{
	struct pair *p = pair_new(7);
	int n = 0;

	p->us_per_pkt = 20;
	make_renewable(p, client, server);
	p->side[1].echo_len = LEN;
	p->loss_permille = 10;
	p->jitter_us = 3 * MONO_MS;
	(void)pair_must_open(&p->side[0], LEN);
	while (!pair_all_streams_closed(p) && n++ < 2000) {
		(void)pair_run(p, (int64_t)(pair_rand(p) % 60000), NULL);
		p->delay_us = (int64_t)(pair_rand(p) % 30000);
		quic_endpoint_renew(p->side[n & 1].ep, p->now);
	}
	OK(pair_all_streams_closed(p), "renew %d%d: streams end", client,
	    server);
	for (int i = 0; i < 2; i++)
		OK(p->side[i].streams->got == LEN && !p->side[i].streams->bad,
		    "renew %d%d: all bytes", client, server);
	EQ_INT(p->side[0].n_closed + p->side[1].n_closed, 0,
	    "renew %d%d: connections live", client, server);
	pair_free(p);
}

#ifdef VALGRIND
#define MOVES_SEEDS 1
#define MOVES 10
#else
#define MOVES_SEEDS 12
#define MOVES 40
#endif

/* Moved again and again, mostly after an outage, told or not; what was sent
 * before comes late. */
static void
move_once(struct pair *p)
{
	(void)pair_run(p, (int64_t)(pair_rand(p) % 1500) * MONO_MS, NULL);
	if (pair_rand(p) % 2 == 0) {
		p->hole = true;
		(void)pair_run(
		    p, (int64_t)(pair_rand(p) % 2900) * MONO_MS, NULL);
	}
	/* Some find the next path dead as well. */
	if (pair_rand(p) % 4 == 0) {
		quic_endpoint_renew(p->side[0].ep, p->now);
		(void)pair_run(
		    p, (int64_t)(pair_rand(p) % 500) * MONO_MS, NULL);
	}
	p->hole = false;
	p->delay_us =
	    (int64_t)(pair_rand(p) % (pair_rand(p) % 4 == 0 ? 300000 : 30000));
	for (int i = 0; i < 2; i++)
		if (pair_rand(p) % 2 == 0)
			quic_endpoint_kick(p->side[i].ep, p->now);
	quic_endpoint_renew(p->side[0].ep, p->now);
}

static void
test_moves(void)
{
	for (int seed = 0; seed < MOVES_SEEDS; seed++) {
		struct pair *p = pair_new(100 + (uint64_t)seed);
		int n_closed, n = 0;

		p->us_per_pkt = 500;
		make_renewable(p, true, true);
		p->side[1].echo_len = UINT64_C(10000000000);
		p->loss_permille = (unsigned)seed;
		p->jitter_us = 1 + pair_rand(p) % (10 * MONO_MS);
		(void)pair_must_open(&p->side[0], UINT64_C(10000000000));
		do {
			move_once(p);
			n_closed = p->side[0].n_closed + p->side[1].n_closed;
		} while (n_closed == 0 && ++n < MOVES);
		OK(n_closed == 0, "lives after %d moves, codes %llu, %llu", n,
		    (unsigned long long)p->side[0].why.code,
		    (unsigned long long)p->side[1].why.code);
		OK(!p->side[0].streams->bad && !p->side[1].streams->bad,
		    "all bytes in their places");
		pair_free(p);
	}
}

/* A fast path dies, and a slower, longer one takes its place: how much passes
 * in the first two seconds? */
static uint64_t
after_death(bool renew)
{
	struct pair *p = pair_new(8);
	uint64_t before, got;

	p->delay_us = 250;
	p->us_per_pkt = INT64_C(10) * SLOWER;
	make_renewable(p, true, true);
	p->side[1].no_answer = true;
	(void)pair_must_open(&p->side[0], UINT64_C(10000000000));
	(void)pair_run(p, 3 * MONO_SEC, NULL);
	p->hole = true;
	(void)pair_run(p, 3 * MONO_SEC, NULL);
	p->hole = false;
	p->delay_us = 20 * MONO_MS;
	p->us_per_pkt = INT64_C(48) * SLOWER;
	before = p->side[1].streams->got;
	for (int i = 0; i < 2; i++) {
		quic_endpoint_kick(p->side[i].ep, p->now);
		if (renew)
			quic_endpoint_renew(p->side[i].ep, p->now);
	}
	(void)pair_run(p, 2 * MONO_SEC, NULL);
	got = p->side[1].streams->got - before;
	printf("# %s: %llu bytes in 2 s\n", renew ? "renewed" : "as it was",
	    (unsigned long long)got);
	EQ_INT(p->side[0].n_closed, 0, "the connection lives");
	pair_free(p);
	return got;
}

static void
test_renew_speed(void)
{
	uint64_t plain = after_death(false), renewed = after_death(true);

	/* The link carries 50 MB in that time. */
	OK(renewed > 25000000 / SLOWER && renewed > 2 * plain,
	    "forgetting the old path helps");
}

static bool
exchanged(struct pair *p)
{
	return p->side[0].streams != NULL && pair_all_streams_closed(p);
}

/* A handshake and one exchange, when @n packets towards one side are lost: how
 * long does it take? */
static int64_t
with_lost(int to, unsigned first, unsigned n)
{
	struct pair *p = pair_new(10 + first);
	struct mono start = p->now;
	int64_t us;

	p->drop_first[to] = first;
	p->drop_n[to] = n;
	p->side[1].echo_len = 100;
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, 20 * MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	if (p->side[0].conn != NULL)
		(void)pair_must_open(&p->side[0], 100);
	OK(pair_run(p, 20 * MONO_SEC, exchanged), "exchange");
	us = mono_diff(p->now, start);
	if (us > 400 * MONO_MS)
		printf("# %u lost from %u towards the %s: %lld ms\n", n, first,
		    p->side[to].name, (long long)(us / MONO_MS));
	pair_free(p);
	return us;
}

static void
test_few_lost(void)
{
	int64_t worst = 0;

	for (unsigned n = 1; n <= 4; n++)
		for (unsigned first = 0; first < 12; first += CASE_STEP)
			for (int to = 0; to < 2; to++) {
				int64_t us = with_lost(to, first, n);

				worst = us > worst ? us : worst;
			}
	OK(worst < 9500 * MONO_MS, "worst: %lld ms",
	    (long long)(worst / MONO_MS));
}

static uint64_t
total_got(const struct pair *p)
{
	uint64_t n = 0;

	for (int i = 0; i < 2; i++)
		for (const struct pair_stream *s = p->side[i].streams;
		     s != NULL; s = s->next)
			n += s->got;
	return n;
}

static uint64_t wanted;

static bool
got_more(struct pair *p)
{
	return total_got(p) >= wanted;
}

enum load { LOAD_ONE_WAY, LOAD_BOTH_WAYS, LOAD_LITTLE };

/*
 * Nothing passes for @out_us, then everything again; the ends hear of that one
 * after the other, or not at all.  How long until data comes?  One end sends
 * as fast as it can, or both do, or one sends a little and waits.
 */
static int64_t
comes_back(int64_t out_us, enum load load, bool told)
{
	static const char *const names[] = { "one way", "both ways", "little" };
	struct pair *p = pair_new(9);
	struct mono back;
	int64_t us;

	p->us_per_pkt = 100 * SLOWER;
	p->side[1].no_answer = load != LOAD_BOTH_WAYS;
	p->side[1].echo_len = UINT64_C(10000000000);
	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	if (load != LOAD_LITTLE)
		(void)pair_must_open(&p->side[0], UINT64_C(10000000000));
	(void)pair_run(p, 2 * MONO_SEC, NULL);
	p->hole = true;
	if (load == LOAD_LITTLE)
		(void)pair_must_open(&p->side[0], 100);
	(void)pair_run(p, out_us, NULL);
	back = p->now;
	/* What the first says is lost: the other is not there yet. */
	if (told)
		quic_endpoint_revive(p->side[0].ep, p->now);
	pair_flush(p, 0);
	p->hole = false;
	wanted = total_got(p) + 1;
	if (told) {
		(void)pair_run(p, 30 * MONO_MS, NULL);
		quic_endpoint_revive(p->side[1].ep, p->now);
	}
	OK(pair_run(p, 20 * MONO_SEC, got_more), "data comes");
	us = mono_diff(p->now, back);
	printf("# away %lld ms, %s, %s: %lld ms\n",
	    (long long)(out_us / MONO_MS), names[load],
	    told ? "told" : "not told", (long long)(us / MONO_MS));
	EQ_INT(p->side[0].n_closed + p->side[1].n_closed, 0,
	    "the connection lives");
	pair_free(p);
	return us;
}

static void
test_revive(void)
{
	for (int load = 0; load <= LOAD_LITTLE; load++)
		for (int s = 1; s < 6; s += CASE_STEP) {
			(void)comes_back(s * MONO_SEC, (enum load)load, false);
			OK(comes_back(s * MONO_SEC, (enum load)load, true) <=
				100 * MONO_MS,
			    "soon, after %d s", s);
		}
}

int
main(void)
{
	if (secret_init() != 0)
		return 99;
	test_discovery();
	test_run();
	test_genuine();
	test_blocked(true);
	test_blocked(false);
	test_unblocked();
	test_renew(true, true);
	test_renew(true, false);
	test_renew(false, true);
	test_renew(false, false);
	test_moves();
	test_renew_speed();
	test_revive();
	test_few_lost();
	return tap_done();
}
