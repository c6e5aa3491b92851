/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first authentic claim before the token expires takes the slot.  The
 * answer to it is the session's, which may have to open a file before; here
 * only those are answered that come too late or speak another protocol, because
 * they would wait for ever.
 */
#include "helpers/gate/gate_transfer.h"

#include <errno.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/session_keys.h"
#include "proto/transfer/transfer_claim.h"

void
gate_transfer_init(struct gate_transfer *t, const struct ipc_boot_gate *boot)
{
	t->bearer = boot->secret;
	t->own_derp = boot->derp_public;
	t->session_id = boot->session_id;
	t->expires_unix = boot->expires_unix;
	session_keys_envelope(&t->envelope_key, &t->bearer, &t->session_id);
}

int
gate_transfer_judge(const struct gate_transfer *t, const struct key32 *holder,
    int64_t now_unix, struct gate_claim *c)
{
	int r = -DT_ERR_TOO_LONG;

	c->refusal = NULL;
	if (c->len <= IPC_MAX_ENVELOPE)
		r = transfer_claim_judge(
		    c->p, c->len, &t->envelope_key, &c->quic_public);
	if (r == -DT_ERR_UNSUPPORTED || r == -DT_ERR_KEY)
		c->refusal = TRANSFER_CLAIM_UNSUPPORTED;
	if (r != 0)
		return r;
	if (holder != NULL) {
		/* His own, again, is on its way to his session. */
		if (!secret_equal(holder, &c->source, sizeof(*holder)))
			c->refusal = TRANSFER_CLAIM_TAKEN;
		return -DT_ERR_LIMIT;
	}
	if (now_unix >= t->expires_unix) {
		c->refusal = TRANSFER_CLAIM_EXPIRED;
		return -DT_ERR_EXPIRED;
	}
	return 0;
}

void
gate_transfer_accept(const struct gate_transfer *t, const struct gate_claim *c,
    struct ipc_accept *ret_accept)
{
	struct ipc_accept *a = ret_accept;

	a->peer_derp = c->source;
	a->peer_quic = c->quic_public;
	a->envelope_key = t->envelope_key;
	session_keys_disco(&a->disco_key, &t->bearer, &t->session_id,
	    &t->own_derp, &c->source);
	a->claim_len = (uint16_t)c->len;
	memcpy(a->claim, c->p, c->len);
}

int
gate_transfer_refuse(
    const struct gate_transfer *t, const char *why, struct buf_writer *w)
{
	return transfer_claim_build_refusal(w, why, &t->envelope_key);
}
