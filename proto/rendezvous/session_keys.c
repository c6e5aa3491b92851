/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/session_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "proto/rendezvous/codec.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/schema.h"

void
session_keys_envelope(struct key32 *ret_key, const struct key32 *bearer,
    const struct id16 *session_id)
{
	uint8_t msg[64];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	buf_put_str(&w, "derphole-control-envelope-v1");
	buf_put_bytes(&w, session_id->b, sizeof(session_id->b));
	secret_hmac_sha256(ret_key, bearer, msg, w.len);
}

void
session_keys_disco(struct key32 *ret_key, const struct key32 *bearer,
    const struct id16 *session_id, const struct key32 *a, const struct key32 *b)
{
	bool swap = memcmp(a->b, b->b, sizeof(a->b)) > 0;
	uint8_t msg[160];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	buf_put_str(&w, "derphole-transport-raw-direct-disco-mac-v2");
	buf_put_bytes(&w, session_id->b, sizeof(session_id->b));
	buf_put_bytes(&w, swap ? b->b : a->b, sizeof(a->b));
	buf_put_bytes(&w, swap ? a->b : b->b, sizeof(a->b));
	secret_hmac_sha256(ret_key, bearer, msg, w.len);
}

/* The bearer text of @claim; *@ret_text is to be freed. */
static int
bearer_text(
    uint8_t **ret_text, size_t *ret_len, const struct message_claim *claim)
{
	size_t cap = codec_max_len(ENVELOPE_MAX_WIRE);
	uint8_t *text = malloc(cap);
	struct buf_writer w = buf_writer(text, cap);

	if (text == NULL)
		return -ENOMEM;
	codec_encode(&w, claim, &schema_bearer);
	if (w.err < 0) {
		free(text);
		return w.err;
	}
	*ret_text = text;
	*ret_len = w.len;
	return 0;
}

int
session_keys_bearer_mac(struct key32 *ret_mac, const struct key32 *bearer,
    const struct message_claim *claim)
{
	uint8_t *text;
	size_t len;
	int r = bearer_text(&text, &len, claim);

	if (r < 0)
		return r;
	secret_hmac_sha256(ret_mac, bearer, text, len);
	free(text);
	return 0;
}

int
session_keys_claim_digest(
    struct key32 *ret_digest, const struct message_claim *claim)
{
	struct key32 both[2];
	uint8_t *text;
	size_t len;
	int r = bearer_text(&text, &len, claim);

	if (r < 0)
		return r;
	secret_sha256(&both[0], text, len);
	free(text);
	/* The MAC is compared as text: its upper-case spelling is a rival. */
	secret_sha256(&both[1], claim->bearer_mac.p, claim->bearer_mac.n);
	secret_sha256(ret_digest, both, sizeof(both));
	return 0;
}
