/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  The flow machine decides, this file carries out.  It is
 * made in the first turn, when the daemon has told of addresses for the claim
 * or accept; then, once per turn: its state is looked at (plan, opening, end),
 * bytes are moved, and what it has to say is sent.
 *
 * The end: FAILED closes QUIC at once with the reason, DONE when nothing is
 * left to be said.  The session ends when the flow is quiet; STOP makes it fail
 * and leaves it the time that STOP leaves us.
 */
#include "helpers/session/transfer.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "helpers/session/carrier.h"
#include "helpers/session/session.h"
#include "helpers/session/transfer_msgs.h"
#include "helpers/session/transfer_quic.h"
#include "lib/err.h"
#include "proto/rendezvous/native.h"
#include "proto/rendezvous/session_keys.h"

static_assert(IPC_TRANSFER_MAX_HEADER == TRANSFER_HEADER_MAX_OWN &&
		  IPC_TRANSFER_MAX_VERIFY == TRANSFER_HEADER_MAX_VERIFY &&
		  IPC_TRANSFER_MAX_STREAMS == TRANSFER_MAX_STREAMS &&
		  IPC_TRANSFER_MAX_ROLE == TRANSFER_RECEIVE_CLAIMANT &&
		  IPC_TRANSFER_MAX_KIND == TRANSFER_KIND_SSH_ACCEPT,
    "proto/ipc repeats what proto/transfer says");

static enum transfer_role
role_of(const struct session *s)
{
	return (enum transfer_role)s->boot.transfer.role;
}

bool
transfer_check_boot(const struct session *s)
{
	const struct ipc_boot_session *b = &s->boot;
	const struct ipc_boot_transfer *t = &b->transfer;
	bool issuer = transfer_policy_is_issuer(role_of(s));
	bool headed = transfer_policy_is_sender(role_of(s)) && t->structured;

	return b->listener == issuer && (b->claim_len > 0) == issuer &&
	       b->decision_len == 0 && (t->header_len > 0) == headed;
}

struct transfer *
transfer_new(struct session *s)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->s = s;
	t->sender = transfer_policy_is_sender(role_of(s));
	t->progress_after = (struct mono){ 0 };
	for (unsigned i = 0; i < TRANSFER_MAX_STREAMS; i++)
		t->streams[i] = (struct transfer_stream){ .t = t, .index = i };
	transfer_tx_init(t);
	transfer_rx_init(t);
	if (!s->boot.listener)
		session_keys_envelope(&s->boot.envelope_key, &s->boot.bearer,
		    &s->boot.session_id);
	secret_wipe(&s->boot.bearer, sizeof(s->boot.bearer));
	return t;
}

bool
transfer_is_moving(const struct transfer *t)
{
	return t->flow != NULL && !t->is_stopped &&
	       transfer_flow_state(t->flow) == TRANSFER_MOVING;
}

void
transfer_fail(struct transfer *t, int r, const char *reason)
{
	transfer_flow_fail(t->flow, r, reason, t->s->now);
	session_wake(t->s);
}

static void
list_own(struct transfer *t, struct candidate_list *ret_list)
{
	*ret_list = (struct candidate_list){ 0 };
	if (!t->s->boot.force_relay)
		discovery_list_own(t->s, ret_list);
}

static int
make_flow(struct transfer *t)
{
	struct session *s = t->s;
	const struct ipc_boot_transfer *b = &s->boot.transfer;
	struct transfer_params p = {
		.role = role_of(s),
		.envelope_key = s->boot.envelope_key,
		.peer_derp = s->boot.peer_derp,
		.own_quic_public = s->boot.own_quic,
		.force_relay = s->boot.force_relay,
		.streams = b->streams,
		.blocks = b->blocks,
		.structured = b->structured,
		.header = b->header,
		.header_len = b->header_len,
		.size = b->size,
		.accept_limit_us = b->accept_limit_ms * MONO_MS,
	};
	struct candidate_list own;

	list_own(t, &own);
	t->flow = transfer_flow_new(&p, &own, s->now);
	secret_wipe(&p, sizeof(p));
	if (t->flow == NULL)
		return -ENOMEM;
	if (s->boot.listener)
		(void)transfer_flow_input(t->flow, s->now, &s->boot.peer_derp,
		    s->boot.claim, s->boot.claim_len);
	return 0;
}

static int
begin(struct transfer *t)
{
	if (!t->s->boot.listener)
		session_set_status(t->s, IPC_STATUS_CLAIMING, "");
	return make_flow(t);
}

bool
transfer_input(struct session *s, const uint8_t *pkt, size_t len)
{
	struct transfer *t = s->transfer;

	/* What is not sent again may come before our first turn: an abort.  If
	 * memory is out that turn ends the session. */
	if (t->flow == NULL && begin(t) != 0)
		return true;
	switch (transfer_flow_input(
	    t->flow, s->now, &s->boot.peer_derp, pkt, len)) {
	case TRANSFER_INPUT_FOREIGN:
		return false;
	case TRANSFER_INPUT_IGNORED:
		return true;
	case TRANSFER_INPUT_TAKEN:
		break;
	case TRANSFER_INPUT_CANDIDATES:
		discovery_set_peer(s, transfer_flow_peek_candidates(t->flow));
		break;
	case TRANSFER_INPUT_CALL_ME_MAYBE:
		discovery_called(s);
		break;
	case TRANSFER_INPUT_NATIVE:
		s->nego.is_native = true;
		discovery_set_native(s);
		quic_endpoint_set_renewable(s->quic);
		break;
	}
	s->nego.heard = s->now;
	session_wake(s);
	return true;
}

/* Claim and accept have met. */
static void
take_plan(struct transfer *t)
{
	const struct transfer_plan *plan = transfer_flow_peek_plan(t->flow);
	struct session *s = t->s;

	if (t->has_plan || plan == NULL)
		return;
	t->has_plan = true;
	if (!plan->relay_only)
		discovery_accept(s, transfer_flow_peek_candidates(t->flow));
	session_set_status(s, IPC_STATUS_CLAIMED, "");
	session_set_status(s, IPC_STATUS_RELAY, "");
	if (!t->sender)
		transfer_rx_plan(t, plan);
}

/* Behind the accept, so that it finds an end that knows us.  A peer of ours
 * moves to a better path sooner for it, and takes our FIN for the end. */
static void
announce(struct transfer *t)
{
	uint8_t pkt[NATIVE_MAX_WIRE];
	struct buf_writer w = buf_writer(pkt, sizeof(pkt));

	if (t->is_announced || transfer_flow_peek_plan(t->flow) == NULL)
		return;
	t->is_announced = true;
	if (native_build(&w, &t->s->boot.envelope_key) == 0)
		path_relay_send_one(&t->s->relay, w.p, w.len);
}

static void
run_opening(struct transfer *t)
{
	bool is_open;

	if (transfer_flow_state(t->flow) != TRANSFER_OPENING)
		return;
	is_open = t->sender ? transfer_tx_has_source(&t->tx)
			    : transfer_rx_open_early(t);
	if (is_open)
		transfer_flow_opened(t->flow, t->s->now);
}

static void
run_stop(struct transfer *t)
{
	struct session *s = t->s;

	if (mono_is_never(s->stop_deadline) || t->is_cancelled)
		return;
	t->is_cancelled = true;
	if (s->stop_code == 0 || s->stop_code == -ECANCELED)
		transfer_flow_cancel(t->flow, s->now);
	else
		transfer_flow_fail(
		    t->flow, s->stop_code, err_str(s->stop_code), s->now);
}

static void
run_output(struct transfer *t)
{
	uint8_t pkt[TRANSFER_FLOW_MAX_PACKET];

	for (;;) {
		struct buf_writer w = buf_writer(pkt, sizeof(pkt));

		if (transfer_flow_output(t->flow, t->s->now, &w) != 1)
			return;
		if (w.len > 0)
			path_relay_send_one(&t->s->relay, w.p, w.len);
	}
}

/* What is left to do when the outcome is known. */
static void
run_end(struct transfer *t)
{
	enum transfer_state state = transfer_flow_state(t->flow);
	struct session *s = t->s;
	const char *reason;
	uint64_t code;
	bool late = t->is_cancelled && !mono_before(s->now, s->stop_deadline);

	if (state != TRANSFER_DONE && state != TRANSFER_FAILED)
		return;
	if (!t->is_stopped) {
		t->is_stopped = true;
		transfer_tx_fini(t);
		transfer_rx_fini(t);
	}
	if (transfer_flow_may_close(t->flow, &code, &reason))
		transfer_quic_close(t, (unsigned)code, reason);
	else if (late) /* DONE; a sender that missed our word sees it so */
		transfer_quic_close(t, 0, TRANSFER_FLOW_COMPLETE);
	if (transfer_flow_is_quiet(t->flow) || late)
		session_end(s, transfer_flow_result(t->flow),
		    transfer_flow_reason(t->flow));
}

static void
run(struct session *s)
{
	struct transfer *t = s->transfer;
	struct candidate_list own;

	if (t->flow == NULL && begin(t) != 0) {
		session_end(s, -ENOMEM, err_str(-ENOMEM));
		return;
	}
	if (!t->has_plan) {
		list_own(t, &own);
		transfer_flow_set_candidates(t->flow, &own);
	}
	run_stop(t);
	run_opening(t);
	run_output(t);
	take_plan(t);
	run_opening(t); /* a claimant has its plan only now */
	announce(t);
	transfer_quic_run(t);
	if (t->sender)
		transfer_tx_run(t);
	else
		transfer_rx_run(t);
	run_output(t);
	transfer_msgs_run(t);
	run_end(t);
}

static struct mono
next_deadline(const struct session *s)
{
	const struct transfer *t = s->transfer;
	struct mono at;

	if (t->flow == NULL)
		return (struct mono){ 0 };
	at = transfer_flow_next_deadline(t->flow);
	at = mono_min(at, t->sender ? transfer_tx_next_deadline(t)
				    : transfer_rx_next_deadline(t));
	return mono_min(at, transfer_msgs_next_deadline(t));
}

/* Without splices nothing asks for these. */
static void
start(struct session *s)
{
	(void)s;
}

static int
attach(struct session *s, struct splice *sp)
{
	(void)s;
	(void)sp;
	return -DT_ERR_STATE;
}

const struct tunnel_ops *
transfer_ops(void)
{
	static const struct tunnel_ops ops = {
		.start = start,
		.conn_ready = transfer_quic_conn_ready,
		.conn_closed = transfer_quic_conn_closed,
		.attach = attach,
		.run = run,
		.next_deadline = next_deadline,
	};

	return &ops;
}
