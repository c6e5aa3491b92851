/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every pair of networks, many seeds: what can be direct is, and soon; what
 * cannot runs on the relay; messages flow all the time.  The claim is accepted
 * at the start; nothing was gathered before by an end of ours.
 *
 * usage: t_sim_nat [SEEDS]
 */
#include <stdlib.h>

#include "test/sim/place.h"
#include "test/tap.h"

#ifdef VALGRIND
#define SEEDS 1
#else
#define SEEDS 32
#endif
#define MAX_SEEDS 10000
#define LIMIT_US (1 * MONO_SEC) /* from the claim to direct, of 99 of 100 */
#define STALL_US (500 * MONO_MS)
#define LOSS_STALL_US (2000 * MONO_MS) /* repeats come every 300 ms */
#define RUN_US (3 * MONO_SEC)
#define GO_RUN_US (8 * MONO_SEC)
#define DRAIN_US (3 * MONO_SEC)
#define MAX_PROBES 160 /* probes and acks of an end in RUN_US */

struct outcome {
	unsigned n;
	unsigned direct[2];
	size_t worst_packets;
	int64_t us[2 * MAX_SEEDS];
	unsigned n_us;
	unsigned partial; /* ends to which a message is missing */
	int64_t stall_us;
	uint64_t bad_seed; /* the last that was not whole, or slow */
};

static struct outcome o;
static unsigned seeds = SEEDS;

static void
tune(struct end *e, unsigned loss)
{
	e->host->link.loss = loss;
	e->host->link.jitter_us = loss > 0 ? 5 * MONO_MS : MONO_MS;
	e->host->link.dup = loss > 0 ? 10 : 0;
}

static void
collect(const struct pair *p, size_t side)
{
	struct end *e = p->end[side];

	if (e->ops->selected(e) != NULL) {
		o.direct[side]++;
		o.us[o.n_us++] = mono_diff(e->first_at, p->start);
	}
	if (e->packets > o.worst_packets)
		o.worst_packets = e->packets;
	if (!stream_is_whole(e))
		o.partial++;
	if (e->stream.worst_us > o.stall_us)
		o.stall_us = e->stream.worst_us;
}

static void
run(struct pair *p, uint64_t seed, unsigned loss, int64_t us)
{
	int64_t stall_us = o.stall_us;
	unsigned partial = o.partial;

	for (size_t i = 0; i < 2; i++)
		tune(p->end[i], loss);
	/* Who claims is no matter; let both happen. */
	place_begin(p, seed);
	end_run(p->net, us);
	for (size_t i = 0; i < 2; i++)
		p->end[i]->stream.say_us = 0;
	end_run(p->net, DRAIN_US);
	for (size_t i = 0; i < 2; i++)
		collect(p, i);
	if (partial != o.partial || stall_us < o.stall_us)
		o.bad_seed = seed;
	o.n++;
	place_end(p);
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static int64_t
percentile(unsigned p)
{
	if (o.n_us == 0)
		return 0;
	qsort(o.us, o.n_us, sizeof(o.us[0]), compare);
	return o.us[(o.n_us - 1) * p / 100];
}

static void
judge(const char *a, const char *b, bool feasible, bool both, int64_t stall_us)
{
	printf("# %s, %s: direct %u+%u/%u p50 %lld p99 %lld ms, packets %zu\n",
	    a, b, o.direct[0], o.direct[1], o.n,
	    (long long)percentile(50) / 1000, (long long)percentile(99) / 1000,
	    o.worst_packets);
	OK(o.direct[0] == (feasible ? o.n : 0) &&
		o.direct[1] == (both ? o.n : 0),
	    "%s, %s: %s, %s", a, b, feasible ? "direct" : "relay",
	    both ? "direct" : "relay");
	if (feasible)
		OK(percentile(99) <= LIMIT_US, "  p99 within %lld ms",
		    (long long)(LIMIT_US / 1000));
	OK(o.partial == 0 && o.stall_us <= stall_us,
	    "  all messages, longest stall %lld ms, seed %llu",
	    (long long)o.stall_us / 1000, (unsigned long long)o.bad_seed);
	OK(o.worst_packets <= MAX_PROBES, "  with few packets: %zu",
	    o.worst_packets);
}

static void
reset(void)
{
	memset(&o, 0, sizeof(o));
}

static void
test_pair(enum place a, enum place b, unsigned loss)
{
	bool feasible = place_is_feasible(a, b);

	reset();
	for (uint64_t i = 1; i <= seeds; i++) {
		uint64_t seed = i * 1000 + (uint64_t)a * 16 + b;
		struct pair p = place_pair(seed, a, b, &end_ours, &end_ours);

		run(&p, seed, loss, RUN_US);
	}
	judge(place_names[a], place_names[b], feasible, feasible,
	    loss > 0 ? LOSS_STALL_US : STALL_US);
}

static void
test_couple(enum couple couple)
{
	bool feasible = couple != COUPLE_CARRIER;

	reset();
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct pair p = place_couple(seed, couple);

		run(&p, seed, 0, RUN_US);
	}
	judge(couple_names[couple], "both", feasible, feasible, STALL_US);
}

/*
 * One end is the manager of peer v0.18.2, which has no IPv6, learns nothing
 * from probes and may be direct only towards addresses it was told.
 */
static bool
go_is_feasible(enum place ours, enum place go)
{
	if (ours == PLACE_SYM || ours == PLACE_SYM_V6)
		return false; /* it knows no address that we send from */
	return place_is_feasible(ours, go);
}

static void
test_go(enum place ours, enum place go)
{
	char name[64];

	(void)snprintf(name, sizeof(name), "Go %s", place_names[go]);
	reset();
	for (uint64_t i = 1; i <= seeds; i++) {
		uint64_t seed = i * 1000 + (uint64_t)ours * 16 + go;
		struct pair p = place_pair(seed, ours, go, &end_ours, &end_go);

		run(&p, seed, 0, GO_RUN_US);
	}
	judge(place_names[ours], name, place_is_feasible(ours, go),
	    go_is_feasible(ours, go), STALL_US);
}

int
main(int argc, char **argv)
{
	if (secret_init() < 0)
		return 1;
	if (argc > 1)
		seeds = (unsigned)strtoul(argv[1], NULL, 10);
	if (seeds == 0 || seeds > MAX_SEEDS)
		return 2;
	for (enum place a = 0; a < PLACE_N; a++)
		for (enum place b = a; b < PLACE_N; b++)
			test_pair(a, b, 0);
	for (enum couple c = 0; c < COUPLE_N; c++)
		test_couple(c);
	test_pair(PLACE_PORT, PLACE_PORT, 20);
	test_pair(PLACE_SYM, PLACE_ADDR, 20);
	seeds = seeds > 4 ? seeds / 4 : seeds;
	for (enum place a = 0; a < PLACE_N; a++)
		for (enum place b = 0; b < PLACE_N; b++)
			if (b != PLACE_SYM_V6)
				test_go(a, b);
	return tap_done();
}
