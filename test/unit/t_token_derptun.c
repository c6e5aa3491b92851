/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>

#include "lib/err.h"
#include "proto/token/token_derptun.h"
#include "test/unit/token_vectors.h"

#define NOW 1800000000 /* after the expired vectors, before the good ones */

static void
check_route(bool has, const struct token_route *route, const json_t *fields)
{
	const json_t *want = json_object_get(fields, "derp_route");

	EQ_INT(has, want != NULL, "route or none");
	if (want == NULL)
		return;
	EQ_STR(route->host, vectors_str(want, "host"), "host");
	EQ_INT(route->derp_port, vectors_int(want, "derp_port"), "port");
	EQ_INT(route->stun_port, vectors_int(want, "stun_port"), "STUN port");
}

/* A member of a token against the hex text of a vector. */
static void
check_hex(const void *got, size_t len, const json_t *fields, const char *name,
    const char *what)
{
	uint8_t want[32];

	vectors_hex(fields, name, want, len);
	EQ_MEM(got, want, len, "%s", what);
}

static void
test_servers(const json_t *d)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(d, "server_tokens"), i, e) {
		const char *text = vectors_str(e, "token");
		const json_t *derived = vectors_get(e, "derived");
		const json_t *f = vectors_get(e, "fields");
		char out[TOKEN_DERPTUN_MAX_SERVER_TEXT];
		struct derptun_server_token t;

		if (!OK(token_derptun_decode_server(&t, text, NOW, NULL) == 0,
			"%s decodes", vectors_str(e, "name")))
			continue;
		EQ_INT(t.version, vectors_int(f, "version"), "version");
		EQ_INT(
		    t.expires_unix, vectors_int(f, "expires_unix"), "expiry");
		check_hex(&t.session_id, sizeof(t.session_id), f, "session_id",
		    "session id");
		check_hex(&t.signing_secret, sizeof(t.signing_secret), f,
		    "signing_secret", "signing secret");
		check_hex(&t.derp_public, sizeof(t.derp_public), derived,
		    "derp_public", "DERP public key");
		check_hex(&t.quic_public, sizeof(t.quic_public), derived,
		    "quic_public", "QUIC public key");
		check_route(t.has_route, &t.route, f);
		token_derptun_encode_server(&t, out);
		EQ_STR(out, text, "encodes to the same");
	}
}

static void
check_proof(const struct derptun_client_token *t, const json_t *inputs)
{
	char name[TOKEN_DERPTUN_CLIENT_NAME_LEN];
	struct key32 secret, bearer, proof;

	vectors_hex(inputs, "signing_secret", &secret, sizeof(secret));
	token_derptun_bearer(&bearer, &secret, &t->client_id);
	EQ_MEM(&t->bearer, &bearer, sizeof(bearer), "bearer as derived");
	token_derptun_client_name(name, &t->client_id);
	EQ_STR(name, "client-90919293", "client name");
	token_derptun_proof(&proof, &secret, t, name, strlen(name));
	EQ_MEM(&t->proof, &proof, sizeof(proof), "proof as computed");
}

static void
test_clients(const json_t *d)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(d, "client_tokens"), i, e) {
		const char *text = vectors_str(e, "token");
		const json_t *f = vectors_get(e, "fields");
		char out[TOKEN_DERPTUN_MAX_CLIENT_TEXT];
		struct derptun_client_token t;

		if (!OK(token_derptun_decode_client(&t, text, NOW, NULL) == 0,
			"%s decodes", vectors_str(e, "name")))
			continue;
		check_hex(
		    &t.token_id, sizeof(t.token_id), f, "token_id", "token id");
		check_hex(&t.client_id, sizeof(t.client_id), f, "client_id",
		    "client id");
		check_hex(&t.session_id, sizeof(t.session_id), f, "session_id",
		    "session id");
		check_hex(&t.derp_public, sizeof(t.derp_public), f,
		    "derp_public", "DERP key");
		check_hex(&t.quic_public, sizeof(t.quic_public), f,
		    "quic_public", "QUIC key");
		EQ_INT(
		    t.expires_unix, vectors_int(f, "expires_unix"), "expiry");
		check_route(t.has_route, &t.route, f);
		check_proof(&t, vectors_get(d, "inputs"));
		token_derptun_encode_client(&t, out);
		EQ_STR(out, text, "encodes to the same");
	}
}

static void
test_rejects(const json_t *d)
{
	struct derptun_client_token c;
	struct derptun_server_token s;
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(d, "client_rejects"), i, e) {
		struct token_error why = { 0 };
		int r = token_derptun_decode_client(
		    &c, vectors_str(e, "input"), NOW, &why);

		OK(r < 0, "client %s", vectors_str(e, "name"));
		EQ_STR(why.text, vectors_str(e, "expect"), "its text");
	}
	json_array_foreach(vectors_get(d, "server_rejects"), i, e) {
		const char *expect = vectors_str(e, "expect");
		struct token_error why = { 0 };
		int r = token_derptun_decode_server(
		    &s, vectors_str(e, "input"), NOW, &why);

		OK(r < 0, "server %s", vectors_str(e, "name"));
		if (strncmp(expect, "json:", 5) != 0)
			EQ_STR(why.text, expect, "its text");
	}
	EQ_INT(token_derptun_decode_client(&c,
		   vectors_str(vectors_get(d, "retired_dtc1"), "token"), NOW,
		   NULL),
	    -DT_ERR_SYNTAX, "retired client token");
	json_array_foreach(
	    vectors_get(d, "client_decodes_but_server_refuses"), i, e)
		EQ_INT(token_derptun_decode_client(
			   &c, vectors_str(e, "input"), NOW, NULL),
		    0, "%s decodes", vectors_str(e, "name"));
}

static void
test_lenient(const json_t *d)
{
	const char *same = vectors_str(
	    json_array_get(vectors_get(d, "server_tokens"), 0), "token");
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(d, "server_lenient_accepts"), i, e) {
		char out[TOKEN_DERPTUN_MAX_SERVER_TEXT] = "";
		struct derptun_server_token s;

		if (OK(token_derptun_decode_server(
			   &s, vectors_str(e, "input"), NOW, NULL) == 0,
			"server %s", vectors_str(e, "name")))
			token_derptun_encode_server(&s, out);
		EQ_STR(out, same, "is the same credential");
	}
}

/* "dts1_" and base64 of the first vector's JSON with @from replaced. */
static int
decode_edited(const json_t *d, const char *from, const char *to)
{
	const char *json = vectors_str(
	    json_array_get(vectors_get(d, "server_tokens"), 0), "json");
	const char *at = strstr(json, from);
	static char edited[4096], text[8192] = "dts1_";
	struct derptun_server_token s;

	if (at == NULL)
		return 0;
	(void)snprintf(edited, sizeof(edited), "%.*s%s%s", (int)(at - json),
	    json, to, at + strlen(from));
	(void)token_text_base64_encode(
	    text + 5, sizeof(text) - 5, edited, strlen(edited));
	return token_derptun_decode_server(&s, text, NOW, NULL);
}

static void
test_server_hardening(const json_t *d)
{
	static char huge[40000] = "dts1_";
	struct derptun_server_token s;
	struct token_error why;

	EQ_INT(
	    decode_edited(d, "\"version\":1", "\"version\":1,\"forwards\":[]"),
	    0, "forwards are ignored");
	EQ_INT(decode_edited(d,
		   "50515253545556575859"
		   "5a5b5c5d5e5f606162636465666768696a6b6c6d6e6f",
		   "0000000000000000000000000000000000000000"
		   "000000000000000000000000"),
	    -DT_ERR_KEY, "all-zero DERP key");
	EQ_INT(decode_edited(d, "cHFy", "cHFz"), -DT_ERR_KEY,
	    "QUIC key halves disagree");
	EQ_INT(decode_edited(d, "[16,17,", "[16,256,"), -DT_ERR_SYNTAX,
	    "number above an octet");
	EQ_INT(decode_edited(d, "[16,17,", "[16,17,18,"), -DT_ERR_SYNTAX,
	    "17 numbers");
	EQ_INT(
	    decode_edited(d, "[16,17,", "[16,"), -DT_ERR_SYNTAX, "15 numbers");
	EQ_INT(decode_edited(d, "{", "{\"version\":1,"), -DT_ERR_SYNTAX,
	    "duplicate member");
	EQ_INT(decode_edited(d, "4102444800", "4102444800.0"), -DT_ERR_SYNTAX,
	    "expiry is no integer");
	EQ_INT(decode_edited(d, "4102444800", "99999999999999999999"),
	    -DT_ERR_SYNTAX, "expiry beyond 64 bits");
	memset(huge + 5, 'A', sizeof(huge) - 6);
	EQ_INT(token_derptun_decode_server(&s, huge, NOW, &why),
	    -DT_ERR_TOO_LONG, "30 kilobytes");
	EQ_STR(why.text, "invalid derptun token", "with the usual words");
}

static void
test_mint(void)
{
	char text[TOKEN_DERPTUN_MAX_SERVER_TEXT];
	char client_text[TOKEN_DERPTUN_MAX_CLIENT_TEXT];
	char host[TOKEN_ROUTE_MAX_HOST];
	struct derptun_server_token s, back;
	struct derptun_client_token c, c2;
	struct token_error why = { 0 };
	struct token_route route;

	memset(host, 'h', sizeof(host));
	for (size_t i = 60; i < sizeof(host); i += 61)
		host[i] = '.';
	EQ_INT(token_route_init(&route, host, sizeof(host), 8443, 3478, NULL),
	    0, "longest route");
	EQ_INT(token_derptun_mint_server(&s, NOW, NOW, NULL, &why),
	    -DT_ERR_EXPIRED, "expiry now");
	EQ_STR(why.text, "expiry must be in the future", "its text");
	EQ_INT(token_derptun_mint_server(&s, NOW, NOW + 100, &route, NULL), 0,
	    "server with the longest route");
	token_derptun_encode_server(&s, text);
	EQ_INT(
	    token_derptun_decode_server(&back, text, NOW, NULL), 0, "decodes");
	OK(memcmp(&back.derp_public, &s.derp_public, 32) == 0 &&
		memcmp(&back.quic_public, &s.quic_public, 32) == 0,
	    "public keys agree");
	EQ_INT(token_derptun_mint_client(&c, &s, NOW, NOW + 101, &why),
	    -DT_ERR_EXPIRED, "client outlives server");
	EQ_STR(why.text, "client expiry exceeds server expiry", "its text");
	EQ_INT(token_derptun_mint_client(&c, &s, NOW, NOW, &why),
	    -DT_ERR_EXPIRED, "client expiry now");
	EQ_INT(token_derptun_mint_client(&c, &s, NOW, NOW + 100, &why), 0,
	    "client as long as server");
	token_derptun_encode_client(&c, client_text);
	EQ_INT(strlen(client_text), 3 + 666, "the longest DT2");
	EQ_INT(token_derptun_decode_client(&c2, client_text, NOW, NULL), 0,
	    "decodes");
	EQ_MEM(&c2.proof, &c.proof, sizeof(c.proof), "same proof");
	EQ_INT(token_derptun_decode_client(&c2, client_text, NOW + 100, &why),
	    -DT_ERR_EXPIRED, "expired on the second");
	token_derptun_wipe_server(&s);
	token_derptun_wipe_client(&c);
	OK(secret_is_zero(&s, sizeof(s)) && secret_is_zero(&c, sizeof(c)),
	    "wiped");
}

static void
test_expiry(void)
{
	struct token_error why = { 0 };
	int64_t t = 0;

	EQ_INT(token_derptun_expiry(&t, 100, 0, 90, &why), 0, "default days");
	EQ_INT(t, 100 + 90 * 86400, "are 90");
	EQ_INT(token_derptun_expiry(&t, 100, 1, 90, &why), 0, "one day");
	EQ_INT(t, 100 + 86400, "is a day");
	EQ_INT(token_derptun_expiry(&t, 100, -1, 90, &why), -DT_ERR_LIMIT,
	    "minus one day");
	EQ_STR(why.text, "days must be at least 1", "its text");
	EQ_INT(token_derptun_expiry(&t, 100, INT64_MAX, 90, &why),
	    -DT_ERR_LIMIT, "no overflow");
}

/* Strictness of the text is all the integrity there is. */
static void
test_damage(const char *good)
{
	size_t n = strlen(good), accepted = 0, respelt = 0;
	char out[TOKEN_DERPTUN_MAX_CLIENT_TEXT], text[400];
	struct derptun_client_token c;

	for (size_t i = 0; i < n; i++) {
		memcpy(text, good, n + 1);
		text[i] = '\0';
		accepted +=
		    token_derptun_decode_client(&c, text, NOW, NULL) == 0;
		memcpy(text, good, n + 1);
		text[i] = text[i] == '0' ? '1' : '0';
		if (token_derptun_decode_client(&c, text, NOW, NULL) < 0)
			continue;
		token_derptun_encode_client(&c, out);
		respelt += strcmp(out, text) != 0;
	}
	EQ_INT(accepted, 0, "no truncation decodes");
	EQ_INT(respelt, 0, "every token has one spelling");
}

int
main(void)
{
	json_t *v = vectors_load("tokens.json");
	const json_t *d = vectors_get(v, "derptun");

	(void)secret_init();
	test_servers(d);
	test_clients(d);
	test_rejects(d);
	test_lenient(d);
	test_server_hardening(d);
	test_mint();
	test_expiry();
	test_damage(vectors_str(
	    json_array_get(vectors_get(d, "client_tokens"), 0), "token"));
	json_decref(v);
	return tap_done();
}
