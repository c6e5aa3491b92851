/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "lib/secret.h"
#include "proto/token/token_text.h"
#include "test/unit/token_vectors.h"

#define MAX_RAW 600

static void
test_base41_samples(const json_t *derptun)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(derptun, "base41_samples"), i, e) {
		const char *text = vectors_str(e, "text");
		size_t n = strlen(vectors_str(e, "raw_hex")) / 2, len = 999;
		uint8_t raw[64], back[64];
		char out[64];

		vectors_hex(e, "raw_hex", raw, n);
		EQ_INT(token_text_base41_encode(out, sizeof(out), raw, n), 0,
		    "encode %zu octets", n);
		EQ_STR(out, text, "text of %zu octets", n);
		EQ_INT(token_text_base41_decode(
			   back, sizeof(back), &len, text, strlen(text)),
		    0, "decode %s", text);
		EQ_INT(len, n, "length of %s", text);
		EQ_MEM(back, raw, n, "octets of %s", text);
	}
}

static void
test_round_trips(void)
{
	static uint8_t raw[MAX_RAW], back[MAX_RAW];
	static char text[2 * MAX_RAW];
	size_t bad41 = 0, bad64 = 0, len;

	for (size_t n = 0; n <= MAX_RAW; n++) {
		secret_random(raw, n);
		len = MAX_RAW + 1;
		if (token_text_base41_encode(
			text, TOKEN_TEXT_BASE41_LEN(n) + 1, raw, n) < 0 ||
		    strlen(text) != TOKEN_TEXT_BASE41_LEN(n) ||
		    token_text_base41_decode(
			back, n, &len, text, strlen(text)) < 0 ||
		    len != n || memcmp(raw, back, n) != 0)
			bad41++;
		len = MAX_RAW + 1;
		if (token_text_base64_encode(
			text, TOKEN_TEXT_BASE64_LEN(n) + 1, raw, n) < 0 ||
		    strlen(text) != TOKEN_TEXT_BASE64_LEN(n) ||
		    token_text_base64_decode(
			back, n, &len, text, strlen(text), NULL) < 0 ||
		    len != n || memcmp(raw, back, n) != 0)
			bad64++;
	}
	EQ_INT(bad41, 0, "base-41 round trips of 0..600 octets");
	EQ_INT(bad64, 0, "base64 round trips of 0..600 octets");
	EQ_INT(token_text_base41_encode(text, 6, "abc", 3), 0, "just fits");
	EQ_INT(token_text_base41_encode(text, 5, "abc", 3), -DT_ERR_FULL,
	    "base-41 without room for the terminator");
	EQ_INT(token_text_base64_encode(text, 5, "abc", 3), 0, "just fits");
	EQ_INT(token_text_base64_encode(text, 4, "abc", 3), -DT_ERR_FULL,
	    "base64 without room for the terminator");
}

static void
test_base41_rejects(void)
{
	static const char *const bad[] = { "0", "0000", "::", "97", "I:.",
		":::", "00a", "00 ", "0\n0", "00$", "00%" };
	uint8_t raw[8];
	size_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ_INT(token_text_base41_decode(
			   raw, sizeof(raw), &len, bad[i], strlen(bad[i])),
		    -DT_ERR_SYNTAX, "base-41 refuses case %zu", i);
	EQ_INT(token_text_base41_decode(raw, 2, &len, "00000", 5),
	    -DT_ERR_TOO_LONG, "three octets do not fit in two");
	EQ_INT(token_text_base41_decode(raw, 3, &len,
		   "00\0"
		   "00",
		   5),
	    -DT_ERR_SYNTAX, "NUL is no digit");
}

static void
test_base64_errors(void)
{
	static const struct {
		const char *text;
		const char *error; /* NULL: fine */
	} cases[] = {
		{ "", NULL },
		{ "QUJD", NULL },
		{ "QU\r\nJD", NULL },
		{ "QUK", NULL }, /* spare bits set */
		{ "Q", "illegal base64 data at input byte 0" },
		{ "QUJDQ", "illegal base64 data at input byte 4" },
		{ "!!!!", "illegal base64 data at input byte 0" },
		{ "QUI=", "illegal base64 data at input byte 3" },
		{ "QU+D", "illegal base64 data at input byte 2" },
		{ "QU/D", "illegal base64 data at input byte 2" },
		{ "Q UJD", "illegal base64 data at input byte 1" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_error e = { 0 };
		uint8_t raw[8];
		size_t len;
		int r = token_text_base64_decode(raw, sizeof(raw), &len,
		    cases[i].text, strlen(cases[i].text), &e);

		EQ_INT(r, cases[i].error != NULL ? -DT_ERR_SYNTAX : 0,
		    "base64 case %zu", i);
		EQ_STR(e.text, cases[i].error != NULL ? cases[i].error : "",
		    "its text");
	}
}

int
main(void)
{
	json_t *v = vectors_load("tokens.json");

	(void)secret_init();
	test_base41_samples(vectors_get(v, "derptun"));
	test_round_trips();
	test_base41_rejects();
	test_base64_errors();
	json_decref(v);
	return tap_done();
}
