/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/derp/derp_json.h"

#include "lib/err.h"

/* Not tolower(3): the locale must not change what a member means. */
static unsigned char
fold(char c)
{
	return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool
derp_json_is_name(const char *got, const char *want)
{
	while (*got != '\0' && fold(*got) == fold(*want)) {
		got++;
		want++;
	}
	return *got == *want;
}

int
derp_json_get_int(const json_t *value, int64_t *ret_n)
{
	if (json_is_null(value))
		return 0;
	if (!json_is_integer(value))
		return -DT_ERR_SYNTAX;
	*ret_n = json_integer_value(value);
	return 0;
}

int
derp_json_get_real(const json_t *value, double *ret_x)
{
	if (json_is_null(value))
		return 0;
	if (!json_is_number(value))
		return -DT_ERR_SYNTAX;
	*ret_x = json_number_value(value);
	return 0;
}

int
derp_json_get_bool(const json_t *value, bool *ret_b)
{
	if (json_is_null(value))
		return 0;
	if (!json_is_boolean(value))
		return -DT_ERR_SYNTAX;
	*ret_b = json_is_true(value);
	return 0;
}

int
derp_json_get_string(const json_t *value, const char **ret_s)
{
	if (json_is_null(value))
		return 0;
	if (!json_is_string(value))
		return -DT_ERR_SYNTAX;
	*ret_s = json_string_value(value);
	return 0;
}
