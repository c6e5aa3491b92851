/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What happens to a direct path, and how soon both ends are over it.  In every
 * run of every scenario all messages arrive.
 *
 * usage: t_sim_path [SEEDS [SCENARIO]]
 */
#include <stdlib.h>

#include "test/sim/place.h"
#include "test/tap.h"

#ifdef VALGRIND
#define SEEDS 1
#else
#define SEEDS 20
#endif
#define MAX_SEEDS 10000
#define WARM_US (3 * MONO_SEC) /* then both are direct */
#define DRAIN_US (5 * MONO_SEC)

/* What a run showed; -1: it did not happen. */
struct seen {
	int64_t down_us; /* from the event to the relay, the later end */
	int64_t up_us;   /* from the end of the event to direct, likewise */
	int64_t stall_us;
	unsigned downs; /* of the end that had more */
	bool whole;
	bool too_long;
};

struct world {
	struct pair pair;
	struct net *net;
	struct end *a, *b;
	struct mono event, healed;
	bool too_long; /* a payload that cannot pass is still in use */
};

struct scenario {
	const char *name;
	void (*play)(struct world *w);
	bool goes_down;
	unsigned downs; /* at most */
	int64_t down_ms, up_ms, stall_ms;
	bool with_go; /* the other end is the model */
};

static int64_t
between_us(struct world *w, int64_t least_us, int64_t most_us)
{
	return least_us + net_random(w->net, (uint32_t)(most_us - least_us));
}

static void
begin_event(struct world *w)
{
	w->event = net_now(w->net);
	w->healed = w->event;
	for (size_t i = 0; i < 2; i++) {
		w->pair.end[i]->stream.worst_us = 0;
		w->pair.end[i]->downs = 0;
	}
}

static void
heal(struct world *w)
{
	w->healed = net_now(w->net);
}

static void
cut(struct end *e, bool out, bool in)
{
	e->host->link.no_out = out;
	e->host->link.no_in = in;
}

/* ----------------------------------------------------------- scenarios */

static void
blackhole_for(struct world *w, int64_t us, int64_t rest_us)
{
	begin_event(w);
	cut(w->a, true, true);
	end_run(w->net, us);
	cut(w->a, false, false);
	heal(w);
	end_run(w->net, rest_us);
}

static void
play_blink(struct world *w)
{
	blackhole_for(
	    w, between_us(w, 50 * MONO_MS, 1000 * MONO_MS), 5 * MONO_SEC);
}

static void
play_blackhole(struct world *w)
{
	blackhole_for(
	    w, between_us(w, 4 * MONO_SEC, 25 * MONO_SEC), 5 * MONO_SEC);
}

static void
play_long_blackhole(struct world *w)
{
	blackhole_for(
	    w, between_us(w, 40 * MONO_SEC, 200 * MONO_SEC), 300 * MONO_SEC);
}

static void
one_way(struct world *w, bool out, int64_t us)
{
	begin_event(w);
	cut(w->a, out, !out);
	end_run(w->net, us);
	cut(w->a, false, false);
	heal(w);
	end_run(w->net, 5 * MONO_SEC);
}

static void
play_one_way_out(struct world *w)
{
	one_way(w, true, between_us(w, 8 * MONO_SEC, 20 * MONO_SEC));
}

static void
play_one_way_in(struct world *w)
{
	one_way(w, false, between_us(w, 8 * MONO_SEC, 20 * MONO_SEC));
}

static void
forget_all(struct end *e)
{
	for (size_t i = 0; i < e->n_nats; i++)
		net_forget(e->nat[i]);
}

static void
play_forget(struct world *w)
{
	begin_event(w);
	forget_all(w->a);
	end_run(w->net, 15 * MONO_SEC);
}

static void
play_forget_both(struct world *w)
{
	begin_event(w);
	forget_all(w->a);
	forget_all(w->b);
	end_run(w->net, 15 * MONO_SEC);
}

/* Hardly anything is said, and NATs forget after half a minute. */
static void
play_idle(struct world *w)
{
	for (size_t k = 0; k < 2; k++) {
		w->pair.end[k]->stream.say_us = 40 * MONO_SEC;
		for (size_t i = 0; i < w->pair.end[k]->n_nats; i++)
			w->pair.end[k]->nat[i]->timeout_us = 30 * MONO_SEC;
	}
	end_run(w->net, 60 * MONO_SEC);
	begin_event(w);
	end_run(w->net, 400 * MONO_SEC);
}

static enum place
anywhere(struct world *w)
{
	static const enum place places[] = { PLACE_OPEN, PLACE_FULL, PLACE_ADDR,
		PLACE_PORT, PLACE_CGN };

	return places[net_random(w->net, sizeof(places) / sizeof(places[0]))];
}

static void
play_roam(struct world *w)
{
	begin_event(w);
	place_move(w->a, anywhere(w), 2);
	w->a->ops->on_network(w->a);
	end_turn(w->a);
	end_run(w->net, 15 * MONO_SEC);
}

/* The interface stays as it is, all before it is new: nobody tells. */
static void
play_roam_unnoticed(struct world *w)
{
	begin_event(w);
	place_move(w->a, anywhere(w), 2);
	end_run(w->net, 15 * MONO_SEC);
}

static void
play_roam_blocked(struct world *w)
{
	begin_event(w);
	place_move(w->a, PLACE_BLOCKED, 2);
	w->a->ops->on_network(w->a);
	end_turn(w->a);
	end_run(w->net, between_us(w, 5 * MONO_SEC, 60 * MONO_SEC));
	place_move(w->a, anywhere(w), 3);
	w->a->ops->on_network(w->a);
	end_turn(w->a);
	heal(w);
	end_run(w->net, 15 * MONO_SEC);
}

static void
spoil(struct world *w, unsigned loss, int64_t jitter_us, unsigned dup)
{
	begin_event(w);
	for (size_t i = 0; i < 2; i++) {
		w->pair.end[i]->host->link.loss = loss;
		w->pair.end[i]->host->link.jitter_us = jitter_us;
		w->pair.end[i]->host->link.dup = dup;
	}
	end_run(w->net, 30 * MONO_SEC);
	for (size_t i = 0; i < 2; i++)
		w->pair.end[i]->host->link.loss = 0;
	heal(w);
	end_run(w->net, 5 * MONO_SEC);
}

/* A packet passes two links: one in twenty is lost, or one in five. */
static void
play_loss(struct world *w)
{
	spoil(w, 25, 5 * MONO_MS, 50);
}

static void
play_heavy_loss(struct world *w)
{
	spoil(w, 105, 5 * MONO_MS, 50);
}

static void
play_disorder(struct world *w)
{
	spoil(w, 0, 150 * MONO_MS, 300);
}

static void
play_far(struct world *w)
{
	begin_event(w);
	w->a->host->link.delay_us = 280 * MONO_MS;
	end_run(w->net, 30 * MONO_SEC);
	w->a->host->link.delay_us = 10 * MONO_MS;
	end_run(w->net, 10 * MONO_SEC);
}

/* Small messages pass as before. */
static void
play_narrow(struct world *w)
{
	begin_event(w);
	w->a->host->link.mtu = 1252;
	end_run(w->net, 10 * MONO_SEC);
	for (size_t i = 0; i < 2; i++)
		w->too_long |= direct_payload(w->pair.end[i]->direct) > 1252;
}

/* Less than QUIC needs: not a direct path, however well small ones pass. */
static void
play_too_narrow(struct world *w)
{
	begin_event(w);
	w->a->host->link.mtu = 1100;
	end_run(w->net, 20 * MONO_SEC);
	w->a->host->link.mtu = 1472;
	heal(w);
	end_run(w->net, 60 * MONO_SEC);
}

static void
play_relay_away(struct world *w)
{
	begin_event(w);
	w->a->no_relay = true;
	w->b->no_relay = true;
	end_run(w->net, 30 * MONO_SEC);
	w->a->no_relay = false;
	w->b->no_relay = false;
}

/* Once more and again, at any time. */
static void
play_flapping(struct world *w)
{
	begin_event(w);
	for (int i = 0; i < 20; i++) {
		struct end *e = w->pair.end[net_random(w->net, 2)];

		cut(e, net_random(w->net, 3) > 0, net_random(w->net, 3) > 0);
		end_run(w->net, between_us(w, 10 * MONO_MS, 6 * MONO_SEC));
		cut(e, false, false);
		end_run(w->net, between_us(w, 10 * MONO_MS, 6 * MONO_SEC));
	}
	heal(w);
	end_run(w->net, 20 * MONO_SEC);
}

/* All of it, at any time, at either end. */
static void
play_storm(struct world *w)
{
	int roams = 0;

	begin_event(w);
	for (int i = 0; i < 16; i++) {
		struct end *e = w->pair.end[net_random(w->net, 2)];
		uint32_t what = net_random(w->net, 5);

		if (what == 0)
			cut(e, true, true);
		else if (what == 1)
			e->host->link.loss = net_random(w->net, 300);
		else if (what == 2)
			forget_all(e);
		else if (e == w->a && roams < 4) {
			place_move(e, anywhere(w), 2 + roams++);
			if (what == 3)
				e->ops->on_network(e);
			end_turn(e);
		}
		end_run(w->net, between_us(w, 10 * MONO_MS, 6 * MONO_SEC));
		cut(e, false, false);
		e->host->link.loss = 0;
		end_run(w->net, between_us(w, 10 * MONO_MS, 6 * MONO_SEC));
	}
	heal(w);
	end_run(w->net, 60 * MONO_SEC);
}

static void
play_blackhole_go(struct world *w)
{
	blackhole_for(
	    w, between_us(w, 4 * MONO_SEC, 8 * MONO_SEC), 5 * MONO_SEC);
}

/* It hears us, we do not hear it, or the other way round; ours moves. */
static void
play_one_way_go(struct world *w)
{
	one_way(w, net_random(w->net, 2) == 0,
	    between_us(w, 4 * MONO_SEC, 8 * MONO_SEC));
}

static const struct scenario scenarios[] = {
	{ .name = "gone for less than a second",
	    .play = play_blink,
	    .stall_ms = 1400 },
	{ .name = "blackhole and heal",
	    .play = play_blackhole,
	    .goes_down = true,
	    .downs = 1,
	    .down_ms = 3000,
	    .up_ms = 1500,
	    .stall_ms = 3000 },
	{ .name = "blackhole for minutes",
	    .play = play_long_blackhole,
	    .goes_down = true,
	    .downs = 1,
	    .down_ms = 3000,
	    .up_ms = 55000,
	    .stall_ms = 3000 },
	{ .name = "one way, out",
	    .play = play_one_way_out,
	    .goes_down = true,
	    .downs = 1,
	    .down_ms = 3000,
	    .up_ms = 1500,
	    .stall_ms = 3200 },
	{ .name = "one way, in",
	    .play = play_one_way_in,
	    .goes_down = true,
	    .downs = 1,
	    .down_ms = 3000,
	    .up_ms = 1500,
	    .stall_ms = 3200 },
	{ .name = "a NAT forgets",
	    .play = play_forget,
	    .downs = 1,
	    .up_ms = 4500,
	    .stall_ms = 3000 },
	{ .name = "both NATs forget",
	    .play = play_forget_both,
	    .downs = 1,
	    .up_ms = 4500,
	    .stall_ms = 3000 },
	{ .name = "idle", .play = play_idle, .stall_ms = 500 },
	{ .name = "roaming",
	    .play = play_roam,
	    .downs = 1,
	    .up_ms = 3000,
	    .stall_ms = 3000 },
	{ .name = "roaming unnoticed",
	    .play = play_roam_unnoticed,
	    .downs = 1,
	    .up_ms = 4500,
	    .stall_ms = 3000 },
	{ .name = "roaming to where UDP is blocked, and on",
	    .play = play_roam_blocked,
	    .goes_down = true,
	    .downs = 1,
	    .down_ms = 1500,
	    .up_ms = 2000,
	    .stall_ms = 1500 },
	{ .name = "5 % loss", .play = play_loss, .stall_ms = 1500 },
	{ .name = "20 % loss",
	    .play = play_heavy_loss,
	    .downs = 1,
	    .stall_ms = 4000 },
	{ .name = "disorder and duplicates",
	    .play = play_disorder,
	    .stall_ms = 700 },
	{ .name = "far", .play = play_far, .stall_ms = 1000 },
	{ .name = "narrow", .play = play_narrow, .stall_ms = 500 },
	{ .name = "too narrow",
	    .play = play_too_narrow,
	    .goes_down = true,
	    .downs = 1,
	    .down_ms = 7000,
	    .up_ms = 31000,
	    .stall_ms = 7000 },
	{ .name = "relay away", .play = play_relay_away, .stall_ms = 500 },
	{ .name = "flapping",
	    .play = play_flapping,
	    .downs = 40,
	    .up_ms = 16000,
	    .stall_ms = 7000 },
	{ .name = "storm",
	    .play = play_storm,
	    .downs = 40,
	    .up_ms = 31000,
	    .stall_ms = 7000 },
	/* It holds its own writes for life, so its half waits. */
	{ .name = "Go, blackhole and heal",
	    .play = play_blackhole_go,
	    .downs = 1,
	    .up_ms = 1500,
	    .stall_ms = 9500,
	    .with_go = true },
	{ .name = "Go, one way",
	    .play = play_one_way_go,
	    .downs = 1,
	    .up_ms = 1500,
	    .stall_ms = 8500,
	    .with_go = true },
	{ .name = "Go, 5 % loss",
	    .play = play_loss,
	    .stall_ms = 1500,
	    .with_go = true },
};
#define N_SCENARIOS (sizeof(scenarios) / sizeof(scenarios[0]))

/* ------------------------------------------------------------- running */

/* Direct from the beginning, all of them; now and then one is symmetric. */
static struct world
start(uint64_t seed, bool with_go)
{
	static const enum place open[] = { PLACE_OPEN, PLACE_FULL, PLACE_ADDR };
	struct net *dice = net_new(seed + 77);
	struct world w = { .net = dice };
	enum place a = anywhere(&w), b = anywhere(&w);

	if (!with_go && net_random(dice, 4) == 0) {
		a = PLACE_SYM;
		b = open[net_random(dice, 3)];
	}
	net_free(dice);
	w.pair =
	    place_pair(seed, a, b, &end_ours, with_go ? &end_go : &end_ours);
	w.net = w.pair.net;
	w.a = w.pair.end[0];
	w.b = w.pair.end[1];
	for (size_t i = 0; i < 2; i++)
		w.pair.end[i]->host->link.jitter_us = MONO_MS;
	place_begin(&w.pair, seed);
	end_run(w.net, WARM_US);
	return w;
}

/* Of what happened after @since, the later; -1: not with both. */
static int64_t
later_us(struct mono since, struct mono a, struct mono b)
{
	int64_t a_us = mono_diff(a, since), b_us = mono_diff(b, since);

	if (mono_is_never(a) || mono_is_never(b) || a_us < 0 || b_us < 0)
		return -1;
	return a_us > b_us ? a_us : b_us;
}

static struct seen
run(const struct scenario *sc, uint64_t seed)
{
	struct world w = start(seed, sc->with_go);
	struct seen seen = { .up_us = -1 };

	sc->play(&w);
	for (size_t i = 0; i < 2; i++)
		w.pair.end[i]->stream.say_us = 0;
	end_run(w.net, DRAIN_US);
	seen.down_us = later_us(w.event, w.a->down_at, w.b->down_at);
	if (w.a->is_direct && w.b->is_direct)
		seen.up_us = later_us(w.healed, w.a->up_at, w.b->up_at);
	if (w.a->is_direct && w.b->is_direct && seen.up_us < 0)
		seen.up_us = 0; /* never left, or back before */
	seen.too_long = w.too_long;
	seen.whole = stream_is_whole(w.a) && stream_is_whole(w.b);
	for (size_t i = 0; i < 2; i++) {
		const struct end *e = w.pair.end[i];

		if (e->stream.worst_us > seen.stall_us)
			seen.stall_us = e->stream.worst_us;
		if (e->downs > seen.downs)
			seen.downs = e->downs;
	}
	place_end(&w.pair);
	return seen;
}

static long long
ms(int64_t us)
{
	return us < 0 ? -1 : (long long)(us / MONO_MS);
}

/* Is @seen as @sc promises? */
static bool
is_good(const struct scenario *sc, const struct seen *seen)
{
	return seen->whole && !seen->too_long && seen->downs <= sc->downs &&
	       (!sc->goes_down ||
		   (seen->down_us >= 0 &&
		       seen->down_us <= sc->down_ms * MONO_MS)) &&
	       seen->up_us >= 0 && seen->up_us <= sc->up_ms * MONO_MS &&
	       seen->stall_us <= sc->stall_ms * MONO_MS;
}

static void
run_seeds(const struct scenario *sc, unsigned seeds)
{
	struct seen worst = { 0 };
	unsigned bad = 0;

	for (uint64_t seed = 1; seed <= seeds; seed++) {
		struct seen seen = run(sc, seed);

		if (!is_good(sc, &seen) && bad++ < 5)
			printf("# seed %llu: down %lld up %lld stall %lld ms, "
			       "downs %u, %s\n",
			    (unsigned long long)seed, ms(seen.down_us),
			    ms(seen.up_us), ms(seen.stall_us), seen.downs,
			    seen.whole ? "whole" : "messages missing");
		if (seen.down_us > worst.down_us)
			worst.down_us = seen.down_us;
		if (seen.up_us > worst.up_us)
			worst.up_us = seen.up_us;
		if (seen.stall_us > worst.stall_us)
			worst.stall_us = seen.stall_us;
		if (seen.downs > worst.downs)
			worst.downs = seen.downs;
	}
	OK(bad == 0,
	    "%s: relay after %lld, direct after %lld, stall %lld ms, "
	    "%u times, %u of %u bad",
	    sc->name, ms(worst.down_us), ms(worst.up_us), ms(worst.stall_us),
	    worst.downs, bad, seeds);
}

int
main(int argc, char **argv)
{
	unsigned long seeds = argc > 1 ? strtoul(argv[1], NULL, 10) : SEEDS;

	if (secret_init() < 0)
		return 1;
	if (seeds == 0 || seeds > MAX_SEEDS)
		return 2;
	for (size_t i = 0; i < N_SCENARIOS; i++)
		if (argc < 3 || strtoul(argv[2], NULL, 10) == i)
			run_seeds(&scenarios[i], (unsigned)seeds);
	return tap_done();
}
