/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/token/token_text.h"

#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base41_alphabet[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ+-./:";

int
token_text_fail(struct token_error *ret_error, int r, const char *text)
{
	if (ret_error != NULL) {
		ret_error->r = r;
		(void)snprintf(
		    ret_error->text, sizeof(ret_error->text), "%s", text);
	}
	return r;
}

/* The value of @c in @alphabet, or -1. */
static int
digit_value(const char *alphabet, char c)
{
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

int
token_text_base64_encode(char *out, size_t cap, const void *src, size_t n)
{
	const uint8_t *p = src;
	size_t len = 0;
	uint32_t acc = 0;
	unsigned bits = 0;

	if (cap < TOKEN_TEXT_BASE64_LEN(n) + 1)
		return -DT_ERR_FULL;
	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | p[i];
		bits += 8;
		for (; bits >= 6; bits -= 6)
			out[len++] = base64_alphabet[acc >> (bits - 6) & 63];
	}
	if (bits > 0)
		out[len++] = base64_alphabet[acc << (6 - bits) & 63];
	out[len] = '\0';
	return 0;
}

static int
base64_error(struct token_error *ret_error, size_t at)
{
	char text[TOKEN_TEXT_MAX_ERROR];

	(void)snprintf(
	    text, sizeof(text), "illegal base64 data at input byte %zu", at);
	return token_text_fail(ret_error, -DT_ERR_SYNTAX, text);
}

int
token_text_base64_decode(uint8_t *out, size_t cap, size_t *ret_len,
    const char *text, size_t text_len, struct token_error *ret_error)
{
	size_t len = 0, digits = 0;
	bool overflow = false;
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < text_len; i++) {
		int v;

		if (text[i] == '\r' || text[i] == '\n')
			continue;
		v = digit_value(base64_alphabet, text[i]);
		if (v < 0)
			return base64_error(ret_error, i);
		digits++;
		acc = (acc << 6 | (uint32_t)v) & 0xffffff;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		/* Go on: an illegal character further on is reported first. */
		if (len < cap)
			out[len++] = (uint8_t)(acc >> bits);
		else
			overflow = true;
	}
	/* One digit alone holds no octet. */
	if (digits % 4 == 1)
		return base64_error(ret_error, text_len - 1);
	if (overflow)
		return token_text_fail(
		    ret_error, -DT_ERR_TOO_LONG, err_str(-DT_ERR_TOO_LONG));
	*ret_len = len;
	return 0;
}

int
token_text_base41_encode(char *out, size_t cap, const void *src, size_t n)
{
	const uint8_t *p = src;
	size_t len = 0, i;

	if (cap < TOKEN_TEXT_BASE41_LEN(n) + 1)
		return -DT_ERR_FULL;
	for (i = 0; i + 1 < n; i += 2) {
		unsigned v = (unsigned)p[i] << 8 | p[i + 1];

		out[len++] = base41_alphabet[v % 41];
		out[len++] = base41_alphabet[v / 41 % 41];
		out[len++] = base41_alphabet[v / 1681];
	}
	if (i < n) {
		out[len++] = base41_alphabet[p[i] % 41];
		out[len++] = base41_alphabet[p[i] / 41];
	}
	out[len] = '\0';
	return 0;
}

int
token_text_base41_decode(uint8_t *out, size_t cap, size_t *ret_len,
    const char *text, size_t text_len)
{
	size_t len = 0;

	if (text_len % 3 == 1)
		return -DT_ERR_SYNTAX;
	if (text_len / 3 * 2 + (text_len % 3 != 0) > cap)
		return -DT_ERR_TOO_LONG;
	for (size_t i = 0; i < text_len; i += 3) {
		bool pair = text_len - i == 2;
		int a = digit_value(base41_alphabet, text[i]);
		int b = digit_value(base41_alphabet, text[i + 1]);
		int c = pair ? 0 : digit_value(base41_alphabet, text[i + 2]);
		int v = a + 41 * b + 1681 * c;

		if (a < 0 || b < 0 || c < 0 || v > (pair ? 0xff : 0xffff))
			return -DT_ERR_SYNTAX;
		if (!pair)
			out[len++] = (uint8_t)(v >> 8);
		out[len++] = (uint8_t)(v & 0xff);
	}
	*ret_len = len;
	return 0;
}

void
token_text_hex_encode(char *out, const void *src, size_t n)
{
	(void)sodium_bin2hex(out, 2 * n + 1, src, n);
}

int
token_text_hex_decode(void *out, size_t n, const char *text, size_t len)
{
	size_t got;

	if (len != 2 * n ||
	    sodium_hex2bin(out, n, text, len, NULL, &got, NULL) != 0 ||
	    got != n)
		return -DT_ERR_SYNTAX;
	return 0;
}
