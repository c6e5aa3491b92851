/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/token/token_session.h"
#include "test/unit/token_vectors.h"

#define EARLY 1600000000 /* before every good vector expires */

static void
check_fields(const struct session_token *t, const json_t *f)
{
	uint8_t id[16], key[32];
	const json_t *route = json_object_get(f, "derp_route");

	EQ_INT(t->version, vectors_int(f, "version"), "version");
	vectors_hex(f, "session_id", id, sizeof(id));
	EQ_MEM(&t->session_id, id, sizeof(id), "session id");
	EQ_INT(t->expires_unix, vectors_int(f, "expires_unix"), "expiry");
	EQ_INT(t->region, vectors_int(f, "bootstrap_region"), "region");
	vectors_hex(f, "derp_public", key, sizeof(key));
	EQ_MEM(&t->derp_public, key, sizeof(key), "DERP key");
	vectors_hex(f, "quic_public", key, sizeof(key));
	EQ_MEM(&t->quic_public, key, sizeof(key), "QUIC key");
	vectors_hex(f, "bearer_secret", key, sizeof(key));
	EQ_MEM(&t->bearer, key, sizeof(key), "bearer");
	EQ_INT(t->capabilities, vectors_int(f, "capabilities"), "capabilities");
	EQ_INT(t->has_route, route != NULL, "route or none");
	if (route == NULL)
		return;
	EQ_STR(t->route.host, vectors_str(route, "host"), "host");
	EQ_INT(t->route.derp_port, vectors_int(route, "derp_port"), "port");
	EQ_INT(t->route.stun_port, vectors_int(route, "stun_port"), "STUN");
}

static void
test_good(const json_t *v)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "session_tokens"), i, e) {
		const char *text = vectors_str(e, "token");
		const char *name = vectors_str(e, "name");
		char verification[TOKEN_SESSION_VERIFICATION_LEN];
		char out[TOKEN_SESSION_MAX_TEXT];
		struct session_token t;

		if (!OK(token_session_decode(&t, text, EARLY, NULL) == 0,
			"%s decodes", name))
			continue;
		check_fields(&t, vectors_get(e, "fields"));
		EQ_INT(token_session_encode(&t, out), 0, "%s encodes", name);
		EQ_STR(out, text, "%s again", name);
		token_session_verification(text, verification);
		EQ_STR(verification, vectors_str(e, "verification_string"),
		    "verification string");
	}
}

static void
test_rejects(const json_t *v)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "session_token_rejects"), i, e) {
		const char *expect = vectors_str(e, "expect");
		struct token_error why = { 0 };
		struct session_token t;
		int64_t now =
		    strcmp(expect, "token expired") == 0 ? 1700000000 : EARLY;
		int r = token_session_decode(
		    &t, vectors_str(e, "input"), now, &why);

		OK(r < 0, "%s is refused", vectors_str(e, "name"));
		EQ_INT(why.r, r, "the reason has the same code");
		if (strcmp(expect, "base64 error") == 0)
			OK(strncmp(why.text,
			       "illegal base64 data at input byte ", 34) == 0,
			    "as bad base64");
		else
			EQ_STR(why.text, expect, "with its text");
	}
}

static void
test_lenient(const json_t *v, const char *listen)
{
	const json_t *e;
	size_t i;

	json_array_foreach(
	    vectors_get(v, "session_token_lenient_accepts"), i, e) {
		const char *expect = vectors_str(e, "expect");
		struct token_error why = { 0 };
		char out[TOKEN_SESSION_MAX_TEXT];
		struct session_token t;
		int r = token_session_decode(
		    &t, vectors_str(e, "input"), EARLY, &why);

		if (strcmp(expect, "token expired") == 0) {
			EQ_STR(why.text, expect, "negative expiry");
			continue;
		}
		EQ_INT(r, 0, "%s decodes", vectors_str(e, "name"));
		if (r < 0 || strstr(expect, "v5_listen") == NULL)
			continue;
		EQ_INT(token_session_encode(&t, out), 0, "encodes");
		EQ_STR(out, listen, "canonical output");
	}
}

static void
test_expiry(void)
{
	struct token_error why = { 0 };
	char text[TOKEN_SESSION_MAX_TEXT];
	struct session_token t, back;

	token_session_mint(&t, 1000, 1, NULL, TOKEN_CAP_SHARE);
	EQ_INT(token_session_encode(&t, text), 0, "minted token encodes");
	EQ_INT(token_session_decode(&back, text, 999, NULL), 0, "now + 1");
	EQ_INT(token_session_decode(&back, text, 1000, &why), -DT_ERR_EXPIRED,
	    "expires now");
	EQ_STR(why.text, "token expired", "with its text");
	EQ_INT(token_session_decode(&back, text, 1001, NULL), -DT_ERR_EXPIRED,
	    "expired a second ago");
}

static void
test_mint(void)
{
	struct token_route route;
	char text[TOKEN_SESSION_MAX_TEXT], name[TOKEN_ROUTE_MAX_HOST + 1];
	struct session_token a, b, back;
	size_t lengths[] = { 1, TOKEN_ROUTE_MAX_HOST };

	token_session_mint(&a, 1000, 7, NULL, TOKEN_CAP_ATTACH);
	token_session_mint(&b, 1000, 7, NULL, TOKEN_CAP_ATTACH);
	OK(memcmp(&a.session_id, &b.session_id, 16) != 0, "fresh ids");
	OK(memcmp(&a.bearer, &b.bearer, 32) != 0, "fresh secrets");
	EQ_INT(a.region, 7, "region kept");
	a.version = 6;
	EQ_INT(token_session_encode(&a, text), -DT_ERR_VERSION,
	    "version 6 without route does not encode");
	for (size_t i = 0; i < 2; i++) {
		for (size_t k = 0; k < lengths[i]; k++)
			name[k] = k % 64 == 63 ? '.' : 'b';
		EQ_INT(
		    token_route_init(&route, name, lengths[i], 443, 3478, NULL),
		    0, "host of %zu octets", lengths[i]);
		token_session_mint(&a, 1000, 7, &route, TOKEN_CAP_SHARE);
		EQ_INT(a.region, 900, "custom region");
		EQ_INT(token_session_encode(&a, text), 0, "encodes");
		EQ_INT(
		    token_session_decode(&back, text, 1, NULL), 0, "decodes");
		OK(back.has_route && token_route_equal(&back.route, &route),
		    "same route");
	}
	token_session_wipe(&a);
	OK(secret_is_zero(&a, sizeof(a)), "wiped");
}

/* The CRC finds every single-bit change and every truncation. */
static void
test_damage(const char *good)
{
	char text[TOKEN_SESSION_MAX_TEXT];
	size_t n = strlen(good), accepted = 0;
	struct session_token t;

	for (size_t i = 0; i < n; i++) {
		memcpy(text, good, n + 1);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		accepted += token_session_decode(&t, text, EARLY, NULL) == 0;
		memcpy(text, good, n + 1);
		text[i] = '\0';
		accepted += token_session_decode(&t, text, EARLY, NULL) == 0;
	}
	EQ_INT(accepted, 0, "no damaged token decodes");
}

static void
test_too_long(void)
{
	static char text[8000];
	struct token_error why = { 0 };
	struct session_token t;

	memset(text, 'A', sizeof(text) - 1);
	text[0] = 'B';
	text[1] = 'Q'; /* version 5 */
	(void)token_session_decode(&t, text, EARLY, &why);
	EQ_STR(why.text, "token invalid length", "version 5, far too long");
	text[1] = 'g'; /* version 6 */
	(void)token_session_decode(&t, text, EARLY, &why);
	EQ_STR(why.text, "token invalid length", "version 6, far too long");
	text[1] = 'w';
	(void)token_session_decode(&t, text, EARLY, &why);
	EQ_STR(why.text, "token unsupported version", "version comes first");
	text[7000] = '!';
	(void)token_session_decode(&t, text, EARLY, &why);
	EQ_STR(why.text, "illegal base64 data at input byte 7000",
	    "base64 comes first of all");
}

int
main(void)
{
	json_t *v = vectors_load("tokens.json");
	const char *listen = vectors_str(
	    json_array_get(vectors_get(v, "session_tokens"), 1), "token");

	(void)secret_init();
	test_good(v);
	test_rejects(v);
	test_lenient(v, listen);
	test_expiry();
	test_mint();
	test_damage(listen);
	test_too_long();
	json_decref(v);
	return tap_done();
}
