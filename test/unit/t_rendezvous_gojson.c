/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/buf.h"
#include "proto/rendezvous/gojson.h"
#include "test/tap.h"

static uint8_t out[1024];
static struct buf_writer w;

static const char *
finish(void)
{
	buf_put_u8(&w, 0);
	return (const char *)out;
}

static const char *
string(const char *p, size_t n)
{
	w = buf_writer(out, sizeof(out));
	gojson_put_string(&w, p, n);
	return finish();
}

static void
test_ascii(void)
{
	static const char *const low[] = { "\\u0000", "\\u0001", "\\u0002",
		"\\u0003", "\\u0004", "\\u0005", "\\u0006", "\\u0007", "\\b",
		"\\t", "\\n", "\\u000b", "\\f", "\\r", "\\u000e", "\\u000f",
		"\\u0010", "\\u0011", "\\u0012", "\\u0013", "\\u0014",
		"\\u0015", "\\u0016", "\\u0017", "\\u0018", "\\u0019",
		"\\u001a", "\\u001b", "\\u001c", "\\u001d", "\\u001e",
		"\\u001f" };

	for (int c = 0; c < 0x80; c++) {
		char in = (char)c, want[16];

		if (c < 0x20)
			(void)snprintf(want, sizeof(want), "\"%s\"", low[c]);
		else if (c == '<' || c == '>' || c == '&')
			(void)snprintf(
			    want, sizeof(want), "\"\\u00%02x\"", (unsigned)c);
		else if (c == '"' || c == '\\')
			(void)snprintf(want, sizeof(want), "\"\\%c\"", c);
		else
			(void)snprintf(want, sizeof(want), "\"%c\"", c);
		EQ_STR(string(&in, 1), want, "U+%04X", (unsigned)c);
	}
}

static void
test_utf8(void)
{
	static const struct {
		const char *in;
		const char *want;
	} cases[] = {
		{ "caf\xc3\xa9", "\"caf\xc3\xa9\"" },
		{ "\xf0\x9f\x95\xb3", "\"\xf0\x9f\x95\xb3\"" },
		{ "\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\"" },
		{ "\xe2\x80\xa7\xe2\x80\xaa", "\"\xe2\x80\xa7\xe2\x80\xaa\"" },
		{ "\xff", "\"\xef\xbf\xbd\"" },
		{ "a\xc3", "\"a\xef\xbf\xbd\"" },
		{ "\xc3(", "\"\xef\xbf\xbd(\"" },
		{ "\xc0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe2\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x90\x80\x80",
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xe0\x9f\xbf", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"" },
		{ "\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"" },
		{ "", "\"\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		EQ_STR(string(cases[i].in, strlen(cases[i].in)), cases[i].want,
		    "UTF-8 case %zu", i);
}

static void
test_numbers(void)
{
	uint8_t few[] = { 0, 9, 10, 255 };

	w = buf_writer(out, sizeof(out));
	gojson_put_int(&w, INT64_MIN);
	buf_put_u8(&w, ' ');
	gojson_put_int(&w, INT64_MAX);
	buf_put_u8(&w, ' ');
	gojson_put_uint(&w, UINT64_MAX);
	buf_put_u8(&w, ' ');
	gojson_put_octets(&w, few, sizeof(few));
	gojson_put_octets(&w, few, 0);
	EQ_STR(finish(),
	    "-9223372036854775808 9223372036854775807 18446744073709551615 "
	    "[0,9,10,255][]",
	    "numbers at their limits");
}

static void
test_base64(void)
{
	static const char *const want[] = { "\"\"", "\"+w==\"", "\"+/8=\"",
		"\"+//+\"", "\"+//+AA==\"" };
	const uint8_t in[] = { 0xfb, 0xff, 0xfe, 0x00 };

	for (size_t n = 0; n <= sizeof(in); n++) {
		w = buf_writer(out, sizeof(out));
		gojson_put_base64(&w, in, n);
		EQ_STR(finish(), want[n], "base64 of %zu octets", n);
	}
}

static void
test_full(void)
{
	size_t overrun = 0;

	for (size_t cap = 0; cap < 10; cap++) {
		memset(out, 0x55, sizeof(out));
		w = buf_writer(out, cap);
		gojson_put_string(&w, "<ab>", 4);
		overrun += w.err == 0 || w.len > cap || out[cap] != 0x55;
	}
	EQ_INT(overrun, 0, "a full writer says so");
	EQ_INT(gojson_cut("a\xc3\xa9z", 4, 4), 4, "fits");
	EQ_INT(gojson_cut("a\xc3\xa9z", 4, 3), 3, "cut after a character");
	EQ_INT(gojson_cut("a\xc3\xa9z", 4, 2), 1, "not inside one");
}

int
main(void)
{
	test_ascii();
	test_utf8();
	test_numbers();
	test_base64();
	test_full();
	return tap_done();
}
