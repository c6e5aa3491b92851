/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/token/token_classify.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/token/token_session.h"
#include "proto/token/token_text.h"

static bool
has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Two characters hold the version octet and a bit more. */
static bool
is_session(const char *text)
{
	uint8_t raw[2];
	size_t len = 0;

	if (strlen(text) < 2 ||
	    token_text_base64_decode(raw, sizeof(raw), &len, text, 2, NULL) < 0)
		return false;
	return len > 0 && (raw[0] == TOKEN_SESSION_VERSION_PUBLIC ||
			      raw[0] == TOKEN_SESSION_VERSION_ROUTE);
}

enum token_kind
token_classify(const char *text)
{
	if (has_prefix(text, "dts1_") || has_prefix(text, "dts2_"))
		return TOKEN_KIND_DERPTUN_SERVER;
	if (has_prefix(text, "DT1") || has_prefix(text, "DT2"))
		return TOKEN_KIND_DERPTUN_CLIENT;
	if (has_prefix(text, "DSH1"))
		return TOKEN_KIND_DERPSSH_INVITE;
	return is_session(text) ? TOKEN_KIND_SESSION : TOKEN_KIND_UNKNOWN;
}

const char *
token_classify_name(enum token_kind kind)
{
	switch (kind) {
	case TOKEN_KIND_SESSION:
		return "session token";
	case TOKEN_KIND_DERPTUN_SERVER:
		return "derptun server token";
	case TOKEN_KIND_DERPTUN_CLIENT:
		return "derptun client token";
	case TOKEN_KIND_DERPSSH_INVITE:
		return "derpssh invite";
	case TOKEN_KIND_UNKNOWN:
		break;
	}
	return "unknown token";
}

static bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

const char *
token_classify_trim_line(const char *line, size_t *ret_len)
{
	static const char option[] = "--token=";
	const char *end = line + strlen(line);
	const char *start;

	while (end > line && is_blank(end[-1]))
		end--;
	start = end;
	while (start > line && !is_blank(start[-1]))
		start--;
	if ((size_t)(end - start) > strlen(option) && has_prefix(start, option))
		start += strlen(option);
	if (end - start >= 2 && (*start == '"' || *start == '\'') &&
	    end[-1] == *start) {
		start++;
		end--;
	}
	*ret_len = (size_t)(end - start);
	return start;
}
