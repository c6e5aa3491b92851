/* SPDX-License-Identifier: BSD-3-Clause */
/* A session token text; what decodes must encode and decode to the same. */
#include <stdlib.h>
#include <string.h>

#include "proto/token/token_classify.h"
#include "proto/token/token_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[TOKEN_SESSION_MAX_TEXT], again[TOKEN_SESSION_MAX_TEXT];
	struct token_error why;
	struct session_token t;
	struct token_route route;
	char *text = malloc(size + 1);
	size_t n;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	(void)token_classify(text);
	(void)token_classify_trim_line(text, &n);
	(void)token_route_from_url(&route, text, &why);
	if (token_session_decode(&t, text, 0, &why) == 0) {
		if (token_session_encode(&t, out) < 0 ||
		    token_session_decode(&t, out, 0, &why) < 0 ||
		    token_session_encode(&t, again) < 0 ||
		    strcmp(out, again) != 0)
			abort();
	}
	free(text);
	return 0;
}
