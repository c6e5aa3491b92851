/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/ipc/ipc_portmap.h"

#include <string.h>

#include "lib/err.h"

/* Addresses of a gateway are IPv4: four bytes, all zero for "none". */
static void
put_ip(struct buf_writer *w, const struct addr *a)
{
	static const uint8_t none[4];

	buf_put_bytes(w, a->family == AF_INET ? a->ip : none, sizeof(none));
}

static struct addr
get_ip(struct buf_reader *r)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	a.family = AF_INET;
	buf_get_bytes(r, a.ip, 4);
	return a;
}

static void
check(struct buf_reader *r, bool good)
{
	if (!good)
		buf_reader_fail(r, -DT_ERR_SYNTAX);
}

/* All readers end here: one error for whatever was wrong. */
static int
end(const struct buf_reader *r)
{
	return buf_reader_end(r) == 0 ? 0 : -DT_ERR_IPC;
}

void
ipc_portmap_put_boot(struct buf_writer *w, const struct ipc_boot_portmap *b)
{
	buf_put_u8(w, b->verbose);
	put_ip(w, &b->gateway);
	put_ip(w, &b->local);
}

int
ipc_portmap_get_boot(struct buf_reader *r, struct ipc_boot_portmap *ret_boot)
{
	struct ipc_boot_portmap b;
	uint8_t verbose;
	int res;

	memset(&b, 0, sizeof(b));
	verbose = buf_get_u8(r);
	b.verbose = verbose == 1;
	b.gateway = get_ip(r);
	b.local = get_ip(r);
	check(r, verbose <= 1);
	check(r, addr_is_private(&b.gateway));
	check(r, !addr_is_unspecified(&b.local));
	res = end(r);
	if (res == 0)
		*ret_boot = b;
	return res;
}

void
ipc_portmap_put_request(struct buf_writer *w, const struct ipc_map_request *m)
{
	buf_put_u16(w, m->port);
	buf_put_u16(w, m->external_port);
	buf_put_bytes(w, m->nonce, sizeof(m->nonce));
}

int
ipc_portmap_get_request(
    struct buf_reader *r, struct ipc_map_request *ret_request)
{
	struct ipc_map_request m;
	int res;

	m.port = buf_get_u16(r);
	m.external_port = buf_get_u16(r);
	buf_get_bytes(r, m.nonce, sizeof(m.nonce));
	check(r, m.port != 0);
	res = end(r);
	if (res == 0)
		*ret_request = m;
	return res;
}

void
ipc_portmap_put_release(struct buf_writer *w, uint16_t port)
{
	buf_put_u16(w, port);
}

int
ipc_portmap_get_release(struct buf_reader *r, uint16_t *ret_port)
{
	uint16_t port = buf_get_u16(r);
	int res;

	check(r, port != 0);
	res = end(r);
	if (res == 0)
		*ret_port = port;
	return res;
}

void
ipc_portmap_put_mapped(struct buf_writer *w, const struct ipc_mapped *m)
{
	buf_put_u16(w, m->port);
	buf_put_u8(w, (uint8_t)m->protocol);
	put_ip(w, &m->external);
	buf_put_u16(w, m->external.port);
	buf_put_u32(w, m->lifetime_s);
	buf_put_u32(w, (uint32_t)m->reason);
}

static enum ipc_portmap_protocol
get_protocol(struct buf_reader *r)
{
	uint8_t v = buf_get_u8(r);

	if (v == IPC_PORTMAP_PCP)
		return IPC_PORTMAP_PCP;
	if (v == IPC_PORTMAP_NATPMP)
		return IPC_PORTMAP_NATPMP;
	if (v == IPC_PORTMAP_UPNP)
		return IPC_PORTMAP_UPNP;
	check(r, v == IPC_PORTMAP_NONE);
	return IPC_PORTMAP_NONE;
}

/* An address that can be told to a peer: the daemon believes no worker. */
static bool
is_usable(const struct ipc_mapped *m)
{
	return !addr_is_unspecified(&m->external) &&
	       !addr_is_loopback(&m->external) &&
	       !addr_is_multicast(&m->external) &&
	       !addr_is_broadcast(&m->external) && m->external.port != 0 &&
	       m->lifetime_s != 0 && m->reason == 0;
}

int
ipc_portmap_get_mapped(struct buf_reader *r, struct ipc_mapped *ret_mapped)
{
	struct ipc_mapped m;
	int res;

	m.port = buf_get_u16(r);
	m.protocol = get_protocol(r);
	m.external = get_ip(r);
	m.external.port = buf_get_u16(r);
	m.lifetime_s = buf_get_u32(r);
	m.reason = (int32_t)buf_get_u32(r);
	check(r, m.port != 0);
	if (m.protocol != IPC_PORTMAP_NONE) {
		check(r, is_usable(&m));
	} else {
		check(r, addr_is_unspecified(&m.external) &&
			     m.external.port == 0 && m.lifetime_s == 0 &&
			     m.reason < 0);
		memset(&m.external, 0, sizeof(m.external));
	}
	res = end(r);
	if (res == 0)
		*ret_mapped = m;
	return res;
}

void
ipc_portmap_put_connect(struct buf_writer *w, const struct ipc_connect *c)
{
	buf_put_u8(w, (uint8_t)c->kind);
	buf_put_u16(w, c->port);
}

int
ipc_portmap_get_connect(struct buf_reader *r, struct ipc_connect *ret_connect)
{
	struct ipc_connect c;
	uint8_t kind = buf_get_u8(r);
	int res;

	c.kind = kind == IPC_CONNECT_SSDP ? IPC_CONNECT_SSDP : IPC_CONNECT_HTTP;
	c.port = buf_get_u16(r);
	check(r, kind == (uint8_t)c.kind);
	check(r, (c.port != 0) == (c.kind == IPC_CONNECT_HTTP));
	res = end(r);
	if (res == 0)
		*ret_connect = c;
	return res;
}

void
ipc_portmap_put_connected(struct buf_writer *w, int result)
{
	buf_put_u32(w, (uint32_t)result);
}

int
ipc_portmap_get_connected(struct buf_reader *r, int *ret_result)
{
	int32_t result = (int32_t)buf_get_u32(r);
	int res;

	check(r, result <= 0);
	res = end(r);
	if (res == 0)
		*ret_result = result;
	return res;
}
