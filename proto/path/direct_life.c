/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The selected path: is it alive, is there a better one?
 *
 * Two kinds of evidence: "heard" is data of the peer, "proof" is an ack, which
 * has been both ways.  Data is enough while it flows; yet proof is asked for
 * now and then, as a path may have died in our direction only.
 *
 *	fresh -> proving  the caller sent and heard nothing for SILENT_US, or
 *	                  sent and had no proof for PROOF_US, or nothing went
 *	                  out for KEEP_US (NATs stay open, too), or there is a
 *	                  hint that it died
 *	proving -> fresh  an ack; it is a return when it is late, or when
 *	                  nothing was heard for SILENT_US
 *	proving -> relay  MIN_UNANSWERED probes and DIRECT_DEAD_US, which data
 *	                  no longer puts off; after a hint SUSPECT_US
 *
 * While proving for more than DIRECT_QUIET_US, any address that answers takes
 * over at once.  A probe of the peer does not count as life: it has been one
 * way only, and a peer that hears nothing from us sends them as well.
 */
#include <errno.h>

#include "proto/path/direct_internal.h"

#define SILENT_US (1 * MONO_SEC)
#define PROOF_US (5 * MONO_SEC)
/* Below the 30 s after which NATs forget. */
#define KEEP_US (15 * MONO_SEC)
#define PROVE_EVERY_US (250 * MONO_MS)
#define MIN_UNANSWERED 3
#define SUSPECT_US (400 * MONO_MS)
#define SUSPECT_EVERY_US (100 * MONO_MS)
#define SUSPECT_QUIET_US (50 * MONO_MS)
/* An address that died twice within this time has to prove itself twice. */
#define FLAP_US (30 * MONO_SEC)
#define BETTER_FIRST_US (2 * MONO_SEC)
#define BETTER_US (10 * MONO_SEC)
#define BETTER_MAX_US (60 * MONO_SEC)

static int64_t
max_us(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t
every_us(const struct direct *d)
{
	return max_us(d->life.suspect ? SUSPECT_EVERY_US : PROVE_EVERY_US,
	    d->selected->smooth_us * 3 / 2);
}

void
direct_life_select(struct direct *d, struct direct_entry *e, struct mono now,
    const char *reason)
{
	d->selected = e;
	d->reason = reason;
	d->generation++;
	d->life = (struct direct_life){
		.sent = now,
		.used = now,
		.silent = MONO_NEVER,
		.proof = now,
		.prove = MONO_NEVER,
		.probed = now,
		.better = mono_add(now, BETTER_FIRST_US),
		.better_us = BETTER_US,
	};
	e->probation = false;
	d->round = MONO_NEVER;
	d->call_due = MONO_NEVER;
	/* What was not tried yet may still turn out to be better. */
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *o = &d->entry[i];

		if (o->probes > 0 || !direct_list_can_win(d, o)) {
			o->left = 0;
			o->next = MONO_NEVER;
		} else if (o->left > 1) {
			o->left = 1;
		}
	}
	direct_size_start(d, now);
	direct_wake(d, now);
}

void
direct_life_fall_back(struct direct *d, struct mono now, const char *reason)
{
	struct direct_entry *e = d->selected;

	e->probation =
	    !mono_is_never(e->died) && mono_diff(now, e->died) < FLAP_US;
	e->died = now;
	e->streak = 0;
	d->selected = NULL;
	d->reason = reason;
	d->generation++;
	d->relay_since = now;
	d->calm_since = now;
	direct_size_stop(d);
	direct_probe_arm_all(d, now);
	/* It was probed just now. */
	direct_probe_arm(d, e, 1, mono_add(now, DIRECT_RETRY_US));
	direct_announce(d, now);
}

bool
direct_life_is_quiet(const struct direct *d, struct mono now)
{
	const struct direct_life *l = &d->life;
	int64_t prove_us;

	if (d->selected == NULL)
		return false;
	prove_us = max_us(l->suspect ? SUSPECT_QUIET_US : DIRECT_QUIET_US,
	    2 * d->selected->smooth_us);
	return mono_diff(now, l->silent) > DIRECT_QUIET_US ||
	       mono_diff(now, l->prove) > prove_us;
}

void
direct_life_suspect(struct direct *d, struct mono now)
{
	if (d->selected == NULL)
		return;
	d->life.suspect = true;
	if (mono_diff(now, d->life.probed) >= PROVE_EVERY_US ||
	    mono_is_never(d->life.prove))
		d->life.ask = true;
	direct_wake(d, now);
}

void
direct_life_acked(struct direct *d, struct mono now)
{
	struct direct_life *l = &d->life;

	/* An answer in time that breaks no silence is no news. */
	if (mono_diff(now, l->prove) >= every_us(d) ||
	    mono_diff(now, l->silent) >= SILENT_US)
		d->returns++;
	l->proof = now;
	l->silent = MONO_NEVER;
	l->prove = MONO_NEVER;
	l->unanswered = 0;
	l->suspect = false;
	l->ask = false;
}

/* When the next probe of the selected path is due. */
static struct mono
prove_at(const struct direct *d)
{
	const struct direct_life *l = &d->life;
	struct mono at = mono_add(l->sent, KEEP_US);

	if (l->ask)
		return l->probed; /* not later than now */
	if (!mono_is_never(l->prove))
		return mono_add(l->probed, every_us(d));
	at = mono_min(at, mono_add(l->silent, SILENT_US));
	if (mono_before(l->proof, l->used))
		at = mono_min(at, mono_add(l->proof, PROOF_US));
	return at;
}

/* When it counts as dead unless something is heard; NEVER while there were too
 * few probes, or the last one is too young. */
static struct mono
dead_at(const struct direct *d)
{
	const struct direct_life *l = &d->life;
	int64_t rtt_us = d->selected->smooth_us;
	struct mono at, last;

	if (l->unanswered < MIN_UNANSWERED)
		return MONO_NEVER;
	if (l->suspect)
		at = mono_add(l->prove, max_us(SUSPECT_US, 3 * rtt_us));
	else
		at = mono_min(mono_add(l->silent, DIRECT_DEAD_US),
		    mono_add(l->prove, DIRECT_DEAD_US));
	if (l->unanswered > MIN_UNANSWERED)
		return at;
	/* The last of them shall have had its time, too. */
	last = mono_add(l->probed, every_us(d) - MONO_MS);
	return mono_before(at, last) ? last : at;
}

static void
look_for_better(struct direct *d, struct mono now, bool all)
{
	struct direct_life *l = &d->life;

	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (direct_list_is_live(e) && e != d->selected &&
		    (all || direct_list_can_win(d, e)))
			direct_probe_arm(d, e, 1, now);
	}
	l->better = mono_add(now, l->better_us);
	l->better_us =
	    l->better_us * 2 < BETTER_MAX_US ? l->better_us * 2 : BETTER_MAX_US;
}

void
direct_life_advance(struct direct *d, struct mono now)
{
	if (d->selected == NULL)
		return;
	if (!mono_before(now, dead_at(d)))
		direct_life_fall_back(d, now, "the direct path fell silent");
	else if (!mono_before(now, d->life.better))
		look_for_better(d, now, false);
}

bool
direct_life_output(
    struct direct *d, struct mono now, struct direct_out *ret_out)
{
	struct direct_life *l = &d->life;
	struct direct_entry *e = d->selected;

	if (e == NULL || mono_before(now, prove_at(d)))
		return false;
	if (mono_is_never(l->prove)) {
		l->prove = now;
		l->unanswered = 0;
	}
	/* One lost packet is no news; from the second on others are asked. */
	if (++l->unanswered == 2)
		look_for_better(d, now, true);
	l->probed = now;
	l->sent = now;
	l->ask = false;
	e->sent[e->probes++ % DIRECT_MAX_TRIES] = now;
	*ret_out = (struct direct_out){
		.kind = DIRECT_OUT_PACKET,
		.to = e->addr,
		.pkt = d->pkt,
		.len = direct_probe_write(d, &e->addr, 0, now),
	};
	return true;
}

struct mono
direct_life_deadline(const struct direct *d)
{
	if (d->selected == NULL)
		return MONO_NEVER;
	return mono_min(mono_min(dead_at(d), d->life.better), prove_at(d));
}

void
direct_heard(struct direct *d, const struct addr *from, struct mono now)
{
	struct addr source = addr_unmap(from);
	struct direct_entry *e = direct_list_find(d, &source);

	if (e != NULL && e == d->selected) {
		/* While probes are out it proves the peer's direction only. */
		if (mono_is_never(d->life.prove))
			d->life.silent = MONO_NEVER;
		e->seen = now;
		return;
	}
	/* The peer may not probe, or its probes are lost: ask it, but not for
	 * every datagram. */
	if (e == NULL || !direct_list_is_live(e))
		e = direct_list_learn(d, &source, now);
	if (e == NULL)
		return;
	e->seen = now;
	if (e->probes == 0 ||
	    mono_diff(now, e->sent[(e->probes - 1) % DIRECT_MAX_TRIES]) >=
		DIRECT_PROBE_US)
		direct_probe_trigger(d, e, now);
}

void
direct_sent(struct direct *d, struct mono now)
{
	struct direct_life *l = &d->life;

	if (d->selected == NULL)
		return;
	l->sent = now;
	l->used = now;
	if (mono_is_never(l->silent)) {
		l->silent = now;
		direct_wake(d, mono_add(now, SILENT_US));
	}
	direct_wake(d, mono_add(l->proof, PROOF_US));
}

void
direct_send_failed(
    struct direct *d, const struct addr *to, int error, struct mono now)
{
	struct addr dest = addr_unmap(to);
	struct direct_entry *e = direct_list_find(d, &dest);

	if (e == NULL)
		return;
	if (e == d->selected)
		direct_life_fall_back(d, now, "the socket refused to send");
	e->error = error;
	e->refused = true;
	e->left = 0;
	e->next = d->selected == NULL && direct_list_is_live(e)
		      ? mono_add(now, DIRECT_SUPPRESS_US)
		      : MONO_NEVER;
	direct_wake(d, e->next);
}

void
direct_too_long(struct direct *d, size_t len, struct mono now)
{
	if (d->selected == NULL)
		return;
	if (len <= DIRECT_MIN_PAYLOAD) {
		struct addr to = d->selected->addr;

		direct_send_failed(d, &to, -EMSGSIZE, now);
		return;
	}
	direct_size_refused(d, len, now);
}
