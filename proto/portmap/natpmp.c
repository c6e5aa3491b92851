/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/portmap/natpmp.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define IS_RESPONSE 0x80u
/* Of an error without the epoch, as some gateways cut them. */
#define MIN_RESPONSE_LEN 4u

void
natpmp_write_address_request(uint8_t out[static NATPMP_ADDRESS_REQUEST_LEN])
{
	out[0] = NATPMP_VERSION;
	out[1] = NATPMP_ADDRESS;
}

void
natpmp_write_map_request(uint8_t out[static NATPMP_MAP_REQUEST_LEN],
    uint16_t internal_port, uint16_t external_port, uint32_t lifetime_s)
{
	struct buf_writer w = buf_writer(out, NATPMP_MAP_REQUEST_LEN);

	buf_put_u8(&w, NATPMP_VERSION);
	buf_put_u8(&w, NATPMP_MAP_UDP);
	buf_put_u16(&w, 0);
	buf_put_u16(&w, internal_port);
	buf_put_u16(&w, external_port);
	buf_put_u32(&w, lifetime_s);
}

static void
get_address(struct buf_reader *r, struct natpmp_response *v)
{
	v->address.family = AF_INET;
	buf_get_bytes(r, v->address.ip, 4);
}

static void
get_mapping(struct buf_reader *r, struct natpmp_response *v)
{
	v->internal_port = buf_get_u16(r);
	v->external_port = buf_get_u16(r);
	v->lifetime_s = buf_get_u32(r);
}

/* An error may be cut short anywhere. */
static void
get_refused(struct buf_reader *r, struct natpmp_response *v)
{
	if (buf_remaining(r) >= 4)
		v->epoch_s = buf_get_u32(r);
	if (v->kind == NATPMP_MAP_UDP && buf_remaining(r) >= 2)
		v->internal_port = buf_get_u16(r);
}

int
natpmp_parse_response(
    const void *p, size_t len, struct natpmp_response *ret_response)
{
	struct buf_reader r = buf_reader(p, len);
	struct natpmp_response v;
	uint8_t opcode;

	if (len < MIN_RESPONSE_LEN)
		return -DT_ERR_TRUNCATED;
	if (buf_get_u8(&r) != NATPMP_VERSION)
		return -DT_ERR_VERSION;
	memset(&v, 0, sizeof(v));
	opcode = buf_get_u8(&r);
	if (opcode == (IS_RESPONSE | NATPMP_ADDRESS))
		v.kind = NATPMP_ADDRESS;
	else if (opcode == (IS_RESPONSE | NATPMP_MAP_UDP))
		v.kind = NATPMP_MAP_UDP;
	else
		return -DT_ERR_KIND;
	v.result = buf_get_u16(&r);
	if (v.result != NATPMP_OK) {
		get_refused(&r, &v);
		*ret_response = v;
		return 0;
	}
	v.epoch_s = buf_get_u32(&r);
	if (v.kind == NATPMP_ADDRESS)
		get_address(&r, &v);
	else
		get_mapping(&r, &v);
	if (r.err != 0)
		return r.err;
	*ret_response = v;
	return 0;
}
