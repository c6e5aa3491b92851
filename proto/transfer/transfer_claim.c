/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/transfer/transfer_claim.h"

#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/gojson.h"

int
transfer_claim_judge(const void *p, size_t len,
    const struct key32 *envelope_key, struct key32 *ret_quic_public)
{
	struct envelope e;
	int r = envelope_open(&e, p, len, envelope_key);

	if (r < 0)
		return r == -DT_ERR_PEER_PROTOCOL ? -DT_ERR_AUTH : r;
	if (e.kind != ENVELOPE_V2_CLAIM)
		r = -DT_ERR_AUTH;
	else if (!envelope_text_equal(
		     e.v2_claim.protocol, MESSAGE_V2_PROTOCOL.p))
		r = -DT_ERR_UNSUPPORTED;
	else if (secret_is_zero(
		     &e.v2_claim.quic_public, sizeof(e.v2_claim.quic_public)))
		r = -DT_ERR_KEY;
	else
		*ret_quic_public = e.v2_claim.quic_public;
	envelope_fini(&e);
	return r;
}

int
transfer_claim_build_refusal(
    struct buf_writer *w, const char *reason, const struct key32 *envelope_key)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_V2_ACCEPT);
	e.v2_accept.protocol = MESSAGE_V2_PROTOCOL;
	e.v2_accept.reason.p = reason;
	e.v2_accept.reason.n =
	    gojson_cut(reason, strlen(reason), ENVELOPE_MAX_REASON);
	return envelope_build(w, &e, envelope_key);
}
