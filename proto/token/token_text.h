/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The two text forms of credentials: base64url without padding and base-41
 * (QR alphanumeric).  Pure functions.  Texts hold secrets: wipe them after use.
 */
#ifndef PROTO_TOKEN_TEXT_H
#define PROTO_TOKEN_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* The longest message: a prefix and a reason, well below 128 characters. */
#define TOKEN_TEXT_MAX_ERROR 128

/* Why a credential was refused.  Never contains any of its text. */
struct token_error {
	int r;                           /* -DT_ERR_*, or 0 */
	char text[TOKEN_TEXT_MAX_ERROR]; /* for the user, as the Go tools say it
					  */
};

/**
 * token_text_fail(): fill @ret_error (may be NULL) and return @r.
 * @text: what the user shall read.
 */
int token_text_fail(struct token_error *ret_error, int r, const char *text);

/** TOKEN_TEXT_BASE64_LEN(): characters for @n bytes, without terminator. */
#define TOKEN_TEXT_BASE64_LEN(n) (((n)*4 + 2) / 3)

/**
 * token_text_base64_encode(): canonical base64url, terminated.
 * @cap: size of @out; TOKEN_TEXT_BASE64_LEN(n) + 1 is needed.
 *
 * Returns 0 or -DT_ERR_FULL.
 */
int token_text_base64_encode(char *out, size_t cap, const void *src, size_t n);

/**
 * token_text_base64_decode(): as lenient as the peer's decoder, because users
 * paste what works there: CR and LF are skipped anywhere, the unused low bits
 * of the last character are ignored.  Padding, '+', '/', blanks are refused.
 *
 * Returns 0, -DT_ERR_SYNTAX ("illegal base64 data at input byte N"), or
 * -DT_ERR_TOO_LONG when @cap bytes do not suffice.
 */
int token_text_base64_decode(uint8_t *out, size_t cap, size_t *ret_len,
    const char *text, size_t text_len, struct token_error *ret_error);

/** TOKEN_TEXT_BASE41_LEN(): characters for @n bytes, without terminator. */
#define TOKEN_TEXT_BASE41_LEN(n) ((n) / 2 * 3 + (n) % 2 * 2)

/** token_text_base41_encode(): terminated.  Returns 0 or -DT_ERR_FULL. */
int token_text_base41_encode(char *out, size_t cap, const void *src, size_t n);

/**
 * token_text_base41_decode(): strict; every byte string has one spelling.
 *
 * Returns 0, -DT_ERR_SYNTAX, or -DT_ERR_TOO_LONG.
 */
int token_text_base41_decode(uint8_t *out, size_t cap, size_t *ret_len,
    const char *text, size_t text_len);

/**
 * token_text_hex_encode(): lower case, terminated.
 * @out: 2 * n + 1 characters.
 */
void token_text_hex_encode(char *out, const void *src, size_t n);

/**
 * token_text_hex_decode(): exactly 2 * @n digits of either case.
 * Returns 0 or -DT_ERR_SYNTAX.
 */
int token_text_hex_decode(void *out, size_t n, const char *text, size_t len);

#endif
