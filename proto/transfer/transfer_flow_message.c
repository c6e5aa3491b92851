/* SPDX-License-Identifier: BSD-3-Clause */
/* The envelopes a transfer sends, all but those of the ready conversation. */
#include <string.h>

#include "lib/err.h"
#include "proto/transfer/blocks_tx.h"
#include "proto/transfer/transfer_claim.h"
#include "proto/transfer/transfer_flow_state.h"

#define MODE_BLOCKS MESSAGE_TEXT("blocks-v1") /* peer v0.18.2 */

/* The whole of announce_packet. */
static int
build_announce(struct transfer_flow *f, const struct envelope *e)
{
	struct buf_writer w =
	    buf_writer(f->announce_packet, sizeof(f->announce_packet));
	int r = envelope_build(&w, e, &f->params.envelope_key);

	f->announce_len = w.len;
	return r;
}

/* None when paths between the two are not to be looked for. */
static struct message_list
own_candidates(
    const struct transfer_flow *f, bool relay_only, struct candidate_texts *t)
{
	const struct message_list none = { 0 };

	return relay_only ? none : candidate_to_texts(t, &f->own);
}

static struct message_octets
own_header(const struct transfer_flow *f)
{
	return (
	    struct message_octets){ f->params.header, f->params.header_len };
}

int
transfer_flow_build_claim(struct transfer_flow *f)
{
	struct candidate_texts texts;
	struct envelope e;
	struct message_v2_claim *c = &e.v2_claim;

	envelope_init(&e, ENVELOPE_V2_CLAIM);
	c->protocol = MESSAGE_V2_PROTOCOL;
	c->quic_public = f->params.own_quic_public;
	c->candidates = own_candidates(f, f->params.force_relay, &texts);
	c->relay_capable = !f->params.force_relay;
	c->parallel_mode = transfer_policy_mode_text(&f->parallel);
	c->parallel_initial = f->parallel.initial;
	c->parallel_cap = f->parallel.cap;
	if (!f->sender) {
		c->block_capable = f->params.blocks;
	} else if (f->blocks) {
		/* No block_packet_* and no direct_tcp_*: that declines both. */
		c->transfer_mode = MODE_BLOCKS;
		c->block_header = own_header(f);
		c->block_size = f->block_size;
		c->block_chunk_size = f->chunk_size;
	}
	return build_announce(f, &e);
}

int
transfer_flow_build_accept(struct transfer_flow *f)
{
	struct candidate_texts texts;
	struct envelope e;
	struct message_v2_accept *a = &e.v2_accept;

	envelope_init(&e, ENVELOPE_V2_ACCEPT);
	a->protocol = MESSAGE_V2_PROTOCOL;
	a->accepted = true;
	a->candidates = own_candidates(f, f->plan.relay_only, &texts);
	a->relay_capable = !f->params.force_relay;
	a->parallel_mode = transfer_policy_mode_text(&f->parallel);
	a->parallel_initial = f->parallel.initial;
	a->parallel_cap = f->parallel.cap;
	a->manager_connections = f->plan.connections;
	if (f->blocks)
		a->transfer_mode = MODE_BLOCKS;
	if (f->blocks && f->sender) {
		a->block_header = own_header(f);
		a->block_size = f->block_size;
		a->block_chunk_size = f->chunk_size;
	}
	return build_announce(f, &e);
}

int
transfer_flow_build_refusal(struct transfer_flow *f)
{
	struct buf_writer w =
	    buf_writer(f->announce_packet, sizeof(f->announce_packet));
	int r = transfer_claim_build_refusal(
	    &w, f->reason, &f->params.envelope_key);

	f->announce_len = w.len;
	return r;
}

int
transfer_flow_build_progress(
    struct transfer_flow *f, struct mono now, struct buf_writer *w)
{
	int64_t elapsed_ms = mono_diff(now, f->first) / MONO_MS;
	struct envelope e;

	envelope_init(&e, ENVELOPE_PROGRESS);
	e.progress.bytes_received = transfer_flow_session_bytes(f);
	e.progress.transfer_elapsed_ms = elapsed_ms > 0 ? elapsed_ms : 1;
	e.progress.sequence = ++f->sequence;
	return envelope_build(w, &e, &f->params.envelope_key);
}

int
transfer_flow_build_complete(
    const struct transfer_flow *f, struct buf_writer *w)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_V2_COMPLETE);
	e.v2_complete.protocol = MESSAGE_V2_PROTOCOL;
	e.v2_complete.bytes_received = transfer_flow_session_bytes(f);
	return envelope_build(w, &e, &f->params.envelope_key);
}

int
transfer_flow_build_abort(const struct transfer_flow *f, struct buf_writer *w)
{
	return envelope_build_abort(w, f->reason,
	    transfer_flow_session_bytes(f), &f->params.envelope_key);
}
