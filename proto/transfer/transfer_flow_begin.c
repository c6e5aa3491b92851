/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * LISTENING or CLAIMING to MOVING.  An issuer reads the claim, has the output
 * opened, then makes its plan and announces it in the accept.  A claimant makes
 * the same plan from its claim and the accept.  From the plan on the ready
 * conversation runs, unless the path is relay only; what it decides is the
 * path, and nothing else waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/transfer/blocks_tx.h"
#include "proto/transfer/transfer_claim.h"
#include "proto/transfer/transfer_flow_state.h"

#define TEXT_UNSUPPORTED TRANSFER_CLAIM_UNSUPPORTED
#define TEXT_MEMORY "out of memory"

static bool
is_protocol(struct message_text protocol)
{
	return envelope_text_equal(protocol, MESSAGE_V2_PROTOCOL.p);
}

/* The last candidates of a peer that may be reached directly. */
static void
take_candidates(struct transfer_flow *f, const struct message_list *texts)
{
	candidate_from_peer(&f->peer, texts,
	    f->params.allow_loopback ? CANDIDATE_POLICY_LOOPBACK
				     : CANDIDATE_POLICY_PEER);
}

static int
keep_header(struct transfer_flow *f, struct message_octets header)
{
	if (header.n == 0)
		return 0;
	f->peer_header = malloc(header.n);
	if (f->peer_header == NULL)
		return -ENOMEM;
	memcpy(f->peer_header, header.p, header.n);
	f->peer_header_len = header.n;
	return 0;
}

static int
take_blocks(struct transfer_flow *f, const struct transfer_blocks *b)
{
	f->blocks = true;
	f->block_size = b->size;
	f->chunk_size = b->chunk_size;
	return keep_header(f, b->header);
}

/* Everything but the path is known. */
static void
make_plan(struct transfer_flow *f, bool peer_relay_capable, struct mono now)
{
	struct transfer_plan *p = &f->plan;

	p->relay_only = f->params.force_relay || !peer_relay_capable;
	p->streams = f->parallel.initial;
	if (p->connections < 1)
		p->connections = 1;
	if (p->connections > p->streams)
		p->connections = p->streams;
	p->size = -1;
	if (f->blocks) {
		p->encoding = TRANSFER_BLOCKS;
		p->chunk_size = f->chunk_size;
		p->size = f->block_size;
	} else {
		p->encoding =
		    p->streams == 1 ? TRANSFER_PLAIN : TRANSFER_STRIPED;
	}
	p->punch_delay_us = f->sender ? TRANSFER_PUNCH_DELAY_US : 0;
	if (p->relay_only)
		f->peer.n = 0;
	f->has_plan = true;
	f->lanes_by = mono_add(now, FLOW_LANES_US);
}

static void
start_ready(
    struct transfer_flow *f, const struct ready_sets *lanes, struct mono now)
{
	f->declined = lanes == NULL || lanes->n == 0;
	f->ready = ready_new(&f->params.envelope_key, lanes, now);
	if (f->ready == NULL)
		transfer_flow_break(f, -ENOMEM, true, TEXT_MEMORY, now);
}

static void
enter_connecting(struct transfer_flow *f, struct mono now)
{
	f->state = f->quic_up ? TRANSFER_MOVING : TRANSFER_CONNECTING;
	f->connect_by = mono_add(now, FLOW_CONNECT_US);
	f->connect_most = mono_add(now, FLOW_CONNECT_MOST_US);
}

/* Issuer: everything is ready here, tell the claimant. */
static void
announce_accept(struct transfer_flow *f, struct mono now)
{
	int r;

	if (!f->sender || f->params.streams == 0)
		f->parallel =
		    transfer_policy_answer(&f->parallel, f->plan.relay_only);
	make_plan(f, f->claim_relay_capable, now);
	r = transfer_flow_build_accept(f);
	if (r < 0) {
		transfer_flow_break(f, r, true, err_str(r), now);
		return;
	}
	f->announce.next = now;
	f->announce.left = FLOW_ACCEPT_REPEATS;
	enter_connecting(f, now);
}

/* Flow A: may what the claim offers come in blocks? */
static int
judge_offer(struct transfer_flow *f, const struct message_v2_claim *claim,
    char *reason, size_t cap)
{
	struct transfer_blocks b;
	int r = transfer_policy_claim_blocks(claim, &b, reason, cap);

	if (r <= 0)
		return r;
	if (!f->params.structured && b.header.n > 0) {
		(void)snprintf(reason, cap,
		    "raw pipe block transfer included a structured header");
		return -DT_ERR_PEER_PROTOCOL;
	}
	/* What a header is missing from may still bring one in its stream. */
	if (!f->params.blocks || (f->params.structured && b.header.n == 0))
		return 0;
	r = take_blocks(f, &b);
	if (r < 0)
		(void)snprintf(reason, cap, TEXT_MEMORY);
	return r;
}

static int
judge_claim(struct transfer_flow *f, const struct message_v2_claim *claim,
    char *reason, size_t cap)
{
	if (!is_protocol(claim->protocol)) {
		(void)snprintf(reason, cap, TEXT_UNSUPPORTED);
		return -DT_ERR_UNSUPPORTED;
	}
	if (secret_is_zero(&claim->quic_public, sizeof(claim->quic_public))) {
		(void)snprintf(reason, cap, "claim malformed");
		return -DT_ERR_PEER_PROTOCOL;
	}
	if (!f->sender)
		return judge_offer(f, claim, reason, cap);
	f->blocks = f->blocks && claim->block_capable;
	return 0;
}

void
transfer_flow_on_claim(struct transfer_flow *f,
    const struct message_v2_claim *claim, const struct key32 *source,
    struct mono now)
{
	char reason[TRANSFER_FLOW_MAX_REASON];
	int r;

	f->has_peer = true;
	f->peer_derp = *source;
	f->peer_quic = claim->quic_public;
	r = judge_claim(f, claim, reason, sizeof(reason));
	if (r < 0) {
		transfer_flow_break(f, r, true, reason, now);
		return;
	}
	f->claim_relay_capable = claim->relay_capable;
	f->plan.relay_only = f->params.force_relay || !claim->relay_capable;
	if (!f->plan.relay_only)
		take_candidates(f, &claim->candidates);
	if (!f->sender)
		f->parallel = transfer_policy_normalise(claim->parallel_mode,
		    claim->parallel_initial, claim->parallel_cap);
	f->state = TRANSFER_OPENING;
	if (f->params.is_open)
		announce_accept(f, now);
}

void
transfer_flow_repeat_claim(struct transfer_flow *f, struct mono now)
{
	if (f->announce_len == 0 || f->answers == 0 ||
	    mono_diff(now, f->announced) < FLOW_ANSWER_US ||
	    f->state == TRANSFER_DONE)
		return;
	f->answers--;
	f->announce.next = now;
}

/* What the accept selects of what was offered. */
static int
judge_mode(struct transfer_flow *f, const struct message_v2_accept *accept,
    char *reason, size_t cap)
{
	enum transfer_mode mode = transfer_policy_mode(accept->transfer_mode);
	struct transfer_blocks b;
	int r;

	if (mode == TRANSFER_MODE_DIRECT_TCP) {
		(void)snprintf(reason, cap, "direct TCP was not offered");
		return -DT_ERR_PEER_PROTOCOL;
	}
	/* Not offered either, but it means blocks unless raw lanes are used. */
	f->plan.raw_refused = mode == TRANSFER_MODE_BULK;
	if (f->sender) {
		if (mode != TRANSFER_MODE_STREAM && !f->blocks) {
			(void)snprintf(reason, cap, "blocks were not offered");
			return -DT_ERR_PEER_PROTOCOL;
		}
		f->blocks = mode != TRANSFER_MODE_STREAM;
		return 0;
	}
	r = transfer_policy_accept_blocks(accept, &b, reason, cap);
	if (r <= 0)
		return r;
	if (!f->params.blocks || !f->params.structured || b.header.n == 0) {
		(void)snprintf(reason, cap, "block receiver is not configured");
		return -DT_ERR_PEER_PROTOCOL;
	}
	r = take_blocks(f, &b);
	if (r < 0)
		(void)snprintf(reason, cap, TEXT_MEMORY);
	return r;
}

static void
on_rejected(struct transfer_flow *f, struct message_text why, struct mono now)
{
	char reason[TRANSFER_FLOW_MAX_REASON - 40];
	char text[TRANSFER_FLOW_MAX_REASON];

	envelope_text_sanitise(why, reason, sizeof(reason));
	(void)snprintf(text, sizeof(text), "external v2 transfer rejected%s%s",
	    reason[0] != '\0' ? ": " : "", reason);
	transfer_flow_break(f, -DT_ERR_PEER_REJECTED, false, text, now);
}

void
transfer_flow_on_accept(struct transfer_flow *f,
    const struct message_v2_accept *accept, struct mono now)
{
	char reason[TRANSFER_FLOW_MAX_REASON];
	int64_t connections = accept->manager_connections;
	int r;

	if (f->state != TRANSFER_CLAIMING)
		return;
	if (!is_protocol(accept->protocol)) {
		transfer_flow_break(
		    f, -DT_ERR_UNSUPPORTED, true, TEXT_UNSUPPORTED, now);
		return;
	}
	if (!accept->accepted) {
		on_rejected(f, accept->reason, now);
		return;
	}
	r = judge_mode(f, accept, reason, sizeof(reason));
	if (r < 0) {
		transfer_flow_break(f, r, true, reason, now);
		return;
	}
	f->announce.next = MONO_NEVER;
	f->accept_by = MONO_NEVER;
	f->parallel = transfer_policy_normalise(accept->parallel_mode,
	    accept->parallel_initial, accept->parallel_cap);
	f->plan.connections =
	    connections > 0 && connections <= TRANSFER_MAX_STREAMS
		? (unsigned)connections
		: (connections > 0 ? TRANSFER_MAX_STREAMS : 1);
	take_candidates(f, &accept->candidates);
	make_plan(f, accept->relay_capable, now);
	if (accept->raw_direct_budget_ms > 0 &&
	    accept->raw_direct_budget_ms <= INT64_MAX / MONO_MS)
		f->budget_by =
		    mono_add(now, accept->raw_direct_budget_ms * MONO_MS);
	f->state = TRANSFER_OPENING;
	if (f->params.is_open)
		enter_connecting(f, now);
}

void
transfer_flow_opened(struct transfer_flow *f, struct mono now)
{
	if (f->state != TRANSFER_OPENING)
		return;
	if (f->issuer)
		announce_accept(f, now);
	else
		enter_connecting(f, now);
}

void
transfer_flow_alive(struct transfer_flow *f, struct mono now)
{
	if (!f->has_plan)
		return;
	if (f->issuer && f->announce.left > 0)
		f->announce = (struct flow_repeat){ .next = MONO_NEVER };
	if (f->state == TRANSFER_CONNECTING)
		f->connect_by = mono_add(now, FLOW_CONNECT_US);
}

void
transfer_flow_on_ready(
    struct transfer_flow *f, const struct message_ready *body, struct mono now)
{
	if (!f->has_plan || !is_protocol(body->protocol))
		return;
	/* Not expected on a relay-only path, but it waits for an answer. */
	if (f->ready == NULL && f->plan.relay_only)
		start_ready(f, NULL, now);
	if (f->ready != NULL)
		ready_input(f->ready, body, now);
}

static bool
may_use_raw(const struct transfer_flow *f)
{
	return f->params.offer_raw && !f->plan.raw_refused &&
	       !f->plan.relay_only;
}

bool
transfer_flow_wants_lanes(const struct transfer_flow *f)
{
	return f->has_plan && f->ready == NULL && may_use_raw(f) &&
	       !transfer_flow_is_over(f);
}

void
transfer_flow_set_lanes(
    struct transfer_flow *f, const struct ready_sets *lanes, struct mono now)
{
	if (transfer_flow_wants_lanes(f))
		start_ready(f, lanes, now);
}

bool
transfer_flow_wants_verdict(const struct transfer_flow *f)
{
	return f->ready != NULL && !transfer_flow_is_over(f) && !f->no_raw &&
	       ready_state(f->ready) == READY_SELECTING;
}

const struct ready_sets *
transfer_flow_peek_peer_lanes(const struct transfer_flow *f)
{
	static const struct ready_sets none;

	return f->ready != NULL ? ready_peek_peer_sets(f->ready) : &none;
}

void
transfer_flow_set_verdict(struct transfer_flow *f, bool usable, struct mono now)
{
	if (!transfer_flow_wants_verdict(f))
		return;
	f->verdict = usable;
	ready_set_verdict(f->ready, usable, now);
}

static void
set_path(struct transfer_flow *f, enum transfer_path path)
{
	f->plan.path = path;
	f->plan.quic_server = transfer_policy_is_server(f->params.role, path);
	if (path == TRANSFER_PATH_RAW)
		f->plan.connections = 1; /* we publish one lane */
}

/* Is raw ruled out, whatever the peer still says? */
static bool
is_raw_over(struct transfer_flow *f, struct mono now)
{
	enum ready_state state = ready_state(f->ready);

	if (f->declined || state == READY_DONE ||
	    (state == READY_SELECTION && !f->verdict))
		return true;
	if (mono_before(now, f->budget_by) || f->verdict)
		return false; /* a "yes" of ours may have been heard */
	f->no_raw = true;
	ready_set_verdict(f->ready, false, now);
	return true;
}

static void
decide_path(struct transfer_flow *f, struct mono now)
{
	bool may_raw = may_use_raw(f);

	if (!f->has_plan || f->plan.path != TRANSFER_PATH_UNDECIDED)
		return;
	if (f->ready == NULL && !f->plan.relay_only &&
	    (!may_raw ||
		!mono_before(now, mono_min(f->lanes_by, f->budget_by))))
		start_ready(f, NULL, now);
	if (f->ready != NULL && ready_is_raw_direct(f->ready))
		set_path(f, TRANSFER_PATH_RAW);
	else if (!may_raw || (f->ready != NULL && is_raw_over(f, now)))
		set_path(f, TRANSFER_PATH_MANAGER);
}

void
transfer_flow_step_begin(struct transfer_flow *f, struct mono now)
{
	if (f->state == TRANSFER_CLAIMING && !mono_before(now, f->accept_by))
		transfer_flow_break(f, -DT_ERR_TIMEOUT, true,
		    "the other side did not answer", now);
	if (f->state == TRANSFER_CONNECTING &&
	    !mono_before(now, mono_min(f->connect_by, f->connect_most)))
		transfer_flow_break(f, -DT_ERR_TIMEOUT, true,
		    "the other side did not connect", now);
	if (transfer_flow_is_over(f))
		return;
	decide_path(f, now);
	if (f->no_raw) /* should the peer's candidates have come after that */
		ready_set_verdict(f->ready, false, now);
}

void
transfer_flow_connected(struct transfer_flow *f, struct mono now)
{
	if (!f->has_plan || transfer_flow_is_over(f))
		return;
	f->quic_up = true;
	f->grew = now;
	transfer_flow_alive(f, now);
	if (f->state == TRANSFER_CONNECTING)
		f->state = TRANSFER_MOVING;
	if (f->finished)
		transfer_flow_finished(f, now);
}
