/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An attacker who sees all datagrams and sends any, from any source; and a peer
 * that is hostile itself.  The session goes on, and third parties get next to
 * nothing from us.
 *
 * usage: t_sim_hostile [SEEDS]
 */
#include <stdlib.h>

#include "proto/stun/stun.h"
#include "test/sim/attacker.h"
#include "test/tap.h"

#ifdef VALGRIND
#define SEEDS 1
#define RUN_US (2 * MONO_SEC)
#else
#define SEEDS 3
#define RUN_US (8 * MONO_SEC)
#endif
#define MAX_SEEDS 1000
#define SECONDS ((unsigned)((RUN_US + ATTACKER_DRAIN_US) / MONO_SEC))
/* From two ends, each 128 acks, 16 to strangers, 16 probes beyond budgets and
 * 104 budgets of 4 in 6 s; and these at once. */
#define BOUND (2 * ((128 + 16 + 16 + 104 * 4 / 6) * SECONDS + 600))
#define ASTRAY_STALL_US (1500 * MONO_MS)

/* ---------------------------------------------------------------- junk */

static size_t
make_junk(struct attacker *a, uint8_t *p)
{
	static const struct key32 other = { { 9 } };
	struct disco_packet packet = { .kind = DISCO_PROBE };
	struct addr mapped =
	    attacker_victim(net_random(a->net, ATTACKER_VICTIMS));
	size_t len = 1 + net_random(a->net, 1400);
	struct stun_tx tx;

	for (size_t i = 0; i < len; i++)
		p[i] = attacker_octet(a);
	switch (net_random(a->net, 6)) {
	case 0: /* of another session */
		packet.kind =
		    net_random(a->net, 2) == 0 ? DISCO_PROBE : DISCO_ACK;
		memcpy(packet.nonce.b, p, sizeof(packet.nonce.b));
		return disco_build(p, DISCO_LEN, &other, &packet);
	case 1: /* of this one, but for a bit */
		if (a->n_recorded == 0)
			return len;
		memcpy(p,
		    a->record[net_random(a->net,
				  (uint32_t)(a->n_recorded < ATTACKER_RECORDED
						 ? a->n_recorded
						 : ATTACKER_RECORDED))]
			.p,
		    DISCO_LEN);
		p[net_random(a->net, DISCO_LEN)] ^=
		    (uint8_t)(1 << net_random(a->net, 8));
		return DISCO_LEN;
	case 2: /* a server's lie */
		memcpy(tx.b, p, sizeof(tx.b));
		return stun_write_response(p, &tx, &mapped);
	case 3:
		memcpy(p, DISCO_PUNCH, DISCO_PUNCH_LEN);
		return DISCO_PUNCH_LEN;
	case 4: /* like user data */
		p[0] = STREAM_FIRST;
		return len;
	default:
		return len;
	}
}

static void
send_junk(struct attacker *a)
{
	uint8_t p[1500];
	size_t i = net_random(a->net, 2), len = make_junk(a, p);
	struct addr to = attacker_outside(a, i), from = to;

	switch (net_random(a->net, 3)) {
	case 0:
		from = attacker_outside(a, 1 - i);
		break;
	case 1:
		from = a->pair.end[i]->stun[0];
		break;
	default:
		from = attacker_victim(net_random(a->net, ATTACKER_VICTIMS));
		break;
	}
	net_inject(a->net, 0, &from, &to, p, len);
}

static void
test_junk(uint64_t seed, enum place x, enum place y)
{
	struct attacker *a = attacker_new(seed, x, y);

	attacker_begin(a, send_junk, 5000);
	place_begin(&a->pair, seed);
	end_run(a->net, RUN_US / 4);
	attacker_finish(a);
	OK(attacker_is_direct(a, 1 * MONO_SEC) &&
		attacker_goes_on(a, 500 * MONO_MS, 0),
	    "junk, %s, %s: direct in time and to stay", place_names[x],
	    place_names[y]);
	EQ_INT(a->total, 0, "  and nobody gets an answer");
	attacker_free(a);
}

/* -------------------------------------------------------------- replay */

static void
send_replay(struct attacker *a)
{
	size_t n = a->n_recorded < ATTACKER_RECORDED ? a->n_recorded
						     : ATTACKER_RECORDED;
	const struct record *r;
	struct addr from, to;

	if (n == 0)
		return;
	r = &a->record[net_random(a->net, (uint32_t)n)];
	to = attacker_outside(a, net_random(a->net, 2));
	from = attacker_victim(net_random(a->net, ATTACKER_VICTIMS));
	net_inject(a->net, 0, &from, &to, r->p, r->len);
}

/* From where the original came. */
static void
send_copy(struct attacker *a)
{
	size_t n = a->n_recorded < ATTACKER_RECORDED ? a->n_recorded
						     : ATTACKER_RECORDED;
	const struct record *r;
	struct addr from, to;

	for (size_t i = 0; n > 0 && i < 2; i++) {
		r = &a->record[net_random(a->net, (uint32_t)n)];
		to = attacker_outside(a, i);
		from = attacker_outside(a, 1 - i);
		net_inject(a->net, 0, &from, &to, r->p, r->len);
	}
}

static void
test_replay(uint64_t seed, void (*act)(struct attacker *a), const char *name)
{
	struct attacker *a = attacker_new(seed, PLACE_OPEN, PLACE_FULL);

	attacker_begin(a, act, 2000);
	place_begin(&a->pair, seed);
	end_run(a->net, RUN_US);
	attacker_finish(a);
	/* Replays of a probe to the one end and of the ack to the other may
	 * move the path to an address from where nobody forwards: the former
	 * one takes over. */
	OK(attacker_is_direct(a, 1 * MONO_SEC) &&
		attacker_goes_on(
		    a, a->astray > 0 ? ASTRAY_STALL_US : 500 * MONO_MS, 0),
	    "replays from %s: direct in time, %u messages astray", name,
	    a->astray);
	OK(a->total <= BOUND, "  third parties get %u datagrams for %u",
	    a->total, 2000 * SECONDS);
	attacker_free(a);
}

/* Probes that nobody can tell from the peer's: of a session so old that they
 * are forgotten, or made by who has the key. */
static void
send_valid(struct attacker *a)
{
	struct disco_packet packet = { .kind = DISCO_PROBE };
	struct addr from = attacker_victim(net_random(a->net, 8)), to;
	uint8_t p[DISCO_LEN];
	size_t i = net_random(a->net, 2);

	for (size_t k = 0; k < sizeof(packet.nonce.b); k++)
		packet.nonce.b[k] = attacker_octet(a);
	(void)disco_build(p, sizeof(p), &a->pair.end[0]->key, &packet);
	to = attacker_outside(a, i);
	net_inject(a->net, 0, &from, &to, p, sizeof(p));
}

static void
send_valid_widely(struct attacker *a)
{
	struct disco_packet packet = { .kind = DISCO_PROBE };
	struct addr from =
			attacker_victim(net_random(a->net, ATTACKER_VICTIMS)),
		    to;
	uint8_t p[DISCO_LEN];

	for (size_t k = 0; k < sizeof(packet.nonce.b); k++)
		packet.nonce.b[k] = attacker_octet(a);
	(void)disco_build(p, sizeof(p), &a->pair.end[0]->key, &packet);
	to = attacker_outside(a, net_random(a->net, 2));
	net_inject(a->net, 0, &from, &to, p, sizeof(p));
}

static void
test_valid(uint64_t seed, void (*act)(struct attacker *a), const char *name)
{
	struct attacker *a = attacker_new(seed, PLACE_OPEN, PLACE_FULL);
	place_begin(&a->pair, seed);
	end_run(a->net, 1 * MONO_SEC);
	attacker_begin(a, act, 2000);
	end_run(a->net, RUN_US);
	attacker_finish(a);
	OK(attacker_is_direct(a, 1 * MONO_SEC) &&
		attacker_goes_on(a, 500 * MONO_MS, 0),
	    "valid probes from %s: direct, and stays so", name);
	OK(a->total <= BOUND, "  third parties get %u datagrams for %u",
	    a->total, 2000 * SECONDS);
	attacker_free(a);
}

/* ---------------------------------------------------- man on the side */

/* It repeats all it sees sooner than the original arrives, from an address of
 * its own: port 1 stands for the second end, port 2 for the first. */
static void
on_seen(void *arg, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct attacker *a = arg;
	struct addr middle = a->middle->ip, target;

	if (a->stopped || addr_equal(&middle, from) || to->ip[0] == 192)
		return;
	for (size_t i = 0; i < 2; i++) {
		target = attacker_outside(a, 1 - i);
		if (memcmp(to->ip, target.ip, sizeof(target.ip)) != 0)
			continue;
		a->real[i] = attacker_outside(a, i);
		middle.port = (uint16_t)(2 - i);
		net_inject(a->net, 0, &middle, &target, p, len);
	}
}

static void
on_middle(void *arg, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct attacker *a = arg;
	struct addr middle = a->middle->ip;

	(void)from;
	if (a->stopped || to->port < 1 || to->port > 2 ||
	    a->real[2 - to->port].family == 0)
		return;
	middle.port = (uint16_t)(3 - to->port);
	net_inject(a->net, 0, &middle, &a->real[2 - to->port], p, len);
}

static bool
is_on_middle(const struct attacker *a)
{
	for (size_t i = 0; i < 2; i++) {
		const struct end *e = a->pair.end[i];
		const struct addr *to = e->ops->selected(e);

		if (to != NULL &&
		    memcmp(to->ip, a->middle->ip.ip, sizeof(to->ip)) == 0)
			return true;
	}
	return false;
}

static unsigned
test_middle(uint64_t seed)
{
	struct attacker *a = attacker_new(seed, PLACE_OPEN, PLACE_OPEN);
	bool taken;

	a->middle = net_add_host(a->net, "192.88.100.1", 0);
	a->middle->arg = a;
	a->middle->on_input = on_middle;
	a->middle->link.delay_us = 0;
	net_watch(a->net, on_seen, a);
	place_begin(&a->pair, seed);
	end_run(a->net, RUN_US);
	taken = is_on_middle(a);
	a->stopped = true; /* and leaves with what it has */
	end_run(a->net, RUN_US);
	attacker_finish(a);
	OK(attacker_goes_on(a, 3 * MONO_SEC, 1) && a->pair.end[0]->is_direct &&
		a->pair.end[1]->is_direct && !is_on_middle(a),
	    "a man on the side leaves%s: direct without it",
	    taken ? ", selected" : "");
	attacker_free(a);
	return taken;
}

/* -------------------------------------------------------- hostile peer */

/* A list of strangers, another one every time, and a call. */
static void
tell_strangers(struct attacker *a)
{
	struct candidate_list list = { .n = CANDIDATE_MAX_LIST };
	unsigned first = net_random(a->net, ATTACKER_VICTIMS);

	for (unsigned i = 0; i < CANDIDATE_MAX_LIST; i++)
		list.a[i] = attacker_victim(first + i);
	end_tell(a->pair.end[1], DIRECT_OUT_CANDIDATES, &list);
	end_tell(a->pair.end[1], DIRECT_OUT_CALL_ME_MAYBE, NULL);
}

/* The same strangers, here and gone. */
static void
tell_flipping(struct attacker *a)
{
	struct candidate_list list = { 0 };

	if (net_random(a->net, 2) == 0)
		for (unsigned i = 0; i < CANDIDATE_MAX_LIST; i++)
			list.a[list.n++] = attacker_victim(i);
	end_tell(a->pair.end[1], DIRECT_OUT_CANDIDATES, &list);
	end_tell(a->pair.end[1], DIRECT_OUT_CALL_ME_MAYBE, NULL);
}

static void
test_strangers(uint64_t seed, void (*act)(struct attacker *a), const char *name)
{
	struct attacker *a = attacker_new(seed, PLACE_OPEN, PLACE_BLOCKED);
	unsigned limit,
	    seconds = (unsigned)((3 * RUN_US + ATTACKER_DRAIN_US) / MONO_SEC);

	/* Every entry of the table, each with its budget. */
	limit = 104 * DIRECT_MAX_TRIES *
		(unsigned)(seconds * MONO_SEC / ATTACKER_BUDGET_US + 1);
	place_begin(&a->pair, seed);
	attacker_begin(a, act, 100);
	end_run(a->net, 3 * RUN_US);
	attacker_finish(a);
	OK(a->total > 0 && a->above == 0, "strangers, %s: %u beyond the budget",
	    name, a->above);
	OK(a->total <= limit, "  %u datagrams to them in %u s", a->total,
	    seconds);
	OK(attacker_goes_on(a, 500 * MONO_MS, 0), "  and the session goes on");
	attacker_free(a);
}

/* The peer gives us our own address, behind a NAT that would deliver. */
static void
tell_our_own(struct attacker *a)
{
	struct candidate_list list = { .n = 1 };

	list.a[0] = attacker_outside(a, 0);
	end_tell(a->pair.end[1], DIRECT_OUT_CANDIDATES, &list);
}

static void
test_echo(uint64_t seed)
{
	struct attacker *a = attacker_new(seed, PLACE_FULL, PLACE_BLOCKED);

	a->pair.end[0]->nat[0]->hairpin = true;
	place_begin(&a->pair, seed);
	attacker_begin(a, tell_our_own, 100);
	end_run(a->net, RUN_US);
	attacker_finish(a);
	OK(mono_is_never(a->pair.end[0]->first_at) &&
		attacker_goes_on(a, 500 * MONO_MS, 0),
	    "our own address is never the peer's");
	attacker_free(a);
}

int
main(int argc, char **argv)
{
	unsigned long seeds = argc > 1 ? strtoul(argv[1], NULL, 10) : SEEDS;
	unsigned taken = 0;

	if (secret_init() < 0)
		return 1;
	if (seeds == 0 || seeds > MAX_SEEDS)
		return 2;
	for (uint64_t seed = 1; seed <= seeds; seed++) {
		printf("# seed %llu\n", (unsigned long long)seed);
		test_junk(seed, PLACE_OPEN, PLACE_FULL);
		test_junk(seed, PLACE_PORT, PLACE_ADDR);
		test_replay(seed, send_replay, "everywhere");
		test_replay(seed, send_copy, "the peer's address");
		test_valid(seed, send_valid, "eight sources");
		test_valid(seed, send_valid_widely, "everywhere");
		taken += test_middle(seed);
		test_strangers(seed, tell_strangers, "ever others");
		test_strangers(seed, tell_flipping, "here and gone");
		test_echo(seed);
	}
	OK(taken > 0, "some man on the side was selected: %u", taken);
	return tap_done();
}
