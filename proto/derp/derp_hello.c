/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/derp/derp_hello.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_json.h"

#define KEY_LEN 32u
#define MESH_KEY_HEX_LEN ((size_t)2 * KEY_LEN)
/* JSON that we write: fixed names, a mesh key, an escaped application name. */
#define MAX_JSON (DERP_HELLO_MAX_FRAME - 256u)

static const uint8_t magic[8] = { 'D', 'E', 'R', 'P', 0xf0, 0x9f, 0x94, 0x91 };

void
derp_hello_put_server_key(
    struct buf_writer *w, const struct key32 *server_public)
{
	uint8_t head[DERP_FRAME_HEADER_LEN];

	(void)derp_frame_put_header(
	    head, DERP_FRAME_SERVER_KEY, DERP_HELLO_SERVER_KEY_LEN);
	buf_put_bytes(w, head, sizeof(head));
	buf_put_bytes(w, magic, sizeof(magic));
	buf_put_bytes(w, server_public->b, KEY_LEN);
}

int
derp_hello_get_server_key(
    const uint8_t *payload, size_t len, struct key32 *ret_server_public)
{
	if (len < DERP_HELLO_SERVER_KEY_LEN || len > DERP_HELLO_MAX_SERVER_KEY)
		return -DT_ERR_NOT_RELAY;
	if (memcmp(payload, magic, sizeof(magic)) != 0)
		return -DT_ERR_NOT_RELAY;
	if (secret_is_zero(payload + sizeof(magic), KEY_LEN))
		return -DT_ERR_KEY;
	memcpy(ret_server_public->b, payload + sizeof(magic), KEY_LEN);
	return 0;
}

/* The box key of two ends.  libsodium refuses zero and low-order points. */
static int
make_box_key(uint8_t box_key[static crypto_box_BEFORENMBYTES],
    const struct key32 *peer_public, const struct key32 *own_private)
{
	if (crypto_box_beforenm(box_key, peer_public->b, own_private->b) != 0)
		return -DT_ERR_KEY;
	return 0;
}

/*
 * Append a frame: header, @clear if any, nonce, box of @text.  @text is JSON
 * and at most MAX_JSON bytes.
 */
static int
seal_frame(struct buf_writer *w, uint8_t type, const struct key32 *clear,
    const struct derp_hello_keys *keys, const char *text, const uint8_t *nonce)
{
	size_t text_len = strlen(text);
	size_t clear_len = clear != NULL ? KEY_LEN : 0;
	uint8_t head[DERP_FRAME_HEADER_LEN], random[DERP_HELLO_NONCE_LEN];
	uint8_t box_key[crypto_box_BEFORENMBYTES];
	uint8_t box[crypto_box_MACBYTES + MAX_JSON];
	int r;

	if (text_len > MAX_JSON)
		return -DT_ERR_TOO_LONG;
	if (nonce == NULL) {
		secret_random(random, sizeof(random));
		nonce = random;
	}
	r = make_box_key(box_key, keys->peer_public, keys->own_private);
	if (r < 0)
		return r;
	/* fails for absurd lengths only */
	(void)crypto_box_easy_afternm(
	    box, (const uint8_t *)text, text_len, nonce, box_key);
	secret_wipe(box_key, sizeof(box_key));
	(void)derp_frame_put_header(head, type,
	    clear_len + DERP_HELLO_NONCE_LEN + crypto_box_MACBYTES + text_len);
	buf_put_bytes(w, head, sizeof(head));
	if (clear != NULL)
		buf_put_bytes(w, clear->b, KEY_LEN);
	buf_put_bytes(w, nonce, DERP_HELLO_NONCE_LEN);
	buf_put_bytes(w, box, crypto_box_MACBYTES + text_len);
	return w->err;
}

/* Open nonce and box at @p and parse the JSON in it.  *ret_json is a new
 * reference to any JSON value. */
static int
open_json(const uint8_t *p, size_t len, const struct key32 *peer_public,
    const struct key32 *own_private, json_t **ret_json)
{
	uint8_t box_key[crypto_box_BEFORENMBYTES];
	size_t text_len;
	char *text;
	int r;

	if (len < DERP_HELLO_NONCE_LEN + crypto_box_MACBYTES)
		return -DT_ERR_AUTH;
	text_len = len - DERP_HELLO_NONCE_LEN - crypto_box_MACBYTES;
	r = make_box_key(box_key, peer_public, own_private);
	if (r < 0)
		return r;
	text = malloc(text_len + 1);
	if (text == NULL) {
		secret_wipe(box_key, sizeof(box_key));
		return -ENOMEM;
	}
	r = crypto_box_open_easy_afternm((uint8_t *)text,
	    p + DERP_HELLO_NONCE_LEN, len - DERP_HELLO_NONCE_LEN, p, box_key);
	secret_wipe(box_key, sizeof(box_key));
	if (r == 0)
		*ret_json = json_loadb(text, text_len, JSON_DECODE_ANY, NULL);
	if (r != 0)
		r = -DT_ERR_AUTH;
	else if (*ret_json == NULL)
		r = -DT_ERR_SYNTAX;
	secret_wipe(text, text_len);
	free(text);
	return r;
}

/* Compact text of @obj, which is consumed.  NULL when memory is out. */
static char *
dump_json(json_t *obj)
{
	char *text = json_dumps(obj, JSON_COMPACT | JSON_PRESERVE_ORDER);

	json_decref(obj);
	return text;
}

static char *
client_text(const struct derp_hello_client *info)
{
	char hex[MESH_KEY_HEX_LEN + 1];
	json_t *obj = json_object();
	int bad = 0;

	if (info->has_mesh_key) {
		(void)sodium_bin2hex(
		    hex, sizeof(hex), info->mesh_key.b, KEY_LEN);
		bad |= json_object_set_new(obj, "meshKey", json_string(hex));
		secret_wipe(hex, sizeof(hex));
	}
	if (info->version != 0)
		bad |= json_object_set_new(
		    obj, "version", json_integer(info->version));
	bad |= json_object_set_new(
	    obj, "CanAckPings", json_boolean(info->can_ack_pings));
	if (info->is_prober)
		bad |= json_object_set_new(obj, "IsProber", json_true());
	if (info->app_name[0] != '\0')
		bad |= json_object_set_new(
		    obj, "AppName", json_string(info->app_name));
	if (bad != 0) {
		json_decref(obj);
		return NULL;
	}
	return dump_json(obj);
}

static char *
server_text(const struct derp_hello_server *info)
{
	json_t *obj = json_object();
	int bad = 0;

	if (info->version != 0)
		bad |= json_object_set_new(
		    obj, "version", json_integer(info->version));
	if (info->token_bucket_bytes_per_sec != 0)
		bad |= json_object_set_new(obj, "TokenBucketBytesPerSecond",
		    json_integer(info->token_bucket_bytes_per_sec));
	if (info->token_bucket_bytes_burst != 0)
		bad |= json_object_set_new(obj, "TokenBucketBytesBurst",
		    json_integer(info->token_bucket_bytes_burst));
	if (bad != 0) {
		json_decref(obj);
		return NULL;
	}
	return dump_json(obj);
}

int
derp_hello_seal_client_info(struct buf_writer *w,
    const struct derp_hello_keys *keys, const struct derp_hello_client *info,
    const uint8_t *nonce)
{
	char *text = client_text(info);
	int r;

	if (text == NULL)
		return -ENOMEM;
	r = seal_frame(
	    w, DERP_FRAME_CLIENT_INFO, keys->own_public, keys, text, nonce);
	secret_wipe(text, strlen(text));
	free(text);
	return r;
}

int
derp_hello_seal_server_info(struct buf_writer *w,
    const struct derp_hello_keys *keys, const struct derp_hello_server *info,
    const uint8_t *nonce)
{
	char *text = server_text(info);
	int r;

	if (text == NULL)
		return -ENOMEM;
	r = seal_frame(w, DERP_FRAME_SERVER_INFO, NULL, keys, text, nonce);
	free(text);
	return r;
}

/* A mesh key is 64 hex digits or the whole ClientInfo is bad. */
static int
get_mesh_key(json_t *value, struct derp_hello_client *info)
{
	const char *hex = json_string_value(value);
	size_t n = 0;

	if (hex == NULL || json_string_length(value) != MESH_KEY_HEX_LEN)
		return -DT_ERR_SYNTAX;
	if (sodium_hex2bin(info->mesh_key.b, KEY_LEN, hex, MESH_KEY_HEX_LEN,
		NULL, &n, NULL) != 0 ||
	    n != KEY_LEN)
		return -DT_ERR_SYNTAX;
	info->has_mesh_key = true;
	return 0;
}

/* The last name that is given counts; over-long ones are cut. */
static int
get_app_name(json_t *value, struct derp_hello_client *info)
{
	const char *text = "";
	size_t len;
	int r = derp_json_get_string(value, &text);

	if (r < 0)
		return r;
	len = strnlen(text, sizeof(info->app_name) - 1);
	memcpy(info->app_name, text, len);
	info->app_name[len] = '\0';
	return 0;
}

static int
get_client_member(
    const char *name, json_t *value, struct derp_hello_client *info)
{
	if (derp_json_is_name(name, "meshKey"))
		return get_mesh_key(value, info);
	if (derp_json_is_name(name, "version"))
		return derp_json_get_int(value, &info->version);
	if (derp_json_is_name(name, "CanAckPings"))
		return derp_json_get_bool(value, &info->can_ack_pings);
	if (derp_json_is_name(name, "IsProber"))
		return derp_json_get_bool(value, &info->is_prober);
	if (derp_json_is_name(name, "AppName"))
		return get_app_name(value, info);
	return 0;
}

int
derp_hello_open_client_info(const uint8_t *payload, size_t len,
    const struct key32 *server_private, struct key32 *ret_client_public,
    struct derp_hello_client *ret_info)
{
	struct derp_hello_client info = { 0 };
	struct key32 client_public;
	json_t *json = NULL, *value;
	const char *name;
	int r;

	if (len < DERP_HELLO_MIN_CLIENT_INFO ||
	    len > DERP_HELLO_MAX_CLIENT_INFO)
		return -DT_ERR_SYNTAX;
	memcpy(client_public.b, payload, KEY_LEN);
	r = open_json(payload + KEY_LEN, len - KEY_LEN, &client_public,
	    server_private, &json);
	if (r < 0)
		return r;
	if (!json_is_object(json) && !json_is_null(json))
		r = -DT_ERR_SYNTAX;
	json_object_foreach(json, name, value) {
		r = get_client_member(name, value, &info);
		if (r < 0)
			break;
	}
	json_decref(json);
	if (r == 0) {
		*ret_client_public = client_public;
		*ret_info = info;
	}
	secret_wipe(&info, sizeof(info));
	return r;
}

static int
get_server_member(
    const char *name, json_t *value, struct derp_hello_server *info)
{
	if (derp_json_is_name(name, "version"))
		return derp_json_get_int(value, &info->version);
	if (derp_json_is_name(name, "TokenBucketBytesPerSecond"))
		return derp_json_get_int(
		    value, &info->token_bucket_bytes_per_sec);
	if (derp_json_is_name(name, "TokenBucketBytesBurst"))
		return derp_json_get_int(
		    value, &info->token_bucket_bytes_burst);
	return 0;
}

int
derp_hello_open_server_info(const uint8_t *payload, size_t len,
    const struct derp_hello_keys *keys, struct derp_hello_server *ret_info)
{
	struct derp_hello_server info = { 0 };
	json_t *json = NULL, *value;
	const char *name;
	int r;

	if (len < DERP_HELLO_MIN_SERVER_INFO ||
	    len > DERP_HELLO_MAX_SERVER_INFO)
		return -DT_ERR_SYNTAX;
	r = open_json(
	    payload, len, keys->peer_public, keys->own_private, &json);
	if (r < 0)
		return r;
	if (!json_is_object(json) && !json_is_null(json))
		r = -DT_ERR_SYNTAX;
	json_object_foreach(json, name, value) {
		r = get_server_member(name, value, &info);
		if (r < 0)
			break;
	}
	json_decref(json);
	if (r < 0)
		return r;
	if (info.token_bucket_bytes_per_sec < 0)
		info.token_bucket_bytes_per_sec = 0;
	if (info.token_bucket_bytes_burst < 0)
		info.token_bucket_bytes_burst = 0;
	*ret_info = info;
	return 0;
}
