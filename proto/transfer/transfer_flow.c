/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  Input, reports and time only change the struct; what is
 * to be sent is kept as points in time (struct flow_repeat) and written when
 * the caller asks.  step() lets every limit that has passed take effect; it
 * runs before each output and after each input, as what has come may have
 * waited.
 *
 * Invariants: DONE and FAILED are left by nothing; has_plan is never taken
 * back; plan.path changes once; everything repeated is counted down.
 */
#include "proto/transfer/transfer_flow.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/native.h"
#include "proto/transfer/blocks_tx.h"
#include "proto/transfer/transfer_flow_state.h"

/* A sender's blocks: as many as the receiver may count. */
static void
init_blocks(struct transfer_flow *f)
{
	const struct transfer_params *p = &f->params;
	uint32_t chunk = BLOCKS_CHUNK;

	if (!f->sender || !p->blocks || p->size < 0)
		return;
	while (chunk < BLOCKS_MAX_CHUNK && !blocks_tx_is_valid(p->size, chunk))
		chunk *= 2;
	f->blocks = blocks_tx_is_valid(p->size, chunk);
	f->block_size = p->size;
	f->chunk_size = chunk;
}

static void
init_times(struct transfer_flow *f)
{
	f->lanes_by = MONO_NEVER;
	f->budget_by = MONO_NEVER;
	f->accept_by = MONO_NEVER;
	f->connect_by = MONO_NEVER;
	f->connect_most = MONO_NEVER;
	f->confirm_by = MONO_NEVER;
	f->grace_by = MONO_NEVER;
	f->quiet_by = MONO_NEVER;
	f->first = MONO_NEVER;
	f->announce.next = MONO_NEVER;
	f->abort.next = MONO_NEVER;
	f->complete.next = MONO_NEVER;
	f->progress.next = MONO_NEVER;
}

struct transfer_flow *
transfer_flow_new(const struct transfer_params *params,
    const struct candidate_list *own, struct mono now)
{
	struct transfer_flow *f = calloc(1, sizeof(*f));
	unsigned streams = params->streams;

	if (f == NULL)
		return NULL;
	assert(params->header_len <= sizeof(f->own_header));
	f->params = *params;
	if (params->header_len > 0)
		memcpy(f->own_header, params->header, params->header_len);
	f->params.header = f->own_header;
	f->issuer = transfer_policy_is_issuer(params->role);
	f->sender = transfer_policy_is_sender(params->role);
	f->state = f->issuer ? TRANSFER_LISTENING : TRANSFER_CLAIMING;
	init_times(f);
	init_blocks(f);
	if (streams == 0)
		streams = params->force_relay ? 1 : TRANSFER_OWN_STREAMS;
	f->parallel = transfer_policy_fixed(streams);
	f->total = -1;
	f->grew = now;
	f->answers = FLOW_ANSWERS;
	if (own != NULL)
		transfer_flow_set_candidates(f, own);
	if (!f->issuer) {
		int64_t limit = params->accept_limit_us;

		f->has_peer = true;
		f->peer_derp = params->peer_derp;
		f->announce.next = now;
		f->announce.left = FLOW_CLAIM_REPEATS +
				   FLOW_CLAIM_SLOW_REPEATS +
				   FLOW_CLAIM_RARE_REPEATS;
		if (limit >= 0)
			f->accept_by = mono_add(now,
			    limit > 0 ? limit : TRANSFER_FLOW_ACCEPT_LIMIT_US);
	}
	return f;
}

void
transfer_flow_free(struct transfer_flow *f)
{
	if (f == NULL)
		return;
	ready_free(f->ready);
	free(f->peer_header);
	secret_wipe(f, sizeof(*f));
	free(f);
}

void
transfer_flow_set_candidates(
    struct transfer_flow *f, const struct candidate_list *own)
{
	candidate_advertise(&f->own, own->a, own->n,
	    f->params.allow_loopback ? CANDIDATE_POLICY_LOOPBACK
				     : CANDIDATE_POLICY_PEER);
}

static void
step(struct transfer_flow *f, struct mono now)
{
	transfer_flow_step_begin(f, now);
	transfer_flow_step_end(f, now);
}

static enum transfer_input
on_control(struct transfer_flow *f, const struct envelope *e, struct mono now)
{
	const struct message_control *c = &e->control;
	bool is_native = native_is_announcement(e);

	if (!f->has_plan)
		return TRANSFER_INPUT_IGNORED;
	transfer_flow_alive(f, now);
	f->native = f->native || is_native;
	if (f->plan.relay_only)
		return TRANSFER_INPUT_IGNORED;
	if (is_native)
		return TRANSFER_INPUT_NATIVE;
	if (envelope_text_equal(c->type, MESSAGE_CONTROL_CALL_ME_MAYBE.p))
		return TRANSFER_INPUT_CALL_ME_MAYBE;
	if (!envelope_text_equal(c->type, MESSAGE_CONTROL_CANDIDATES.p))
		return TRANSFER_INPUT_IGNORED;
	candidate_from_peer(&f->peer, &c->candidates,
	    f->params.allow_loopback ? CANDIDATE_POLICY_LOOPBACK
				     : CANDIDATE_POLICY_PEER);
	return TRANSFER_INPUT_CANDIDATES;
}

/* An authentic envelope of the peer, while nothing is decided. */
static enum transfer_input
dispatch(struct transfer_flow *f, const struct envelope *e, struct mono now)
{
	switch (e->kind) {
	case ENVELOPE_CONTROL:
		return on_control(f, e, now);
	case ENVELOPE_V2_ACCEPT:
		if (f->issuer)
			return TRANSFER_INPUT_IGNORED;
		transfer_flow_on_accept(f, &e->v2_accept, now);
		break;
	case ENVELOPE_READY:
		transfer_flow_alive(f, now);
		transfer_flow_on_ready(f, &e->ready, now);
		break;
	case ENVELOPE_PROGRESS:
		transfer_flow_alive(f, now);
		transfer_flow_on_progress(f, &e->progress, now);
		break;
	case ENVELOPE_V2_COMPLETE:
		transfer_flow_on_complete(f, &e->v2_complete, now);
		break;
	case ENVELOPE_ABORT:
		transfer_flow_on_abort(f, &e->abort, now);
		break;
	case ENVELOPE_UNKNOWN:
	case ENVELOPE_CLAIM:
	case ENVELOPE_DECISION:
	case ENVELOPE_V2_CLAIM:
	case ENVELOPE_BULK_CONTROL:
		return TRANSFER_INPUT_IGNORED;
	}
	return TRANSFER_INPUT_TAKEN;
}

/* An issuer is looking at a claim; @digest of the whole packet. */
static enum transfer_input
on_claim(struct transfer_flow *f, const struct envelope *e,
    const struct key32 *source, const struct key32 *digest, struct mono now)
{
	if (f->state == TRANSFER_LISTENING) {
		f->claim_digest = *digest;
		transfer_flow_on_claim(f, &e->v2_claim, source, now);
		return TRANSFER_INPUT_TAKEN;
	}
	if (memcmp(digest, &f->claim_digest, sizeof(*digest)) != 0)
		return TRANSFER_INPUT_IGNORED;
	transfer_flow_repeat_claim(f, now);
	return TRANSFER_INPUT_TAKEN;
}

enum transfer_input
transfer_flow_input(struct transfer_flow *f, struct mono now,
    const struct key32 *source, const void *p, size_t len)
{
	enum transfer_input result = TRANSFER_INPUT_IGNORED;
	bool is_peer =
	    f->has_peer && memcmp(source, &f->peer_derp, sizeof(*source)) == 0;
	struct key32 digest;
	struct envelope e;

	if (!envelope_is_shaped(p, len) || envelope_parse(&e, p, len) < 0)
		return TRANSFER_INPUT_FOREIGN;
	/* What has come is heard before time is judged: it may have waited. */
	if (e.kind == ENVELOPE_UNKNOWN) {
		result = TRANSFER_INPUT_FOREIGN;
	} else if ((f->has_peer && !is_peer) ||
		   envelope_verify(&e, &f->params.envelope_key) < 0) {
		result = TRANSFER_INPUT_IGNORED;
	} else if (e.kind == ENVELOPE_V2_CLAIM && f->issuer) {
		secret_sha256(&digest, p, len);
		result = on_claim(f, &e, source, &digest, now);
	} else if (is_peer && !transfer_flow_is_over(f)) {
		result = dispatch(f, &e, now);
	}
	envelope_fini(&e);
	step(f, now);
	return result;
}

static bool
is_due(struct mono at, struct mono now)
{
	return !mono_before(now, at);
}

/* One sending is used up. */
static void
count_down(struct flow_repeat *r, struct mono now, int64_t interval_us)
{
	if (r->left == 0) {
		r->next = MONO_NEVER;
		return;
	}
	r->left--;
	r->next = mono_add(now, interval_us);
}

/* Until the next claim, when @left are still to come. */
static int64_t
claim_interval_us(unsigned left)
{
	if (left <= FLOW_CLAIM_RARE_REPEATS)
		return FLOW_CLAIM_RARE_US;
	if (left <= FLOW_CLAIM_RARE_REPEATS + FLOW_CLAIM_SLOW_REPEATS)
		return FLOW_CLAIM_SLOW_US;
	return FLOW_CLAIM_REPEAT_US;
}

/* Claim, accept or refusal. */
static int
put_announce(struct transfer_flow *f, struct mono now, struct buf_writer *w)
{
	int64_t interval = FLOW_ACCEPT_REPEAT_US;
	bool first = f->announce_len == 0;
	int r = 0;

	if (!f->issuer && first)
		r = transfer_flow_build_claim(f);
	if (r < 0) {
		transfer_flow_break(f, r, false, err_str(r), now);
		return 0;
	}
	if (f->state == TRANSFER_FAILED)
		interval = FLOW_ABORT_SECOND_US;
	else if (!f->issuer && first)
		interval = FLOW_CLAIM_FIRST_US;
	else if (!f->issuer)
		interval = claim_interval_us(f->announce.left);
	buf_put_bytes(w, f->announce_packet, f->announce_len);
	f->announced = now;
	count_down(&f->announce, now, interval);
	return 1;
}

/* What to send again after this abort, in order. */
static void
count_abort(struct transfer_flow *f, struct mono now)
{
	count_down(&f->abort, now,
	    f->abort.left == 1 && !f->quic_up
		? FLOW_ABORT_THIRD_US - FLOW_ABORT_SECOND_US
		: FLOW_ABORT_SECOND_US);
}

static int
put_ending(struct transfer_flow *f, struct mono now, struct buf_writer *w)
{
	int r = 0;

	if (is_due(f->abort.next, now)) {
		r = transfer_flow_build_abort(f, w);
		count_abort(f, now);
	} else if (is_due(f->complete.next, now) && f->final_progress) {
		f->final_progress = false;
		r = transfer_flow_build_progress(f, now, w);
	} else if (is_due(f->complete.next, now)) {
		r = transfer_flow_build_complete(f, w);
		count_down(&f->complete, now, FLOW_COMPLETE_REPEAT_US);
	} else {
		return 0;
	}
	return r < 0 ? r : 1;
}

static int
put_progress(struct transfer_flow *f, struct mono now, struct buf_writer *w)
{
	int r = transfer_flow_build_progress(f, now, w);

	f->progress.next = mono_add(now, FLOW_PROGRESS_US);
	return r < 0 ? r : 1;
}

int
transfer_flow_output(
    struct transfer_flow *f, struct mono now, struct buf_writer *w)
{
	int r = 0;

	step(f, now);
	if (f->quiet || w->cap - w->len < TRANSFER_FLOW_MAX_PACKET)
		return f->quiet ? 0 : -DT_ERR_FULL;
	if (is_due(f->announce.next, now))
		r = put_announce(f, now, w);
	else if (transfer_flow_is_over(f))
		r = put_ending(f, now, w);
	else if (f->ready != NULL)
		r = ready_output(f->ready, now, w);
	if (r == 0 && !transfer_flow_is_over(f) &&
	    is_due(f->progress.next, now))
		r = put_progress(f, now, w);
	/* Without memory a message is lost, as relays lose them. */
	if (r == -ENOMEM)
		r = 0;
	step(f, now);
	return r;
}

struct mono
transfer_flow_next_deadline(const struct transfer_flow *f)
{
	struct mono t = f->announce.next;

	if (f->quiet)
		return MONO_NEVER;
	if (transfer_flow_is_over(f)) {
		t = mono_min(t, mono_min(f->abort.next, f->complete.next));
		return mono_min(t, f->quiet_by);
	}
	t = mono_min(t, mono_min(f->progress.next, f->grace_by));
	t = mono_min(t, f->confirm_by);
	if (f->state == TRANSFER_CLAIMING)
		t = mono_min(t, f->accept_by);
	if (f->state == TRANSFER_CONNECTING)
		t = mono_min(t, mono_min(f->connect_by, f->connect_most));
	if (f->has_plan && f->plan.path == TRANSFER_PATH_UNDECIDED &&
	    !f->no_raw)
		t = mono_min(t, f->budget_by);
	if (transfer_flow_wants_lanes(f))
		t = mono_min(t, f->lanes_by);
	if (f->ready != NULL)
		t = mono_min(t, ready_next_deadline(f->ready));
	return t;
}

enum transfer_state
transfer_flow_state(const struct transfer_flow *f)
{
	return f->state;
}

const struct transfer_plan *
transfer_flow_peek_plan(const struct transfer_flow *f)
{
	return f->has_plan ? &f->plan : NULL;
}

const uint8_t *
transfer_flow_peek_header(const struct transfer_flow *f, size_t *ret_len)
{
	*ret_len = f->peer_header_len;
	return f->peer_header;
}

int64_t
transfer_flow_offered_size(const struct transfer_flow *f)
{
	return !f->sender && f->blocks ? f->block_size : -1;
}

const struct key32 *
transfer_flow_peer_derp(const struct transfer_flow *f)
{
	return &f->peer_derp;
}

const struct key32 *
transfer_flow_peer_quic(const struct transfer_flow *f)
{
	return &f->peer_quic;
}

const struct candidate_list *
transfer_flow_peek_candidates(const struct transfer_flow *f)
{
	return &f->peer;
}

int
transfer_flow_result(const struct transfer_flow *f)
{
	return f->result;
}

const char *
transfer_flow_reason(const struct transfer_flow *f)
{
	return f->reason;
}

bool
transfer_flow_may_close(
    const struct transfer_flow *f, uint64_t *ret_code, const char **ret_reason)
{
	if (f->state == TRANSFER_FAILED) {
		*ret_code = 1;
		*ret_reason = f->reason;
		return true;
	}
	if (f->state != TRANSFER_DONE || !f->quiet)
		return false;
	*ret_code = 0;
	*ret_reason = TRANSFER_FLOW_COMPLETE;
	return true;
}

bool
transfer_flow_is_quiet(const struct transfer_flow *f)
{
	return f->quiet;
}
