/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/attacker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_US (10 * MONO_MS) /* its turns */

struct addr
attacker_victim(unsigned i)
{
	struct addr a = { .family = AF_INET, .port = 4000 };

	a.ip[0] = 192;
	a.ip[1] = 88;
	a.ip[2] = 99;
	a.ip[3] = (uint8_t)(1 + i % ATTACKER_VICTIMS);
	return a;
}

static struct victim *
find_victim(struct attacker *a, const struct addr *to)
{
	if (to->ip[0] != 192 || to->ip[1] != 88 || to->ip[3] == 0 ||
	    to->ip[3] > ATTACKER_VICTIMS)
		return NULL;
	return &a->victim[to->ip[3] - 1];
}

static void
count(struct attacker *a, const struct addr *to, const uint8_t *p, size_t len)
{
	struct victim *v = find_victim(a, to);
	struct mono *oldest;

	if (v == NULL)
		return;
	a->total++;
	if (p[0] == STREAM_FIRST)
		a->astray++;
	if (len != DISCO_LEN || p[16] != DISCO_PROBE) {
		v->others++;
		return;
	}
	oldest = &v->at[v->probes % DIRECT_MAX_TRIES];
	if (v->probes >= DIRECT_MAX_TRIES &&
	    mono_diff(net_now(a->net), *oldest) < ATTACKER_BUDGET_US)
		a->above++;
	*oldest = net_now(a->net);
	v->probes++;
}

static void
record(struct attacker *a, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct record *r = &a->record[a->n_recorded % ATTACKER_RECORDED];

	if (len > sizeof(r->p) || !disco_is_ours(p, len))
		return;
	*r = (struct record){ .from = *from, .to = *to, .len = len };
	memcpy(r->p, p, len);
	a->n_recorded++;
}

static void
on_sent(void *arg, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct attacker *a = arg;

	count(a, to, p, len);
	record(a, from, to, p, len);
}

static void
on_turn(void *arg, const uint8_t *p, size_t len)
{
	struct attacker *a = arg;

	(void)p;
	(void)len;
	if (a->stopped)
		return;
	for (unsigned i = 0; i < a->per_turn; i++)
		a->act(a);
	net_after(a->net, EVERY_US, on_turn, a, NULL, 0);
}

/* Where end @i can be reached. */
struct addr
attacker_outside(const struct attacker *a, size_t i)
{
	struct candidate_list list;

	a->pair.end[i]->ops->own(a->pair.end[i], &list);
	/* Its mapped address is the first that is public. */
	for (size_t k = 0; k < list.n; k++)
		if (!addr_is_private(&list.a[k]))
			return list.a[k];
	return list.a[0];
}

uint8_t
attacker_octet(struct attacker *a)
{
	return (uint8_t)net_random(a->net, 256);
}

struct attacker *
attacker_new(uint64_t seed, enum place x, enum place y)
{
	struct attacker *a = calloc(1, sizeof(*a));

	if (a == NULL)
		abort();
	a->pair = place_pair(seed, x, y, &end_ours, &end_ours);
	a->net = a->pair.net;
	net_watch(a->net, on_sent, a);
	return a;
}

void
attacker_begin(
    struct attacker *a, void (*act)(struct attacker *a), unsigned per_second)
{
	a->act = act;
	a->per_turn = per_second / (unsigned)(MONO_SEC / EVERY_US);
	on_turn(a, NULL, 0);
}

/* Let the stream end, with the attack still on. */
void
attacker_finish(struct attacker *a)
{
	for (size_t i = 0; i < 2; i++)
		a->pair.end[i]->stream.say_us = 0;
	end_run(a->net, ATTACKER_DRAIN_US);
	a->stopped = true;
}

bool
attacker_goes_on(const struct attacker *a, int64_t stall_us, unsigned downs)
{
	for (size_t i = 0; i < 2; i++) {
		const struct end *e = a->pair.end[i];

		if (!stream_is_whole(e) || e->stream.worst_us > stall_us ||
		    e->downs > downs) {
			printf("# end %zu: %s, stall %lld ms, %u times "
			       "relay\n",
			    i, stream_is_whole(e) ? "whole" : "not whole",
			    (long long)(e->stream.worst_us / MONO_MS),
			    e->downs);
			return false;
		}
	}
	return true;
}

bool
attacker_is_direct(const struct attacker *a, int64_t within_us)
{
	for (size_t i = 0; i < 2; i++) {
		const struct end *e = a->pair.end[i];
		struct victim *v;

		if (!e->is_direct ||
		    mono_diff(e->first_at, a->pair.start) > within_us)
			return false;
		v = find_victim(
		    (struct attacker *)(uintptr_t)a, e->ops->selected(e));
		if (v != NULL)
			return false;
	}
	return true;
}

void
attacker_free(struct attacker *a)
{
	place_end(&a->pair);
	free(a);
}
