/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/path/disco.h"

#include <assert.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define MAGIC_LEN 16
#define NONCE_AT 17
#define MAC_AT 33

static const uint8_t magic_v1[MAGIC_LEN] = { 0, 'd', 'e', 'r', 'p', 'h', 'o',
	'l', 'e', '-', 'd', 'i', 's', 'c', 'o', '1' };
static const uint8_t magic_size[MAGIC_LEN] = { 0, 'd', 'e', 'r', 'p', 't', 'u',
	'n', 'd', '-', 's', 'i', 'z', 'e', '-', '1' };

static_assert(DISCO_LEN == MAC_AT + sizeof(struct key32), "layout");
static_assert(DISCO_SIZE_ACK == DISCO_LEN + 2, "layout");

static bool
is_text(const uint8_t *pkt, size_t len, const char *text)
{
	return len == strlen(text) && memcmp(pkt, text, len) == 0;
}

static bool
has_magic(const uint8_t *pkt, size_t len, const uint8_t magic[MAGIC_LEN])
{
	return len >= MAGIC_LEN && memcmp(pkt, magic, MAGIC_LEN) == 0;
}

bool
disco_is_punch(const uint8_t *pkt, size_t len)
{
	return is_text(pkt, len, DISCO_PUNCH);
}

bool
disco_is_ours(const uint8_t *pkt, size_t len)
{
	/* QUIC never starts with either. */
	if (len == 0 || (pkt[0] != 0 && pkt[0] != 'd'))
		return false;
	return has_magic(pkt, len, magic_v1) ||
	       has_magic(pkt, len, magic_size) || disco_is_punch(pkt, len) ||
	       is_text(pkt, len, DISCO_ROUTE_CHECK) ||
	       is_text(pkt, len, "derphole-probe") ||
	       is_text(pkt, len, "derphole-ack");
}

/* Over all that is fixed before the MAC, and the size behind it in an ack. */
static void
make_mac(struct key32 *ret_mac, const struct key32 *key, const uint8_t *pkt,
    bool with_size)
{
	uint8_t text[MAC_AT + 2];

	memcpy(text, pkt, MAC_AT);
	memcpy(text + MAC_AT, with_size ? pkt + DISCO_LEN : pkt, 2);
	secret_hmac_sha256(
	    ret_mac, key, text, with_size ? sizeof(text) : MAC_AT);
}

static bool
has_length(enum disco_kind kind, size_t len)
{
	switch (kind) {
	case DISCO_PROBE:
	case DISCO_ACK:
		return len == DISCO_LEN;
	case DISCO_SIZE_PROBE:
		return len >= DISCO_SIZE_ACK && len <= UINT16_MAX;
	case DISCO_SIZE_ACKED:
		return len == DISCO_SIZE_ACK;
	default:
		return false;
	}
}

static bool
is_size_kind(enum disco_kind kind)
{
	return kind == DISCO_SIZE_PROBE || kind == DISCO_SIZE_ACKED;
}

int
disco_parse(struct disco_packet *ret_packet, const struct key32 *key,
    const uint8_t *pkt, size_t len)
{
	struct disco_packet packet = { 0 };
	struct key32 mac;
	bool sized = has_magic(pkt, len, magic_size);

	if (len < DISCO_LEN || !(sized || has_magic(pkt, len, magic_v1)))
		return -DT_ERR_SYNTAX;
	packet.kind = pkt[MAGIC_LEN];
	if (!has_length(packet.kind, len) || is_size_kind(packet.kind) != sized)
		return -DT_ERR_SYNTAX;
	make_mac(&mac, key, pkt, packet.kind == DISCO_SIZE_ACKED);
	if (!secret_equal(mac.b, pkt + MAC_AT, sizeof(mac.b)))
		return -DT_ERR_AUTH;
	memcpy(packet.nonce.b, pkt + NONCE_AT, sizeof(packet.nonce.b));
	if (packet.kind == DISCO_SIZE_PROBE)
		packet.size = (uint16_t)len;
	else if (packet.kind == DISCO_SIZE_ACKED)
		packet.size = buf_u16_at(pkt + DISCO_LEN);
	*ret_packet = packet;
	return 0;
}

size_t
disco_build(uint8_t *out, size_t cap, const struct key32 *key,
    const struct disco_packet *packet)
{
	bool sized = is_size_kind(packet->kind);
	struct key32 mac;
	size_t len = DISCO_LEN;

	if (packet->kind == DISCO_SIZE_ACKED)
		len = DISCO_SIZE_ACK;
	else if (packet->kind == DISCO_SIZE_PROBE)
		len = packet->size;
	if (len > cap || !has_length(packet->kind, len))
		return 0;
	memset(out, 0, len);
	memcpy(out, sized ? magic_size : magic_v1, MAGIC_LEN);
	out[MAGIC_LEN] = (uint8_t)packet->kind;
	memcpy(out + NONCE_AT, packet->nonce.b, sizeof(packet->nonce.b));
	if (packet->kind == DISCO_SIZE_ACKED) {
		out[DISCO_LEN] = (uint8_t)(packet->size >> 8);
		out[DISCO_LEN + 1] = (uint8_t)packet->size;
	}
	make_mac(&mac, key, out, packet->kind == DISCO_SIZE_ACKED);
	memcpy(out + MAC_AT, mac.b, sizeof(mac.b));
	return len;
}
