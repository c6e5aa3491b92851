/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw-direct, every pair of networks: both ends gather for a moment, exchange
 * lists and punch; who found the other talks to it without the relay.
 *
 * usage: t_sim_raw [SEEDS]
 */
#include <stdlib.h>

#include "proto/path/punch.h"
#include "proto/stun/stun.h"
#include "test/sim/place.h"
#include "test/tap.h"

#ifdef VALGRIND
#define SEEDS 1
#else
#define SEEDS 16
#endif
#define MAX_SEEDS 10000
#define GATHER_US (750 * MONO_MS) /* peer v0.18.2 */
#define LIMIT_US (1500 * MONO_MS) /* from the claim until both have found */
#define TALK_US (2 * MONO_SEC)

static struct raw {
	struct punch *punch;
	struct candidate_list peer;
	struct mono until; /* gathering */
	struct mono found; /* NEVER: not */
	struct addr chosen;
	bool client, has_peer;
} raws[2];

static struct raw *
raw_of(const struct end *e)
{
	/* Ports are even and odd. */
	return &raws[e->port % 2];
}

static void
own(const struct end *e, struct candidate_list *ret_own)
{
	struct addr a[1 + STUN_GATHER_MAX_MAPPED];
	size_t n = stun_gather_mapped(e->gather, a);

	a[n] = e->host->ip;
	a[n++].port = e->port;
	candidate_advertise(ret_own, a, n, CANDIDATE_POLICY_PEER);
}

static void
start(struct end *e)
{
	struct raw *w = raw_of(e);

	stun_gather_set_servers(e->gather, e->stun, e->n_stun, net_now(e->net));
	*w = (struct raw){ .until = mono_add(net_now(e->net), GATHER_US),
		.found = MONO_NEVER,
		.client = w->client };
}

static void
stop(struct end *e)
{
	punch_free(raw_of(e)->punch);
	raw_of(e)->punch = NULL;
}

/* What comes before an offer is of the claim and names other sockets. */
static void
on_peer(struct end *e, const struct candidate_list *peer)
{
	struct raw *w = raw_of(e);

	if (mono_is_never(raw_of(e->peer)->until)) {
		w->peer = *peer;
		w->has_peer = true;
	}
}

static void
on_called(struct end *e)
{
	(void)e;
}

static void
on_packet(struct end *e, const struct addr *from, const uint8_t *p, size_t len)
{
	struct raw *w = raw_of(e);
	struct mono now = net_now(e->net);

	if (stun_is_message(p, len))
		(void)stun_gather_input(e->gather, from, p, len, now);
	else if (disco_is_punch(p, len) && w->punch != NULL)
		punch_input(w->punch, from, now);
	else if (!disco_is_ours(p, len))
		(void)stream_input(e, p, len);
}

static bool
send_direct(struct end *e, const uint8_t *p, size_t len)
{
	if (mono_is_never(raw_of(e)->found))
		return false;
	end_send(e, &raw_of(e)->chosen, p, len);
	return true;
}

static struct mono
run_gather(struct end *e, struct raw *w)
{
	struct mono now = net_now(e->net);
	struct addr to, mapped[STUN_GATHER_MAX_MAPPED];
	uint8_t request[STUN_REQUEST_LEN];
	struct candidate_list list;

	while (stun_gather_output(e->gather, now, &to, request))
		end_send(e, &to, request, sizeof(request));
	if (stun_gather_mapped(e->gather, mapped) == 0 &&
	    mono_before(now, w->until))
		return mono_min(w->until, stun_gather_next_deadline(e->gather));
	w->until = MONO_NEVER;
	own(e, &list);
	end_tell(e, DIRECT_OUT_CANDIDATES, &list);
	return now;
}

static struct mono
turn(struct end *e)
{
	struct raw *w = raw_of(e);
	struct mono now = net_now(e->net);
	struct addr to;

	if (!mono_is_never(w->until))
		return run_gather(e, w);
	if (w->punch == NULL && w->has_peer)
		w->punch = punch_new(
		    &w->peer, w->client ? PUNCH_CLIENT_DELAY_US : 0, now);
	if (w->punch == NULL)
		return MONO_NEVER;
	while (punch_output(w->punch, now, &to)) {
		e->packets++;
		end_send(e, &to, (const uint8_t *)DISCO_PUNCH, DISCO_PUNCH_LEN);
	}
	if (punch_state(w->punch) == PUNCH_FOUND && mono_is_never(w->found)) {
		w->found = now;
		w->chosen = *punch_peek_address(w->punch);
	}
	return punch_next_deadline(w->punch);
}

static const struct addr *
selected(const struct end *e)
{
	return mono_is_never(raw_of(e)->found) ? NULL : &raw_of(e)->chosen;
}

static const struct end_ops end_raw = {
	.start = start,
	.stop = stop,
	.own = own,
	.on_peer = on_peer,
	.on_called = on_called,
	.on_packet = on_packet,
	.send = send_direct,
	.turn = turn,
	.selected = selected,
};

struct outcome {
	unsigned n, raw, broken, late;
	size_t packets;
	int64_t worst_us;
	uint64_t bad_seed;
};

static void
run(enum place a, enum place b, uint64_t seed, struct outcome *o)
{
	struct pair p = place_pair(seed, a, b, &end_raw, &end_raw);
	size_t found = 0;
	int64_t us = 0;

	for (size_t i = 0; i < 2; i++) {
		p.end[i]->port = (uint16_t)((p.end[i]->port & ~1u) | i);
		p.end[i]->stream.say_us = 0;
		raws[i] = (struct raw){ .client = i != seed % 2 };
	}
	place_begin(&p, seed);
	end_run(p.net, 3 * MONO_SEC);
	for (size_t i = 0; i < 2; i++) {
		p.end[i]->no_relay = true;
		if (p.end[i]->packets > o->packets)
			o->packets = p.end[i]->packets;
		if (!p.end[i]->is_direct)
			continue;
		found++;
		if (mono_diff(raws[i].found, p.start) > us)
			us = mono_diff(raws[i].found, p.start);
	}
	o->n++;
	if (found == 2) {
		/* Both say yes: from now on there is nothing else. */
		for (size_t i = 0; i < 2; i++)
			p.end[i]->stream.say_us = STREAM_SAY_US;
		for (size_t i = 0; i < 2; i++)
			end_turn(p.end[i]);
		end_run(p.net, TALK_US);
		for (size_t i = 0; i < 2; i++)
			p.end[i]->stream.say_us = 0;
		end_run(p.net, TALK_US);
		o->raw++;
		if (!stream_is_whole(p.end[0]) || !stream_is_whole(p.end[1])) {
			o->broken++;
			o->bad_seed = seed;
		}
	}
	if (us > o->worst_us)
		o->worst_us = us;
	place_end(&p);
}

static void
test_pair(enum place a, enum place b, unsigned seeds)
{
	bool feasible = place_is_feasible(a, b);
	struct outcome o = { 0 };

	for (uint64_t i = 1; i <= seeds; i++)
		run(a, b, i * 1000 + (uint64_t)a * 16 + b, &o);
	OK(o.raw == (feasible ? o.n : 0) && o.worst_us <= LIMIT_US,
	    "%s, %s: %s, after %lld ms, %zu punches", place_names[a],
	    place_names[b], feasible ? "raw" : "not raw",
	    (long long)(o.worst_us / MONO_MS), o.packets);
	if (feasible)
		OK(o.broken == 0, "  and it carries: %u broken, seed %llu",
		    o.broken, (unsigned long long)o.bad_seed);
}

int
main(int argc, char **argv)
{
	unsigned long seeds = argc > 1 ? strtoul(argv[1], NULL, 10) : SEEDS;

	if (secret_init() < 0)
		return 1;
	if (seeds == 0 || seeds > MAX_SEEDS)
		return 2;
	for (enum place a = 0; a < PLACE_N; a++)
		for (enum place b = a; b < PLACE_N; b++)
			if (a != PLACE_SYM_V6 && b != PLACE_SYM_V6)
				test_pair(a, b, (unsigned)seeds);
	return tap_done();
}
