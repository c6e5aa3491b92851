/* SPDX-License-Identifier: BSD-3-Clause */
/* What kind of credential a text is, before anything is decoded. */
#ifndef PROTO_TOKEN_CLASSIFY_H
#define PROTO_TOKEN_CLASSIFY_H

#include <stddef.h>

enum token_kind {
	TOKEN_KIND_UNKNOWN,
	TOKEN_KIND_SESSION,        /* base64url, version octet 5 or 6 */
	TOKEN_KIND_DERPTUN_SERVER, /* dts1_, dts2_ */
	TOKEN_KIND_DERPTUN_CLIENT, /* DT1, DT2 */
	TOKEN_KIND_DERPSSH_INVITE, /* DSH1 */
};

/**
 * token_classify(): by prefix and version octet only, so that a damaged token
 * still gets the message of its kind.
 * @text: terminated, trimmed.
 */
enum token_kind token_classify(const char *text);

/** token_classify_name(): "session token" and so on, for messages. */
const char *token_classify_name(enum token_kind kind);

/**
 * token_classify_trim_line(): users paste whole lines, such as
 * "npx -y derptun@latest open --token DT1..."; the token is the last word,
 * without quotes around it and without "--token=" before it.
 *
 * Returns a pointer into @line and its length in *@ret_len (0: blank line).
 */
const char *token_classify_trim_line(const char *line, size_t *ret_len);

#endif
