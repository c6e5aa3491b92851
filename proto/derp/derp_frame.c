/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/derp/derp_frame.h"

#include <assert.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define PRESENT_ADDR_LEN 18u /* ip[16] port */
#define DISCO_MIN_LEN 62u    /* magic, key, nonce */

static const uint8_t disco_magic[6] = { 0x54, 0x53, 0xf0, 0x9f, 0x92, 0xac };
static const uint8_t v4_mapped_prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	0xff, 0xff };

void
derp_frame_peek(const uint8_t *p, uint8_t *ret_type, uint32_t *ret_len)
{
	*ret_type = p[0];
	*ret_len = buf_u32_at(p + 1);
}

int
derp_frame_parse(const uint8_t *p, size_t len, size_t max_len,
    struct derp_frame *ret_frame, size_t *ret_need)
{
	uint32_t body_len;
	uint8_t type;

	if (len < DERP_FRAME_HEADER_LEN) {
		*ret_need = DERP_FRAME_HEADER_LEN;
		return -DT_ERR_TRUNCATED;
	}
	derp_frame_peek(p, &type, &body_len);
	if (body_len > max_len || body_len > DERP_FRAME_MAX_LEN)
		return -DT_ERR_TOO_LONG;
	if (len - DERP_FRAME_HEADER_LEN < body_len) {
		*ret_need = DERP_FRAME_HEADER_LEN + body_len;
		return -DT_ERR_TRUNCATED;
	}
	ret_frame->type = type;
	ret_frame->payload = p + DERP_FRAME_HEADER_LEN;
	ret_frame->len = body_len;
	ret_frame->total = DERP_FRAME_HEADER_LEN + body_len;
	return 0;
}

size_t
derp_frame_put_header(
    uint8_t out[static DERP_FRAME_HEADER_LEN], uint8_t type, size_t len)
{
	struct buf_writer w = buf_writer(out, DERP_FRAME_HEADER_LEN);

	assert(len <= DERP_FRAME_MAX_LEN);
	buf_put_u8(&w, type);
	buf_put_u32(&w, (uint32_t)len);
	return w.len;
}

/* Header, one key, and room for @extra bytes that follow it. */
static size_t
put_key_frame(uint8_t *out, uint8_t type, const struct key32 *key, size_t extra)
{
	(void)derp_frame_put_header(out, type, DERP_FRAME_KEY_LEN + extra);
	memcpy(out + DERP_FRAME_HEADER_LEN, key->b, DERP_FRAME_KEY_LEN);
	return DERP_FRAME_PACKET_HEADER_LEN;
}

size_t
derp_frame_put_send(uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN],
    const struct key32 *dst, size_t len)
{
	assert(len <= DERP_FRAME_MAX_PACKET);
	return put_key_frame(out, DERP_FRAME_SEND_PACKET, dst, len);
}

size_t
derp_frame_put_recv(uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN],
    const struct key32 *src, size_t len)
{
	assert(len <= DERP_FRAME_MAX_PACKET);
	return put_key_frame(out, DERP_FRAME_RECV_PACKET, src, len);
}

size_t
derp_frame_put_forward(uint8_t out[static DERP_FRAME_FORWARD_HEADER_LEN],
    const struct key32 *src, const struct key32 *dst, size_t len)
{
	assert(len <= DERP_FRAME_MAX_PACKET);
	(void)put_key_frame(
	    out, DERP_FRAME_FORWARD_PACKET, src, DERP_FRAME_KEY_LEN + len);
	memcpy(out + DERP_FRAME_PACKET_HEADER_LEN, dst->b, DERP_FRAME_KEY_LEN);
	return DERP_FRAME_FORWARD_HEADER_LEN;
}

size_t
derp_frame_put_keep_alive(uint8_t out[static DERP_FRAME_HEADER_LEN])
{
	return derp_frame_put_header(out, DERP_FRAME_KEEP_ALIVE, 0);
}

size_t
derp_frame_put_watch_conns(uint8_t out[static DERP_FRAME_HEADER_LEN])
{
	return derp_frame_put_header(out, DERP_FRAME_WATCH_CONNS, 0);
}

size_t
derp_frame_put_note_preferred(
    uint8_t out[static DERP_FRAME_HEADER_LEN + 1], bool preferred)
{
	size_t n = derp_frame_put_header(out, DERP_FRAME_NOTE_PREFERRED, 1);

	out[n] = preferred ? 1 : 0;
	return n + 1;
}

size_t
derp_frame_put_peer_gone(uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN + 1],
    const struct key32 *peer, uint8_t reason)
{
	size_t n = put_key_frame(out, DERP_FRAME_PEER_GONE, peer, 1);

	out[n] = reason;
	return n + 1;
}

size_t
derp_frame_put_peer_present(
    uint8_t out[static DERP_FRAME_HEADER_LEN + DERP_FRAME_PRESENT_LEN],
    const struct key32 *peer, const struct addr *from, uint8_t flags)
{
	size_t n = put_key_frame(
	    out, DERP_FRAME_PEER_PRESENT, peer, PRESENT_ADDR_LEN + 1);
	struct buf_writer w = buf_writer(out + n, PRESENT_ADDR_LEN + 1);
	static const uint8_t no_ip[16];

	if (from->family == AF_INET) {
		buf_put_bytes(&w, v4_mapped_prefix, sizeof(v4_mapped_prefix));
		buf_put_bytes(&w, from->ip, 4);
	} else {
		buf_put_bytes(
		    &w, from->family == AF_INET6 ? from->ip : no_ip, 16);
	}
	buf_put_u16(&w, from->family != 0 ? from->port : 0);
	buf_put_u8(&w, flags);
	return n + w.len;
}

size_t
derp_frame_put_close_peer(
    uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN], const struct key32 *peer)
{
	return put_key_frame(out, DERP_FRAME_CLOSE_PEER, peer, 0);
}

size_t
derp_frame_put_ping(
    uint8_t out[static DERP_FRAME_HEADER_LEN + DERP_FRAME_PING_LEN], bool pong,
    const uint8_t data[static DERP_FRAME_PING_LEN])
{
	size_t n = derp_frame_put_header(
	    out, pong ? DERP_FRAME_PONG : DERP_FRAME_PING, DERP_FRAME_PING_LEN);

	memcpy(out + n, data, DERP_FRAME_PING_LEN);
	return n + DERP_FRAME_PING_LEN;
}

size_t
derp_frame_put_restarting(
    uint8_t out[static DERP_FRAME_HEADER_LEN + DERP_FRAME_RESTARTING_LEN],
    uint32_t reconnect_in_ms, uint32_t try_for_ms)
{
	size_t n = derp_frame_put_header(
	    out, DERP_FRAME_RESTARTING, DERP_FRAME_RESTARTING_LEN);
	struct buf_writer w = buf_writer(out + n, DERP_FRAME_RESTARTING_LEN);

	buf_put_u32(&w, reconnect_in_ms);
	buf_put_u32(&w, try_for_ms);
	return n + w.len;
}

size_t
derp_frame_put_health(uint8_t out[static DERP_FRAME_HEADER_LEN], size_t len)
{
	return derp_frame_put_header(out, DERP_FRAME_HEALTH, len);
}

int
derp_frame_get_packet(const struct derp_frame *f, struct key32 *ret_key,
    const uint8_t **ret_data, size_t *ret_len)
{
	if (f->len < DERP_FRAME_KEY_LEN || f->len > DERP_FRAME_MAX_SEND)
		return -DT_ERR_SYNTAX;
	memcpy(ret_key->b, f->payload, DERP_FRAME_KEY_LEN);
	*ret_data = f->payload + DERP_FRAME_KEY_LEN;
	*ret_len = f->len - DERP_FRAME_KEY_LEN;
	return 0;
}

int
derp_frame_get_forward(const struct derp_frame *f, struct key32 *ret_src,
    struct key32 *ret_dst, const uint8_t **ret_data, size_t *ret_len)
{
	if (f->len < 2 * DERP_FRAME_KEY_LEN || f->len > DERP_FRAME_MAX_FORWARD)
		return -DT_ERR_SYNTAX;
	memcpy(ret_src->b, f->payload, DERP_FRAME_KEY_LEN);
	memcpy(ret_dst->b, f->payload + DERP_FRAME_KEY_LEN, DERP_FRAME_KEY_LEN);
	*ret_data = f->payload + 2 * DERP_FRAME_KEY_LEN;
	*ret_len = f->len - 2 * DERP_FRAME_KEY_LEN;
	return 0;
}

int
derp_frame_get_peer_gone(
    const struct derp_frame *f, struct key32 *ret_peer, uint8_t *ret_reason)
{
	if (f->len < DERP_FRAME_KEY_LEN)
		return -DT_ERR_SYNTAX;
	memcpy(ret_peer->b, f->payload, DERP_FRAME_KEY_LEN);
	*ret_reason = f->len > DERP_FRAME_KEY_LEN
			  ? f->payload[DERP_FRAME_KEY_LEN]
			  : DERP_FRAME_GONE_DISCONNECTED;
	return 0;
}

/* ip[16] port; all zero means that the server does not know. */
static struct addr
get_present_addr(struct buf_reader *r)
{
	struct addr a = { .family = AF_INET6 };

	buf_get_bytes(r, a.ip, sizeof(a.ip));
	a.port = buf_get_u16(r);
	if (a.port == 0 && addr_is_unspecified(&a))
		return (struct addr){ 0 };
	return addr_unmap(&a);
}

int
derp_frame_get_peer_present(const struct derp_frame *f, struct key32 *ret_peer,
    struct addr *ret_from, uint8_t *ret_flags)
{
	struct buf_reader r = buf_reader(f->payload, f->len);

	if (f->len < DERP_FRAME_KEY_LEN)
		return -DT_ERR_SYNTAX;
	buf_get_bytes(&r, ret_peer->b, DERP_FRAME_KEY_LEN);
	*ret_from = (struct addr){ 0 };
	if (buf_remaining(&r) >= PRESENT_ADDR_LEN)
		*ret_from = get_present_addr(&r);
	*ret_flags = f->len >= DERP_FRAME_PRESENT_LEN ? buf_get_u8(&r) : 0;
	return 0;
}

int
derp_frame_get_ping(
    const struct derp_frame *f, uint8_t ret_data[static DERP_FRAME_PING_LEN])
{
	if (f->len < DERP_FRAME_PING_LEN)
		return -DT_ERR_SYNTAX;
	memcpy(ret_data, f->payload, DERP_FRAME_PING_LEN);
	return 0;
}

int
derp_frame_get_note_preferred(const struct derp_frame *f, bool *ret_preferred)
{
	if (f->len != 1)
		return -DT_ERR_SYNTAX;
	*ret_preferred = f->payload[0] != 0;
	return 0;
}

int
derp_frame_get_close_peer(const struct derp_frame *f, struct key32 *ret_peer)
{
	if (f->len != DERP_FRAME_KEY_LEN)
		return -DT_ERR_SYNTAX;
	memcpy(ret_peer->b, f->payload, DERP_FRAME_KEY_LEN);
	return 0;
}

int
derp_frame_get_restarting(const struct derp_frame *f,
    uint32_t *ret_reconnect_in_ms, uint32_t *ret_try_for_ms)
{
	if (f->len < DERP_FRAME_RESTARTING_LEN)
		return -DT_ERR_SYNTAX;
	*ret_reconnect_in_ms = buf_u32_at(f->payload);
	*ret_try_for_ms = buf_u32_at(f->payload + 4);
	return 0;
}

void
derp_frame_write_asking(uint8_t out[static DERP_FRAME_ASKING_LEN])
{
	static_assert(DERP_FRAME_ASKING_LEN >= DISCO_MIN_LEN, "relays look");
	memset(out, 0, DERP_FRAME_ASKING_LEN);
	memcpy(out, disco_magic, sizeof(disco_magic));
}

bool
derp_frame_is_disco(const uint8_t *data, size_t len)
{
	return len >= DISCO_MIN_LEN &&
	       memcmp(data, disco_magic, sizeof(disco_magic)) == 0;
}
