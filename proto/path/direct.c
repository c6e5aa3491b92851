/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct paths: what comes in is put into the table and into the timers at
 * once; what is due goes out through direct_output(), one thing at a time:
 * acks, controls, size probes, the selected path's probes, probes of others.
 *
 *	relay  -> direct   a probe was answered (direct_probe.c)
 *	direct -> direct   a better address was, or the old one is quiet
 *	direct -> relay    it died, was refused, carries small packets only
 *
 * The table is direct_list.c, the selected path direct_life.c, its largest
 * payload direct_size.c.
 *
 * Controls are sent while on the relay: every second at first, then ever more
 * rarely while nothing changes.
 *
 * Limits: addresses, outstanding probes and waiting acks are arrays.  What does
 * not carry the session's MAC costs one MAC and changes nothing.
 */
#include "proto/path/direct.h"

#include <stdlib.h>

#include "proto/path/direct_internal.h"

/* Acks to addresses we know, and to ones we have no room for. */
#define ANSWERS_PER_SEC 128
#define STRANGERS_PER_SEC 16
/* Probes beyond the budget of their address. */
#define TRIGGERS_PER_SEC 16
/* Controls of a kind are at least this far apart, news of ours less. */
#define CONTROL_US (100 * MONO_MS)
#define NEWS_US (20 * MONO_MS)
/* The first call to a peer of v0.18.2 is this late: addresses alone make it
 * probe at once, but when it is called it gathers first, for up to 750 ms. */
#define GO_CALL_US (1 * MONO_SEC)
#define CALM_1_AFTER_US (30 * MONO_SEC)
#define CALM_1_US (5 * MONO_SEC)
#define CALM_2_AFTER_US (300 * MONO_SEC)
#define CALM_2_US (30 * MONO_SEC)
/* A peer that calls after such a pause has news; longer than CALM_2_US. */
#define CALL_NEWS_US (45 * MONO_SEC)

struct direct *
direct_new(const struct direct_params *params, struct mono now)
{
	struct direct *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return NULL;
	d->params = *params;
	d->reason = "not tried yet";
	d->relay_since = now;
	d->calm_since = now;
	d->clock = now;
	d->turn = now;
	d->round = MONO_NEVER;
	d->own_due = MONO_NEVER;
	d->call_due = MONO_NEVER;
	d->own_sent = MONO_NEVER;
	d->call_sent = MONO_NEVER;
	d->called = now;
	d->admit = MONO_NEVER;
	d->wake = MONO_NEVER;
	direct_size_stop(d);
	ratelimit_init(&d->answers, ANSWERS_PER_SEC, ANSWERS_PER_SEC, now);
	ratelimit_init(
	    &d->strangers, STRANGERS_PER_SEC, STRANGERS_PER_SEC, now);
	ratelimit_init(&d->triggers, TRIGGERS_PER_SEC, TRIGGERS_PER_SEC, now);
	return d;
}

void
direct_free(struct direct *d)
{
	if (d == NULL)
		return;
	secret_wipe(d, sizeof(*d));
	free(d);
}

void
direct_wake(struct direct *d, struct mono at)
{
	d->wake = mono_min(d->wake, at);
}

/* The earliest time for a control of which the last one went out at @last. */
static struct mono
spaced(struct mono last, int64_t gap_us, struct mono now)
{
	struct mono at = mono_add(last, gap_us);

	return mono_is_never(last) || mono_before(at, now) ? now : at;
}

static void
announce_own(struct direct *d, int64_t gap_us, struct mono now)
{
	if (!d->has_own)
		return;
	d->own_due = mono_min(d->own_due, spaced(d->own_sent, gap_us, now));
	direct_wake(d, d->own_due);
}

void
direct_announce(struct direct *d, struct mono now)
{
	announce_own(d, NEWS_US, now);
	if (d->selected == NULL && d->has_own)
		d->round = now;
	direct_wake(d, now);
}

void
direct_called(struct direct *d, struct mono now)
{
	int64_t pause_us = mono_diff(now, d->called);

	d->called = now;
	announce_own(d, CONTROL_US, now);
	if (d->selected != NULL) {
		/* A peer of ours calls only from the relay. */
		if (d->native)
			direct_life_suspect(d, now);
		return;
	}
	if (pause_us >= CALL_NEWS_US) {
		d->calm_since = now;
		if (d->has_own)
			d->round =
			    mono_min(d->round, mono_add(now, DIRECT_CALL_US));
		direct_wake(d, d->round);
	}
	direct_probe_called(d, now);
}

void
direct_network_changed(struct direct *d, struct mono now)
{
	d->calm_since = now;
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++)
		d->entry[i].narrow = now;
	direct_probe_arm_all(d, now);
	if (d->selected != NULL) {
		direct_life_suspect(d, now);
		d->life.ask = true;
		direct_size_start(d, now);
		d->generation++;
	}
	direct_announce(d, now);
}

static int64_t
round_us(const struct direct *d, struct mono now)
{
	int64_t age = mono_diff(now, d->calm_since);

	if (age >= CALM_2_AFTER_US)
		return CALM_2_US;
	return age >= CALM_1_AFTER_US ? CALM_1_US : DIRECT_CALL_US;
}

static bool
output_ack(struct direct *d, struct mono now, struct direct_out *ret_out)
{
	const struct direct_ack *ack = &d->ack[d->ack_first];
	struct disco_packet packet = {
		.kind = ack->size > 0 ? DISCO_SIZE_ACKED : DISCO_ACK,
		.nonce = ack->nonce,
		.size = ack->size,
	};

	if (d->ack_n == 0)
		return false;
	d->ack_first = (d->ack_first + 1) % DIRECT_MAX_ACKS;
	d->ack_n--;
	if (d->selected != NULL && addr_equal(&d->selected->addr, &ack->to))
		d->life.sent = now;
	*ret_out = (struct direct_out){
		.kind = DIRECT_OUT_PACKET,
		.to = ack->to,
		.pkt = d->pkt,
		.len = disco_build(
		    d->pkt, sizeof(d->pkt), &d->params.disco_key, &packet),
	};
	return true;
}

static struct mono
call_at(const struct direct *d, struct mono now)
{
	if (!d->native && d->generation == 0 && mono_is_never(d->call_sent))
		return mono_add(now, GO_CALL_US);
	return spaced(d->call_sent, CONTROL_US, now);
}

static bool
output_control(struct direct *d, struct mono now, struct direct_out *ret_out)
{
	if (!mono_before(now, d->round)) {
		d->own_due =
		    mono_min(d->own_due, spaced(d->own_sent, NEWS_US, now));
		d->call_due = mono_min(d->call_due, call_at(d, now));
		d->round = mono_add(now, round_us(d, now));
	}
	if (!mono_before(now, d->own_due)) {
		d->own_due = MONO_NEVER;
		d->own_sent = now;
		*ret_out = (struct direct_out){ .kind = DIRECT_OUT_CANDIDATES };
		return true;
	}
	if (!mono_before(now, d->call_due)) {
		d->call_due = MONO_NEVER;
		d->call_sent = now;
		*ret_out =
		    (struct direct_out){ .kind = DIRECT_OUT_CALL_ME_MAYBE };
		return true;
	}
	return false;
}

bool
direct_output(struct direct *d, struct mono now, struct direct_out *ret_out)
{
	d->clock = now;
	if (mono_before(now, d->wake))
		return false;
	direct_life_advance(d, now);
	if (!mono_before(now, d->admit))
		direct_list_admit(d, now);
	/* In this order, as a failed size is a reason for controls. */
	if (output_ack(d, now, ret_out) ||
	    direct_size_output(d, now, ret_out) ||
	    direct_life_output(d, now, ret_out) ||
	    output_control(d, now, ret_out) ||
	    direct_probe_output(d, now, ret_out))
		return true;
	direct_list_drop_old(d, now);
	d->wake = mono_min(d->round, mono_min(d->own_due, d->call_due));
	direct_wake(d, d->admit);
	direct_wake(d, direct_life_deadline(d));
	direct_wake(d, direct_probe_deadline(d));
	direct_wake(d, direct_size_deadline(d));
	return false;
}

struct mono
direct_next_deadline(const struct direct *d)
{
	return d->wake;
}

const struct addr *
direct_selected(const struct direct *d)
{
	return d->selected != NULL ? &d->selected->addr : NULL;
}

size_t
direct_payload(const struct direct *d)
{
	return d->payload;
}

uint32_t
direct_generation(const struct direct *d)
{
	return d->generation;
}

uint32_t
direct_returns(const struct direct *d)
{
	return d->returns;
}

const char *
direct_reason(const struct direct *d)
{
	bool waiting = false;

	if (d->generation > 0)
		return d->reason;
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		if (!direct_list_is_live(&d->entry[i]))
			continue;
		if (d->entry[i].bursts > 0)
			return "no address of the peer answers";
		waiting = true;
	}
	return waiting ? "probing" : "the peer has told no address yet";
}
