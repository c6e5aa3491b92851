/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths as ngtcp2 sees them, which are not those that packets take: to it the
 * pipe has constant addresses, unless both ends are ours and the client says
 * that the pipe has moved to a path of another kind.  Then everything learned
 * about the old one (rate, round-trip time, what is in flight) would be wrong
 * for seconds; a QUIC migration makes both ends forget it.
 *
 * The client numbers its paths.  It cannot tell the server the number, but a
 * migration takes a fresh connection id, and ours are counted: the server's
 * path is the counter in the id that a packet came with.  A packet that was
 * forged or comes late has an id too, and so its own path.
 *
 * That path has a local address of its own as well.  Else ngtcp2 (to 1.25)
 * may go on with the id it sends to when the first packet from there was a mere
 * probe, retire it with the next path while it still falls back to it, and then
 * count it twice: the peer seems to give too many and the connection ends with
 * error 9.
 */
#include "lib/buf.h"
#include "proto/quic/quic_internal.h"

/* Offset of the counter in a connection id of ours, see quic_endpoint_cid(). */
#define COUNTER_AT 6
#define LONG_HEADER 0x80
/* At most two ids each, so half of what ngtcp2 bears may be on its way. */
#define RENEW_BURST 4
#define RENEW_REST_US (500 * MONO_MS)

void
quic_renew_init(struct quic_conn *c)
{
	struct quic_path *p = &c->path;

	p->local.sin_family = AF_INET;
	p->remote.sin_family = AF_INET;
	p->path.local.addr = (ngtcp2_sockaddr *)(void *)&p->local;
	p->path.local.addrlen = sizeof(p->local);
	p->path.remote.addr = (ngtcp2_sockaddr *)(void *)&p->remote;
	p->path.remote.addrlen = sizeof(p->remote);
	damper_init(&p->damper, RENEW_BURST, RENEW_REST_US);
	c->renewable = c->ep->renewable;
}

const ngtcp2_path *
quic_renew_path(struct quic_conn *c, const uint8_t *pkt, size_t len)
{
	struct quic_path *p = &c->path;

	if (!c->renewable || !c->ep->p.server)
		return &p->path;
	p->remote.sin_addr.s_addr = 0;
	if (len > 1 + QUIC_CID_LEN && (pkt[0] & LONG_HEADER) == 0)
		p->remote.sin_addr.s_addr = buf_u16_at(pkt + 1 + COUNTER_AT);
	p->local.sin_addr.s_addr = p->remote.sin_addr.s_addr;
	return &p->path;
}

void
quic_renew_conn(struct quic_conn *c, struct mono now)
{
	struct quic_path *p = &c->path;

	if (!c->renewable || c->ep->p.server || c->state != QUIC_CONN_READY)
		return;
	/* Ids are given up, and ngtcp2 ends a connection that owes its peer
	 * the end of 16.  So: not faster than they can be acknowledged, and not
	 * before the last path was validated; by then nothing was learned
	 * either that could be wrong. */
	if (p->is_validating || mono_before(now, damper_next(&p->damper)))
		return;
	p->local.sin_addr.s_addr++;
	/* Without a spare id, or before the peer is sure of the handshake, it
	 * goes on with what it knows. */
	if (ngtcp2_conn_initiate_immediate_migration(
		c->conn, &p->path, quic_conn_clock(c, now)) != 0) {
		p->local.sin_addr.s_addr--;
	} else {
		p->is_validating = true;
		damper_served(&p->damper, now);
	}
	quic_conn_touch(c);
}

void
quic_renew_validated(struct quic_conn *c)
{
	c->path.is_validating = false;
}
