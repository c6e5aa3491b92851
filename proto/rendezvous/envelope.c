/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/envelope.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/codec.h"
#include "proto/rendezvous/gojson.h"
#include "proto/rendezvous/schema.h"
#include "proto/token/token_text.h"

/* base64url of 32 octets, and terminator. */
#define MAC_TEXT_LEN (TOKEN_TEXT_BASE64_LEN(32) + 1)
#define MAC_PREFIX "envelope"

static const struct {
	const char *name;
	size_t has; /* offset of the flag of its body */
	bool needs_body;
} kinds[] = {
#define KIND(name, flag, needs_body)                                           \
	{                                                                      \
		name, offsetof(struct envelope, flag), needs_body              \
	}
	[ENVELOPE_UNKNOWN] = { "", 0, false },
	[ENVELOPE_CLAIM] = KIND("claim", has_claim, true),
	[ENVELOPE_DECISION] = KIND("decision", has_decision, true),
	[ENVELOPE_CONTROL] = KIND("control", has_control, true),
	[ENVELOPE_PROGRESS] = KIND("progress", has_progress, false),
	[ENVELOPE_ABORT] = KIND("abort", has_abort, false),
	[ENVELOPE_V2_CLAIM] = KIND("v2_claim", has_v2_claim, true),
	[ENVELOPE_V2_ACCEPT] = KIND("v2_accept", has_v2_accept, true),
	[ENVELOPE_V2_COMPLETE] = KIND("v2_complete", has_v2_complete, true),
	[ENVELOPE_READY] = KIND("v2_data_plane_ready", has_ready, true),
	[ENVELOPE_BULK_CONTROL] =
	    KIND("v2_bulk_control", has_bulk_control, true),
#undef KIND
};

#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static bool
has_body(const struct envelope *e)
{
	const void *flag = (const char *)e + kinds[e->kind].has;

	return *(const bool *)flag;
}

bool
envelope_is_shaped(const void *p, size_t len)
{
	return len > 0 && len <= ENVELOPE_MAX_WIRE && *(const char *)p == '{';
}

bool
envelope_text_equal(struct message_text t, const char *s)
{
	return t.n == strlen(s) && (t.n == 0 || memcmp(t.p, s, t.n) == 0);
}

static enum envelope_kind
kind_of(struct message_text type)
{
	for (size_t i = 1; i < N_KINDS; i++)
		if (type.n > 0 && envelope_text_equal(type, kinds[i].name))
			return (enum envelope_kind)i;
	return ENVELOPE_UNKNOWN;
}

int
envelope_parse(struct envelope *ret_envelope, const void *p, size_t len)
{
	struct codec_memory *memory;
	struct envelope e;
	int r;

	if (!envelope_is_shaped(p, len))
		return -DT_ERR_SYNTAX;
	r = codec_parse(&e, sizeof(e), &schema_envelope, p, len, &memory);
	if (r < 0)
		return r;
	e.kind = kind_of(e.type);
	e.memory = memory;
	*ret_envelope = e;
	return 0;
}

/*
 * The MAC's text over @e as it stands but for its mac.
 * @cap: octets that the canonical text may have.
 */
static int
compute_mac(char out[static MAC_TEXT_LEN], const struct envelope *e,
    const struct key32 *key, size_t cap)
{
	struct envelope bare = *e;
	uint8_t *text = malloc(cap);
	struct buf_writer w = buf_writer(text, cap);
	struct key32 mac;
	int r;

	if (text == NULL)
		return -ENOMEM;
	bare.mac.n = 0;
	buf_put_str(&w, MAC_PREFIX);
	codec_encode(&w, &bare, &schema_envelope);
	r = w.err;
	if (r == 0) {
		secret_hmac_sha256(&mac, key, text, w.len);
		r = token_text_base64_encode(
		    out, MAC_TEXT_LEN, mac.b, sizeof(mac.b));
	}
	free(text);
	return r;
}

int
envelope_verify(const struct envelope *e, const struct key32 *key)
{
	char want[MAC_TEXT_LEN];
	int r;

	if (e->mac.n != MAC_TEXT_LEN - 1)
		return -DT_ERR_AUTH;
	r = compute_mac(want, e, key, codec_max_len(ENVELOPE_MAX_WIRE));
	if (r < 0)
		return r;
	if (!secret_equal(want, e->mac.p, MAC_TEXT_LEN - 1))
		return -DT_ERR_AUTH;
	if (kinds[e->kind].needs_body && !has_body(e))
		return -DT_ERR_PEER_PROTOCOL;
	return 0;
}

int
envelope_open(struct envelope *ret_envelope, const void *p, size_t len,
    const struct key32 *key)
{
	struct envelope e;
	int r = envelope_parse(&e, p, len);

	if (r < 0)
		return r;
	r = envelope_verify(&e, key);
	if (r < 0) {
		envelope_fini(&e);
		return r;
	}
	*ret_envelope = e;
	return 0;
}

void
envelope_init(struct envelope *e, enum envelope_kind kind)
{
	void *flag = (char *)e + kinds[kind].has;

	*e = (struct envelope){ .kind = kind };
	e->type.p = kinds[kind].name;
	e->type.n = strlen(kinds[kind].name);
	if (kind != ENVELOPE_UNKNOWN)
		*(bool *)flag = true;
}

void
envelope_fini(struct envelope *e)
{
	codec_free(e->memory);
	*e = (struct envelope){ 0 };
}

int
envelope_build(
    struct buf_writer *w, const struct envelope *e, const struct key32 *key)
{
	struct envelope signed_e = *e;
	struct buf_writer out;
	char mac[MAC_TEXT_LEN];
	size_t room;
	int r;

	if (w->err < 0)
		return w->err;
	r = compute_mac(mac, e, key, ENVELOPE_MAX_WIRE);
	if (r < 0)
		return r == -DT_ERR_FULL ? -DT_ERR_TOO_LONG : r;
	signed_e.mac = (struct message_text){ mac, MAC_TEXT_LEN - 1 };
	room = w->cap - w->len;
	if (room > ENVELOPE_MAX_WIRE)
		room = ENVELOPE_MAX_WIRE;
	out = buf_writer(w->p + w->len, room);
	codec_encode(&out, &signed_e, &schema_envelope);
	if (out.err < 0)
		return room == ENVELOPE_MAX_WIRE ? -DT_ERR_TOO_LONG : out.err;
	w->len += out.len;
	return 0;
}

int
envelope_build_candidates(struct buf_writer *w,
    const struct candidate_list *own, const struct key32 *key)
{
	struct candidate_texts texts;
	struct envelope e;

	envelope_init(&e, ENVELOPE_CONTROL);
	e.control.type = MESSAGE_CONTROL_CANDIDATES;
	e.control.candidates = candidate_to_texts(&texts, own);
	return envelope_build(w, &e, key);
}

int
envelope_build_call_me_maybe(struct buf_writer *w, const struct key32 *key)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_CONTROL);
	e.control.type = MESSAGE_CONTROL_CALL_ME_MAYBE;
	return envelope_build(w, &e, key);
}

int
envelope_build_abort(struct buf_writer *w, const char *reason,
    int64_t bytes_transferred, const struct key32 *key)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_ABORT);
	e.abort.reason.p = reason;
	e.abort.reason.n =
	    gojson_cut(reason, strlen(reason), ENVELOPE_MAX_REASON);
	e.abort.has_bytes_transferred = true;
	e.abort.bytes_transferred = bytes_transferred;
	return envelope_build(w, &e, key);
}

/* Separators of lines, and what turns the direction of writing: U+2028 to
 * U+202E, U+2066 to U+2069. */
static bool
is_turning(uint8_t a, uint8_t b)
{
	return (a == 0x80 && b >= 0xa8 && b <= 0xae) ||
	       (a == 0x81 && b >= 0xa6 && b <= 0xa9);
}

/* C0, DEL, and C1, which terminals obey when it comes as UTF-8. */
static size_t
control_len(const char *p, size_t n)
{
	uint8_t c = (uint8_t)p[0];

	if (c < 0x20 || c == 0x7f)
		return 1;
	if (c == 0xc2 && n > 1 && (uint8_t)p[1] < 0xa0)
		return 2;
	if (c == 0xe2 && n > 2 && is_turning((uint8_t)p[1], (uint8_t)p[2]))
		return 3;
	return 0;
}

void
envelope_text_sanitise(struct message_text t, char *out, size_t cap)
{
	size_t n = gojson_cut(t.p, t.n, cap - 1);
	size_t len = 0;

	for (size_t i = 0; i < n;) {
		size_t bad = control_len(t.p + i, n - i);

		if (bad > 0)
			out[len] = '?';
		else
			out[len] = t.p[i];
		len++;
		i += bad > 0 ? bad : 1;
	}
	out[len] = '\0';
}
