/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The table of the peer's addresses.
 *
 * An entry is live while the peer lists it or it is a source the peer was heard
 * from; the selected one is always one of these.  When it ceases to be, it
 * stays as a memory of what was sent to it and gives its room away only when
 * that no longer counts.  So however the lists flip, every address keeps its
 * budget, and what finds no room is not probed until there is some.
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "proto/path/direct_internal.h"

/* A reflexive address that was silent this long is forgotten. */
#define FORGET_US (60 * MONO_SEC)
#define ADMIT_US (1 * MONO_SEC)
/* More than any honest peer's probes: four addresses of ours, two families,
 * size probes. */
#define ANSWERS_PER_SEC 32

/* What an address is better by than its round trip tells: the first three as
 * peer v0.18.2 has them; IPv6 has no NAT that could forget us. */
#define BIAS_LOOPBACK_US (50 * MONO_MS)
#define BIAS_LINK_US (30 * MONO_MS)
#define BIAS_PRIVATE_US (20 * MONO_MS)
#define BIAS_V6_US (6 * MONO_MS)

enum { RANK_SUBNET, RANK_PRIVATE, RANK_V6, RANK_V4, RANK_LINK };

int64_t
direct_list_bias(const struct addr *addr)
{
	if (addr_is_loopback(addr))
		return BIAS_LOOPBACK_US;
	if (addr_is_link_local(addr))
		return BIAS_LINK_US;
	if (addr_is_private(addr))
		return BIAS_PRIVATE_US;
	return addr->family == AF_INET6 ? BIAS_V6_US : 0;
}

/* Prefix lengths are not known here: the usual ones. */
static bool
shares_subnet(const struct candidate_list *own, const struct addr *addr)
{
	size_t n = addr->family == AF_INET ? 3 : 8;

	for (size_t i = 0; i < own->n; i++)
		if (own->a[i].family == addr->family &&
		    memcmp(own->a[i].ip, addr->ip, n) == 0)
			return true;
	return false;
}

static uint8_t
rank_of(const struct direct *d, const struct addr *addr)
{
	if (addr_is_link_local(addr))
		return RANK_LINK;
	if (addr_is_loopback(addr) || shares_subnet(&d->own, addr))
		return RANK_SUBNET;
	if (addr_is_private(addr))
		return RANK_PRIVATE;
	return addr->family == AF_INET6 ? RANK_V6 : RANK_V4;
}

bool
direct_list_is_live(const struct direct_entry *e)
{
	return e->used && (e->listed || e->reflexive);
}

bool
direct_list_can_send(const struct direct *d, const struct addr *addr)
{
	return addr->family == AF_INET ? d->params.has_v4 : d->params.has_v6;
}

/* Worth an entry?  Without a scope, IPv6 link-local addresses lead nowhere. */
static bool
is_usable(const struct direct *d, const struct addr *addr)
{
	return candidate_may_send(addr) && !candidate_contains(&d->own, addr) &&
	       (d->params.allow_loopback || !addr_is_loopback(addr)) &&
	       !(addr->family == AF_INET6 && addr_is_link_local(addr));
}

struct direct_entry *
direct_list_find(struct direct *d, const struct addr *addr)
{
	/* Nearly every question is about this one. */
	if (d->selected != NULL && addr_equal(&d->selected->addr, addr))
		return d->selected;
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++)
		if (d->entry[i].used && addr_equal(&d->entry[i].addr, addr))
			return &d->entry[i];
	return NULL;
}

/* May its memory go?  Once nothing that was sent counts any more. */
static bool
is_spent(const struct direct_entry *e, struct mono now)
{
	uint32_t last = (e->probes + DIRECT_MAX_TRIES - 1) % DIRECT_MAX_TRIES;

	return e->probes == 0 ||
	       mono_diff(now, e->sent[last]) >= DIRECT_BUDGET_US;
}

static struct direct_entry *
get_entry(struct direct *d, const struct addr *addr, struct mono now)
{
	struct direct_entry *e = direct_list_find(d, addr);

	for (size_t i = 0; e == NULL && i < DIRECT_MAX_ENTRIES; i++)
		if (!d->entry[i].used)
			e = &d->entry[i];
	for (size_t i = 0; e == NULL && i < DIRECT_MAX_ENTRIES; i++)
		if (!direct_list_is_live(&d->entry[i]) &&
		    is_spent(&d->entry[i], now))
			e = &d->entry[i];
	if (e == NULL || (e->used && addr_equal(&e->addr, addr)))
		return e;
	*e = (struct direct_entry){
		.addr = *addr,
		.used = true,
		.rank = rank_of(d, addr),
		.error = direct_list_can_send(d, addr) ? 0 : -EAFNOSUPPORT,
		.next = MONO_NEVER,
		.died = MONO_NEVER,
		.retry_us = DIRECT_RETRY_US,
		.seen = now,
	};
	e->refused = e->error != 0;
	ratelimit_init(&e->answers, ANSWERS_PER_SEC, ANSWERS_PER_SEC, now);
	return e;
}

static void
retire(struct direct_entry *e)
{
	e->listed = false;
	e->reflexive = false;
	e->left = 0;
	e->next = MONO_NEVER;
}

/* Make room for one more source: at the cost of the one that was silent
 * longest, those that never answered first. */
static bool
evict_reflexive(struct direct *d)
{
	struct direct_entry *worst = NULL;
	size_t n = 0;

	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (!e->used || !e->reflexive || e->listed)
			continue;
		n++;
		if (e == d->selected)
			continue;
		if (worst == NULL || (e->acks == 0) > (worst->acks == 0) ||
		    ((e->acks == 0) == (worst->acks == 0) &&
			mono_before(e->seen, worst->seen)))
			worst = e;
	}
	if (n < DIRECT_MAX_REFLEXIVE)
		return true;
	if (worst == NULL)
		return false;
	retire(worst);
	return true;
}

struct direct_entry *
direct_list_learn(struct direct *d, const struct addr *from, struct mono now)
{
	struct direct_entry *e;

	if (!is_usable(d, from) || !direct_list_can_send(d, from) ||
	    !evict_reflexive(d))
		return NULL;
	e = get_entry(d, from, now);
	if (e == NULL)
		return NULL;
	e->reflexive = true;
	e->seen = now;
	return e;
}

void
direct_list_admit(struct direct *d, struct mono now)
{
	d->unadmitted = false;
	d->admit = MONO_NEVER;
	for (size_t i = 0; i < d->peer.n; i++) {
		struct direct_entry *e;
		bool is_new;

		if (!is_usable(d, &d->peer.a[i]))
			continue;
		e = get_entry(d, &d->peer.a[i], now);
		if (e == NULL) {
			d->unadmitted = true;
			d->admit = mono_add(now, ADMIT_US);
			continue;
		}
		is_new = !direct_list_is_live(e);
		e->listed = true;
		if (is_new &&
		    (d->selected == NULL || direct_list_can_win(d, e)))
			direct_probe_arm(d, e, DIRECT_MAX_TRIES, now);
	}
	direct_wake(d, d->admit);
}

void
direct_list_drop_old(struct direct *d, struct mono now)
{
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (e->used && e->reflexive && !e->listed && e != d->selected &&
		    mono_diff(now, e->seen) >= FORGET_US)
			retire(e);
	}
}

bool
direct_list_can_win(const struct direct *d, const struct direct_entry *e)
{
	const struct direct_entry *sel = d->selected;

	return sel == NULL ||
	       DIRECT_HYSTERESIS_US - direct_list_bias(&e->addr) <=
		   sel->smooth_us - direct_list_bias(&sel->addr);
}

static bool
is_same(const struct candidate_list *a, const struct candidate_list *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addr_equal(&a->a[i], &b->a[i]))
			return false;
	return true;
}

void
direct_set_peer(
    struct direct *d, const struct candidate_list *peer, struct mono now)
{
	if (is_same(peer, &d->peer)) {
		direct_list_admit(d, now);
		return;
	}
	d->peer = *peer;
	d->calm_since = now;
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (!e->used || !e->listed ||
		    candidate_contains(peer, &e->addr))
			continue;
		e->listed = false;
		/* It works, whatever the peer believes. */
		if (e == d->selected)
			e->reflexive = true;
		else if (!e->reflexive)
			retire(e);
	}
	direct_list_admit(d, now);
}

void
direct_set_own(
    struct direct *d, const struct candidate_list *own, struct mono now)
{
	if (d->has_own && is_same(own, &d->own))
		return;
	d->has_own = true;
	d->own = *own;
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (!e->used)
			continue;
		e->rank = rank_of(d, &e->addr);
		if (!candidate_contains(own, &e->addr))
			continue;
		if (e == d->selected)
			direct_life_fall_back(d, now, "the address is ours");
		retire(e);
	}
	direct_list_admit(d, now);
	d->calm_since = now;
	direct_announce(d, now);
}

const struct candidate_list *
direct_peek_own(const struct direct *d)
{
	return &d->own;
}

bool
direct_is_known(const struct direct *d, const struct addr *from)
{
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++)
		if (direct_list_is_live(&d->entry[i]) &&
		    addr_equal(&d->entry[i].addr, from))
			return true;
	return false;
}

bool
direct_accepts(const struct direct *d, const struct addr *from)
{
	/* QUIC authenticates: strangers are only kept off a path that works. */
	if (d->selected == NULL || addr_equal(&d->selected->addr, from) ||
	    d->life.suspect || d->life.unanswered > 1)
		return true;
	return direct_is_known(d, from);
}

static enum direct_try
try_of(const struct direct *d, const struct direct_entry *e)
{
	struct mono last;

	if (e == d->selected)
		return DIRECT_TRY_SELECTED;
	if (e->refused)
		return DIRECT_TRY_REFUSED;
	if (e->acks > 0 && e->bursts == 0)
		return DIRECT_TRY_ANSWERED;
	if (e->probes == 0)
		return DIRECT_TRY_NEW;
	last = e->sent[(e->probes - 1) % DIRECT_MAX_TRIES];
	return mono_diff(d->clock, last) < DIRECT_PROBE_US ? DIRECT_TRY_PENDING
							   : DIRECT_TRY_SILENT;
}

bool
direct_info(const struct direct *d, size_t i, struct direct_info *ret_info)
{
	for (size_t k = 0; k < DIRECT_MAX_ENTRIES; k++) {
		const struct direct_entry *e = &d->entry[k];

		if (!direct_list_is_live(e) || i-- > 0)
			continue;
		*ret_info = (struct direct_info){
			.addr = e->addr,
			.state = try_of(d, e),
			.reflexive = !e->listed,
			.probes = e->probes,
			.acks = e->acks,
			.rtt_us = e->rtt_us,
			.error = e->error,
		};
		return true;
	}
	return false;
}
