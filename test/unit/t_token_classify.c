/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/token/token_classify.h"
#include "test/unit/token_vectors.h"

static void
test_vectors(const json_t *v)
{
	const json_t *derptun = vectors_get(v, "derptun");
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "session_tokens"), i, e)
		EQ_INT(token_classify(vectors_str(e, "token")),
		    TOKEN_KIND_SESSION, "%s", vectors_str(e, "name"));
	json_array_foreach(vectors_get(derptun, "server_tokens"), i, e)
		EQ_INT(token_classify(vectors_str(e, "token")),
		    TOKEN_KIND_DERPTUN_SERVER, "%s", vectors_str(e, "name"));
	json_array_foreach(vectors_get(derptun, "client_tokens"), i, e)
		EQ_INT(token_classify(vectors_str(e, "token")),
		    TOKEN_KIND_DERPTUN_CLIENT, "%s", vectors_str(e, "name"));
	EQ_INT(token_classify(
		   vectors_str(vectors_get(v, "derpssh_invite"), "invite")),
	    TOKEN_KIND_DERPSSH_INVITE, "derpssh invite");
	EQ_INT(token_classify(
		   vectors_str(vectors_get(derptun, "retired_dtc1"), "token")),
	    TOKEN_KIND_UNKNOWN, "retired client token");
}

static void
test_others(void)
{
	static const char *const unknown[] = { "", "B", "dt1", "DTS1_x", "DT3x",
		"hello", "BA", "Bw", "--help", "B!" };

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		EQ_INT(token_classify(unknown[i]), TOKEN_KIND_UNKNOWN,
		    "\"%s\" is unknown", unknown[i]);
	EQ_INT(token_classify("BQ"), TOKEN_KIND_SESSION, "damaged version 5");
	EQ_INT(token_classify("Bg"), TOKEN_KIND_SESSION, "damaged version 6");
	EQ_STR(token_classify_name(TOKEN_KIND_DERPTUN_SERVER),
	    "derptun server token", "kinds have names");
}

static void
test_lines(void)
{
	static const struct {
		const char *line;
		const char *word;
	} cases[] = {
		{ "npx -y derptun@latest open --token DT1ABC", "DT1ABC" },
		{ "  npx -y derptun@latest open --token=DT1ABC \r\n",
		    "DT1ABC" },
		{ "DT1ABC", "DT1ABC" },
		{ "\tDT1ABC\n", "DT1ABC" },
		{ "open --token 'DT1ABC'", "DT1ABC" },
		{ "open --token=\"DT1ABC\"", "DT1ABC" },
		{ "", "" },
		{ " \t\r\n ", "" },
		{ "\"", "\"" },
		{ "--token=", "--token=" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = 999;
		const char *p = token_classify_trim_line(cases[i].line, &n);

		OK(n == strlen(cases[i].word) &&
			memcmp(p, cases[i].word, n) == 0,
		    "last word of line %zu", i);
	}
}

int
main(void)
{
	json_t *v = vectors_load("tokens.json");

	test_vectors(v);
	test_others();
	test_lines();
	json_decref(v);
	return tap_done();
}
