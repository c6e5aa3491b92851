/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Input: role and options, then records.  Each is an operation and its bytes:
 * time, raw packets, authentic envelopes with made-up members, reports of the
 * caller.  Whatever comes, the machine says little, is never late, does not
 * leave its ends, and does not succeed without its caller.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/transfer/transfer_flow.h"

/* In one run of a few seconds; a queue of v0.18.2 holds 80 of a kind. */
#define MOST_ENVELOPES 600

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key32 key = { { 1 } };
static const struct key32 peer = { { 2 } };

struct run {
	struct buf_reader in;
	struct transfer_flow *f;
	struct mono now;
	struct mono start;
	size_t sent;
	bool finished;
	bool over;
	enum transfer_state end;
};

static struct message_text
text(struct run *r)
{
	static const char *const known[] = { "derphole-transfer-v2",
		"blocks-v1", "bulk-packets-v1", "direct-tcp-files-v1", "fixed",
		"auto", "candidates", "selection", "call-me-maybe", "",
		"192.0.2.1:9", "\x1b[2J" };
	uint8_t n = buf_get_u8(&r->in);
	struct message_text t;

	if (n < sizeof(known) / sizeof(known[0]))
		return (struct message_text){ known[n], strlen(known[n]) };
	t.n = n % 32u;
	if (t.n > buf_remaining(&r->in))
		t.n = buf_remaining(&r->in);
	t.p = (const char *)buf_peek_bytes(&r->in, t.n);
	if (t.p == NULL)
		t.n = 0;
	return t;
}

static int64_t
number(struct run *r)
{
	uint8_t n = buf_get_u8(&r->in);

	if (n == 255)
		return (int64_t)buf_get_u64(&r->in);
	return n < 128 ? n : (n - 127) * INT64_C(65536);
}

static void
fill_claim(struct run *r, struct message_v2_claim *c)
{
	c->protocol = text(r);
	c->quic_public.b[0] = buf_get_u8(&r->in);
	c->relay_capable = (buf_get_u8(&r->in) & 1) != 0;
	c->block_capable = (buf_get_u8(&r->in) & 1) != 0;
	c->parallel_mode = text(r);
	c->parallel_initial = number(r);
	c->transfer_mode = text(r);
	c->block_size = number(r);
	c->block_chunk_size = number(r);
}

static void
fill_accept(struct run *r, struct message_v2_accept *a)
{
	a->protocol = text(r);
	a->accepted = (buf_get_u8(&r->in) & 1) != 0;
	a->relay_capable = (buf_get_u8(&r->in) & 1) != 0;
	a->reason = text(r);
	a->parallel_mode = text(r);
	a->parallel_initial = number(r);
	a->manager_connections = number(r);
	a->raw_direct_budget_ms = number(r);
	a->transfer_mode = text(r);
	a->block_size = number(r);
	a->block_chunk_size = number(r);
}

static void
give_envelope(struct run *r)
{
	static uint8_t wire[ENVELOPE_MAX_WIRE];
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct message_text one;
	struct envelope e;

	envelope_init(&e, (enum envelope_kind)(
			      buf_get_u8(&r->in) % ENVELOPE_BULK_CONTROL + 1));
	fill_claim(r, &e.v2_claim);
	fill_accept(r, &e.v2_accept);
	one = text(r);
	e.ready.protocol = text(r);
	e.ready.phase = text(r);
	e.ready.raw_direct = (buf_get_u8(&r->in) & 1) != 0;
	e.ready.candidates.item = &one;
	e.ready.candidates.n = 1;
	e.control.type = text(r);
	e.control.candidates = e.ready.candidates;
	e.progress.bytes_received = number(r);
	e.progress.transfer_elapsed_ms = number(r);
	e.progress.sequence = (uint64_t)number(r);
	e.v2_complete.bytes_received = number(r);
	e.abort.reason = text(r);
	if (envelope_build(&w, &e, &key) == 0)
		(void)transfer_flow_input(r->f, r->now, &peer, wire, w.len);
}

static void
give_raw(struct run *r)
{
	size_t n = buf_get_u8(&r->in);
	const uint8_t *p;

	if (n > buf_remaining(&r->in))
		n = buf_remaining(&r->in);
	p = buf_peek_bytes(&r->in, n);
	if (p != NULL)
		(void)transfer_flow_input(r->f, r->now, &peer, p, n);
}

static void
give_lanes(struct run *r)
{
	static const struct ready_sets none;
	static struct ready_sets one = { .n = 1, .set[0].n = 1 };

	(void)addr_parse(&one.set[0].a[0], "192.0.2.5:5");
	transfer_flow_set_lanes(
	    r->f, (buf_get_u8(&r->in) & 1) != 0 ? &one : &none, r->now);
}

static void
operate(struct run *r)
{
	switch (buf_get_u8(&r->in) % 14) {
	case 0:
		r->now = mono_add(r->now, buf_get_u16(&r->in) * MONO_MS);
		break;
	case 1:
		give_raw(r);
		break;
	case 2:
		transfer_flow_opened(r->f, r->now);
		break;
	case 3:
		give_lanes(r);
		break;
	case 4:
		transfer_flow_set_verdict(
		    r->f, (buf_get_u8(&r->in) & 1) != 0, r->now);
		break;
	case 5:
		transfer_flow_connected(r->f, r->now);
		break;
	case 6:
		transfer_flow_moved(r->f, number(r), r->now);
		break;
	case 7:
		transfer_flow_set_total(r->f, number(r));
		break;
	case 8:
		transfer_flow_finished(r->f, r->now);
		r->finished = true;
		break;
	case 9:
		transfer_flow_disconnected(r->f, (buf_get_u8(&r->in) & 1) != 0,
		    -DT_ERR_PEER_GONE, "gone", r->now);
		break;
	case 10:
		transfer_flow_fail(r->f, -EIO, "x\x1b", r->now);
		break;
	case 11:
		transfer_flow_cancel(r->f, r->now);
		break;
	default:
		give_envelope(r);
		break;
	}
}

static void
drain(struct run *r)
{
	static uint8_t out[TRANSFER_FLOW_MAX_PACKET];
	struct buf_writer w;

	do {
		w = buf_writer(out, sizeof(out));
		assert(++r->sent < MOST_ENVELOPES);
	} while (transfer_flow_output(r->f, r->now, &w) == 1);
	assert(mono_before(r->now, transfer_flow_next_deadline(r->f)));
}

static void
check(struct run *r)
{
	enum transfer_state s = transfer_flow_state(r->f);
	struct transfer_report report;

	assert(!r->over || s == r->end);
	if (s == TRANSFER_DONE || s == TRANSFER_FAILED) {
		r->over = true;
		r->end = s;
	}
	assert((s == TRANSFER_FAILED) == (transfer_flow_result(r->f) < 0));
	assert(s != TRANSFER_DONE || r->finished);
	for (const char *p = transfer_flow_reason(r->f); *p != '\0'; p++)
		assert((unsigned char)*p >= 0x20 && *p != 0x7f);
	transfer_flow_report(r->f, r->now, &report);
	assert(report.payload >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run r = { .in = buf_reader(data, size),
		.now = { MONO_SEC },
		.start = { MONO_SEC } };
	struct transfer_params p = {
		.envelope_key = key, .peer_derp = peer, .own_quic_public = peer
	};
	uint8_t options;

	p.role = (enum transfer_role)(buf_get_u8(&r.in) % 4);
	options = buf_get_u8(&r.in);
	p.force_relay = (options & 1) != 0;
	p.offer_raw = (options & 2) != 0;
	p.is_open = (options & 4) != 0;
	p.blocks = (options & 8) != 0;
	p.structured = (options & 16) != 0;
	p.streams = options / 32u;
	p.size = number(&r) - 1;
	r.f = transfer_flow_new(&p, NULL, r.now);
	if (r.f == NULL)
		return 0;
	drain(&r);
	while (buf_remaining(&r.in) > 0) {
		operate(&r);
		/* Long runs may say more than a few things. */
		if (mono_diff(r.now, r.start) > 120 * MONO_SEC)
			break;
		drain(&r);
		check(&r);
	}
	transfer_flow_free(r.f);
	return 0;
}
