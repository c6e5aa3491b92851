/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/ipc/ipc_network.h"

#include <string.h>

#include "lib/err.h"
#include "proto/ipc/ipc_addr.h"
#include "proto/path/direct.h"

/* Rows of the table against the largest bodies. */
#define PATH_BYTES (1 + IPC_MAX_ADDR + 2 + 63)
#define CANDIDATE_BYTES (IPC_MAX_ADDR + 1 + 1 + 4 * 4)
_Static_assert(1 + IPC_MAX_SOCKETS * 3 <= 64, "SOCKETS fits");
_Static_assert(2 + IPC_MAX_OWN * IPC_MAX_ADDR + 1 +
		       IPC_MAX_STUN * IPC_MAX_ADDR + 1 + IPC_MAX_ADDR <=
		   2048,
    "NETWORK fits");
_Static_assert(PATH_BYTES <= 128, "PATH fits");
_Static_assert(PATH_BYTES + 2 * 4 + 6 + 2 + 2 +
		       IPC_MAX_CANDIDATES * (IPC_MAX_ADDR + CANDIDATE_BYTES) <=
		   4096,
    "EXPLANATION fits");

#define RAW_MAX 6 /* struct ipc_explanation, raw */

static bool
get_flag(struct buf_reader *r)
{
	uint8_t v = buf_get_u8(r);

	if (v > 1)
		buf_reader_fail(r, -DT_ERR_SYNTAX);
	return v == 1;
}

/* A small number with a largest value: a count or an enum. */
static uint8_t
get_upto(struct buf_reader *r, uint8_t max)
{
	uint8_t v = buf_get_u8(r);

	if (v <= max)
		return v;
	buf_reader_fail(r, -DT_ERR_SYNTAX);
	return 0;
}

/* An address that is one. */
static struct addr
get_some_addr(struct buf_reader *r)
{
	struct addr a = ipc_get_addr(r);

	if (a.family == 0)
		buf_reader_fail(r, -DT_ERR_SYNTAX);
	return a;
}

static void
put_list(struct buf_writer *w, const struct addr *a, uint8_t n)
{
	buf_put_u8(w, n);
	for (uint8_t i = 0; i < n; i++)
		ipc_put_addr(w, &a[i]);
}

static uint8_t
get_list(struct buf_reader *r, struct addr *a, uint8_t max)
{
	uint8_t n = get_upto(r, max);

	for (uint8_t i = 0; i < n; i++)
		a[i] = get_some_addr(r);
	return n;
}

static int
end(const struct buf_reader *r)
{
	return buf_reader_end(r) == 0 ? 0 : -DT_ERR_IPC;
}

void
ipc_put_sockets(struct buf_writer *w, const struct ipc_sockets *s)
{
	buf_put_u8(w, s->n);
	for (uint8_t i = 0; i < s->n; i++) {
		buf_put_u8(w, s->socket[i].use);
		buf_put_u16(w, s->socket[i].port);
	}
}

int
ipc_get_sockets(struct buf_reader *r, struct ipc_sockets *ret_sockets)
{
	struct ipc_sockets s;
	unsigned seen = 0;

	memset(&s, 0, sizeof(s));
	s.n = get_upto(r, IPC_MAX_SOCKETS);
	for (uint8_t i = 0; i < s.n; i++) {
		s.socket[i].use = get_upto(r, IPC_SOCKET_RAW4);
		s.socket[i].port = buf_get_u16(r);
		if (s.socket[i].use == 0 || s.socket[i].port == 0 ||
		    (seen & 1U << s.socket[i].use) != 0)
			buf_reader_fail(r, -DT_ERR_SYNTAX);
		seen |= 1U << s.socket[i].use;
	}
	if (end(r) != 0)
		return -DT_ERR_IPC;
	*ret_sockets = s;
	return 0;
}

void
ipc_put_network(struct buf_writer *w, const struct ipc_network *n)
{
	buf_put_u8(w, n->changed);
	put_list(w, n->own, n->n_own);
	put_list(w, n->stun, n->n_stun);
	buf_put_u8(w, n->has_mapping);
	if (n->has_mapping)
		ipc_put_addr(w, &n->mapping);
}

int
ipc_get_network(struct buf_reader *r, struct ipc_network *ret_network)
{
	struct ipc_network n;

	memset(&n, 0, sizeof(n));
	n.changed = get_flag(r);
	n.n_own = get_list(r, n.own, IPC_MAX_OWN);
	n.n_stun = get_list(r, n.stun, IPC_MAX_STUN);
	n.has_mapping = get_flag(r);
	if (n.has_mapping)
		n.mapping = get_some_addr(r);
	if (end(r) != 0)
		return -DT_ERR_IPC;
	*ret_network = n;
	return 0;
}

static void
put_path(struct buf_writer *w, const struct ipc_path *p)
{
	size_t len = strnlen(p->reason, sizeof(p->reason) - 1);

	buf_put_u8(w, p->kind);
	ipc_put_addr(w, &p->peer);
	buf_put_u16(w, (uint16_t)len);
	buf_put_bytes(w, p->reason, len);
}

/* Shown to people and logged: printable ASCII or it is no reason of ours. */
static void
get_reason(struct buf_reader *r, char *ret_reason, size_t room)
{
	size_t len = buf_get_u16(r);

	if (len >= room) {
		buf_reader_fail(r, -DT_ERR_TOO_LONG);
		return;
	}
	buf_get_bytes(r, ret_reason, len);
	ret_reason[len] = '\0';
	for (size_t i = 0; r->err == 0 && i < len; i++)
		if (ret_reason[i] < ' ' || ret_reason[i] > '~')
			buf_reader_fail(r, -DT_ERR_SYNTAX);
}

/* Direct paths have an address, the relay and no path at all have none. */
static struct ipc_path
get_path(struct buf_reader *r)
{
	struct ipc_path p;

	memset(&p, 0, sizeof(p));
	p.kind = get_upto(r, PATH_KIND_RAW);
	p.peer = ipc_get_addr(r);
	get_reason(r, p.reason, sizeof(p.reason));
	if ((p.kind <= PATH_KIND_RELAY) != (p.peer.family == 0))
		buf_reader_fail(r, -DT_ERR_SYNTAX);
	return p;
}

void
ipc_put_path(struct buf_writer *w, const struct ipc_path *p)
{
	put_path(w, p);
}

int
ipc_get_path(struct buf_reader *r, struct ipc_path *ret_path)
{
	struct ipc_path p = get_path(r);

	if (end(r) != 0 || p.kind == 0)
		return -DT_ERR_IPC;
	*ret_path = p;
	return 0;
}

static void
put_candidate(struct buf_writer *w, const struct ipc_candidate *c)
{
	ipc_put_addr(w, &c->addr);
	buf_put_u8(w, c->state);
	buf_put_u8(w, c->reflexive);
	buf_put_u32(w, c->probes);
	buf_put_u32(w, c->acks);
	buf_put_u32(w, c->rtt_us);
	buf_put_u32(w, (uint32_t)c->error);
}

static struct ipc_candidate
get_candidate(struct buf_reader *r)
{
	struct ipc_candidate c;

	memset(&c, 0, sizeof(c));
	c.addr = get_some_addr(r);
	c.state = get_upto(r, DIRECT_TRY_SELECTED);
	c.reflexive = get_flag(r);
	c.probes = buf_get_u32(r);
	c.acks = buf_get_u32(r);
	c.rtt_us = buf_get_u32(r);
	c.error = (int32_t)buf_get_u32(r);
	return c;
}

void
ipc_put_explanation(struct buf_writer *w, const struct ipc_explanation *e)
{
	put_path(w, &e->path);
	buf_put_u32(w, e->path_ms);
	buf_put_u32(w, e->switches);
	buf_put_u8(w, e->peer_is_native);
	buf_put_u8(w, e->forced_relay);
	buf_put_u8(w, e->raw);
	buf_put_u8(w, e->stun_asked);
	buf_put_u8(w, e->stun_answered);
	buf_put_u8(w, e->symmetric);
	buf_put_u16(w, e->payload);
	put_list(w, e->own, e->n_own);
	buf_put_u8(w, e->n_peer);
	for (uint8_t i = 0; i < e->n_peer; i++)
		put_candidate(w, &e->peer[i]);
}

int
ipc_get_explanation(
    struct buf_reader *r, struct ipc_explanation *ret_explanation)
{
	struct ipc_explanation e;

	memset(&e, 0, sizeof(e));
	e.path = get_path(r);
	e.path_ms = buf_get_u32(r);
	e.switches = buf_get_u32(r);
	e.peer_is_native = get_flag(r);
	e.forced_relay = get_flag(r);
	e.raw = get_upto(r, RAW_MAX);
	e.stun_asked = buf_get_u8(r);
	e.stun_answered = buf_get_u8(r);
	e.symmetric = get_flag(r);
	e.payload = buf_get_u16(r);
	e.n_own = get_list(r, e.own, IPC_MAX_CANDIDATES);
	e.n_peer = get_upto(r, IPC_MAX_CANDIDATES);
	for (uint8_t i = 0; i < e.n_peer; i++)
		e.peer[i] = get_candidate(r);
	if (end(r) != 0)
		return -DT_ERR_IPC;
	*ret_explanation = e;
	return 0;
}
