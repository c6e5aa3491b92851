/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/portmap/pcp.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define HEADER_LEN 24u
#define IS_RESPONSE 0x80u
#define OPCODE_MAP 1u

/* IPv4 is written as ::ffff:a.b.c.d, RFC 6887 5; "none" as all zeros there. */
static void
put_ip(struct buf_writer *w, const struct addr *a)
{
	static const uint8_t prefix[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff,
		0xff };
	static const uint8_t none[4];

	buf_put_bytes(w, prefix, sizeof(prefix));
	buf_put_bytes(w, a->family == AF_INET ? a->ip : none, 4);
}

static struct addr
get_ip(struct buf_reader *r)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	a.family = AF_INET6;
	buf_get_bytes(r, a.ip, sizeof(a.ip));
	return addr_unmap(&a);
}

void
pcp_write_map(uint8_t out[static PCP_MAP_LEN], const struct addr *client,
    const struct pcp_map *m)
{
	static const struct addr none;
	struct buf_writer w = buf_writer(out, PCP_MAP_LEN);
	const struct addr *suggested =
	    m->lifetime_s != 0 ? &m->external : &none;

	buf_put_u8(&w, PCP_VERSION);
	buf_put_u8(&w, OPCODE_MAP);
	buf_put_u16(&w, 0);
	buf_put_u32(&w, m->lifetime_s);
	put_ip(&w, client);
	buf_put_bytes(&w, m->nonce, sizeof(m->nonce));
	buf_put_u8(&w, IPPROTO_UDP);
	buf_put_u8(&w, 0);
	buf_put_u16(&w, 0);
	buf_put_u16(&w, m->internal_port);
	buf_put_u16(&w, suggested->port);
	put_ip(&w, suggested);
}

static int
get_map(struct buf_reader *r, struct pcp_response *v)
{
	struct addr external;

	buf_get_bytes(r, v->map.nonce, sizeof(v->map.nonce));
	if (buf_get_u8(r) != IPPROTO_UDP && r->err == 0)
		return -DT_ERR_KIND;
	(void)buf_peek_bytes(r, 3);
	v->map.internal_port = buf_get_u16(r);
	v->map.external.port = buf_get_u16(r);
	external = get_ip(r);
	if (r->err != 0)
		return r->err;
	external.port = v->map.external.port;
	v->map.external = external;
	if (v->result == PCP_OK && v->map.lifetime_s != 0 &&
	    (external.family != AF_INET || external.port == 0))
		return -DT_ERR_SYNTAX;
	return 0;
}

int
pcp_parse_response(const void *p, size_t len, struct pcp_response *ret_response)
{
	struct buf_reader r = buf_reader(p, len);
	struct pcp_response v;
	int res;

	if (len < 1)
		return -DT_ERR_TRUNCATED;
	if (buf_get_u8(&r) != PCP_VERSION)
		return -DT_ERR_VERSION;
	if (len < HEADER_LEN)
		return -DT_ERR_TRUNCATED;
	if (len > PCP_MAX_LEN)
		return -DT_ERR_TOO_LONG;
	if (len % 4 != 0)
		return -DT_ERR_SYNTAX;
	memset(&v, 0, sizeof(v));
	if (buf_get_u8(&r) != (IS_RESPONSE | OPCODE_MAP))
		return -DT_ERR_KIND;
	(void)buf_get_u8(&r);
	v.result = buf_get_u8(&r);
	v.map.lifetime_s = buf_get_u32(&r);
	v.epoch_s = buf_get_u32(&r);
	(void)buf_peek_bytes(&r, HEADER_LEN - 12);
	if (v.result == PCP_OK || len >= PCP_MAP_LEN) {
		res = get_map(&r, &v);
		if (res < 0)
			return res;
	}
	*ret_response = v;
	return 0;
}
