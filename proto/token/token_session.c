/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/token/token_session.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

/* Octets before the route extension, or before the checksum without one. */
#define FIXED_LEN 127
#define CRC_LEN 4
/* Version 6 with a host of no octets at all. */
#define MIN_ROUTE_LEN (FIXED_LEN + 5 + CRC_LEN)
#define VERIFICATION_LABEL "derphole-verify:"

/* IEEE CRC-32 bit by bit: tokens are short and rare. */
static uint32_t
crc32_ieee(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return ~crc;
}

void
token_session_mint(struct session_token *ret_token, int64_t expires_unix,
    uint16_t region, const struct token_route *route, uint32_t capabilities)
{
	*ret_token = (struct session_token){
		.version = TOKEN_SESSION_VERSION_PUBLIC,
		.expires_unix = expires_unix,
		.region = region,
		.capabilities = capabilities,
	};
	secret_random(&ret_token->session_id, sizeof(ret_token->session_id));
	secret_random(&ret_token->bearer, sizeof(ret_token->bearer));
	if (route != NULL) {
		ret_token->version = TOKEN_SESSION_VERSION_ROUTE;
		ret_token->region = TOKEN_ROUTE_REGION;
		ret_token->has_route = true;
		ret_token->route = *route;
	}
}

int
token_session_encode(
    const struct session_token *token, char out[static TOKEN_SESSION_MAX_TEXT])
{
	uint8_t raw[TOKEN_SESSION_MAX_WIRE];
	struct buf_writer w = buf_writer(raw, sizeof(raw));
	int r;

	if (token->version != (token->has_route ? TOKEN_SESSION_VERSION_ROUTE
						: TOKEN_SESSION_VERSION_PUBLIC))
		return -DT_ERR_VERSION;
	buf_put_u8(&w, token->version);
	buf_put_bytes(&w, token->session_id.b, sizeof(token->session_id.b));
	buf_put_u64(&w, (uint64_t)token->expires_unix);
	buf_put_u16(&w, token->region);
	buf_put_bytes(&w, token->derp_public.b, sizeof(token->derp_public.b));
	buf_put_bytes(&w, token->quic_public.b, sizeof(token->quic_public.b));
	buf_put_bytes(&w, token->bearer.b, sizeof(token->bearer.b));
	buf_put_u32(&w, token->capabilities);
	if (token->has_route)
		token_route_put(&w, &token->route);
	buf_put_u32(&w, crc32_ieee(raw, w.len));
	r = w.err;
	if (r == 0)
		r = token_text_base64_encode(
		    out, TOKEN_SESSION_MAX_TEXT, raw, w.len);
	secret_wipe(raw, sizeof(raw));
	return r;
}

/* Version and length, in the order in which the peer looks at them. */
static int
check_frame(const uint8_t *raw, size_t len, struct token_error *ret_error)
{
	size_t want = FIXED_LEN + CRC_LEN;

	if (len > 0 && raw[0] != TOKEN_SESSION_VERSION_PUBLIC &&
	    raw[0] != TOKEN_SESSION_VERSION_ROUTE)
		return token_text_fail(
		    ret_error, -DT_ERR_VERSION, "token unsupported version");
	if (len > 0 && raw[0] == TOKEN_SESSION_VERSION_ROUTE) {
		want = MIN_ROUTE_LEN;
		if (len >= MIN_ROUTE_LEN)
			want += raw[FIXED_LEN];
	}
	if (len != want)
		return token_text_fail(ret_error,
		    len < want ? -DT_ERR_TRUNCATED : -DT_ERR_TRAILING,
		    "token invalid length");
	if (buf_u32_at(raw + len - CRC_LEN) != crc32_ieee(raw, len - CRC_LEN))
		return token_text_fail(
		    ret_error, -DT_ERR_CHECKSUM, "token checksum mismatch");
	return 0;
}

static int
decode_fields(struct session_token *token, const uint8_t *raw, size_t len,
    struct token_error *ret_error)
{
	struct buf_reader r = buf_reader(raw, len - CRC_LEN);
	int e = 0;

	token->version = buf_get_u8(&r);
	buf_get_bytes(&r, token->session_id.b, sizeof(token->session_id.b));
	token->expires_unix = (int64_t)buf_get_u64(&r);
	token->region = buf_get_u16(&r);
	buf_get_bytes(&r, token->derp_public.b, sizeof(token->derp_public.b));
	buf_get_bytes(&r, token->quic_public.b, sizeof(token->quic_public.b));
	buf_get_bytes(&r, token->bearer.b, sizeof(token->bearer.b));
	token->capabilities = buf_get_u32(&r);
	token->has_route = token->version == TOKEN_SESSION_VERSION_ROUTE;
	if (token->has_route)
		e = token_route_get(&r, &token->route, ret_error);
	return e < 0 ? e : buf_reader_end(&r);
}

int
token_session_decode(struct session_token *ret_token, const char *text,
    int64_t now_unix, struct token_error *ret_error)
{
	/* Room for the impossible host lengths 254 and 255, which have errors
	 * of their own, and one octet so that too long is seen as such. */
	uint8_t raw[TOKEN_SESSION_MAX_WIRE + 3];
	struct session_token token = { 0 };
	size_t len = 0;
	int r;

	r = token_text_base64_decode(
	    raw, sizeof(raw), &len, text, strlen(text), ret_error);
	if (r == -DT_ERR_TOO_LONG) {
		/* What did fit is enough to tell which error comes first. */
		len = sizeof(raw);
		r = 0;
	}
	if (r == 0)
		r = check_frame(raw, len, ret_error);
	if (r == 0)
		r = decode_fields(&token, raw, len, ret_error);
	if (r == 0 && now_unix >= token.expires_unix)
		r = token_text_fail(
		    ret_error, -DT_ERR_EXPIRED, "token expired");
	if (r == 0)
		*ret_token = token;
	secret_wipe(raw, sizeof(raw));
	token_session_wipe(&token);
	return r;
}

void
token_session_verification(
    const char *text, char out[static TOKEN_SESSION_VERIFICATION_LEN])
{
	crypto_hash_sha256_state h;
	uint8_t d[crypto_hash_sha256_BYTES];

	(void)crypto_hash_sha256_init(&h);
	(void)crypto_hash_sha256_update(&h, (const uint8_t *)VERIFICATION_LABEL,
	    strlen(VERIFICATION_LABEL));
	(void)crypto_hash_sha256_update(
	    &h, (const uint8_t *)text, strlen(text));
	(void)crypto_hash_sha256_final(&h, d);
	(void)snprintf(out, TOKEN_SESSION_VERIFICATION_LEN,
	    "%02X%02X-%02X%02X-%02X%02X", d[0], d[1], d[2], d[3], d[4], d[5]);
	secret_wipe(&h, sizeof(h));
}

void
token_session_wipe(struct session_token *token)
{
	secret_wipe(token, sizeof(*token));
}
