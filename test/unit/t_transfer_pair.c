/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both ends are ours: all roles, over a relay that loses envelopes; ends that
 * cancel, fail or die at any moment.  Properties: no end waits for ever, both
 * make the same plan, both say the same about the outcome, nobody floods.
 */
#include "test/unit/transfer_go.h"
#include "test/unit/transfer_world.h"

#ifdef VALGRIND
#define ROUNDS 15
#else
#define ROUNDS 400
#endif
#define MOST_OF_A_KIND 64 /* a queue of v0.18.2 holds 80 */

static void
make_end(struct world *w, int i, bool flow_a, bool blocks)
{
	struct world_end *d = &w->end[i];
	struct transfer_params p = {
		.envelope_key = talk_key,
		.peer_derp = talk_issuer,
		.own_quic_public = talk_quic,
		.size = -1,
	};

	if (flow_a)
		p.role =
		    i == 0 ? TRANSFER_RECEIVE_ISSUER : TRANSFER_SEND_CLAIMANT;
	else
		p.role =
		    i == 0 ? TRANSFER_SEND_ISSUER : TRANSFER_RECEIVE_CLAIMANT;
	d->sender = transfer_policy_is_sender(p.role);
	p.force_relay = world_random(w, 4) == 0;
	p.offer_raw = world_random(w, 2) == 0;
	p.is_open = world_random(w, 2) == 0;
	p.blocks = blocks;
	p.structured = !flow_a;
	if (d->sender && world_random(w, 2) == 0)
		p.streams = world_random(w, 16) + 1;
	if (d->sender && blocks)
		p.size = w->source;
	d->rate = 1 + (int64_t)world_random(w, 20000);
	d->flow = transfer_flow_new(&p, NULL, w->now);
	if (d->flow == NULL)
		abort();
}

static bool
is_over(const struct world_end *d)
{
	enum transfer_state s = transfer_flow_state(d->flow);

	return d->dead || ((s == TRANSFER_DONE || s == TRANSFER_FAILED) &&
			      transfer_flow_is_quiet(d->flow));
}

/* Returns simulated milliseconds, or -1: somebody hangs. */
static int64_t
run(struct world *w, int64_t most_ms)
{
	for (int64_t ms = 0; ms < most_ms; ms += WORLD_TICK_US / 1000) {
		world_step(w);
		if (is_over(&w->end[0]) && is_over(&w->end[1]))
			return ms;
	}
	return -1;
}

static void
world_of(struct world *w, uint64_t seed)
{
	bool flow_a, blocks;

	world_init(w, seed);
	w->delay_us = world_random(w, 100000);
	w->jitter_us = world_random(w, 100000);
	flow_a = world_random(w, 2) == 0;
	/* Flow B needs a header for blocks; none is made here. */
	blocks = flow_a && world_random(w, 2) == 0;
	w->source = world_random(w, 3) == 0 ? 0 : world_random(w, 3000000);
	make_end(w, 0, flow_a, blocks);
	make_end(w, 1, flow_a, blocks);
}

static bool
is_done(const struct world *w, int i)
{
	return transfer_flow_state(w->end[i].flow) == TRANSFER_DONE;
}

static void
complain(const struct world *w, uint64_t seed, const char *what)
{
	printf("# seed %" PRIu64 ": %s\n", seed, what);
	for (int i = 0; i < 2; i++)
		printf("#   end %d: state %d, %d, \"%s\"\n", i,
		    transfer_flow_state(w->end[i].flow),
		    transfer_flow_result(w->end[i].flow),
		    transfer_flow_reason(w->end[i].flow));
}

static int
check_counts(const struct world *w)
{
	int bad = 0;

	for (int i = 0; i < 2; i++)
		for (int k = 0; k <= ENVELOPE_BULK_CONTROL; k++)
			if (k != ENVELOPE_PROGRESS)
				bad += w->end[i].heard[k] > MOST_OF_A_KIND;
	return bad;
}

static int
lossy(uint64_t seed, unsigned loss)
{
	struct world w;
	int bad = 0;

	world_of(&w, seed);
	w.loss = loss;
	if (run(&w, 120000) < 0 || !is_done(&w, 0) || !is_done(&w, 1)) {
		complain(&w, seed, "not done");
		bad = 1;
	}
	for (int i = 0; i < 2; i++)
		if (w.end[i].moved != w.source)
			bad = 1;
	if (check_counts(&w) > 0) {
		complain(&w, seed, "flood");
		bad = 1;
	}
	bad += w.faults;
	world_fini(&w);
	return bad;
}

static void
test_lossy(void)
{
	int bad = 0;

	for (uint64_t seed = 0; seed < ROUNDS; seed++)
		bad += lossy(seed, 0);
	EQ_INT(bad, 0, "%d rounds without loss", ROUNDS);
	bad = 0;
	for (uint64_t seed = 0; seed < ROUNDS; seed++)
		bad += lossy(seed, 5);
	EQ_INT(bad, 0, "%d rounds with 5%% loss", ROUNDS);
	bad = 0;
	for (uint64_t seed = 0; seed < ROUNDS; seed++)
		bad += lossy(seed, 25);
	EQ_INT(bad, 0, "%d rounds with 25%% loss", ROUNDS);
}

/* Something happens to one end at some moment. */
enum accident { CANCEL, FAIL, KILL, N_ACCIDENTS };

static void
strike(struct world *w, int i, enum accident what)
{
	if (what == CANCEL)
		transfer_flow_cancel(w->end[i].flow, w->now);
	else if (what == FAIL)
		transfer_flow_fail(w->end[i].flow, -ENOSPC, "no space", w->now);
	else
		world_kill(w, i);
}

static int
accident(uint64_t seed, enum accident what)
{
	struct world w;
	int i, bad = 0;
	int64_t at, over;
	bool issuer_unclaimed;

	world_of(&w, seed);
	w.loss = seed % 2 == 0 ? 0 : 5;
	i = (int)world_random(&w, 2);
	at = world_random(&w, 1500);
	for (int64_t ms = 0; ms < at; ms += WORLD_TICK_US / 1000)
		world_step(&w);
	strike(&w, i, what);
	issuer_unclaimed =
	    i == 1 && transfer_flow_state(w.end[0].flow) == TRANSFER_LISTENING;
	/* 60 s for an accept, 15 for QUIC, 10 for its death; resends. */
	over = run(&w, 90000);
	if (over < 0 && !issuer_unclaimed &&
	    transfer_flow_state(w.end[0].flow) != TRANSFER_LISTENING) {
		complain(&w, seed, "hangs");
		bad = 1;
	}
	/* The struck end may not know of the success; the other may not claim
	 * one that is none. */
	if (is_done(&w, 1 - i) && w.end[1 - i].moved != w.source)
		bad = 1;
	if (is_done(&w, 0) != is_done(&w, 1) && what == FAIL &&
	    w.end[1 - i].sender && is_done(&w, 1 - i)) {
		complain(&w, seed, "sender believes a receiver that failed");
		bad = 1;
	}
	bad += w.faults;
	world_fini(&w);
	return bad;
}

static void
test_accidents(void)
{
	static const char *const names[] = { "cancels", "failures", "deaths" };

	for (int what = 0; what < N_ACCIDENTS; what++) {
		int bad = 0;

		for (uint64_t seed = 0; seed < ROUNDS; seed++)
			bad += accident(seed + 7000, (enum accident)what);
		EQ_INT(bad, 0, "%d %s at random moments", ROUNDS, names[what]);
	}
}

/* A dead peer is noticed within 15 s once there was an accept. */
static void
test_death_is_noticed(void)
{
	int64_t most = 0;

	for (uint64_t seed = 0; seed < ROUNDS; seed++) {
		struct world w;
		int64_t ms, at;
		int i;

		world_of(&w, seed + 99);
		i = (int)world_random(&w, 2);
		at = world_random(&w, 1500);
		for (ms = 0; ms < at; ms += WORLD_TICK_US / 1000)
			world_step(&w);
		world_kill(&w, i);
		if (transfer_flow_peek_plan(w.end[1 - i].flow) != NULL &&
		    transfer_flow_state(w.end[1 - i].flow) !=
			TRANSFER_OPENING) {
			for (ms = 0; transfer_flow_state(w.end[1 - i].flow) <
					 TRANSFER_DONE &&
				     ms < 60000;
			     ms += WORLD_TICK_US / 1000)
				world_step(&w);
			most = ms > most ? ms : most;
		}
		world_fini(&w);
	}
	OK(most > 5000 && most <= 15300, "noticed in %" PRId64 " ms", most);
}

int
main(void)
{
	test_lossy();
	test_accidents();
	test_death_is_noticed();
	return tap_done();
}
