/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The input as payload of each handshake frame; and, because no mutation opens
 * a box, as the JSON inside a box that opens.
 */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/derp/derp_hello.h"
#include "test/fuzz/derp_keys.h"

#define MAX_TEXT 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
seal(uint8_t *out, const uint8_t *text, size_t len)
{
	memset(out, 7, DERP_HELLO_NONCE_LEN);
	if (crypto_box_easy(out + DERP_HELLO_NONCE_LEN, text, len, out,
		server_public.b, client_private.b) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t payload[32 + 24 + 16 + MAX_TEXT];
	struct derp_hello_keys keys = { .own_private = &client_private,
		.own_public = &client_public,
		.peer_public = &server_public };
	struct derp_hello_client client;
	struct derp_hello_server server;
	struct key32 key;

	make_keys();
	(void)derp_hello_get_server_key(data, size, &key);
	(void)derp_hello_open_client_info(
	    data, size, &server_private, &key, &client);
	(void)derp_hello_open_server_info(data, size, &keys, &server);
	if (size > MAX_TEXT)
		return 0;
	memcpy(payload, client_public.b, 32);
	seal(payload + 32, data, size);
	if (derp_hello_open_client_info(
		payload, 72 + size, &server_private, &key, &client) == 0 &&
	    memchr(client.app_name, '\0', sizeof(client.app_name)) == NULL)
		abort();
	/* the box key is the same in both directions */
	if (derp_hello_open_server_info(
		payload + 32, 40 + size, &keys, &server) == 0 &&
	    server.token_bucket_bytes_per_sec < 0)
		abort();
	return 0;
}
