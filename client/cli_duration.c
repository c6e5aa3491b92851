/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_duration.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "lib/err.h"

#define BLANKS " \t\n\v\f\r"
#define US_NS 1000
#define SEC_NS INT64_C(1000000000)

struct unit {
	const char *name;
	int64_t ns;
};

static const struct unit units[] = {
	{ "ns", 1 },
	{ "us", US_NS },
	{ "\xc2\xb5s", US_NS }, /* U+00B5, micro sign */
	{ "\xce\xbcs", US_NS }, /* U+03BC, Greek letter mu */
	{ "ms", SEC_NS / 1000 },
	{ "s", SEC_NS },
	{ "m", 60 * SEC_NS },
	{ "h", 3600 * SEC_NS },
};

static const struct unit *
find_unit(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		if (strlen(units[i].name) == len &&
		    memcmp(units[i].name, text, len) == 0)
			return &units[i];
	return NULL;
}

/* Digits at *@p as a number below 2^63; false if there are too many. */
static bool
get_whole(const char **p, int64_t *ret)
{
	int64_t v = 0;

	for (; isdigit((unsigned char)**p); (*p)++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, **p - '0', &v))
			return false;
	*ret = v;
	return true;
}

/* Digits behind a point, as a share of @unit_ns; less than 1 ns is dropped.
 * Digits from the 18th on make no difference. */
static int64_t
get_fraction(const char **p, int64_t unit_ns)
{
	double v = 0, scale = 1;

	for (int n = 0; isdigit((unsigned char)**p); (*p)++, n++) {
		if (n >= 17)
			continue;
		v = v * 10 + (**p - '0');
		scale *= 10;
	}
	return (int64_t)(v * ((double)unit_ns / scale)); /* below unit_ns */
}

/* "1.5h" at *@p: a number with digits on at least one side of its point, and
 * its unit.  Returns false if it is none or too large. */
static bool
get_part(const char **p, int64_t *ret_ns)
{
	const char *start = *p, *fraction = "", *end;
	const struct unit *unit;
	int64_t whole;
	size_t digits;

	if (!get_whole(p, &whole))
		return false;
	digits = (size_t)(*p - start);
	if (**p == '.') {
		fraction = ++*p;
		*p += strspn(*p, "0123456789");
		digits += (size_t)(*p - fraction);
	}
	end = *p + strcspn(*p, ".0123456789");
	unit = find_unit(*p, (size_t)(end - *p));
	if (digits == 0 || unit == NULL)
		return false;
	*p = end;
	return !__builtin_mul_overflow(whole, unit->ns, &whole) &&
	       !__builtin_add_overflow(
		   whole, get_fraction(&fraction, unit->ns), ret_ns);
}

static int
parse(const char *text, int64_t *ret_ns)
{
	bool is_negative = *text == '-';
	int64_t ns = 0, part;

	text += *text == '-' || *text == '+';
	if (*text == '\0')
		return -DT_ERR_SYNTAX;
	if (strcmp(text, "0") == 0)
		text = ""; /* the only number that needs no unit */
	while (*text != '\0')
		if (!get_part(&text, &part) ||
		    __builtin_add_overflow(ns, part, &ns))
			return -DT_ERR_SYNTAX;
	*ret_ns = is_negative ? -ns : ns;
	return 0;
}

int
cli_duration_parse(const char *text, int64_t *ret_us)
{
	char copy[CLI_DURATION_MAX_TEXT];
	size_t len;
	int64_t ns;
	int r;

	text += strspn(text, BLANKS);
	len = strlen(text);
	while (len > 0 && strchr(BLANKS, text[len - 1]) != NULL)
		len--;
	if (len >= sizeof(copy))
		return -DT_ERR_SYNTAX;
	memcpy(copy, text, len);
	copy[len] = '\0';
	r = parse(copy, &ns);
	if (r < 0)
		return r;
	*ret_us = ns / US_NS;
	if (ns % US_NS != 0)
		*ret_us += ns < 0 ? -1 : 1;
	return 0;
}
