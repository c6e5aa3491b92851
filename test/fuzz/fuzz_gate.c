/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One packet for a session gate and a derptun gate.  The input is signed here,
 * so that the checks behind the MAC are reached.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/gate.h"
#include "proto/rendezvous/session_keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fill(void *p, size_t n, uint8_t first)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)p)[i] = (uint8_t)(first + i);
}

/* The session of the golden vectors, which the corpus was made from. */
static struct gate_params
params(enum gate_kind kind)
{
	struct gate_params p = { .kind = kind,
		.version = 5,
		.expires_unix = 4102444800,
		.capabilities = kind == GATE_DERPTUN ? 0x20 : 2 };

	fill(&p.session_id, 16, kind == GATE_DERPTUN ? 0x10 : 0xa0);
	fill(&p.secret, 32, kind == GATE_DERPTUN ? 0x30 : 0xc0);
	return p;
}

static void
judge(struct gate *g, const struct key32 *source, const void *p, size_t n)
{
	static uint8_t out[GATE_MAX_DECISION];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct candidate_list none = { 0 };
	struct gate_result res;

	if (gate_judge(g, 1800000000, source, p, n, &res) < 0)
		return;
	if ((res.verdict == GATE_REJECT || res.verdict == GATE_BUSY) &&
	    gate_build_reject(&w, &res) < 0)
		abort();
	if (res.verdict == GATE_ACCEPT && gate_build_accept(g, &w, &none) < 0)
		abort();
	if (res.verdict == GATE_ACCEPT &&
	    (gate_judge(g, 1800000000, source, p, n, &res) < 0 ||
		res.verdict != GATE_REPEAT))
		abort();
}

/* Signs the claim as its maker would have. */
static void
judge_signed(enum gate_kind kind, struct envelope *e)
{
	static uint8_t out[ENVELOPE_MAX_WIRE];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct gate_params p = params(kind);
	struct key32 bearer = p.secret, key, mac;
	struct gate *g = gate_new(&p);
	char mac_text[65];

	if (g == NULL)
		return;
	if (kind == GATE_DERPTUN)
		token_derptun_bearer(
		    &bearer, &p.secret, &e->claim.client.client_id);
	session_keys_envelope(&key, &bearer, &p.session_id);
	if (session_keys_bearer_mac(&mac, &bearer, &e->claim) == 0) {
		token_text_hex_encode(mac_text, mac.b, sizeof(mac.b));
		e->claim.bearer_mac = (struct message_text){ mac_text, 64 };
	}
	if (envelope_build(&w, e, &key) == 0)
		judge(g, &e->claim.derp_public, out, w.len);
	gate_free(g);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum gate_kind kinds[] = { GATE_SESSION, GATE_DERPTUN };
	struct key32 source = { { 1 } };
	struct envelope e;

	for (size_t i = 0; i < 2; i++) {
		struct gate_params p = params(kinds[i]);
		struct gate *g = gate_new(&p);

		if (g == NULL)
			return 0;
		judge(g, &source, data, size);
		gate_free(g);
		if (envelope_parse(&e, data, size) < 0)
			continue;
		judge_signed(kinds[i], &e);
		envelope_fini(&e);
	}
	return 0;
}
