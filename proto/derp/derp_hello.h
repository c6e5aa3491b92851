/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The three frames of the DERP handshake: ServerKey, ClientInfo, ServerInfo.
 * The two infos are JSON in a NaCl box (X25519, XSalsa20-Poly1305).  JSON
 * member names match without regard to ASCII case, unknown ones are ignored,
 * as in Go's encoding/json.
 *
 * All-zero and low-order public keys are refused with -DT_ERR_KEY.
 */
#ifndef PROTO_DERP_HELLO_H
#define PROTO_DERP_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/secret.h"

#define DERP_HELLO_VERSION 2 /* RecvPacket carries the sender's key */
#define DERP_HELLO_NONCE_LEN 24u

/* Payload of ServerKey: 40 sent, 40 .. 1024 read. */
#define DERP_HELLO_SERVER_KEY_LEN 40u
#define DERP_HELLO_MAX_SERVER_KEY 1024u
/* Payload of ClientInfo: 56 .. 256 KiB, the peer's limits. */
#define DERP_HELLO_MIN_CLIENT_INFO 56u
#define DERP_HELLO_MAX_CLIENT_INFO 262144u
/* Payload of ServerInfo: Go takes 1 MiB; 64 KiB is a thousand times what any
 * server sends and keeps the client's buffer at one packet. */
#define DERP_HELLO_MIN_SERVER_INFO 24u
#define DERP_HELLO_MAX_SERVER_INFO 65536u
/* AppName and its terminator.  Longer names are cut when read. */
#define DERP_HELLO_MAX_APP_NAME 64u

/* Whole frames as written by us never exceed this. */
#define DERP_HELLO_MAX_FRAME 1024u

/* What a client says about itself. */
struct derp_hello_client {
	int64_t version; /* not written when 0 */
	bool can_ack_pings;
	bool is_prober;
	bool has_mesh_key;
	struct key32 mesh_key; /* secret; all zero means "none" to a server */
	char app_name[DERP_HELLO_MAX_APP_NAME]; /* not written when empty */
};

/* What a server says about itself. */
struct derp_hello_server {
	int64_t version;                    /* not written when 0 */
	int64_t token_bucket_bytes_per_sec; /* 0: no limit, not written */
	int64_t token_bucket_bytes_burst;   /* 0: not written */
};

/* Who seals or opens.  Borrowed for the call. */
struct derp_hello_keys {
	const struct key32 *own_private;
	const struct key32 *own_public;
	const struct key32 *peer_public; /* not used by _open_client_info() */
};

/** derp_hello_put_server_key(): append the whole frame, 45 bytes. */
void derp_hello_put_server_key(
    struct buf_writer *w, const struct key32 *server_public);

/**
 * derp_hello_get_server_key(): decode the payload of a ServerKey frame.
 *
 * Returns 0, -DT_ERR_NOT_RELAY for a bad length or magic, or -DT_ERR_KEY for
 * an all-zero key.
 */
int derp_hello_get_server_key(
    const uint8_t *payload, size_t len, struct key32 *ret_server_public);

/**
 * derp_hello_seal_client_info(): append a whole ClientInfo frame.
 * @nonce: DERP_HELLO_NONCE_LEN bytes, or NULL for random ones (tests alone have
 *   a reason to choose).
 *
 * Returns 0, -DT_ERR_KEY, -ENOMEM, or -DT_ERR_FULL (nothing of use in @w).
 */
int derp_hello_seal_client_info(struct buf_writer *w,
    const struct derp_hello_keys *keys, const struct derp_hello_client *info,
    const uint8_t *nonce);

/**
 * derp_hello_open_client_info(): decode the payload of a ClientInfo frame.
 * @server_private: the server's key.
 * @ret_info: wipe it after use when it may hold a mesh key.
 *
 * Returns 0; -DT_ERR_SYNTAX (length, JSON, wrong type of a member),
 * -DT_ERR_KEY, -DT_ERR_AUTH (the box does not open), -ENOMEM.
 */
int derp_hello_open_client_info(const uint8_t *payload, size_t len,
    const struct key32 *server_private, struct key32 *ret_client_public,
    struct derp_hello_client *ret_info);

/** derp_hello_seal_server_info(): as derp_hello_seal_client_info(). */
int derp_hello_seal_server_info(struct buf_writer *w,
    const struct derp_hello_keys *keys, const struct derp_hello_server *info,
    const uint8_t *nonce);

/**
 * derp_hello_open_server_info(): decode the payload of a ServerInfo frame.
 * @keys: own_private and peer_public are used.
 *
 * Returns as derp_hello_open_client_info().  Negative limits read as 0.
 */
int derp_hello_open_server_info(const uint8_t *payload, size_t len,
    const struct derp_hello_keys *keys, struct derp_hello_server *ret_info);

#endif
