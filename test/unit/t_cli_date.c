/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <time.h>

#include "client/cli_date.h"
#include "lib/err.h"
#include "test/tap.h"

#define BAD INT64_MIN

struct row {
	const char *text;
	int64_t unix_time;
};

/* Values computed with date(1); what is refused or not as in peer v0.18.2. */
static const struct row rows[] = {
	{ "2099-01-01T00:00:00Z", 4070908800 },
	{ "2099-01-01T00:00:00.5Z", 4070908800 },
	{ "2099-01-01T00:00:00,123456789Z", 4070908800 },
	{ "2099-01-01T00:00:00+01:00", 4070905200 },
	{ "2099-01-01T00:00:00-01:30", 4070914200 },
	{ "2099-01-01T23:59:59+24:00", 4070908799 },
	{ "2096-02-29T12:00:00Z", 3981355200 },
	{ "1969-12-31T23:59:59Z", -1 },
	{ "2100-02-29T12:00:00Z", BAD },
	{ "2099-02-30T00:00:00Z", BAD },
	{ "2099-00-01T00:00:00Z", BAD },
	{ "2099-13-01T00:00:00Z", BAD },
	{ "2099-01-00T00:00:00Z", BAD },
	{ "2099-01-32T00:00:00Z", BAD },
	{ "2099-01-01T24:00:00Z", BAD },
	{ "2099-01-01T00:60:00Z", BAD },
	{ "2099-01-01T23:59:60Z", BAD },
	{ "2099-01-01T23:59:59.Z", BAD },
	{ "2099-01-01T23:59:59", BAD },
	{ "2099-01-01T23:59:59z", BAD },
	{ "2099-01-01t23:59:59Z", BAD },
	{ "2099-01-01 23:59:59Z", BAD },
	{ "2099-01-01T23:59:59+25:00", BAD },
	{ "2099-01-01T23:59:59+01:60", BAD },
	{ "2099-01-01T23:59:59+0100", BAD },
	{ "2099-01-01T23:59:59Zx", BAD },
	{ "2099-1-1", BAD },
	{ "2099-02-30", BAD },
	{ " 2099-01-01", BAD },
	{ "2099-01-01 ", BAD },
	{ "tomorrow", BAD },
	{ "", BAD },
};

static void
test_rows(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t t = BAD;
		int r = cli_date_parse(rows[i].text, &t);

		EQ_INT(r, rows[i].unix_time == BAD ? -DT_ERR_SYNTAX : 0,
		    "\"%s\"", rows[i].text);
		EQ_INT(t, rows[i].unix_time, "its value");
	}
}

static void
test_truncation(void)
{
	static const char whole[] = "2099-01-01T00:00:00+01:00";
	char text[sizeof(whole)];
	int64_t t;

	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		memcpy(text, whole, n);
		text[n] = '\0';
		EQ_INT(cli_date_parse(text, &t), n == 10 ? 0 : -DT_ERR_SYNTAX,
		    "\"%s\"", text);
	}
}

/* A day without a time begins at local midnight. */
static void
test_local(void)
{
	int64_t t = 0;

	(void)setenv("TZ", "UTC-3", 1);
	tzset();
	EQ_INT(cli_date_parse("2099-01-01", &t), 0, "a day");
	EQ_INT(t, 4070908800 - 3 * 3600, "three hours east");
	(void)setenv("TZ", "UTC0", 1);
	tzset();
	EQ_INT(cli_date_parse("2099-01-01", &t), 0, "a day");
	EQ_INT(t, 4070908800, "UTC");
}

int
main(void)
{
	test_rows();
	test_truncation();
	test_local();
	return tap_done();
}
