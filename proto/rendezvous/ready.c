/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CANDIDATES -> (SELECTING ->) SELECTION -> DONE.  Each of the two phases has a
 * message of ours that does not change once the phase is entered.  Until the
 * peer's message of that phase is heard ours goes out every 250 ms, for 5 s;
 * when it is heard, once more at once and every 100 ms for 1 s, because the
 * peer may hear us only when it listens.
 *
 * The peer's messages are recorded whenever they come.  A selection before any
 * candidates means that those were lost and the peer has gone on: we decline
 * and go on too.  After the end the machine still answers: a peer that was
 * silent and speaks at last is told that we declined.  Answers to repeats are
 * given for every second one only, so that two machines of this kind do not
 * answer each other for ever.
 */
#include "proto/rendezvous/ready.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/envelope.h"

#define RESEND_US (250 * MONO_MS)
#define LIMIT_US (5 * MONO_SEC)
#define REINFORCE_US (100 * MONO_MS)
#define REINFORCE_PERIOD_US (1 * MONO_SEC)
/* Punching takes about 1.2 s; the peer waits 5 s for our verdict. */
#define VERDICT_LIMIT_US (3 * MONO_SEC)
#define STRAYS_PER_ANSWER 2
/* A selection message with any MAC: about 200 octets. */
#define SELECTION_MAX 512

enum { CANDIDATES, SELECTION, N_PHASES };

static const char *const phase_names[N_PHASES] = { "candidates", "selection" };

struct phase {
	bool active;    /* we have a message for it */
	bool heard;     /* the peer's has come */
	bool timed_out; /* it has not, for 5 s */
	bool peer_raw;  /* what the peer said */
	unsigned strays;
	struct mono next;    /* when ours is sent again */
	struct mono give_up; /* end of waiting */
	struct mono until;   /* end of reinforcement, once heard */
	size_t len;          /* of our message */
};

struct ready {
	struct key32 key;
	enum ready_state state;
	bool local_raw;
	bool verdict; /* ours, as in our selection message */
	bool raw_direct;
	bool silent;            /* a phase ended by its limit */
	struct mono verdict_by; /* in SELECTING */
	struct phase phase[N_PHASES];
	struct ready_sets peer;
	uint8_t selection[SELECTION_MAX];
	uint8_t candidates[READY_MAX_PACKET];
};

/* All texts of one message, at most @limit of each set. */
struct set_texts {
	struct candidate_texts set[READY_MAX_SETS];
	struct message_list list[READY_MAX_SETS];
	struct message_text flat[READY_MAX_SETS * CANDIDATE_MAX_LIST];
	size_t n_flat;
};

static void
fill_texts(struct set_texts *t, const struct ready_sets *local, size_t limit)
{
	t->n_flat = 0;
	for (size_t i = 0; i < local->n; i++) {
		struct message_list *list = &t->list[i];

		*list = candidate_to_texts(&t->set[i], &local->set[i]);
		if (list->n > limit)
			list->n = limit;
		for (size_t k = 0; k < list->n; k++)
			t->flat[t->n_flat++] = list->item[k];
	}
}

static int
build_candidates(struct ready *r, const struct ready_sets *local)
{
	struct set_texts *texts = calloc(1, sizeof(*texts));
	struct envelope e;
	int err = -DT_ERR_TOO_LONG;

	if (texts == NULL)
		return -DT_ERR_FULL;
	envelope_init(&e, ENVELOPE_READY);
	e.ready.protocol = MESSAGE_V2_PROTOCOL;
	e.ready.phase = MESSAGE_TEXT("candidates");
	e.ready.raw_direct = r->local_raw;
	/* An envelope above 16 KiB is invisible: keep the best of each set. */
	for (size_t limit = CANDIDATE_MAX_LIST; limit > 0 && err < 0;
	     limit /= 2) {
		struct buf_writer w =
		    buf_writer(r->candidates, sizeof(r->candidates));

		if (r->local_raw) {
			fill_texts(texts, local, limit);
			e.ready.candidates.item = texts->flat;
			e.ready.candidates.n = texts->n_flat;
			e.ready.candidate_sets.item = texts->list;
			e.ready.candidate_sets.n = local->n;
		}
		err = envelope_build(&w, &e, &r->key);
		r->phase[CANDIDATES].len = w.len;
	}
	free(texts);
	return err;
}

static int
build_selection(struct ready *r)
{
	struct buf_writer w = buf_writer(r->selection, sizeof(r->selection));
	struct envelope e;
	int err;

	envelope_init(&e, ENVELOPE_READY);
	e.ready.protocol = MESSAGE_V2_PROTOCOL;
	e.ready.phase = MESSAGE_TEXT("selection");
	e.ready.raw_direct = r->verdict;
	err = envelope_build(&w, &e, &r->key);
	r->phase[SELECTION].len = w.len;
	return err;
}

static void
enter(struct phase *p, struct mono now)
{
	p->active = true;
	p->next = now;
	p->give_up = mono_add(now, LIMIT_US);
	p->until = mono_add(now, REINFORCE_PERIOD_US);
}

static bool
has_candidates(const struct ready_sets *local)
{
	for (size_t i = 0; local != NULL && i < local->n; i++)
		if (local->set[i].n > 0)
			return true;
	return false;
}

struct ready *
ready_new(const struct key32 *envelope_key, const struct ready_sets *local,
    struct mono now)
{
	struct ready *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->key = *envelope_key;
	r->local_raw = has_candidates(local);
	for (size_t i = 0; i < N_PHASES; i++)
		r->phase[i].next = MONO_NEVER;
	if (build_candidates(r, local) < 0 || build_selection(r) < 0) {
		ready_free(r);
		return NULL;
	}
	enter(&r->phase[CANDIDATES], now);
	return r;
}

void
ready_free(struct ready *r)
{
	if (r == NULL)
		return;
	secret_wipe(r, sizeof(*r));
	free(r);
}

static void
check_limit(struct phase *p, struct mono now)
{
	if (!p->active || p->heard || p->timed_out ||
	    mono_before(now, p->give_up))
		return;
	p->timed_out = true;
	p->next = MONO_NEVER;
}

static void
enter_selection(struct ready *r, bool verdict, struct mono now)
{
	/* The message for "no" was built at the start; "yes" needs a new one,
	 * and without memory for that the answer is "no". */
	r->verdict = verdict;
	if (verdict && build_selection(r) < 0)
		r->verdict = false;
	enter(&r->phase[SELECTION], now);
}

/* The peer did not answer our "yes"; later it must not hear it any more. */
static void
retract(struct ready *r)
{
	r->verdict = false;
	if (build_selection(r) < 0)
		r->phase[SELECTION].active = false;
}

static void
leave_candidates(struct ready *r, struct mono now)
{
	const struct phase *candidates = &r->phase[CANDIDATES];
	bool lost = !candidates->heard && r->phase[SELECTION].heard;

	if (candidates->timed_out && !candidates->heard && !lost) {
		r->state = READY_DONE;
		r->silent = true;
	} else if (lost || (candidates->heard &&
			       !(r->local_raw && candidates->peer_raw))) {
		r->state = READY_SELECTION;
		enter_selection(r, false, now);
	} else if (candidates->heard) {
		r->state = READY_SELECTING;
		r->verdict_by = mono_add(now, VERDICT_LIMIT_US);
	}
}

static void
leave_selection(struct ready *r)
{
	const struct phase *selection = &r->phase[SELECTION];

	if (selection->heard) {
		r->state = READY_DONE;
		r->raw_direct = r->verdict && selection->peer_raw;
	} else if (selection->timed_out) {
		r->state = READY_DONE;
		r->silent = true;
		if (r->verdict)
			retract(r);
	}
}

/* Every legal move, in the order in which they can follow each other. */
static void
step(struct ready *r, struct mono now)
{
	for (size_t i = 0; i < N_PHASES; i++)
		check_limit(&r->phase[i], now);
	if (r->state == READY_CANDIDATES)
		leave_candidates(r, now);
	if (r->state == READY_SELECTING && !mono_before(now, r->verdict_by)) {
		r->state = READY_SELECTION;
		enter_selection(r, false, now);
	}
	if (r->state == READY_SELECTION)
		leave_selection(r);
	/* Silent until now: it gets its answer, the outcome stands. */
	if (r->state == READY_DONE && !r->phase[SELECTION].active &&
	    (r->phase[CANDIDATES].heard || r->phase[SELECTION].heard))
		enter_selection(r, false, now);
}

static void
keep_peer_sets(struct ready *r, const struct message_ready *body)
{
	const struct message_lists *sets = &body->candidate_sets;

	r->peer.n = sets->n < READY_MAX_SETS ? sets->n : READY_MAX_SETS;
	for (size_t i = 0; i < r->peer.n; i++)
		candidate_from_ready(&r->peer.set[i], &sets->item[i]);
	if (sets->n == 0 && body->candidates.n > 0) {
		r->peer.n = 1;
		candidate_from_ready(&r->peer.set[0], &body->candidates);
	}
}

static void
hear(struct phase *p, bool peer_raw, struct mono now)
{
	p->heard = true;
	p->peer_raw = peer_raw;
	if (p->active) {
		p->next = now;
		p->until = mono_add(now, REINFORCE_PERIOD_US);
	}
}

static void
hear_again(struct phase *p, struct mono now)
{
	if (!p->active || !mono_is_never(p->next))
		return;
	if (++p->strays < STRAYS_PER_ANSWER)
		return;
	p->strays = 0;
	p->next = now;
}

void
ready_input(struct ready *r, const struct message_ready *body, struct mono now)
{
	bool is_candidates =
	    body->phase.n == 0 ||
	    envelope_text_equal(body->phase, phase_names[CANDIDATES]);
	size_t i = is_candidates ? CANDIDATES : SELECTION;

	if (!envelope_text_equal(body->protocol, MESSAGE_V2_PROTOCOL.p) ||
	    (!is_candidates &&
		!envelope_text_equal(body->phase, phase_names[SELECTION])))
		return;
	step(r, now);
	if (r->phase[i].heard) {
		hear_again(&r->phase[i], now);
		return;
	}
	if (is_candidates)
		keep_peer_sets(r, body);
	hear(&r->phase[i], body->raw_direct, now);
	step(r, now);
}

/* When to send it again after having sent it at @now. */
static struct mono
next_sending(const struct phase *p, struct mono now)
{
	struct mono next;

	if (!p->heard)
		return p->timed_out ? MONO_NEVER : mono_add(now, RESEND_US);
	next = mono_add(now, REINFORCE_US);
	return mono_before(p->until, next) ? MONO_NEVER : next;
}

int
ready_output(struct ready *r, struct mono now, struct buf_writer *w)
{
	step(r, now);
	for (size_t i = 0; i < N_PHASES; i++) {
		struct phase *p = &r->phase[i];

		if (!p->active || mono_before(now, p->next))
			continue;
		buf_put_bytes(
		    w, i == CANDIDATES ? r->candidates : r->selection, p->len);
		if (w->err < 0)
			return w->err;
		p->next = next_sending(p, now);
		return 1;
	}
	return 0;
}

struct mono
ready_next_deadline(const struct ready *r)
{
	struct mono t = MONO_NEVER;

	for (size_t i = 0; i < N_PHASES; i++) {
		const struct phase *p = &r->phase[i];

		if (!p->active)
			continue;
		t = mono_min(t, p->next);
		if (!p->heard && !p->timed_out)
			t = mono_min(t, p->give_up);
	}
	if (r->state == READY_SELECTING)
		t = mono_min(t, r->verdict_by);
	return t;
}

void
ready_set_verdict(struct ready *r, bool raw_direct, struct mono now)
{
	if (r->state != READY_SELECTING)
		return;
	r->state = READY_SELECTION;
	enter_selection(r, raw_direct, now);
	step(r, now);
}

enum ready_state
ready_state(const struct ready *r)
{
	return r->state;
}

bool
ready_is_raw_direct(const struct ready *r)
{
	return r->state == READY_DONE && r->raw_direct;
}

bool
ready_is_peer_silent(const struct ready *r)
{
	return r->silent;
}

const struct ready_sets *
ready_peek_peer_sets(const struct ready *r)
{
	return &r->peer;
}
