/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/token/token_route.h"
#include "test/unit/token_vectors.h"

static void
test_env(const json_t *v)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "custom_route_env"), i, e) {
		const char *env = vectors_str(e, "env");
		const json_t *error = json_object_get(e, "error");
		struct token_error why = { 0 };
		struct token_route route;
		char url[TOKEN_ROUTE_MAX_URL];
		int r = token_route_from_url(&route, env, &why);

		if (error != NULL) {
			EQ_INT(r, -DT_ERR_SYNTAX, "%s is refused", env);
			EQ_STR(why.text, json_string_value(error), "its text");
			continue;
		}
		if (!OK(r == 0, "%s is accepted", env))
			continue;
		EQ_STR(route.host, vectors_str(e, "host"), "host");
		EQ_INT(route.derp_port, vectors_int(e, "derp_port"), "port");
		EQ_INT(route.stun_port, vectors_int(e, "stun_port"), "STUN");
		token_route_url(&route, url);
		EQ_STR(url, vectors_str(e, "derp_url"), "URL");
	}
}

static void
test_more_urls(void)
{
	static const char *const bad[] = { "", "https://", "https://:443",
		"https:///derp", "https://[::1", "https://[::1]x",
		"https://[1.2.3.4]", "https://[a.example]", "https://::1",
		"https://a.example:44a", "https://a.example:-1",
		"https://a.example/\x01", "https://\xc3\xa4.example",
		"https://a..b", "https://a.example@", "derp.example.com" };
	struct token_route route;
	struct token_error why;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		why.text[0] = '\0';
		EQ_INT(token_route_from_url(&route, bad[i], &why),
		    -DT_ERR_SYNTAX, "URL case %zu refused", i);
		OK(strncmp(why.text, "invalid DERPHOLE_DERP_SERVER: ", 30) == 0,
		    "with the usual words");
		OK(strstr(why.text, "example") == NULL, "and no URL in them");
	}
	EQ_INT(token_route_from_url(&route, "https://a.example:65535", &why), 0,
	    "highest port");
	EQ_INT(route.derp_port, 65535, "is kept");
}

/* Wire of @host with good ports. */
static size_t
wire_of(uint8_t *out, const char *host, size_t n)
{
	out[0] = (uint8_t)n;
	memcpy(out + 1, host, n);
	memcpy(out + 1 + n, "\x01\xbb\x0d\x96", 4);
	return n + 5;
}

static void
test_wire(void)
{
	char longest[TOKEN_ROUTE_MAX_HOST + 1];
	uint8_t wire[TOKEN_ROUTE_MAX_WIRE + 2], back[TOKEN_ROUTE_MAX_WIRE];
	struct token_route route;
	struct buf_writer w;
	struct buf_reader r;
	size_t n, accepted = 0;

	for (size_t i = 0; i < TOKEN_ROUTE_MAX_HOST; i++)
		longest[i] = i % 64 == 63 ? '.' : 'a';
	longest[TOKEN_ROUTE_MAX_HOST] = '\0';
	n = wire_of(wire, longest, TOKEN_ROUTE_MAX_HOST);
	r = buf_reader(wire, n);
	EQ_INT(token_route_get(&r, &route, NULL), 0, "253 octets of host");
	w = buf_writer(back, sizeof(back));
	token_route_put(&w, &route);
	EQ_INT(w.err, 0, "written");
	EQ_INT(w.len, n, "as long as it was");
	EQ_MEM(back, wire, n, "and the same");
	for (size_t cut = 0; cut < n; cut++) {
		r = buf_reader(wire, cut);
		accepted += token_route_get(&r, &route, NULL) == 0;
	}
	EQ_INT(accepted, 0, "no truncation is accepted");
	n = wire_of(wire, "a", 1);
	r = buf_reader(wire, n);
	EQ_INT(token_route_get(&r, &route, NULL), 0, "1 octet of host");
	EQ_INT(buf_reader_end(&r), 0, "all consumed");
	wire[1] = '\0';
	r = buf_reader(wire, n);
	OK(token_route_get(&r, &route, NULL) < 0, "NUL is no host");
}

static void
test_canonical(void)
{
	static const struct {
		const char *in;
		const char *out; /* NULL: refused */
	} cases[] = {
		{ "::ffff:1.2.3.4", "::ffff:1.2.3.4" },
		{ "::FFFF:0102:0304", "::ffff:1.2.3.4" },
		{ "2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
		{ "::102:304", "::102:304" },
		{ "1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7" },
		{ "Example.COM.", "example.com" },
		{ "a-b.c", "a-b.c" },
		{ "1.2.3", "1.2.3" },
		{ "01.2.3.4", "01.2.3.4" }, /* a DNS name like 1.2.3 */
		{ "a-.c", NULL },
		{ ".", NULL },
		{ "", NULL },
		{ "fe80::1%1", NULL },
		{ "1::2::3", NULL },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct token_route route;
		int r = token_route_init(
		    &route, cases[i].in, strlen(cases[i].in), 1, 1, NULL);

		EQ_INT(r, cases[i].out != NULL ? 0 : -DT_ERR_SYNTAX,
		    "host \"%s\"", cases[i].in);
		if (r == 0)
			EQ_STR(route.host, cases[i].out, "canonical");
	}
}

int
main(void)
{
	json_t *v = vectors_load("tokens.json");

	test_env(v);
	test_more_urls();
	test_wire();
	test_canonical();
	json_decref(v);
	return tap_done();
}
