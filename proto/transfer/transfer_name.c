/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/transfer/transfer_name.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto/rendezvous/gojson.h"

#define REPLACEMENT '_'
#define MAX_ESCAPE 12 /* "\U0010ffff" and terminator */

struct range {
	uint32_t first;
	uint32_t last;
};

/* Characters that change how a name looks rather than being part of it. */
static const struct range deceptive[] = {
	{ 0x00, 0x1f }, { 0x7f, 0x9f },
	{ 0x2028, 0x202e }, /* separators, bidirectional embeddings */
	{ 0x2066, 0x2069 }, /* bidirectional isolates */
};

/*
 * What Go does not print: controls, format characters, blanks but the ASCII
 * one, private use, noncharacters.  Unassigned characters are shown.
 */
static const struct range unprintable[] = {
	{ 0x00, 0x1f },
	{ 0x7f, 0xa0 },
	{ 0xad, 0xad },
	{ 0x0600, 0x0605 },
	{ 0x061c, 0x061c },
	{ 0x06dd, 0x06dd },
	{ 0x070f, 0x070f },
	{ 0x1680, 0x1680 },
	{ 0x180e, 0x180e },
	{ 0x2000, 0x200f },
	{ 0x2028, 0x202f },
	{ 0x205f, 0x206f },
	{ 0x3000, 0x3000 },
	{ 0xd800, 0xf8ff },
	{ 0xfdd0, 0xfdef },
	{ 0xfeff, 0xfeff },
	{ 0xfff0, 0xfffb },
	{ 0xfffe, 0xffff },
	{ 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a },
	{ 0xe0000, 0xe0fff },
	{ 0xf0000, 0x10ffff },
};

#define IS_IN(table, c) is_in(table, sizeof(table) / sizeof((table)[0]), c)

static bool
is_in(const struct range *table, size_t n, uint32_t c)
{
	for (size_t i = 0; i < n; i++)
		if (c >= table[i].first && c <= table[i].last)
			return true;
	return false;
}

/* The character at @p; its octets, or 0 when it is no UTF-8. */
static size_t
decode(const uint8_t *p, size_t n, uint32_t *ret_c)
{
	static const uint8_t lead_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	size_t len = gojson_utf8_len(p, n);

	*ret_c = p[0] & lead_bits[len];
	for (size_t i = 1; i < len; i++)
		*ret_c = *ret_c << 6 | (p[i] & 0x3fu);
	return len;
}

/* The last element, without slashes. */
static const char *
last_element(const char *p, size_t *n)
{
	size_t start;

	while (*n > 0 && p[*n - 1] == '/')
		(*n)--;
	for (start = *n; start > 0 && p[start - 1] != '/';)
		start--;
	*n -= start;
	return p + start;
}

int
transfer_name_component(struct transfer_name *ret_name, const char *p, size_t n)
{
	struct transfer_name name = { .changed = false };
	const uint8_t *s;
	size_t out = 0, len;

	if (n > 0 && memchr(p, '\0', n) != NULL)
		return -EINVAL;
	if (n > 0)
		p = last_element(p, &n);
	if (n == 0 || (n == 1 && p[0] == '.'))
		return -ENOENT;
	if (n == 2 && p[0] == '.' && p[1] == '.')
		return -EPERM;
	/* Replacing never lengthens; what is too long before might fit after,
	 * but then two names could become one. */
	if (n > TRANSFER_NAME_MAX)
		return -ENAMETOOLONG;
	s = (const uint8_t *)p;
	for (size_t i = 0; i < n; i += len) {
		uint32_t c;

		len = decode(s + i, n - i, &c);
		if (len == 0 || IS_IN(deceptive, c)) {
			name.text[out++] = REPLACEMENT;
			name.changed = true;
			len = len > 0 ? len : 1;
			continue;
		}
		memcpy(name.text + out, p + i, len);
		out += len;
	}
	name.text[out] = '\0';
	*ret_name = name;
	return 0;
}

const char *
transfer_name_error(int r, bool directory)
{
	switch (r) {
	case -ENOENT:
		return directory ? "missing suggested directory name"
				 : "missing suggested filename";
	case -EPERM:
		return "suggested name is the parent directory";
	case -EINVAL:
		return "suggested name contains NUL";
	case -ENAMETOOLONG:
		return "suggested name is too long";
	default:
		return "unusable suggested name";
	}
}

/* The letter of a one-letter escape, or 0. */
static char
letter_of(uint32_t c)
{
	static const char from[] = "\a\b\f\n\r\t\v\"\\";
	static const char to[] = "abfnrtv\"\\";

	for (size_t i = 0; i < sizeof(from) - 1; i++)
		if (c == (uint32_t)from[i])
			return to[i];
	return 0;
}

/* One character of the quoted form.  Returns its octets of input. */
static size_t
quote_one(const uint8_t *p, size_t n, char out[static MAX_ESCAPE])
{
	uint32_t c;
	size_t len = decode(p, n, &c);
	char letter = letter_of(c);

	if (len == 0 || (letter == 0 && (c < 0x20 || c == 0x7f))) {
		(void)snprintf(out, MAX_ESCAPE, "\\x%02x", p[0]);
		return 1;
	}
	if (letter != 0) {
		(void)snprintf(out, MAX_ESCAPE, "\\%c", letter);
	} else if (!IS_IN(unprintable, c)) {
		memcpy(out, p, len);
		out[len] = '\0';
	} else {
		(void)snprintf(
		    out, MAX_ESCAPE, c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
	}
	return len;
}

size_t
transfer_name_quote(char *out, size_t cap, const char *p, size_t n)
{
	static const char cut[] = "...\"";
	const uint8_t *s = (const uint8_t *)p;
	char piece[MAX_ESCAPE];
	size_t len = 0, safe = 1;

	out[len++] = '"';
	for (size_t i = 0; i < n;) {
		size_t piece_len;

		i += quote_one(s + i, n - i, piece);
		piece_len = strlen(piece);
		if (len + piece_len + sizeof("\"") > cap) {
			memcpy(out + safe, cut, sizeof(cut));
			return safe + sizeof(cut) - 1;
		}
		memcpy(out + len, piece, piece_len);
		len += piece_len;
		if (len + sizeof(cut) <= cap)
			safe = len;
	}
	out[len++] = '"';
	out[len] = '\0';
	return len;
}
