/* SPDX-License-Identifier: BSD-3-Clause */
/* Server and client token texts; a client token has one spelling. */
#include <stdlib.h>
#include <string.h>

#include "proto/token/token_derptun.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try_server(const char *text)
{
	static char out[TOKEN_DERPTUN_MAX_SERVER_TEXT];
	static char again[TOKEN_DERPTUN_MAX_SERVER_TEXT];
	struct derptun_server_token t;
	struct token_error why;

	if (token_derptun_decode_server(&t, text, 0, &why) < 0)
		return;
	token_derptun_encode_server(&t, out);
	if (token_derptun_decode_server(&t, out, 0, &why) < 0)
		abort();
	token_derptun_encode_server(&t, again);
	if (strcmp(out, again) != 0)
		abort();
}

/* The fuzzer cannot guess base64 of JSON: hand the JSON over as it is. */
static void
try_json(const uint8_t *data, size_t size)
{
	size_t cap = 5 + TOKEN_TEXT_BASE64_LEN(size) + 1;
	char *text = malloc(cap);

	if (text == NULL)
		return;
	memcpy(text, "dts1_", 5);
	if (token_text_base64_encode(text + 5, cap - 5, data, size) < 0)
		abort();
	try_server(text);
	text[3] = '2';
	try_server(text);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char out[TOKEN_DERPTUN_MAX_CLIENT_TEXT];
	struct derptun_client_token c;
	struct token_error why;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_server(text);
	try_json(data, size);
	if (token_derptun_decode_client(&c, text, 0, &why) == 0) {
		token_derptun_encode_client(&c, out);
		if (strcmp(out, text) != 0)
			abort();
	}
	free(text);
	return 0;
}
