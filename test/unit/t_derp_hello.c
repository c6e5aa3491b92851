/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

#include "lib/err.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_hello.h"
#include "test/tap.h"
#include "test/unit/derp_vector.h"

#define MESH "00112233445566778899aabbccddeeffFFEEDDCCBBAA99887766554433221100"

static struct key32 client_private, client_public;
static struct key32 server_private, server_public;
static struct vector nonce;

static struct derp_hello_keys
client_keys(void)
{
	return (struct derp_hello_keys){ .own_private = &client_private,
		.own_public = &client_public,
		.peer_public = &server_public };
}

static struct derp_hello_keys
server_keys(void)
{
	return (struct derp_hello_keys){ .own_private = &server_private,
		.own_public = &server_public,
		.peer_public = &client_public };
}

static void
test_server_key(void)
{
	struct vector v = vector_get("server_key");
	uint8_t out[64], payload[1100] = { 0 };
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct key32 got;

	derp_hello_put_server_key(&w, &server_public);
	EQ_INT(w.len, v.len, "ServerKey length");
	EQ_MEM(out, v.p, v.len, "ServerKey bytes");
	memcpy(payload, v.p + 5, 40);
	EQ_INT(derp_hello_get_server_key(payload, 40, &got), 0, "40 bytes");
	EQ_MEM(got.b, server_public.b, 32, "key");
	for (size_t n = 0; n < 40; n++)
		EQ_INT(derp_hello_get_server_key(payload, n, &got),
		    -DT_ERR_NOT_RELAY, "cut at %zu", n);
	EQ_INT(derp_hello_get_server_key(payload, 1024, &got), 0, "1024");
	EQ_INT(derp_hello_get_server_key(payload, 1025, &got),
	    -DT_ERR_NOT_RELAY, "1025");
	payload[7] ^= 1;
	EQ_INT(derp_hello_get_server_key(payload, 40, &got), -DT_ERR_NOT_RELAY,
	    "wrong magic");
	payload[7] ^= 1;
	memset(payload + 8, 0, 32);
	EQ_INT(derp_hello_get_server_key(payload, 40, &got), -DT_ERR_KEY,
	    "zero key");
}

static void
test_client_info(void)
{
	struct vector v = vector_get("client_info");
	struct derp_hello_client info = { .version = 2, .can_ack_pings = true };
	struct derp_hello_client got;
	struct derp_hello_keys keys = client_keys();
	uint8_t out[DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct key32 from;

	EQ_INT(derp_hello_seal_client_info(&w, &keys, &info, nonce.p), 0,
	    "ClientInfo sealed");
	EQ_INT(w.len, v.len, "ClientInfo length");
	EQ_MEM(out, v.p, v.len, "ClientInfo bytes");
	EQ_INT(derp_hello_open_client_info(
		   v.p + 5, v.len - 5, &server_private, &from, &got),
	    0, "ClientInfo opened");
	OK(got.version == 2 && got.can_ack_pings && !got.is_prober &&
		!got.has_mesh_key && got.app_name[0] == '\0',
	    "ClientInfo fields");
	EQ_MEM(from.b, client_public.b, 32, "client's key");
	for (size_t n = 0; n < v.len - 5; n++)
		EQ_INT(derp_hello_open_client_info(
			   v.p + 5, n, &server_private, &from, &got),
		    n < 56 ? -DT_ERR_SYNTAX : -DT_ERR_AUTH, "cut at %zu", n);
	for (size_t i = 37; i < v.len; i++) {
		v.p[i] ^= 0x10;
		EQ_INT(derp_hello_open_client_info(
			   v.p + 5, v.len - 5, &server_private, &from, &got),
		    -DT_ERR_AUTH, "byte %zu changed", i);
		v.p[i] ^= 0x10;
	}
	for (size_t cap = 0; cap < v.len; cap++) {
		w = buf_writer(out, cap);
		if (derp_hello_seal_client_info(&w, &keys, &info, NULL) !=
		    -DT_ERR_FULL)
			OK(false, "sealed into %zu bytes", cap);
	}
}

static void
test_full_client_info(void)
{
	struct derp_hello_client info = { .version = 2,
		.is_prober = true,
		.has_mesh_key = true,
		.app_name = "a \"name\" \x01" };
	struct derp_hello_client got;
	struct derp_hello_keys keys = client_keys();
	uint8_t out[DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct key32 from;

	memset(info.mesh_key.b, 0xab, 32);
	memset(info.app_name + 10, 1, DERP_HELLO_MAX_APP_NAME - 11);
	EQ_INT(derp_hello_seal_client_info(&w, &keys, &info, NULL), 0,
	    "all fields sealed");
	EQ_INT(derp_hello_open_client_info(
		   out + 5, w.len - 5, &server_private, &from, &got),
	    0, "and opened");
	OK(got.has_mesh_key && got.is_prober && !got.can_ack_pings,
	    "flags are the same");
	EQ_MEM(got.mesh_key.b, info.mesh_key.b, 32, "mesh key is the same");
	EQ_STR(got.app_name, info.app_name, "longest, worst name is the same");
}

static void
test_bad_keys(void)
{
	static const struct key32 zero, one = { { 1 } };
	struct vector v = vector_get("client_info");
	struct derp_hello_client info = { .version = 2 };
	struct derp_hello_keys keys = client_keys();
	uint8_t out[DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct key32 from;

	keys.peer_public = &zero;
	EQ_INT(derp_hello_seal_client_info(&w, &keys, &info, NULL), -DT_ERR_KEY,
	    "no box for a zero key");
	keys.peer_public = &one;
	EQ_INT(derp_hello_seal_client_info(&w, &keys, &info, NULL), -DT_ERR_KEY,
	    "no box for a low-order key");
	EQ_INT(w.len, 0, "nothing written");
	memset(v.p + 5, 0, 32);
	EQ_INT(derp_hello_open_client_info(
		   v.p + 5, v.len - 5, &server_private, &from, &info),
	    -DT_ERR_KEY, "zero key in ClientInfo");
	v.p[5] = 1;
	EQ_INT(derp_hello_open_client_info(
		   v.p + 5, v.len - 5, &server_private, &from, &info),
	    -DT_ERR_KEY, "low-order key in ClientInfo");
}

/* Seal any text as a client would; returns the payload's length. */
static size_t
seal_text(uint8_t *out, const char *text, size_t len)
{
	memcpy(out, client_public.b, 32);
	memcpy(out + 32, nonce.p, 24);
	if (crypto_box_easy(out + 56, (const uint8_t *)text, len, nonce.p,
		server_public.b, client_private.b) != 0)
		abort();
	return 56 + 16 + len;
}

static void
test_client_json(void)
{
	static const struct {
		const char *text;
		int want;
	} rows[] = {
		{ "{}", 0 },
		{ "null", 0 },
		{ " {\"version\":2} \n", 0 },
		{ "{\"CanAckPings\":true,\"version\":2}", 0 },
		{ "{\"VERSION\":2,\"canackpings\":true}", 0 },
		{ "{\"unknown\":[1,{\"x\":null}],\"version\":3}", 0 },
		{ "{\"version\":1,\"version\":2}", 0 },
		{ "{\"version\":null,\"IsProber\":null,\"AppName\":null}", 0 },
		{ "{\"meshKey\":\"" MESH "\"}", 0 },
		{ "{\"MESHKEY\":\"" MESH "\"}", 0 },
		{ "{\"meshKey\":\"\"}", -DT_ERR_SYNTAX },
		{ "{\"meshKey\":null}", -DT_ERR_SYNTAX },
		{ "{\"meshKey\":\"" MESH "0\"}", -DT_ERR_SYNTAX },
		{ "{\"meshKey\":\"zz112233445566778899aabbccddeeff"
		  "00112233445566778899aabbccddeeff\"}",
		    -DT_ERR_SYNTAX },
		{ "{\"version\":\"2\"}", -DT_ERR_SYNTAX },
		{ "{\"version\":2.0}", -DT_ERR_SYNTAX },
		{ "{\"version\":1e1}", -DT_ERR_SYNTAX },
		{ "{\"version\":99999999999999999999}", -DT_ERR_SYNTAX },
		{ "{\"CanAckPings\":1}", -DT_ERR_SYNTAX },
		{ "{\"AppName\":7}", -DT_ERR_SYNTAX },
		{ "{} x", -DT_ERR_SYNTAX },
		{ "{}{}", -DT_ERR_SYNTAX },
		{ "[]", -DT_ERR_SYNTAX },
		{ "true", -DT_ERR_SYNTAX },
		{ "\"version\"", -DT_ERR_SYNTAX },
		{ "", -DT_ERR_SYNTAX },
		{ "{\"version\":2", -DT_ERR_SYNTAX },
	};
	uint8_t payload[1024];
	struct derp_hello_client got;
	struct key32 from;
	size_t n;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		n = seal_text(payload, rows[i].text, strlen(rows[i].text));
		EQ_INT(derp_hello_open_client_info(
			   payload, n, &server_private, &from, &got),
		    rows[i].want, "JSON %s", rows[i].text);
	}
	n = seal_text(payload, "{\"version\":1,\"Version\":2}", 25);
	(void)derp_hello_open_client_info(
	    payload, n, &server_private, &from, &got);
	EQ_INT(got.version, 2, "last one wins");
	n = seal_text(payload, "{\"meshKey\":\"" MESH "\"}", 78);
	(void)derp_hello_open_client_info(
	    payload, n, &server_private, &from, &got);
	OK(got.has_mesh_key && got.mesh_key.b[1] == 0x11 &&
		got.mesh_key.b[16] == 0xff,
	    "mesh key in either case");
}

static void
test_client_sizes(void)
{
	size_t text_len = DERP_HELLO_MAX_CLIENT_INFO - 72;
	uint8_t *payload = malloc(DERP_HELLO_MAX_CLIENT_INFO + 1);
	char *text = malloc(text_len + 1);
	struct derp_hello_client got;
	struct key32 from;
	size_t n;

	if (payload == NULL || text == NULL)
		abort();
	memset(text, ' ', text_len + 1);
	memcpy(text, "{}", 2);
	n = seal_text(payload, text, text_len);
	EQ_INT(derp_hello_open_client_info(
		   payload, n, &server_private, &from, &got),
	    0, "256 KiB");
	n = seal_text(payload, text, text_len + 1);
	EQ_INT(derp_hello_open_client_info(
		   payload, n, &server_private, &from, &got),
	    -DT_ERR_SYNTAX, "256 KiB and a byte");
	memset(text, '[', text_len);
	n = seal_text(payload, text, text_len);
	EQ_INT(derp_hello_open_client_info(
		   payload, n, &server_private, &from, &got),
	    -DT_ERR_SYNTAX, "nested without end");
	free(payload);
	free(text);
}

static void
test_server_info(void)
{
	struct vector v = vector_get("server_info");
	struct derp_hello_server info = { .version = 2 }, got;
	struct derp_hello_keys server = server_keys(), client = client_keys();
	uint8_t out[DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));

	EQ_INT(derp_hello_seal_server_info(&w, &server, &info, nonce.p), 0,
	    "ServerInfo sealed");
	EQ_INT(w.len, v.len, "ServerInfo length");
	EQ_MEM(out, v.p, v.len, "ServerInfo bytes");
	EQ_INT(derp_hello_open_server_info(v.p + 5, v.len - 5, &client, &got),
	    0, "ServerInfo opened");
	OK(got.version == 2 && got.token_bucket_bytes_per_sec == 0,
	    "ServerInfo fields");
	for (size_t n = 0; n < v.len - 5; n++)
		OK(derp_hello_open_server_info(v.p + 5, n, &client, &got) < 0,
		    "ServerInfo cut at %zu", n);
	client.peer_public = &client_public;
	EQ_INT(derp_hello_open_server_info(v.p + 5, v.len - 5, &client, &got),
	    -DT_ERR_AUTH, "from another server");
	client.peer_public = &server_public;
	info.token_bucket_bytes_per_sec = 1;
	info.token_bucket_bytes_burst = 74;
	w = buf_writer(out, sizeof(out));
	(void)derp_hello_seal_server_info(&w, &server, &info, NULL);
	EQ_INT(derp_hello_open_server_info(out + 5, w.len - 5, &client, &got),
	    0, "limits read");
	OK(got.token_bucket_bytes_per_sec == 1 &&
		got.token_bucket_bytes_burst == 74,
	    "limits are the same");
	info.token_bucket_bytes_per_sec = -5;
	w = buf_writer(out, sizeof(out));
	(void)derp_hello_seal_server_info(&w, &server, &info, NULL);
	(void)derp_hello_open_server_info(out + 5, w.len - 5, &client, &got);
	EQ_INT(got.token_bucket_bytes_per_sec, 0, "negative limit is none");
}

static void
test_server_json(void)
{
	static const char *const bad[] = { "[]", "{\"version\":\"2\"}",
		"{\"TokenBucketBytesBurst\":true}", "x" };
	struct derp_hello_keys client = client_keys();
	struct derp_hello_server got;
	uint8_t payload[256];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memcpy(payload, nonce.p, 24);
		if (crypto_box_easy(payload + 24, (const uint8_t *)bad[i],
			strlen(bad[i]), nonce.p, client_public.b,
			server_private.b) != 0)
			abort();
		EQ_INT(derp_hello_open_server_info(
			   payload, 40 + strlen(bad[i]), &client, &got),
		    -DT_ERR_SYNTAX, "ServerInfo JSON %s", bad[i]);
	}
	EQ_INT(derp_hello_open_server_info(
		   payload, DERP_HELLO_MAX_SERVER_INFO + 1, &client, &got),
	    -DT_ERR_SYNTAX, "ServerInfo too long");
}

int
main(void)
{
	client_private = vector_key("client_private");
	client_public = vector_key("client_public");
	server_private = vector_key("server_private");
	server_public = vector_key("server_public");
	nonce = vector_get("nonce");
	test_server_key();
	test_client_info();
	test_full_client_info();
	test_bad_keys();
	test_client_json();
	test_client_sizes();
	test_server_info();
	test_server_json();
	return tap_done();
}
