/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_duration.h"
#include "lib/err.h"
#include "test/tap.h"

#define BAD INT64_MIN
#define S INT64_C(1000000)

struct row {
	const char *text;
	int64_t us;
};

/* Accepted or not, and the value: as time.ParseDuration of Go 1.25 has it. */
static const struct row rows[] = {
	{ "5s", 5 * S },
	{ "0", 0 },
	{ "+0", 0 },
	{ "-0", 0 },
	{ "0s", 0 },
	{ "1h", 3600 * S },
	{ "2m30s", 150 * S },
	{ "30s2m", 150 * S },
	{ "1.5h", 5400 * S },
	{ ".5s", S / 2 },
	{ "5.s", 5 * S },
	{ "+5s", 5 * S },
	{ "-5s", -5 * S },
	{ "-1.5us", -2 },
	{ "250ms", S / 4 },
	{ "250us", 250 },
	{ "250\xc2\xb5s", 250 },
	{ "250\xce\xbcs", 250 },
	{ "1ns", 1 },
	{ "1000ns", 1 },
	{ "1001ns", 2 },
	{ "0.4ns", 0 },
	{ "0.100000000000000000000h", 360 * S },
	{ "0.33333333333333333333m", 20 * S },
	{ " 5s\t", 5 * S },
	{ "9223372036854775807ns", 9223372036854776 },
	{ "9223372036854775808ns", BAD },
	{ "9223372036s", 9223372036 * S },
	{ "9223372037s", BAD },
	{ "99999999999999999999s", BAD },
	{ "9223372036s1s", BAD },
	{ "", BAD },
	{ " ", BAD },
	{ "+", BAD },
	{ "-", BAD },
	{ "5", BAD },
	{ "00", BAD },
	{ "1e3s", BAD },
	{ "0x5s", BAD },
	{ ".s", BAD },
	{ "s", BAD },
	{ "1.2.3s", BAD },
	{ "5S", BAD },
	{ "5d", BAD },
	{ "5 s", BAD },
	{ "5s-1s", BAD },
	{ "++5s", BAD },
	{ "5sx", BAD },
	{ "5s5", BAD },
	{ "nope", BAD },
};

static void
test_rows(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t us = BAD;
		int r = cli_duration_parse(rows[i].text, &us);

		EQ_INT(r, rows[i].us == BAD ? -DT_ERR_SYNTAX : 0, "\"%s\"",
		    rows[i].text);
		EQ_INT(us, rows[i].us, "its value");
	}
}

static void
test_length(void)
{
	char text[CLI_DURATION_MAX_TEXT + 1];
	int64_t us = BAD;

	memset(text, '0', sizeof(text));
	memcpy(text + CLI_DURATION_MAX_TEXT - 3, "5s", 3);
	EQ_INT(cli_duration_parse(text, &us), 0, "the longest");
	EQ_INT(us, 5 * S, "its value");
	memcpy(text + CLI_DURATION_MAX_TEXT - 2, "5s", 3);
	EQ_INT(cli_duration_parse(text, &us), -DT_ERR_SYNTAX, "one more");
}

int
main(void)
{
	test_rows();
	test_length();
	return tap_done();
}
