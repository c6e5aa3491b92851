/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/stun/stun.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define COOKIE 0x2112a442u
#define TYPE_REQUEST 0x0001u
#define TYPE_SUCCESS 0x0101u

#define ATTR_MAPPED_ADDRESS 0x0001u
#define ATTR_USERNAME 0x0006u
#define ATTR_MESSAGE_INTEGRITY 0x0008u
#define ATTR_XOR_MAPPED_ADDRESS 0x0020u
#define ATTR_PRIORITY 0x0024u
#define ATTR_USE_CANDIDATE 0x0025u
#define ATTR_OPTIONAL 0x8000u /* from here on: may be ignored */
#define ATTR_XOR_MAPPED_ADDRESS_OLD 0x8020u
#define ATTR_SOFTWARE 0x8022u
#define ATTR_FINGERPRINT 0x8028u

#define FINGERPRINT_XOR 0x5354554eu
#define FINGERPRINT_LEN 8u  /* with its attribute header */
#define SOFTWARE "tailnode" /* derper answers nobody else */
#define FAMILY_V4 1
#define FAMILY_V6 2

struct attr {
	uint16_t type;
	struct buf_reader value;
};

/* CRC-32 (IEEE 802.3), four bits at a time: 40 bytes a packet need no more. */
static uint32_t
crc32_of(const uint8_t *p, size_t len)
{
	static const uint32_t table[16] = { 0x00000000, 0x1db71064, 0x3b6e20c8,
		0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0,
		0x86d3d2d4, 0xa00ae278, 0xbdbdf21c };
	uint32_t crc = 0xffffffff;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = (crc >> 4) ^ table[crc & 15];
		crc = (crc >> 4) ^ table[crc & 15];
	}
	return ~crc;
}

/* Next attribute and its padding.  -DT_ERR_SYNTAX if it is cut short. */
static int
get_attr(struct buf_reader *r, struct attr *ret_attr)
{
	uint16_t type = buf_get_u16(r);
	uint16_t len = buf_get_u16(r);
	const uint8_t *p = buf_peek_bytes(r, len);

	(void)buf_peek_bytes(r, (4u - len % 4u) % 4u);
	if (r->err != 0)
		return -DT_ERR_SYNTAX;
	ret_attr->type = type;
	ret_attr->value = buf_reader(p, len);
	return 0;
}

bool
stun_is_message(const void *p, size_t len)
{
	const uint8_t *b = p;

	return len >= STUN_MIN_LEN && (b[0] & 0xc0) == 0 &&
	       buf_u32_at(b + 4) == COOKIE;
}

bool
stun_tx_equal(const struct stun_tx *a, const struct stun_tx *b)
{
	return memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void
stun_write_request(
    uint8_t out[static STUN_REQUEST_LEN], const struct stun_tx *tx)
{
	struct buf_writer w = buf_writer(out, STUN_REQUEST_LEN);

	buf_put_u16(&w, TYPE_REQUEST);
	buf_put_u16(&w, STUN_REQUEST_LEN - STUN_MIN_LEN);
	buf_put_u32(&w, COOKIE);
	buf_put_bytes(&w, tx->b, sizeof(tx->b));
	buf_put_u16(&w, ATTR_SOFTWARE);
	buf_put_u16(&w, sizeof(SOFTWARE) - 1);
	buf_put_str(&w, SOFTWARE);
	buf_put_u16(&w, ATTR_FINGERPRINT);
	buf_put_u16(&w, FINGERPRINT_LEN - 4);
	buf_put_u32(&w, crc32_of(out, STUN_REQUEST_LEN - FINGERPRINT_LEN) ^
			    FINGERPRINT_XOR);
}

/* Must an agent that does not know @type refuse, and do we not know it? */
static bool
is_unknown(uint16_t type)
{
	switch (type) {
	case ATTR_USERNAME:
	case ATTR_MESSAGE_INTEGRITY:
	case ATTR_PRIORITY:
	case ATTR_USE_CANDIDATE:
		return false; /* ICE agents; nothing here to check them with */
	default:
		return type < ATTR_OPTIONAL;
	}
}

/* FINGERPRINT whose header starts at @at: last, and over all before it. */
static int
check_fingerprint(
    const uint8_t *msg, size_t len, size_t at, struct buf_reader value)
{
	uint32_t want = crc32_of(msg, at) ^ FINGERPRINT_XOR;

	if (at + FINGERPRINT_LEN != len || value.len != FINGERPRINT_LEN - 4)
		return -DT_ERR_SYNTAX;
	return buf_get_u32(&value) == want ? 0 : -DT_ERR_CHECKSUM;
}

int
stun_parse_request(const void *p, size_t len, struct stun_tx *ret_tx)
{
	const uint8_t *msg = p;
	struct buf_reader in = buf_reader(p, len);
	struct attr attr;
	size_t at;
	int r;

	if (len < STUN_MIN_LEN)
		return -DT_ERR_TRUNCATED;
	if (len > STUN_MAX_REQUEST_LEN)
		return -DT_ERR_TOO_LONG;
	if (!stun_is_message(p, len) || buf_get_u16(&in) != TYPE_REQUEST)
		return -DT_ERR_KIND;
	if (buf_get_u16(&in) != len - STUN_MIN_LEN)
		return -DT_ERR_SYNTAX;
	(void)buf_peek_bytes(&in, STUN_MIN_LEN - 4);
	while (buf_remaining(&in) > 0) {
		at = in.off;
		r = get_attr(&in, &attr);
		if (r < 0)
			return r;
		if (is_unknown(attr.type))
			return -DT_ERR_UNSUPPORTED;
		if (attr.type != ATTR_FINGERPRINT)
			continue;
		r = check_fingerprint(msg, len, at, attr.value);
		if (r < 0)
			return r;
	}
	memcpy(ret_tx->b, msg + 8, sizeof(ret_tx->b));
	return 0;
}

/* The obfuscation of RFC 5389 15.2; its own inverse.  The mask is the cookie
 * and the transaction id, which are adjacent in the message. */
static void
xor_addr(struct addr *a, const uint8_t mask[static 16])
{
	size_t n = a->family == AF_INET ? 4 : 16;

	a->port ^= (uint16_t)(COOKIE >> 16);
	for (size_t i = 0; i < n; i++)
		a->ip[i] ^= mask[i];
}

size_t
stun_write_response(uint8_t out[static STUN_MAX_RESPONSE_LEN],
    const struct stun_tx *tx, const struct addr *from)
{
	struct buf_writer w = buf_writer(out, STUN_MAX_RESPONSE_LEN);
	struct addr a = addr_unmap(from);
	uint16_t ip_len = a.family == AF_INET ? 4 : 16;

	if (a.family != AF_INET && a.family != AF_INET6)
		return 0;
	buf_put_u16(&w, TYPE_SUCCESS);
	buf_put_u16(&w, (uint16_t)(8u + ip_len));
	buf_put_u32(&w, COOKIE);
	buf_put_bytes(&w, tx->b, sizeof(tx->b));
	xor_addr(&a, out + 4);
	buf_put_u16(&w, ATTR_XOR_MAPPED_ADDRESS);
	buf_put_u16(&w, (uint16_t)(4u + ip_len));
	buf_put_u8(&w, 0);
	buf_put_u8(&w, a.family == AF_INET ? FAMILY_V4 : FAMILY_V6);
	buf_put_u16(&w, a.port);
	buf_put_bytes(&w, a.ip, ip_len);
	return w.len;
}

/* Value of any of the address attributes; @mask is NULL for the plain one. */
static int
get_address(struct buf_reader value, const uint8_t *mask, struct addr *ret_addr)
{
	struct addr a = { 0 };
	uint8_t family;

	(void)buf_get_u8(&value);
	family = buf_get_u8(&value);
	a.port = buf_get_u16(&value);
	if (family != FAMILY_V4 && family != FAMILY_V6)
		return -DT_ERR_SYNTAX;
	a.family = family == FAMILY_V4 ? AF_INET : AF_INET6;
	buf_get_bytes(&value, a.ip, family == FAMILY_V4 ? 4 : 16);
	if (value.err != 0)
		return -DT_ERR_SYNTAX;
	if (mask != NULL)
		xor_addr(&a, mask);
	*ret_addr = addr_unmap(&a);
	return 0;
}

int
stun_parse_response(
    const void *p, size_t len, struct stun_tx *ret_tx, struct addr *ret_mapped)
{
	const uint8_t *msg = p;
	struct addr mapped = { 0 }, plain = { 0 };
	struct buf_reader in;
	struct attr attr;
	size_t body_len;
	int r;

	if (len < STUN_MIN_LEN)
		return -DT_ERR_TRUNCATED;
	if (!stun_is_message(p, len) || buf_u16_at(msg) != TYPE_SUCCESS)
		return -DT_ERR_KIND;
	body_len = buf_u16_at(msg + 2);
	if (body_len > len - STUN_MIN_LEN)
		return -DT_ERR_TRUNCATED;
	in = buf_reader(msg + STUN_MIN_LEN, body_len);
	while (buf_remaining(&in) > 0) {
		r = get_attr(&in, &attr);
		if (r < 0)
			return r;
		if (attr.type == ATTR_XOR_MAPPED_ADDRESS ||
		    attr.type == ATTR_XOR_MAPPED_ADDRESS_OLD)
			r = get_address(attr.value, msg + 4, &mapped);
		else if (attr.type == ATTR_MAPPED_ADDRESS)
			r = get_address(attr.value, NULL, &plain);
		if (r < 0)
			return r;
	}
	if (mapped.family == 0)
		mapped = plain;
	if (mapped.family == 0)
		return -DT_ERR_SYNTAX;
	memcpy(ret_tx->b, msg + 8, sizeof(ret_tx->b));
	*ret_mapped = mapped;
	return 0;
}
