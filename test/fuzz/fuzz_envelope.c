/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One DERP payload.  What parses must, once signed, be authentic and come out
 * the same again.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/ready.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_ready(const struct message_ready *body)
{
	static uint8_t out[READY_MAX_PACKET];
	static const struct key32 key = { { 2 } };
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct ready *r = ready_new(&key, NULL, (struct mono){ 0 });

	if (r == NULL)
		return;
	ready_input(r, body, (struct mono){ 1 });
	(void)ready_output(r, (struct mono){ 2 }, &w);
	ready_free(r);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[ENVELOPE_MAX_WIRE], second[ENVELOPE_MAX_WIRE];
	static const struct key32 key = { { 1 } };
	struct candidate_list list;
	struct envelope e, back;
	struct buf_writer w = buf_writer(first, sizeof(first));
	struct buf_writer v = buf_writer(second, sizeof(second));
	char text[64];

	if (envelope_parse(&e, data, size) < 0)
		return 0;
	candidate_from_peer(
	    &list, &e.control.candidates, CANDIDATE_POLICY_PEER);
	(void)candidate_from_claim(
	    &list, &e.claim.candidates, CANDIDATE_POLICY_PEER);
	envelope_text_sanitise(e.abort.reason, text, sizeof(text));
	if (e.has_ready)
		try_ready(&e.ready);
	(void)envelope_verify(&e, &key);
	if (envelope_build(&w, &e, &key) == 0) {
		int r = envelope_parse(&back, first, w.len);

		/* Absent members that are written can only make it longer. */
		if (r < 0)
			abort();
		r = envelope_verify(&back, &key);
		if (r < 0 && r != -DT_ERR_PEER_PROTOCOL)
			abort();
		if (envelope_build(&v, &back, &key) < 0 || w.len != v.len ||
		    memcmp(first, second, w.len) != 0)
			abort();
		envelope_fini(&back);
	}
	envelope_fini(&e);
	return 0;
}
