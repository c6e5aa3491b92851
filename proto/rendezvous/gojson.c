/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/gojson.h"

#include <inttypes.h>
#include <stdio.h>

#define LAST_ASCII 0x7f

size_t
gojson_utf8_len(const uint8_t *p, size_t n)
{
	uint32_t min, v;
	size_t len;

	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		len = 2, min = 0x80, v = p[0] & 0x1fu;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		len = 3, min = 0x800, v = p[0] & 0x0fu;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		len = 4, min = 0x10000, v = p[0] & 0x07u;
	else
		return p[0] <= LAST_ASCII;
	if (n < len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		v = v << 6 | (p[i] & 0x3fu);
	}
	if (v < min || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
		return 0;
	return len;
}

/* The letter after the backslash, or 0 if there is no short form. */
static char
short_escape(uint8_t c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\b':
		return 'b';
	case '\t':
		return 't';
	case '\n':
		return 'n';
	case '\f':
		return 'f';
	case '\r':
		return 'r';
	default:
		return 0;
	}
}

static void
put_ascii(struct buf_writer *w, uint8_t c)
{
	char letter = short_escape(c);
	char text[8];

	if (letter != 0) {
		buf_put_u8(w, '\\');
		buf_put_u8(w, (uint8_t)letter);
	} else if (c < 0x20 || c == '<' || c == '>' || c == '&') {
		(void)snprintf(text, sizeof(text), "\\u%04x", c);
		buf_put_str(w, text);
	} else {
		buf_put_u8(w, c);
	}
}

void
gojson_put_string(struct buf_writer *w, const char *p, size_t n)
{
	const uint8_t *s = (const uint8_t *)p;

	buf_put_u8(w, '"');
	for (size_t i = 0, len; i < n; i += len) {
		len = gojson_utf8_len(s + i, n - i);
		if (len == 0) {
			buf_put_str(w, "\xef\xbf\xbd"); /* U+FFFD */
			len = 1;
		} else if (len == 1) {
			put_ascii(w, s[i]);
		} else if (len == 3 && s[i] == 0xe2 && s[i + 1] == 0x80 &&
			   (s[i + 2] & 0xfe) == 0xa8) {
			/* U+2028 and U+2029 end lines in JavaScript. */
			buf_put_str(
			    w, s[i + 2] == 0xa8 ? "\\u2028" : "\\u2029");
		} else {
			buf_put_bytes(w, s + i, len);
		}
	}
	buf_put_u8(w, '"');
}

size_t
gojson_cut(const char *p, size_t n, size_t max)
{
	if (n <= max)
		return n;
	/* Not in the middle of a character: step back over continuations. */
	while (max > 0 && ((uint8_t)p[max] & 0xc0) == 0x80)
		max--;
	return max;
}

void
gojson_put_int(struct buf_writer *w, int64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRId64, v);
	buf_put_str(w, text);
}

void
gojson_put_uint(struct buf_writer *w, uint64_t v)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, v);
	buf_put_str(w, text);
}

void
gojson_put_octets(struct buf_writer *w, const uint8_t *p, size_t n)
{
	buf_put_u8(w, '[');
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_put_u8(w, ',');
		gojson_put_uint(w, p[i]);
	}
	buf_put_u8(w, ']');
}

void
gojson_put_base64(struct buf_writer *w, const uint8_t *p, size_t n)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz0123456789+/";

	buf_put_u8(w, '"');
	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t v = (uint32_t)p[i] << 16;

		if (have > 1)
			v |= (uint32_t)p[i + 1] << 8;
		if (have > 2)
			v |= p[i + 2];
		for (size_t k = 0; k < 4; k++)
			buf_put_u8(
			    w, k > have
				   ? '='
				   : (uint8_t)alphabet[v >> (18 - 6 * k) & 63]);
	}
	buf_put_u8(w, '"');
}
