/* SPDX-License-Identifier: BSD-3-Clause */
/* One flow machine in each state, for tests that talk to it alone. */
#ifndef TEST_UNIT_TRANSFER_FLOW_RIG_H
#define TEST_UNIT_TRANSFER_FLOW_RIG_H

#include <errno.h>

#include "lib/err.h"
#include "test/unit/transfer_talk.h"

static inline struct transfer_params
flow_params(enum transfer_role role)
{
	struct transfer_params p = {
		.role = role,
		.envelope_key = talk_key,
		.peer_derp = talk_issuer,
		.own_quic_public = talk_quic,
		.is_open = true,
		.size = -1,
	};

	return p;
}

static inline struct transfer_flow *
flow_fresh(const struct transfer_params *p)
{
	struct transfer_flow *f = transfer_flow_new(p, NULL, talk_at(0));

	if (f == NULL)
		abort();
	return f;
}

/* A relay-only sender that has everything behind it but the confirmation. */
static inline struct transfer_flow *
flow_sender_at(enum transfer_state state, int64_t bytes)
{
	struct transfer_params p = flow_params(TRANSFER_SEND_CLAIMANT);
	struct transfer_flow *f;
	struct envelope e = talk_accept(false);

	p.force_relay = true;
	f = flow_fresh(&p);
	(void)talk_drain(f, talk_at(0), ENVELOPE_V2_CLAIM);
	(void)talk_give(f, talk_at(10), &talk_issuer, &e);
	if (state == TRANSFER_CONNECTING)
		return f;
	transfer_flow_connected(f, talk_at(20));
	transfer_flow_moved(f, bytes, talk_at(30));
	if (state == TRANSFER_CONFIRMING)
		transfer_flow_finished(f, talk_at(40));
	return f;
}

/* A relay-only receiver, likewise. */
static inline struct transfer_flow *
flow_receiver_at(enum transfer_state state, int64_t bytes)
{
	struct transfer_params p = flow_params(TRANSFER_RECEIVE_ISSUER);
	struct transfer_flow *f = flow_fresh(&p);
	struct envelope e = talk_claim(false);

	(void)talk_give(f, talk_at(10), &talk_claimant, &e);
	(void)talk_drain(f, talk_at(10), ENVELOPE_V2_ACCEPT);
	transfer_flow_connected(f, talk_at(20));
	transfer_flow_moved(f, bytes, talk_at(30));
	if (state == TRANSFER_CONFIRMING)
		transfer_flow_finished(f, talk_at(40));
	return f;
}

static inline void
flow_failed(struct transfer_flow *f, int result, const char *reason)
{
	EQ_INT(transfer_flow_state(f), TRANSFER_FAILED, "failed");
	EQ_INT(transfer_flow_result(f), result, "result");
	EQ_STR(transfer_flow_reason(f), reason, "reason");
	transfer_flow_free(f);
}

#endif
