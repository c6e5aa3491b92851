/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_date.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "lib/err.h"

/* Reads @n digits and, unless it is 0, the character behind them. */
static bool
take(const char **p, int n, char behind, int *ret)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	if (behind != '\0' && *(*p)++ != behind)
		return false;
	*ret = v;
	return true;
}

static int
days_in(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30,
		31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return month == 2 && leap ? 29 : days[month - 1];
}

static bool
take_day(const char **p, struct tm *tm)
{
	int year, month, day;

	if (!take(p, 4, '-', &year) || !take(p, 2, '-', &month) ||
	    !take(p, 2, '\0', &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month))
		return false;
	tm->tm_year = year - 1900;
	tm->tm_mon = month - 1;
	tm->tm_mday = day;
	return true;
}

static bool
take_time(const char **p, struct tm *tm)
{
	if (!take(p, 2, ':', &tm->tm_hour) || !take(p, 2, ':', &tm->tm_min) ||
	    !take(p, 2, '\0', &tm->tm_sec))
		return false;
	if (tm->tm_hour > 23 || tm->tm_min > 59 || tm->tm_sec > 59)
		return false;
	if (**p == '.' || **p == ',') {
		(*p)++;
		if (!isdigit((unsigned char)**p))
			return false;
		while (isdigit((unsigned char)**p))
			(*p)++;
	}
	return true;
}

static bool
take_zone(const char **p, int *ret_seconds)
{
	int sign, hours, minutes;

	if (**p == 'Z') {
		(*p)++;
		*ret_seconds = 0;
		return true;
	}
	if (**p != '+' && **p != '-')
		return false;
	sign = *(*p)++ == '-' ? -1 : 1;
	if (!take(p, 2, ':', &hours) || !take(p, 2, '\0', &minutes) ||
	    hours > 24 || minutes > 59)
		return false;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return true;
}

int
cli_date_parse(const char *text, int64_t *ret_unix)
{
	struct tm tm;
	const char *p = text;
	int zone;

	memset(&tm, 0, sizeof(tm));
	if (!take_day(&p, &tm))
		return -DT_ERR_SYNTAX;
	if (*p == '\0') {
		tm.tm_isdst = -1;
		*ret_unix = (int64_t)mktime(&tm);
		return 0;
	}
	if (*p++ != 'T' || !take_time(&p, &tm) || !take_zone(&p, &zone) ||
	    *p != '\0')
		return -DT_ERR_SYNTAX;
	*ret_unix = (int64_t)timegm(&tm) - zone;
	return 0;
}
