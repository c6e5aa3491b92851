/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every pair of networks, many seeds: what can be direct is, and soon; what
 * cannot runs on the relay; messages flow all the time.  The claim is accepted
 * at the start; nothing was gathered before.
 *
 * usage: t_sim_nat [SEEDS]
 */
#include <stdlib.h>

#include "test/sim/place.h"
#include "test/tap.h"

#ifdef VALGRIND
#define SEEDS 2
#else
#define SEEDS 40
#endif
#define MAX_SEEDS 10000
#define RUN_US (8 * MONO_SEC)

struct outcome {
	unsigned n;
	unsigned direct[2];
	size_t worst_packets;
	int64_t us[2 * MAX_SEEDS];
	unsigned n_us;
	uint32_t least; /* messages that came through */
	int64_t stall_us;
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
collect(struct end *e, size_t side, struct mono start)
{
	if (e->ops->selected(e) != NULL) {
		o.direct[side]++;
		o.us[o.n_us++] = mono_diff(e->direct_at, start);
	}
	if (e->packets > o.worst_packets)
		o.worst_packets = e->packets;
	if (e->got < o.least)
		o.least = e->got;
	if (e->worst_us > o.stall_us)
		o.stall_us = e->worst_us;
}

static void
run(enum place a, enum place b, const struct end_ops *b_ops, unsigned loss,
    uint64_t seed)
{
	struct net *net = net_new(seed);
	struct end *listener, *claimer;
	struct mono start;

	net_add_stun(net, "192.0.2.1");
	net_add_stun(net, "192.0.2.2");
	listener = place_end(net, a, 0, &end_ours);
	claimer = place_end(net, b, 1, b_ops);
	tune(listener, loss);
	tune(claimer, loss);
	end_join(listener, claimer);
	listener->talks = true;
	claimer->talks = true;
	start = net_now(net);
	/* Who claims is no matter; let both happen. */
	if (seed % 2 == 0)
		end_begin(listener, claimer);
	else
		end_begin(claimer, listener);
	end_run(net, b_ops == &end_ours ? RUN_US : 4 * RUN_US);
	collect(listener, 0, start);
	collect(claimer, 1, start);
	o.n++;
	end_free(listener);
	end_free(claimer);
	net_free(net);
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
run_seeds(
    enum place a, enum place b, const struct end_ops *b_ops, unsigned loss)
{
	memset(&o, 0, sizeof(o));
	o.least = UINT32_MAX;
	for (uint64_t seed = 1; seed <= seeds; seed++)
		run(a, b, b_ops, loss, seed * 1000 + (uint64_t)a * 16 + b);
}

static void
test_pair(enum place a, enum place b, unsigned loss, int64_t limit_us)
{
	bool feasible = place_is_feasible(a, b);

	run_seeds(a, b, &end_ours, loss);
	printf("# %-18s %-18s direct %u+%u/%u p50 %lld p99 %lld ms, "
	       "packets %zu\n",
	    place_names[a], place_names[b], o.direct[0], o.direct[1], o.n,
	    (long long)percentile(50) / 1000, (long long)percentile(99) / 1000,
	    o.worst_packets);
	OK(o.direct[0] == (feasible ? o.n : 0) &&
		o.direct[1] == (feasible ? o.n : 0),
	    "%s, %s: %s", place_names[a], place_names[b],
	    feasible ? "direct" : "relay");
	if (feasible)
		OK(percentile(99) <= limit_us, "  within %lld ms",
		    (long long)(limit_us / 1000));
	OK(o.least >= 250 && o.stall_us <= 2 * MONO_SEC,
	    "  messages flow: %u, longest stall %lld ms", o.least,
	    (long long)o.stall_us / 1000);
	OK(o.worst_packets <= 250, "  with few packets: %zu", o.worst_packets);
}

/*
 * One end is the manager of peer v0.18.2, which learns nothing from probes and
 * may be direct only towards addresses it was told.
 */
static bool
go_is_feasible(enum place ours, enum place go)
{
	if (ours == PLACE_SYM)
		return false; /* it knows no address that we send from */
	return place_is_feasible(ours, go);
}

static void
test_go(enum place ours, enum place go)
{
	bool feasible = place_is_feasible(ours, go);
	bool both = go_is_feasible(ours, go);

	run_seeds(ours, go, &end_go, 0);
	printf("# %-18s Go, %-18s direct %u+%u/%u p50 %lld p99 %lld ms\n",
	    place_names[ours], place_names[go], o.direct[0], o.direct[1], o.n,
	    (long long)percentile(50) / 1000, (long long)percentile(99) / 1000);
	OK(o.direct[0] == (feasible ? o.n : 0), "%s, Go %s: we are %s",
	    place_names[ours], place_names[go], feasible ? "direct" : "relay");
	OK(o.direct[1] == (both ? o.n : 0), "  Go is %s",
	    both ? "direct" : "relay");
	OK(o.least >= 250 && o.stall_us <= 2 * MONO_SEC,
	    "  messages flow: %u, longest stall %lld ms", o.least,
	    (long long)o.stall_us / 1000);
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
			test_pair(a, b, 0, 1 * MONO_SEC);
	test_pair(PLACE_PORT, PLACE_PORT, 50, 1500 * MONO_MS);
	test_pair(PLACE_SYM, PLACE_ADDR, 50, 2000 * MONO_MS);
	seeds = seeds > 10 ? seeds / 4 : seeds;
	for (enum place a = 0; a < PLACE_N; a++)
		for (enum place b = 0; b < PLACE_N; b++)
			test_go(a, b);
	return tap_done();
}
