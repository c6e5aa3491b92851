/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One pass copies the text.  Outside strings it counts brackets and looks at
 * every number: integers up to 2^63 - 1 stay; larger ones up to 2^64 - 1 go
 * into a table and become the real K.5, K their place in it; all others (reals,
 * larger ones) become the real 0e0, which no member of ours accepts.  A real in
 * jansson's tree can thus only come from here, and the copy is never longer.
 */
#include "proto/rendezvous/jsonin.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

/* Copies @text up to @in_len into @out.  Invariant: out_len <= i. */
struct scan {
	const char *text;
	size_t len;
	size_t i;
	char *out;
	size_t out_len;
	int depth;
};

static bool
is_digit(const struct scan *s)
{
	return s->i < s->len && s->text[s->i] >= '0' && s->text[s->i] <= '9';
}

/* Steps over digits; returns how many. */
static size_t
skip_digits(struct scan *s)
{
	size_t start = s->i;

	while (is_digit(s))
		s->i++;
	return s->i - start;
}

/* Steps over one character of @set; false if there is none. */
static bool
skip_one(struct scan *s, const char *set)
{
	if (s->i == s->len || s->text[s->i] == '\0' ||
	    strchr(set, s->text[s->i]) == NULL)
		return false;
	s->i++;
	return true;
}

/* RFC 8259 6.  *@ret_integer: no fraction, no exponent. */
static int
skip_number(struct scan *s, bool *ret_integer)
{
	bool zero, integer = true;

	(void)skip_one(s, "-");
	zero = s->i < s->len && s->text[s->i] == '0';
	if (zero)
		s->i++;
	else if (skip_digits(s) == 0)
		return -DT_ERR_SYNTAX;
	if (zero && is_digit(s))
		return -DT_ERR_SYNTAX;
	if (skip_one(s, ".")) {
		integer = false;
		if (skip_digits(s) == 0)
			return -DT_ERR_SYNTAX;
	}
	if (skip_one(s, "eE")) {
		integer = false;
		(void)skip_one(s, "+-");
		if (skip_digits(s) == 0)
			return -DT_ERR_SYNTAX;
	}
	*ret_integer = integer;
	return 0;
}

/* Value of @n digits; false above 2^64 - 1. */
static bool
digits_value(const char *p, size_t n, uint64_t *ret_value)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t d = (uint64_t)(p[i] - '0');

		if (v > (UINT64_MAX - d) / 10)
			return false;
		v = v * 10 + d;
	}
	*ret_value = v;
	return true;
}

static int
scan_number(struct scan *s, struct jsonin *in)
{
	const char *start = s->text + s->i;
	char text[24] = "0e0";
	bool negative = *start == '-';
	const char *keep = text;
	bool integer = false;
	uint64_t v = 0;
	size_t n;
	int r;

	r = skip_number(s, &integer);
	if (r < 0)
		return r;
	n = (size_t)(s->text + s->i - start);
	if (integer && digits_value(start + negative, n - negative, &v)) {
		if (v <= (uint64_t)INT64_MAX + negative) {
			keep = start;
		} else if (!negative) {
			if (in->n_big == JSONIN_MAX_BIG)
				return -DT_ERR_SYNTAX;
			(void)snprintf(
			    text, sizeof(text), "%zu.5", in->n_big + 1);
			in->big[in->n_big++] = v;
		}
	}
	if (keep == text)
		n = strlen(text);
	memcpy(s->out + s->out_len, keep, n);
	s->out_len += n;
	return 0;
}

static void
scan_string(struct scan *s)
{
	size_t start = s->i++;

	while (s->i < s->len && s->text[s->i] != '"')
		s->i += s->text[s->i] == '\\' ? 2 : 1;
	s->i = s->i < s->len ? s->i + 1 : s->len;
	memcpy(s->out + s->out_len, s->text + start, s->i - start);
	s->out_len += s->i - start;
}

static int
scan_one(struct scan *s, struct jsonin *in)
{
	char c = s->text[s->i];

	if (c == '"') {
		scan_string(s);
		return 0;
	}
	if (c == '-' || (c >= '0' && c <= '9'))
		return scan_number(s, in);
	if ((c == '{' || c == '[') && ++s->depth > JSONIN_MAX_DEPTH)
		return -DT_ERR_SYNTAX;
	if (c == '}' || c == ']')
		s->depth--;
	s->out[s->out_len++] = c;
	s->i++;
	return 0;
}

int
jsonin_parse(struct jsonin *ret_in, const char *text, size_t len)
{
	char copy[JSONIN_MAX_TEXT];
	struct scan s = { .text = text, .len = len, .out = copy };
	struct jsonin in = { 0 };
	json_error_t e;

	if (len > sizeof(copy))
		return -DT_ERR_TOO_LONG;
	while (s.i < s.len) {
		int r = scan_one(&s, &in);

		if (r < 0)
			return r;
	}
	in.root = json_loadb(
	    copy, s.out_len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
	if (in.root == NULL)
		return json_error_code(&e) == json_error_out_of_memory
			   ? -ENOMEM
			   : -DT_ERR_SYNTAX;
	if (!json_is_object(in.root)) {
		json_decref(in.root);
		return -DT_ERR_SYNTAX;
	}
	*ret_in = in;
	return 0;
}

void
jsonin_fini(struct jsonin *in)
{
	json_decref(in->root);
	in->root = NULL;
}

int
jsonin_get_uint(
    const struct jsonin *in, const json_t *v, uint64_t max, uint64_t *ret_value)
{
	uint64_t u;

	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		u = (uint64_t)json_integer_value(v);
	} else if (json_is_real(v) && json_real_value(v) > 1.0) {
		u = in->big[(size_t)json_real_value(v) - 1];
	} else {
		return -DT_ERR_SYNTAX;
	}
	if (u > max)
		return -DT_ERR_SYNTAX;
	*ret_value = u;
	return 0;
}

int
jsonin_get_int(const json_t *v, int64_t *ret_value)
{
	if (!json_is_integer(v))
		return -DT_ERR_SYNTAX;
	*ret_value = json_integer_value(v);
	return 0;
}
