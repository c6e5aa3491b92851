/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probes that look for a path, and the answers to those of the peer.
 *
 * A burst is up to DIRECT_MAX_TRIES probes, then a pause: the peer's own
 * cadence is one probe in 6 s, and ours keeps to its bound for addresses that
 * never answered.  The last one waits until the peer calls, at most LAST_US:
 * peer v0.18.2 gathers before it probes and so opens its NAT, and it calls
 * then.  After some bursts in vain pauses grow.  An address that once worked is
 * tried every second for a while instead, for it comes back as soon as the
 * network does.
 *
 * A probe of the peer proves that it sends from there now: whatever NAT is on
 * its side is open to us, so it is probed at once, even beyond its budget, one
 * probe for each fresh probe heard, within a bound for all: sources are forged
 * easily by who has probes that the other end has not seen.
 */
#include <string.h>

#include "proto/path/direct_internal.h"

#define PER_TURN 8 /* probes in TURN_US */
#define TURN_US (1 * MONO_MS)
/* Our last probe is still before the peer's NAT: no need for another. */
#define CROSSING_US (20 * MONO_MS)
/* While a selected path works, addresses the peer tries are not. */
#define IDLE_TRIGGER_US (1 * MONO_SEC)
#define CALM_BURSTS 6 /* in vain, then pauses double */
#define CALM_MAX_US (60 * MONO_SEC)
/* A path that died: every DIRECT_RETRY_US for so long, then ever slower. */
#define RETRY_EAGER_US (30 * MONO_SEC)
#define RETRY_MAX_US (15 * MONO_SEC)
#define LAST_US (1 * MONO_SEC)

/* From one probe of a burst to the next. */
static const int64_t gaps_us[DIRECT_MAX_TRIES - 1] = { 60 * MONO_MS,
	120 * MONO_MS, LAST_US };

void
direct_probe_arm(
    struct direct *d, struct direct_entry *e, unsigned n, struct mono at)
{
	if (!direct_list_can_send(d, &e->addr))
		return;
	e->left = (uint8_t)n;
	e->step = 0;
	e->next = at;
	direct_wake(d, at);
}

void
direct_probe_arm_all(struct direct *d, struct mono now)
{
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (direct_list_is_live(e) && e != d->selected) {
			e->bursts = 0;
			e->retry_us = DIRECT_RETRY_US;
			direct_probe_arm(d, e, DIRECT_MAX_TRIES, now);
		}
	}
}

void
direct_probe_trigger(struct direct *d, struct direct_entry *e, struct mono now)
{
	int64_t age = INT64_MAX;

	if (e == d->selected || !direct_list_can_send(d, &e->addr) ||
	    mono_before(now, e->narrow))
		return;
	if (e->probes > 0)
		age =
		    mono_diff(now, e->sent[(e->probes - 1) % DIRECT_MAX_TRIES]);
	if (age < CROSSING_US)
		return;
	if (d->selected != NULL && !direct_life_is_quiet(d, now) &&
	    (age < IDLE_TRIGGER_US || !direct_list_can_win(d, e)))
		return;
	e->credit = true;
	if (e->left == 0) {
		e->left = 1;
		e->step = 0;
	}
	e->next = now;
	direct_wake(d, now);
}

void
direct_probe_called(struct direct *d, struct mono now)
{
	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (!direct_list_is_live(e) || e->refused)
			continue;
		if (e->left == 0 &&
		    mono_diff(now, e->burst) >= DIRECT_BUDGET_US)
			direct_probe_arm(
			    d, e, e->acks > 0 ? 1 : DIRECT_MAX_TRIES, now);
		else if (e->left == 1 && e->step == DIRECT_MAX_TRIES - 1)
			e->next = now;
	}
	direct_wake(d, now);
}

size_t
direct_probe_write(
    struct direct *d, const struct addr *to, uint16_t size, struct mono now)
{
	struct disco_packet packet = {
		.kind = size > 0 ? DISCO_SIZE_PROBE : DISCO_PROBE,
		.size = size,
	};
	struct direct_sent *s = &d->out[d->out_next];

	secret_random(packet.nonce.b, sizeof(packet.nonce.b));
	*s = (struct direct_sent){ .nonce = packet.nonce,
		.to = *to,
		.at = now,
		.size = size,
		.open = true };
	d->out_next = (d->out_next + 1) % DIRECT_MAX_OUTSTANDING;
	return disco_build(
	    d->pkt, sizeof(d->pkt), &d->params.disco_key, &packet);
}

/* How long after a burst in vain the next one begins. */
static int64_t
pause_us(const struct direct *d, struct direct_entry *e, struct mono now)
{
	int64_t us = DIRECT_BUDGET_US;

	if (e->acks > 0 && !e->refused) {
		us = e->retry_us;
		if (mono_diff(now, d->relay_since) > RETRY_EAGER_US)
			e->retry_us =
			    us * 2 < RETRY_MAX_US ? us * 2 : RETRY_MAX_US;
		return us;
	}
	for (int i = CALM_BURSTS; i < e->bursts && us < CALM_MAX_US; i++)
		us *= 2;
	return us < CALM_MAX_US ? us : CALM_MAX_US;
}

/* Is one more allowed?  If not, *@e is put off until it is. */
static bool
take_budget(struct direct *d, struct direct_entry *e, struct mono now)
{
	struct mono oldest = e->sent[e->probes % DIRECT_MAX_TRIES];
	struct mono free_at = mono_add(oldest, DIRECT_BUDGET_US);

	if (e->probes < DIRECT_MAX_TRIES || e->acks > 0 ||
	    !mono_before(now, free_at))
		return true;
	if (e->credit && ratelimit_take(&d->triggers, now))
		return true;
	e->next = free_at;
	e->step = 0;
	return false;
}

/* A probe to @e leaves: when comes the next? */
static void
reschedule(struct direct *d, struct direct_entry *e, struct mono now)
{
	if (e->step == 0)
		e->burst = now;
	if (e->left > 0)
		e->left--;
	if (e->left > 0) {
		unsigned last = DIRECT_MAX_TRIES - 2;

		e->next =
		    mono_add(now, gaps_us[e->step < last ? e->step : last]);
		e->step++;
		return;
	}
	if (e->bursts < UINT8_MAX)
		e->bursts++;
	e->next = MONO_NEVER;
	if (d->selected == NULL) {
		struct mono soon = mono_add(now, DIRECT_RETRY_US);

		e->next = mono_add(e->burst, pause_us(d, e, now));
		if (mono_before(e->next, soon))
			e->next = soon;
	}
}

/* The one to probe now, best first; a new burst begins for one whose pause is
 * over. */
static struct direct_entry *
pick(struct direct *d, struct mono now)
{
	struct direct_entry *best = NULL;

	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		struct direct_entry *e = &d->entry[i];

		if (!e->used || mono_before(now, e->next) ||
		    !direct_list_is_live(e) || e == d->selected)
			continue;
		if (best == NULL || e->rank < best->rank)
			best = e;
	}
	if (best == NULL || !take_budget(d, best, now))
		return best;
	if (best->left == 0) {
		if (best->bursts > 0)
			best->streak = 0;
		best->step = 0;
		best->left =
		    best->acks > 0 || best->refused ? 1 : DIRECT_MAX_TRIES;
	}
	return best;
}

bool
direct_probe_output(
    struct direct *d, struct mono now, struct direct_out *ret_out)
{
	struct direct_entry *e;

	if (mono_diff(now, d->turn) >= TURN_US) {
		d->turn = now;
		d->turn_n = 0;
	}
	while (d->turn_n < PER_TURN && (e = pick(d, now)) != NULL) {
		if (mono_before(now, e->next))
			continue; /* put off: its budget is spent */
		e->credit = false;
		e->sent[e->probes++ % DIRECT_MAX_TRIES] = now;
		d->turn_n++;
		reschedule(d, e, now);
		*ret_out = (struct direct_out){
			.kind = DIRECT_OUT_PACKET,
			.to = e->addr,
			.pkt = d->pkt,
			.len = direct_probe_write(d, &e->addr, 0, now),
		};
		return true;
	}
	return false;
}

struct mono
direct_probe_deadline(const struct direct *d)
{
	struct mono at = MONO_NEVER;

	for (size_t i = 0; i < DIRECT_MAX_ENTRIES; i++) {
		const struct direct_entry *e = &d->entry[i];

		if (e != d->selected && direct_list_is_live(e))
			at = mono_min(at, e->next);
	}
	if (d->turn_n >= PER_TURN &&
	    mono_before(at, mono_add(d->turn, TURN_US)))
		at = mono_add(d->turn, TURN_US);
	return at;
}

static struct direct_sent *
find_sent(struct direct *d, const struct disco_nonce *nonce)
{
	for (size_t i = 0; i < DIRECT_MAX_OUTSTANDING; i++)
		if (d->out[i].to.family != 0 &&
		    memcmp(d->out[i].nonce.b, nonce->b, sizeof(nonce->b)) == 0)
			return &d->out[i];
	return NULL;
}

/*
 * Is this probe fresh, or a copy?  Copies from the same source are a duplicate
 * on the way and harmless; from a stranger they are a replay.  From an address
 * that is known they are news, for it may have been the copy that came first.
 */
static bool
is_replay(struct direct *d, const struct disco_nonce *nonce,
    const struct addr *from, bool is_known, bool *ret_fresh)
{
	struct direct_seen *s = &d->seen[nonce->b[8]];
	uint64_t head;
	bool was_seen;

	memcpy(&head, nonce->b, sizeof(head));
	was_seen = s->from.family != 0 && s->nonce == head;
	*ret_fresh = !was_seen || !addr_equal(&s->from, from);
	if (was_seen && *ret_fresh && !is_known)
		return true;
	s->nonce = head;
	s->from = *from;
	return false;
}

static void
queue_ack(struct direct *d, const struct direct_ack *ack, struct mono now)
{
	size_t at = (d->ack_first + d->ack_n) % DIRECT_MAX_ACKS;

	if (d->ack_n == DIRECT_MAX_ACKS)
		return; /* the peer repeats */
	d->ack[at] = *ack;
	d->ack_n++;
	direct_wake(d, now);
}

/* Acks are bounded for each address and for all.  Strangers and copies, the
 * addresses we know, and the selected one each have their own share, so that a
 * flood of one takes nothing from the next. */
static void
answer(struct direct *d, struct direct_entry *e, const struct direct_ack *ack,
    bool fresh, struct mono now)
{
	bool may;

	if (e == NULL || !fresh)
		may = ratelimit_take(&d->strangers, now);
	else
		may = ratelimit_take(&e->answers, now) &&
		      (e == d->selected || ratelimit_take(&d->answers, now));
	if (may)
		queue_ack(d, ack, now);
}

static void
on_probe(struct direct *d, const struct addr *from,
    const struct disco_packet *packet, struct mono now)
{
	struct direct_ack ack = {
		.to = *from, .nonce = packet->nonce, .size = packet->size
	};
	struct direct_entry *e = direct_list_find(d, from);
	bool sized = packet->kind == DISCO_SIZE_PROBE;
	bool fresh;

	if (!direct_list_can_send(d, from) || !candidate_may_send(from))
		return;
	if (e != NULL && !direct_list_is_live(e))
		e = NULL;
	/* Reflections and replays are not the peer's. */
	if (find_sent(d, &packet->nonce) != NULL ||
	    is_replay(d, &packet->nonce, from, e != NULL, &fresh))
		return;
	if (e == NULL && fresh && !sized)
		e = direct_list_learn(d, from, now);
	if (e == NULL && sized)
		return; /* a large one comes after small ones */
	answer(d, e, &ack, fresh, now);
	if (e == NULL)
		return;
	e->seen = now;
	if (fresh && !sized)
		direct_probe_trigger(d, e, now);
}

/* Does a newly answered @e replace the selected one? */
static void
consider(struct direct *d, struct direct_entry *e, struct mono now)
{
	const struct direct_entry *sel = d->selected;

	if (mono_before(now, e->narrow)) {
		e->next = e->narrow;
		return;
	}
	if (e->probation && e->streak < 2) {
		direct_probe_arm(d, e, 1, mono_add(now, gaps_us[0]));
		return;
	}
	if (sel == NULL)
		direct_life_select(d, e, now, "a probe was answered");
	else if (direct_life_is_quiet(d, now))
		direct_life_select(d, e, now, "the former address fell silent");
	else if (e->smooth_us - direct_list_bias(&e->addr) +
		     DIRECT_HYSTERESIS_US <=
		 sel->smooth_us - direct_list_bias(&sel->addr))
		direct_life_select(d, e, now, "a better address answered");
}

/* Does the ack of a probe sent at @at tell how far the selected address is?  Of
 * several that waited for a peer which stood still only the last, and once. */
static bool
tells_distance(struct direct_life *l, struct mono at)
{
	if (mono_before(at, l->probed) || mono_diff(at, l->told) == 0)
		return false;
	l->told = at;
	return true;
}

static void
note_distance(struct direct_entry *e, int64_t rtt_us)
{
	e->rtt_us = rtt_us > 0 ? rtt_us : 1;
	e->smooth_us =
	    e->acks == 0 ? e->rtt_us : (e->smooth_us + e->rtt_us) / 2;
}

/* @e answered a probe sent at @sent: what is known of it now. */
static void
note_answer(
    struct direct *d, struct direct_entry *e, struct mono sent, struct mono now)
{
	if (e != d->selected || e->acks == 0 || tells_distance(&d->life, sent))
		note_distance(e, mono_diff(now, sent));
	e->acks++;
	e->acked = now;
	e->bursts = 0;
	e->left = 0;
	e->next = MONO_NEVER;
	e->refused = false;
	e->error = 0;
	if (e->streak < UINT8_MAX)
		e->streak++;
}

static void
on_ack(struct direct *d, const struct addr *from,
    const struct disco_packet *packet, struct mono now)
{
	struct direct_sent *s = find_sent(d, &packet->nonce);
	struct direct_entry *e = direct_list_find(d, from);
	bool selected = e != NULL && e == d->selected;
	int64_t rtt_us;

	if (s == NULL || !s->open || !addr_equal(&s->to, from) ||
	    s->size != packet->size)
		return;
	if (e == NULL || !direct_list_is_live(e))
		return;
	rtt_us = mono_diff(now, s->at);
	if (rtt_us > (selected ? DIRECT_PROOF_US : DIRECT_PROBE_US))
		return;
	s->open = false;
	e->seen = now;
	if (selected)
		direct_life_acked(d, now);
	if (s->size == 0) {
		note_answer(d, e, s->at, now);
		if (!selected)
			consider(d, e, now);
	} else if (selected) {
		/* Tells less about distance than a small one. */
		direct_size_acked(d, s->size, now);
	}
}

void
direct_input(struct direct *d, const struct addr *from, const uint8_t *pkt,
    size_t len, struct mono now)
{
	struct addr source = addr_unmap(from);
	struct disco_packet packet;

	if (disco_parse(&packet, &d->params.disco_key, pkt, len) < 0)
		return;
	if (packet.kind == DISCO_PROBE || packet.kind == DISCO_SIZE_PROBE)
		on_probe(d, &source, &packet, now);
	else
		on_ack(d, &source, &packet, now);
}
