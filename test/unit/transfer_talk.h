/* SPDX-License-Identifier: BSD-3-Clause */
/* Writing and reading the envelopes of one transfer, for tests. */
#ifndef TEST_UNIT_TRANSFER_TALK_H
#define TEST_UNIT_TRANSFER_TALK_H

#include <stdlib.h>

#include "proto/rendezvous/envelope.h"
#include "proto/transfer/transfer_flow.h"
#include "test/tap.h"

/* Keys that tell themselves apart. */
static const struct key32 talk_key = { .b = { 1, 2, 3 } };
static const struct key32 talk_issuer = { .b = { 0x10 } };
static const struct key32 talk_claimant = { .b = { 0x20 } };
static const struct key32 talk_stranger = { .b = { 0x30 } };
static const struct key32 talk_quic = { .b = { 0x80, 0x81 } };

struct talk_packet {
	size_t len;
	uint8_t bytes[TRANSFER_FLOW_MAX_PACKET];
};

static inline struct message_text
talk_text(const char *s)
{
	return (struct message_text){ s, strlen(s) };
}

static inline void
talk_build(struct talk_packet *p, const struct envelope *e)
{
	struct buf_writer w = buf_writer(p->bytes, sizeof(p->bytes));

	if (envelope_build(&w, e, &talk_key) < 0)
		abort();
	p->len = w.len;
}

/* A claim as the simplest peer sends it; change it, then talk_build(). */
static inline struct envelope
talk_claim(bool relay_capable)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_V2_CLAIM);
	e.v2_claim.protocol = MESSAGE_V2_PROTOCOL;
	e.v2_claim.quic_public = talk_quic;
	e.v2_claim.relay_capable = relay_capable;
	e.v2_claim.parallel_mode = talk_text("fixed");
	e.v2_claim.parallel_initial = 8;
	e.v2_claim.parallel_cap = 8;
	return e;
}

static inline struct envelope
talk_accept(bool relay_capable)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_V2_ACCEPT);
	e.v2_accept.protocol = MESSAGE_V2_PROTOCOL;
	e.v2_accept.accepted = true;
	e.v2_accept.relay_capable = relay_capable;
	e.v2_accept.parallel_mode = talk_text("fixed");
	e.v2_accept.parallel_initial = 8;
	e.v2_accept.parallel_cap = 8;
	e.v2_accept.manager_connections = 1;
	return e;
}

static inline struct envelope
talk_ready(const char *phase, bool raw)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_READY);
	e.ready.protocol = MESSAGE_V2_PROTOCOL;
	e.ready.phase = talk_text(phase);
	e.ready.raw_direct = raw;
	return e;
}

static inline struct envelope
talk_progress(int64_t bytes, int64_t ms, uint64_t sequence)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_PROGRESS);
	e.progress.bytes_received = bytes;
	e.progress.transfer_elapsed_ms = ms;
	e.progress.sequence = sequence;
	return e;
}

static inline struct envelope
talk_complete(int64_t bytes)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_V2_COMPLETE);
	e.v2_complete.protocol = MESSAGE_V2_PROTOCOL;
	e.v2_complete.bytes_received = bytes;
	return e;
}

static inline struct envelope
talk_abort(const char *reason)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_ABORT);
	e.abort.reason = talk_text(reason);
	e.abort.has_bytes_transferred = true;
	return e;
}

/* Give @e to @f as coming from @source. */
static inline enum transfer_input
talk_give(struct transfer_flow *f, struct mono now, const struct key32 *source,
    const struct envelope *e)
{
	struct talk_packet *p = malloc(sizeof(*p));
	enum transfer_input in;

	if (p == NULL)
		abort();
	talk_build(p, e);
	in = transfer_flow_input(f, now, source, p->bytes, p->len);
	free(p);
	return in;
}

/* The next envelope of @f, opened; false when none is due. */
static inline bool
talk_take(struct transfer_flow *f, struct mono now, struct envelope *ret_e)
{
	struct talk_packet *p = malloc(sizeof(*p));
	struct buf_writer w;
	int r;

	if (p == NULL)
		abort();
	w = buf_writer(p->bytes, sizeof(p->bytes));
	r = transfer_flow_output(f, now, &w);
	if (r < 0 ||
	    (r == 1 && envelope_open(ret_e, p->bytes, w.len, &talk_key) < 0))
		abort();
	free(p);
	return r == 1;
}

/* Take everything due; how many were of @kind, and the last of them. */
static inline unsigned
talk_drain(struct transfer_flow *f, struct mono now, enum envelope_kind kind)
{
	struct envelope e;
	unsigned n = 0;

	while (talk_take(f, now, &e)) {
		n += e.kind == kind;
		envelope_fini(&e);
	}
	return n;
}

static inline struct mono
talk_at(int64_t ms)
{
	return (struct mono){ 1000 * MONO_SEC + ms * MONO_MS };
}

#endif
