/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How large may datagrams on the selected path be?  Between our own ends only:
 * the peer of v0.18.2 does not know size probes.
 *
 * A ladder of sizes; the search starts at the size of Ethernet, goes up while
 * it is answered and down while it is not.  A size failed when TRIES probes
 * were lost although a small one sent in the same time came back, so that loss
 * of the path is not taken for a small one.  The size in use is checked while
 * the path is used, and soon when what was sent stays unanswered: routes
 * change, and QUIC would not notice before its probe timers have grown very
 * long.
 */
#include "proto/path/direct_internal.h"

#define TRIES 3
#define TRIES_BASE 6 /* without it the path is useless: be sure */
#define TRY_US (200 * MONO_MS)
#define CHECK_US (5 * MONO_SEC)
#define DOUBT_US (1 * MONO_SEC) /* while the path has to prove itself */
/* Until larger sizes are tried again; doubles, as loss may have deceived us. */
#define LOOK_US (30 * MONO_SEC)
#define LOOK_MAX_US (600 * MONO_SEC)

/* QUIC's least; IPv6's least MTU; tunnels; Ethernet with IPv6; jumbo frames;
 * one machine.  All but the first and last with room for both headers. */
static const uint16_t ladder[] = { DIRECT_MIN_PAYLOAD, 1232, 1372, 1452, 8932,
	DIRECT_MAX_PACKET };
#define RUNGS ((int)(sizeof(ladder) / sizeof(ladder[0])))
#define ETHERNET 3

static void
set_payload(struct direct *d, size_t payload)
{
	if (d->payload == payload)
		return;
	d->payload = payload;
	d->generation++;
}

static int64_t
longer_us(int64_t us)
{
	if (us == 0)
		return LOOK_US;
	return us * 2 < LOOK_MAX_US ? us * 2 : LOOK_MAX_US;
}

/* The next rung to try, or -1: the answer is known. */
static int
next_rung(const struct direct_size *s)
{
	if (s->bad - s->good <= 1)
		return -1;
	if (s->good >= ETHERNET)
		return s->good + 1;
	if (s->bad > ETHERNET)
		return ETHERNET;
	return s->bad - 1;
}

static void
try_next(struct direct *d, struct mono now)
{
	struct direct_size *s = &d->size;

	s->trying = next_rung(s);
	s->checking = false;
	s->tries = 0;
	s->next = now;
	if (s->trying < 0) {
		s->checked = now;
		s->look = mono_add(now, s->look_us);
		s->look_us = longer_us(s->look_us);
	}
	direct_wake(d, now);
}

void
direct_size_stop(struct direct *d)
{
	d->payload = DIRECT_MIN_PAYLOAD;
	d->size = (struct direct_size){
		.good = -1, .bad = RUNGS, .trying = -1, .look_us = LOOK_US
	};
}

void
direct_size_start(struct direct *d, struct mono now)
{
	direct_size_stop(d);
	if (d->native && d->selected != NULL)
		try_next(d, now);
}

void
direct_set_native(struct direct *d)
{
	if (d->native)
		return;
	d->native = true;
	direct_size_start(d, d->clock);
}

void
direct_size_acked(struct direct *d, size_t size, struct mono now)
{
	struct direct_size *s = &d->size;
	int rung = 0;

	while (rung < RUNGS && ladder[rung] != size)
		rung++;
	if (rung == RUNGS)
		return;
	s->checked = now;
	d->selected->narrow_us = 0;
	if (rung > s->good)
		s->good = rung;
	if (s->bad <= rung)
		s->bad = rung + 1; /* slow, not lost */
	if (size > d->payload)
		set_payload(d, size);
	if (s->trying < 0 || s->trying > rung)
		return;
	if (s->checking) {
		s->checking = false;
		s->trying = -1;
	} else {
		try_next(d, now);
	}
}

/* @rung does not pass. */
static void
failed(struct direct *d, int rung, struct mono now)
{
	struct direct_size *s = &d->size;

	s->bad = rung;
	if (s->good >= rung) {
		/* What was proven once fails: begin below. */
		s->good = -1;
		set_payload(d, DIRECT_MIN_PAYLOAD);
	}
	if (rung == 0) {
		struct direct_entry *e = d->selected;

		direct_life_fall_back(
		    d, now, "the direct path carries small packets only");
		e->narrow_us = longer_us(e->narrow_us);
		e->narrow = mono_add(now, e->narrow_us);
		e->next = e->narrow;
		return;
	}
	try_next(d, now);
}

void
direct_size_refused(struct direct *d, size_t size, struct mono now)
{
	int rung = 0;

	while (rung < RUNGS - 1 && ladder[rung] < size)
		rung++;
	if (rung >= d->size.bad)
		return;
	if (!d->native) {
		set_payload(d, DIRECT_MIN_PAYLOAD);
		return;
	}
	failed(d, rung > 0 ? rung : 1, now);
}

/* Out of tries: the size, or the path? */
static void
judge(struct direct *d, struct mono now)
{
	struct direct_size *s = &d->size;

	if (mono_before(s->begun, d->life.proof)) {
		failed(d, s->trying, now);
		return;
	}
	s->tries = 0;
	d->life.ask = true;
	s->next = mono_add(now, TRY_US);
}

static int64_t
try_us(const struct direct *d)
{
	int64_t rtt_us = d->selected->smooth_us;

	return rtt_us * 3 / 2 > TRY_US ? rtt_us * 3 / 2 : TRY_US;
}

/* Begin to look at the size in use, or for larger ones, when it is time; an
 * idle path is left in peace. */
static void
begin(struct direct *d, struct mono now)
{
	struct direct_size *s = &d->size;
	int64_t rest_us = mono_is_never(d->life.prove) ? CHECK_US : DOUBT_US;

	if (!mono_before(s->checked, d->life.used))
		return;
	if (!mono_before(now, s->look) && s->bad < RUNGS) {
		s->bad = RUNGS;
		try_next(d, now);
	} else if (s->good > 0 && mono_diff(now, s->checked) >= rest_us) {
		s->trying = s->good;
		s->checking = true;
		s->tries = 0;
		s->next = now;
	}
}

bool
direct_size_output(
    struct direct *d, struct mono now, struct direct_out *ret_out)
{
	struct direct_size *s = &d->size;
	unsigned limit;

	if (d->selected == NULL || !d->native)
		return false;
	if (s->trying < 0)
		begin(d, now);
	if (s->trying < 0 || mono_before(now, s->next))
		return false;
	limit = s->trying == 0 ? TRIES_BASE : TRIES;
	if (s->tries == limit)
		judge(d, now);
	if (d->selected == NULL || s->trying < 0 || mono_before(now, s->next))
		return false;
	if (s->tries == 0) {
		s->begun = now;
		d->life.ask = true; /* a small one, to compare with */
	}
	s->tries++;
	s->next = mono_add(now, try_us(d));
	*ret_out = (struct direct_out){
		.kind = DIRECT_OUT_PACKET,
		.to = d->selected->addr,
		.pkt = d->pkt,
		.len = direct_probe_write(
		    d, &d->selected->addr, ladder[s->trying], now),
	};
	return true;
}

struct mono
direct_size_deadline(const struct direct *d)
{
	const struct direct_size *s = &d->size;
	struct mono at = MONO_NEVER;

	if (d->selected == NULL || !d->native)
		return MONO_NEVER;
	if (s->trying >= 0)
		return s->next;
	if (!mono_before(s->checked, d->life.used))
		return MONO_NEVER;
	if (s->bad < RUNGS)
		at = s->look;
	if (s->good > 0)
		at = mono_min(at, mono_add(s->checked, CHECK_US));
	return at;
}
