/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/token/token_derptun.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

#define INVALID "invalid derptun token"
#define KIND_TCP 1
/* Octets of a client token before the route extension. */
#define CLIENT_FIXED_LEN 186
#define DERP_PRIVATE_PREFIX "privkey:"
#define SECONDS_PER_DAY 86400
/* Label, ids, name, keys, decimal expiry, route. */
#define MAX_PROOF_INPUT                                                        \
	(32 + 3 * 16 + TOKEN_DERPTUN_MAX_NAME + 3 * 32 + 20 +                  \
	    TOKEN_ROUTE_MAX_WIRE)

static int
refuse(struct token_error *ret_error, int r)
{
	return token_text_fail(ret_error, r, INVALID);
}

void
token_derptun_bearer(struct key32 *ret_bearer,
    const struct key32 *signing_secret, const struct id16 *client_id)
{
	static const char label[] = "derptun-client-bearer-v1";
	uint8_t msg[sizeof(label) - 1 + sizeof(client_id->b)];

	memcpy(msg, label, sizeof(label) - 1);
	memcpy(msg + sizeof(label) - 1, client_id->b, sizeof(client_id->b));
	secret_hmac_sha256(ret_bearer, signing_secret, msg, sizeof(msg));
}

void
token_derptun_proof(struct key32 *ret_proof, const struct key32 *signing_secret,
    const struct derptun_client_token *token, const char *name, size_t name_len)
{
	uint8_t msg[MAX_PROOF_INPUT];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	char expires[24];

	(void)snprintf(
	    expires, sizeof(expires), "%lld", (long long)token->expires_unix);
	buf_put_str(&w, token->has_route ? "derptun-client-proof-v2"
					 : "derptun-client-proof-v1");
	buf_put_bytes(&w, token->session_id.b, sizeof(token->session_id.b));
	buf_put_bytes(&w, token->client_id.b, sizeof(token->client_id.b));
	buf_put_bytes(&w, token->token_id.b, sizeof(token->token_id.b));
	buf_put_bytes(&w, name,
	    name_len < TOKEN_DERPTUN_MAX_NAME ? name_len
					      : TOKEN_DERPTUN_MAX_NAME);
	buf_put_bytes(&w, token->derp_public.b, sizeof(token->derp_public.b));
	buf_put_bytes(&w, token->quic_public.b, sizeof(token->quic_public.b));
	buf_put_bytes(&w, token->bearer.b, sizeof(token->bearer.b));
	buf_put_str(&w, expires);
	if (token->has_route)
		token_route_put(&w, &token->route);
	secret_hmac_sha256(ret_proof, signing_secret, msg, w.len);
	secret_wipe(msg, sizeof(msg));
}

void
token_derptun_client_name(char out[static TOKEN_DERPTUN_CLIENT_NAME_LEN],
    const struct id16 *client_id)
{
	memcpy(out, "client-", sizeof("client-"));
	token_text_hex_encode(out + 7, client_id->b, 4);
}

int
token_derptun_expiry(int64_t *ret_unix, int64_t now_unix, int64_t days,
    int64_t default_days, struct token_error *ret_error)
{
	if (days == 0)
		days = default_days;
	/* A million years keeps the sum in range. */
	if (days < 1 || days > 365000000)
		return token_text_fail(
		    ret_error, -DT_ERR_LIMIT, "days must be at least 1");
	*ret_unix = now_unix + days * SECONDS_PER_DAY;
	return 0;
}

int
token_derptun_mint_server(struct derptun_server_token *ret_token,
    int64_t now_unix, int64_t expires_unix, const struct token_route *route,
    struct token_error *ret_error)
{
	if (expires_unix <= now_unix)
		return token_text_fail(
		    ret_error, -DT_ERR_EXPIRED, "expiry must be in the future");
	*ret_token = (struct derptun_server_token){
		.version = TOKEN_DERPTUN_VERSION_PUBLIC,
		.expires_unix = expires_unix,
	};
	secret_random(&ret_token->session_id, sizeof(ret_token->session_id));
	secret_random(
	    &ret_token->signing_secret, sizeof(ret_token->signing_secret));
	secret_curve_keypair(&ret_token->derp_private, &ret_token->derp_public);
	secret_ed25519_keypair(&ret_token->quic_seed, &ret_token->quic_public);
	if (route != NULL) {
		ret_token->version = TOKEN_DERPTUN_VERSION_ROUTE;
		ret_token->has_route = true;
		ret_token->route = *route;
	}
	return 0;
}

static void
put_number_array(struct buf_writer *w, const uint8_t *p, size_t n)
{
	char text[8];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(
		    text, sizeof(text), "%c%u", i == 0 ? '[' : ',', p[i]);
		buf_put_str(w, text);
	}
	buf_put_u8(w, ']');
}

/* Host names need no escapes: they hold letters, digits and ".-:". */
static void
put_json_route(struct buf_writer *w, const struct token_route *route)
{
	char text[80];

	buf_put_str(w, ",\"derp_route\":{\"host\":\"");
	buf_put_str(w, route->host);
	(void)snprintf(text, sizeof(text),
	    "\",\"derp_port\":%u,\"stun_port\":%u}", (unsigned)route->derp_port,
	    (unsigned)route->stun_port);
	buf_put_str(w, text);
}

void
token_derptun_encode_server(const struct derptun_server_token *token,
    char out[static TOKEN_DERPTUN_MAX_SERVER_TEXT])
{
	uint8_t json[TOKEN_DERPTUN_MAX_SERVER_TEXT / 4 * 3 - 8];
	struct buf_writer w = buf_writer(json, sizeof(json));
	uint8_t quic_private[64];
	char text[96];

	(void)snprintf(text, sizeof(text),
	    "{\"version\":%u,\"session_id\":", (unsigned)token->version);
	buf_put_str(&w, text);
	put_number_array(&w, token->session_id.b, sizeof(token->session_id.b));
	(void)snprintf(text, sizeof(text),
	    ",\"expires_unix\":%lld,\"derp_private\":\"" DERP_PRIVATE_PREFIX,
	    (long long)token->expires_unix);
	buf_put_str(&w, text);
	token_text_hex_encode(
	    text, token->derp_private.b, sizeof(token->derp_private.b));
	buf_put_str(&w, text);
	buf_put_str(&w, "\",\"quic_private\":\"");
	memcpy(quic_private, token->quic_seed.b, 32);
	memcpy(quic_private + 32, token->quic_public.b, 32);
	(void)sodium_bin2base64(text, sizeof(text), quic_private,
	    sizeof(quic_private), sodium_base64_VARIANT_ORIGINAL);
	buf_put_str(&w, text);
	buf_put_str(&w, "\",\"signing_secret\":");
	put_number_array(
	    &w, token->signing_secret.b, sizeof(token->signing_secret.b));
	if (token->has_route)
		put_json_route(&w, &token->route);
	buf_put_u8(&w, '}');
	memcpy(out, token->has_route ? "dts2_" : "dts1_", sizeof("dts1_"));
	(void)token_text_base64_encode(
	    out + 5, TOKEN_DERPTUN_MAX_SERVER_TEXT - 5, json, w.len);
	secret_wipe(json, sizeof(json));
	secret_wipe(quic_private, sizeof(quic_private));
	secret_wipe(text, sizeof(text));
}

/* An array of exactly @n numbers 0..255. */
static int
get_number_array(const json_t *v, uint8_t *out, size_t n)
{
	if (!json_is_array(v) || json_array_size(v) != n)
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < n; i++) {
		const json_t *e = json_array_get(v, i);

		if (!json_is_integer(e) || json_integer_value(e) < 0 ||
		    json_integer_value(e) > UINT8_MAX)
			return -DT_ERR_SYNTAX;
		out[i] = (uint8_t)json_integer_value(e);
	}
	return 0;
}

static int
get_port(const json_t *v, uint16_t *out)
{
	if (!json_is_integer(v) || json_integer_value(v) < 1 ||
	    json_integer_value(v) > UINT16_MAX)
		return -DT_ERR_SYNTAX;
	*out = (uint16_t)json_integer_value(v);
	return 0;
}

static int
get_derp_private(const json_t *v, struct derptun_server_token *token)
{
	const char *s = json_string_value(v);
	size_t skip = strlen(DERP_PRIVATE_PREFIX);

	if (s == NULL || strncmp(s, DERP_PRIVATE_PREFIX, skip) != 0 ||
	    token_text_hex_decode(token->derp_private.b,
		sizeof(token->derp_private.b), s + skip, strlen(s + skip)) < 0)
		return -DT_ERR_SYNTAX;
	return secret_curve_public(&token->derp_public, &token->derp_private);
}

static int
get_quic_private(const json_t *v, struct derptun_server_token *token)
{
	const char *s = json_string_value(v);
	uint8_t raw[64];
	size_t len = 0;
	int r = 0;

	if (s == NULL ||
	    sodium_base642bin(raw, sizeof(raw), s, strlen(s), "\r\n", &len,
		NULL, sodium_base64_VARIANT_ORIGINAL) != 0 ||
	    len != sizeof(raw)) {
		secret_wipe(raw, sizeof(raw));
		return -DT_ERR_SYNTAX;
	}
	memcpy(token->quic_seed.b, raw, 32);
	secret_ed25519_public(&token->quic_public, &token->quic_seed);
	if (!secret_equal(token->quic_public.b, raw + 32, 32))
		r = -DT_ERR_KEY;
	secret_wipe(raw, sizeof(raw));
	return r;
}

/* A present route must be valid and canonical already. */
static int
get_route(const json_t *v, struct derptun_server_token *token)
{
	const json_t *host = json_object_get(v, "host");
	uint16_t derp_port, stun_port;

	token->has_route = v != NULL && !json_is_null(v);
	if (!token->has_route)
		return 0;
	if (!json_is_string(host) ||
	    get_port(json_object_get(v, "derp_port"), &derp_port) < 0 ||
	    get_port(json_object_get(v, "stun_port"), &stun_port) < 0 ||
	    token_route_init(&token->route, json_string_value(host),
		json_string_length(host), derp_port, stun_port, NULL) < 0 ||
	    strcmp(token->route.host, json_string_value(host)) != 0)
		return -DT_ERR_SYNTAX;
	return 0;
}

static int
get_server(
    const json_t *o, struct derptun_server_token *token, uint8_t prefix_version)
{
	const json_t *expires = json_object_get(o, "expires_unix");
	const json_t *version = json_object_get(o, "version");
	int r;

	if (!json_is_integer(version) || !json_is_integer(expires))
		return -DT_ERR_SYNTAX;
	if (json_integer_value(version) != prefix_version)
		return -DT_ERR_VERSION;
	token->version = prefix_version;
	token->expires_unix = json_integer_value(expires);
	r = get_route(json_object_get(o, "derp_route"), token);
	if (r < 0)
		return r;
	if (token->has_route != (prefix_version == TOKEN_DERPTUN_VERSION_ROUTE))
		return -DT_ERR_VERSION;
	if (get_number_array(json_object_get(o, "session_id"),
		token->session_id.b, sizeof(token->session_id.b)) < 0 ||
	    get_number_array(json_object_get(o, "signing_secret"),
		token->signing_secret.b, sizeof(token->signing_secret.b)) < 0)
		return -DT_ERR_SYNTAX;
	if (secret_is_zero(token->session_id.b, sizeof(token->session_id.b)) ||
	    secret_is_zero(
		token->signing_secret.b, sizeof(token->signing_secret.b)))
		return -DT_ERR_KEY;
	r = get_derp_private(json_object_get(o, "derp_private"), token);
	if (r < 0)
		return r;
	return get_quic_private(json_object_get(o, "quic_private"), token);
}

/* JSON syntax errors have words of their own, all others are "invalid". */
static int
decode_server_json(struct derptun_server_token *token, const uint8_t *json,
    size_t len, uint8_t prefix_version, struct token_error *ret_error)
{
	json_error_t e;
	json_t *o = json_loadb((const char *)json, len,
	    JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	int r;

	if (o == NULL && json_error_code(&e) == json_error_out_of_memory)
		return token_text_fail(ret_error, -ENOMEM, err_str(-ENOMEM));
	if (o == NULL)
		return token_text_fail(ret_error, -DT_ERR_SYNTAX,
		    json_error_code(&e) == json_error_premature_end_of_input
			? "unexpected end of JSON input"
			: "invalid JSON in derptun token");
	r = get_server(o, token, prefix_version);
	json_decref(o);
	return r < 0 ? refuse(ret_error, r) : 0;
}

int
token_derptun_decode_server(struct derptun_server_token *ret_token,
    const char *text, int64_t now_unix, struct token_error *ret_error)
{
	static const size_t prefix_len = sizeof("dts1_") - 1;
	uint8_t json[TOKEN_DERPTUN_MAX_INPUT];
	struct derptun_server_token token = { 0 };
	size_t len = 0;
	uint8_t version;
	int r;

	if (strncmp(text, "dts1_", prefix_len) == 0)
		version = TOKEN_DERPTUN_VERSION_PUBLIC;
	else if (strncmp(text, "dts2_", prefix_len) == 0)
		version = TOKEN_DERPTUN_VERSION_ROUTE;
	else
		return refuse(ret_error, -DT_ERR_SYNTAX);
	if (text[prefix_len] == '\0')
		return refuse(ret_error, -DT_ERR_SYNTAX);
	r = token_text_base64_decode(json, sizeof(json), &len,
	    text + prefix_len, strlen(text + prefix_len), ret_error);
	if (r == -DT_ERR_TOO_LONG)
		r = refuse(ret_error, r);
	if (r == 0)
		r = decode_server_json(&token, json, len, version, ret_error);
	if (r == 0 && now_unix >= token.expires_unix)
		r = token_text_fail(
		    ret_error, -DT_ERR_EXPIRED, "derptun token expired");
	if (r == 0)
		*ret_token = token;
	secret_wipe(json, len);
	token_derptun_wipe_server(&token);
	return r;
}

int
token_derptun_mint_client(struct derptun_client_token *ret_token,
    const struct derptun_server_token *server, int64_t now_unix,
    int64_t expires_unix, struct token_error *ret_error)
{
	char name[TOKEN_DERPTUN_CLIENT_NAME_LEN];

	if (expires_unix <= now_unix)
		return token_text_fail(
		    ret_error, -DT_ERR_EXPIRED, "expiry must be in the future");
	if (expires_unix > server->expires_unix)
		return token_text_fail(ret_error, -DT_ERR_EXPIRED,
		    "client expiry exceeds server expiry");
	*ret_token = (struct derptun_client_token){
		.version = server->version,
		.session_id = server->session_id,
		.expires_unix = expires_unix,
		.derp_public = server->derp_public,
		.quic_public = server->quic_public,
		.has_route = server->has_route,
		.route = server->route,
	};
	secret_random(&ret_token->client_id, sizeof(ret_token->client_id));
	secret_random(&ret_token->token_id, sizeof(ret_token->token_id));
	token_derptun_bearer(
	    &ret_token->bearer, &server->signing_secret, &ret_token->client_id);
	token_derptun_client_name(name, &ret_token->client_id);
	token_derptun_proof(&ret_token->proof, &server->signing_secret,
	    ret_token, name, strlen(name));
	return 0;
}

void
token_derptun_encode_client(const struct derptun_client_token *token,
    char out[static TOKEN_DERPTUN_MAX_CLIENT_TEXT])
{
	uint8_t raw[CLIENT_FIXED_LEN + TOKEN_ROUTE_MAX_WIRE];
	struct buf_writer w = buf_writer(raw, sizeof(raw));

	buf_put_u8(&w, token->version);
	buf_put_u8(&w, KIND_TCP);
	buf_put_bytes(&w, token->session_id.b, sizeof(token->session_id.b));
	buf_put_bytes(&w, token->client_id.b, sizeof(token->client_id.b));
	buf_put_bytes(&w, token->token_id.b, sizeof(token->token_id.b));
	buf_put_u64(&w, (uint64_t)token->expires_unix);
	buf_put_bytes(&w, token->derp_public.b, sizeof(token->derp_public.b));
	buf_put_bytes(&w, token->quic_public.b, sizeof(token->quic_public.b));
	buf_put_bytes(&w, token->bearer.b, sizeof(token->bearer.b));
	buf_put_bytes(&w, token->proof.b, sizeof(token->proof.b));
	if (token->has_route)
		token_route_put(&w, &token->route);
	memcpy(out, token->has_route ? "DT2" : "DT1", sizeof("DT1"));
	(void)token_text_base41_encode(
	    out + 3, TOKEN_DERPTUN_MAX_CLIENT_TEXT - 3, raw, w.len);
	secret_wipe(raw, sizeof(raw));
}

static int
get_client(struct derptun_client_token *token, struct buf_reader *r,
    uint8_t prefix_version)
{
	int e = 0;

	token->version = buf_get_u8(r);
	if (token->version != prefix_version || buf_get_u8(r) != KIND_TCP)
		return -DT_ERR_SYNTAX;
	buf_get_bytes(r, token->session_id.b, sizeof(token->session_id.b));
	buf_get_bytes(r, token->client_id.b, sizeof(token->client_id.b));
	buf_get_bytes(r, token->token_id.b, sizeof(token->token_id.b));
	token->expires_unix = (int64_t)buf_get_u64(r);
	buf_get_bytes(r, token->derp_public.b, sizeof(token->derp_public.b));
	buf_get_bytes(r, token->quic_public.b, sizeof(token->quic_public.b));
	buf_get_bytes(r, token->bearer.b, sizeof(token->bearer.b));
	buf_get_bytes(r, token->proof.b, sizeof(token->proof.b));
	token->has_route = prefix_version == TOKEN_DERPTUN_VERSION_ROUTE;
	if (token->has_route)
		e = token_route_get(r, &token->route, NULL);
	return e < 0 ? e : buf_reader_end(r);
}

/* A zero id or key is what a peer without one would have sent. */
static bool
client_has_zero(const struct derptun_client_token *t)
{
	return secret_is_zero(t->session_id.b, sizeof(t->session_id.b)) ||
	       secret_is_zero(t->client_id.b, sizeof(t->client_id.b)) ||
	       secret_is_zero(t->token_id.b, sizeof(t->token_id.b)) ||
	       secret_is_zero(t->derp_public.b, sizeof(t->derp_public.b)) ||
	       secret_is_zero(t->quic_public.b, sizeof(t->quic_public.b)) ||
	       secret_is_zero(t->bearer.b, sizeof(t->bearer.b));
}

int
token_derptun_decode_client(struct derptun_client_token *ret_token,
    const char *text, int64_t now_unix, struct token_error *ret_error)
{
	uint8_t raw[CLIENT_FIXED_LEN + TOKEN_ROUTE_MAX_WIRE];
	struct derptun_client_token token = { 0 };
	struct buf_reader reader;
	size_t len = 0;
	int r;

	if (strncmp(text, "DT1", 3) != 0 && strncmp(text, "DT2", 3) != 0)
		return refuse(ret_error, -DT_ERR_SYNTAX);
	r = token_text_base41_decode(
	    raw, sizeof(raw), &len, text + 3, strlen(text + 3));
	if (r == 0) {
		reader = buf_reader(raw, len);
		r = get_client(&token, &reader, (uint8_t)(text[2] - '0'));
	}
	if (r == 0 && client_has_zero(&token))
		r = -DT_ERR_KEY;
	if (r < 0)
		r = refuse(ret_error, r);
	else if (now_unix >= token.expires_unix)
		r = token_text_fail(
		    ret_error, -DT_ERR_EXPIRED, "derptun token expired");
	else
		*ret_token = token;
	secret_wipe(raw, sizeof(raw));
	token_derptun_wipe_client(&token);
	return r;
}

void
token_derptun_wipe_server(struct derptun_server_token *token)
{
	secret_wipe(token, sizeof(*token));
}

void
token_derptun_wipe_client(struct derptun_client_token *token)
{
	secret_wipe(token, sizeof(*token));
}
