/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connections live in a fixed table of slots.  Every connection id of ours
 * names its slot, so that datagrams find their connection without a map:
 *
 *	2 bytes  slot number, hidden by a random mask of the endpoint
 *	4 bytes  the connection's random tag
 *	2 bytes  counter
 *
 * A client's first packets name an id it has chosen; those are looked for among
 * all connections of a server, which is rare enough for a walk.
 *
 * A slot is dirty when its connection may have something to send; output()
 * visits dirty and expired slots, beginning after the one served last.
 */
#include "proto/quic/quic_endpoint.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "proto/quic/quic_internal.h"

#define DEFAULT_CONNS 1024
#define MOST_CONNS 4096 /* bounds the table; and slots fit 16 bits */
#define DEFAULT_BIDI 64 /* peer v0.18.2 */
#define MIB (UINT64_C(1) << 20)
#define DEFAULT_IDLE_US (30 * MONO_SEC) /* peer v0.18.2 */
#define DEFAULT_KEEP_ALIVE_US (5 * MONO_SEC)
#define MIN_SEND_BUFFER ((size_t)64 * 1024)
/* Header with two longest ids, and two versions. */
#define VN_MAX 600

static void
fill_defaults(struct quic_params *p)
{
	if (p->idle_timeout_us == 0)
		p->idle_timeout_us = DEFAULT_IDLE_US;
	if (p->keep_alive_us == 0)
		p->keep_alive_us = DEFAULT_KEEP_ALIVE_US;
	if (p->max_conns == 0)
		p->max_conns = DEFAULT_CONNS;
	if (p->max_bidi == 0)
		p->max_bidi = DEFAULT_BIDI;
	if (p->stream_window == 0)
		p->stream_window = 4 * MIB;
	if (p->stream_window_max == 0)
		p->stream_window_max = 16 * MIB;
	if (p->conn_window == 0)
		p->conn_window = 8 * MIB;
	if (p->conn_window_max == 0)
		p->conn_window_max = 32 * MIB;
	if (p->send_buffer == 0)
		p->send_buffer = 8 * MIB;
	if (p->payload == 0)
		p->payload = QUIC_ENDPOINT_MIN_PAYLOAD;
	if (p->payload_in == 0)
		p->payload_in = QUIC_ENDPOINT_PAYLOAD;
}

static bool
is_payload(size_t n)
{
	return n >= QUIC_ENDPOINT_MIN_PAYLOAD && n <= QUIC_ENDPOINT_MAX_PAYLOAD;
}

/* A certificate needs its key, a key its certificate, a server both. */
static bool
has_identity(const struct quic_params *p)
{
	bool has_key = p->seed != NULL || p->sign != NULL;

	if (p->cert_der == NULL)
		return !p->server && !has_key;
	return has_key && p->cert_len <= UINT16_MAX;
}

static int
check_params(const struct quic_params *p)
{
	if (!has_identity(p))
		return -DT_ERR_KEY;
	if (p->events.stream_data == NULL || p->max_conns > MOST_CONNS ||
	    !is_payload(p->payload) || !is_payload(p->payload_in) ||
	    p->send_buffer < MIN_SEND_BUFFER || p->idle_timeout_us < 0)
		return -ERANGE;
	if (p->stream_window > p->stream_window_max ||
	    p->conn_window > p->conn_window_max)
		return -ERANGE;
	return 0;
}

int
quic_endpoint_new(struct quic_endpoint **ret_ep, const struct quic_params *p)
{
	struct quic_endpoint *ep = calloc(1, sizeof(*ep));
	int r;

	if (ep == NULL)
		return -ENOMEM;
	ep->p = *p;
	fill_defaults(&ep->p);
	r = check_params(&ep->p);
	if (r < 0)
		goto fail;
	r = quic_tls_ctx_new(&ep->tls, &ep->p);
	if (r < 0)
		goto fail;
	/* Borrowed for the call only. */
	ep->p.cert_der = NULL;
	ep->p.seed = NULL;
	ep->p.sni = NULL;
	memset(ep->p.alpn, 0, sizeof(ep->p.alpn));
	ep->payload_max = ep->p.payload > QUIC_ENDPOINT_PAYLOAD
			      ? ep->p.payload
			      : QUIC_ENDPOINT_PAYLOAD;
	secret_random(&ep->slot_mask, sizeof(ep->slot_mask));
	ep->slots = calloc(ep->p.max_conns, sizeof(*ep->slots));
	r = -ENOMEM;
	if (ep->slots == NULL)
		goto fail;
	*ret_ep = ep;
	return 0;
fail:
	quic_endpoint_free(ep);
	return r;
}

void
quic_endpoint_free(struct quic_endpoint *ep)
{
	struct quic_chunk *next;

	if (ep == NULL)
		return;
	/* NOLINTBEGIN(clang-analyzer-core.NullDereference): no slots, none used
	 */
	for (size_t i = 0; i < ep->n_slots; i++)
		if (ep->slots[i].conn != NULL)
			quic_endpoint_drop(ep->slots[i].conn);
	/* NOLINTEND(clang-analyzer-core.NullDereference) */
	for (struct quic_chunk *k = ep->spare; k != NULL; k = next) {
		next = k->next;
		free(k);
	}
	quic_tls_ctx_free(ep->tls);
	free(ep->vn_pkt);
	free(ep->slots);
	free(ep);
}

struct quic_chunk *
quic_endpoint_chunk(struct quic_endpoint *ep)
{
	struct quic_chunk *k = ep->spare;

	if (k != NULL) {
		ep->spare = k->next;
		ep->n_spare--;
	} else {
		k = malloc(sizeof(*k));
		if (k == NULL)
			return NULL;
	}
	k->next = NULL;
	k->len = 0;
	return k;
}

void
quic_endpoint_give_chunk(struct quic_endpoint *ep, struct quic_chunk *chunk)
{
	if (ep->n_spare >= QUIC_MAX_SPARE_CHUNKS) {
		free(chunk);
		return;
	}
	chunk->next = ep->spare;
	ep->spare = chunk;
	ep->n_spare++;
}

void
quic_endpoint_cid(struct quic_conn *c, ngtcp2_cid *ret_cid)
{
	struct buf_writer w = buf_writer(ret_cid->data, QUIC_CID_LEN);

	buf_put_u16(&w, c->slot ^ c->ep->slot_mask);
	buf_put_u32(&w, c->tag);
	buf_put_u16(&w, c->cid_count++);
	assert(w.err == 0 && w.len == QUIC_CID_LEN);
	ret_cid->datalen = QUIC_CID_LEN;
}

/* Whose datagram is it?  NULL for nobody's. */
static struct quic_conn *
find(struct quic_endpoint *ep, const ngtcp2_version_cid *vc)
{
	if (vc->dcidlen == QUIC_CID_LEN) {
		size_t slot = buf_u16_at(vc->dcid) ^ ep->slot_mask;
		struct quic_conn *c =
		    slot < ep->n_slots ? ep->slots[slot].conn : NULL;

		if (c != NULL && c->tag == buf_u32_at(vc->dcid + 2))
			return c;
	}
	if (!ep->p.server || vc->version == 0)
		return NULL;
	for (size_t i = 0; i < ep->n_slots; i++) {
		struct quic_conn *c = ep->slots[i].conn;

		if (c != NULL && c->odcid.datalen == vc->dcidlen &&
		    memcmp(c->odcid.data, vc->dcid, vc->dcidlen) == 0)
			return c;
	}
	return NULL;
}

static int
add_conn(struct quic_endpoint *ep, struct mono now, const ngtcp2_pkt_hd *hd,
    struct quic_conn **ret_conn)
{
	struct quic_conn *c;
	size_t slot = 0;
	int r;

	while (slot < ep->n_slots && ep->slots[slot].conn != NULL)
		slot++;
	if (slot == ep->p.max_conns)
		return -DT_ERR_LIMIT;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return -ENOMEM;
	c->ep = ep;
	c->slot = (uint16_t)slot;
	r = quic_conn_new(c, hd, now);
	if (r < 0) {
		quic_conn_fini(c);
		free(c);
		return r;
	}
	ep->slots[slot].conn = c;
	ep->slots[slot].dirty = true;
	ep->slots[slot].expiry_us = INT64_MAX;
	if (slot == ep->n_slots)
		ep->n_slots++;
	ep->n_conns++;
	*ret_conn = c;
	return 0;
}

void
quic_endpoint_drop(struct quic_conn *c)
{
	struct quic_endpoint *ep = c->ep;

	ep->slots[c->slot].conn = NULL;
	ep->slots[c->slot].dirty = false;
	if (c->state != QUIC_CONN_TOMB)
		ep->n_conns--;
	quic_conn_fini(c);
	free(c);
}

int
quic_endpoint_connect(struct quic_endpoint *ep, struct mono now, void *user,
    struct quic_conn **ret_conn)
{
	int r;

	if (ep->p.server)
		return -DT_ERR_STATE;
	r = add_conn(ep, now, NULL, ret_conn);
	if (r == 0)
		(*ret_conn)->user = user;
	return r;
}

/* ngtcp2 wants the beginning of a ClientHello first, or a Retry, which peers
 * on an authenticated pipe need not be put through. */
static void
keep_early(struct quic_endpoint *ep, const ngtcp2_cid *dcid, const uint8_t *pkt,
    size_t len)
{
	struct quic_early *e = &ep->early[ep->next_early];

	if (len > sizeof(e->pkt))
		return;
	ep->next_early = (ep->next_early + 1) % QUIC_MAX_EARLY;
	e->dcid = *dcid;
	e->len = len;
	memcpy(e->pkt, pkt, len);
}

/* The beginning has come and made @c: now the rest. */
static void
replay_early(struct quic_conn *c, struct mono now)
{
	const struct quic_slot *sl = &c->ep->slots[c->slot];
	struct quic_endpoint *ep = c->ep;

	for (size_t i = 0; i < QUIC_MAX_EARLY; i++) {
		struct quic_early *e = &ep->early[i];

		if (sl->conn != c || !quic_conn_is_live(c))
			return;
		if (e->len == 0 || !ngtcp2_cid_eq(&e->dcid, &c->odcid))
			continue;
		(void)quic_conn_read(
		    c, now, e->pkt, e->len); /* not the first */
		e->len = 0;
	}
}

static void
accept_conn(
    struct quic_endpoint *ep, struct mono now, const uint8_t *pkt, size_t len)
{
	const struct quic_slot *sl;
	struct quic_conn *c;
	ngtcp2_pkt_hd hd;

	if (!ep->p.server || ep->stopped ||
	    ep->n_handshakes >= QUIC_ENDPOINT_MAX_HANDSHAKES)
		return;
	if (ngtcp2_accept(&hd, pkt, len) != 0)
		return;
	if (add_conn(ep, now, &hd, &c) < 0)
		return;
	ep->n_handshakes++;
	sl = &ep->slots[c->slot];
	if (quic_conn_read(c, now, pkt, len) == -EAGAIN)
		keep_early(ep, &hd.dcid, pkt, len);
	else if (sl->conn == c)
		replay_early(c, now);
}

/* Tell a client of another version what we speak; one answer at a time. */
static void
answer_version(struct quic_endpoint *ep, const ngtcp2_version_cid *vc)
{
	static const uint32_t versions[] = { NGTCP2_PROTO_VER_V1,
		NGTCP2_PROTO_VER_V2 };
	uint8_t random;
	ngtcp2_ssize n;

	if (!ep->p.server || ep->stopped || ep->vn_len > 0)
		return;
	if (ep->vn_pkt == NULL)
		ep->vn_pkt = malloc(VN_MAX);
	if (ep->vn_pkt == NULL)
		return;
	secret_random(&random, 1);
	n = ngtcp2_pkt_write_version_negotiation(ep->vn_pkt, VN_MAX, random,
	    vc->scid, vc->scidlen, vc->dcid, vc->dcidlen, versions, 2);
	if (n > 0)
		ep->vn_len = (size_t)n;
}

void
quic_endpoint_input(
    struct quic_endpoint *ep, struct mono now, const uint8_t *pkt, size_t len)
{
	ngtcp2_version_cid vc;
	struct quic_conn *c;
	int r;

	if (len == 0)
		return;
	r = ngtcp2_pkt_decode_version_cid(&vc, pkt, len, QUIC_CID_LEN);
	if (r == NGTCP2_ERR_VERSION_NEGOTIATION)
		answer_version(ep, &vc);
	if (r != 0)
		return;
	c = find(ep, &vc);
	if (c == NULL) {
		if (vc.version != 0)
			accept_conn(ep, now, pkt, len);
		return;
	}
	if (c->state == QUIC_CONN_TOMB) {
		/* The 1st, 2nd, 4th, 8th ... is answered. */
		c->close_heard++;
		if ((c->close_heard & (c->close_heard - 1)) == 0) {
			c->close_due = true;
			quic_conn_touch(c);
		}
		return;
	}
	(void)quic_conn_read(c, now, pkt, len); /* its first came before */
}

static bool
has_room(const struct quic_endpoint *ep, const struct quic_batch *b)
{
	return b->n_pkts < b->max_pkts && b->cap - b->len >= ep->p.payload;
}

static void
put_packet(struct quic_batch *b, const uint8_t *pkt, size_t len)
{
	memcpy(b->buf + b->len, pkt, len);
	b->lens[b->n_pkts++] = (uint16_t)len;
	b->len += len;
}

static void
serve_tomb(struct quic_conn *c, struct mono now, struct quic_batch *b)
{
	if (c->close_due && b->cap - b->len >= c->close_len) {
		put_packet(b, c->close_pkt, c->close_len);
		c->close_due = false;
	}
	if (!mono_before(now, c->tomb_until))
		quic_endpoint_drop(c);
}

/* Is @c still in its slot, and alive? */
static bool
is_live(const struct quic_slot *sl, const struct quic_conn *c)
{
	return sl->conn == c && quic_conn_is_live(c);
}

/* Timers, closed streams, a wanted close, packets; any may end it. */
static void
serve_live(struct quic_slot *sl, struct mono now, struct quic_batch *b)
{
	struct quic_conn *c = sl->conn;

	if (sl->expiry_us <= now.us)
		quic_conn_expire(c, now);
	if (is_live(sl, c))
		quic_conn_reap(c);
	if (is_live(sl, c) && c->close_wanted)
		quic_conn_do_close(c, now);
	if (is_live(sl, c))
		quic_write_conn(c, now, b);
	/* Nothing more was to be written, or it would be dirty again. */
	if (is_live(sl, c) && c->revive_ns != 0 && !sl->dirty)
		quic_revive_run(c, now);
}

static void
serve(struct quic_endpoint *ep, size_t slot, struct mono now,
    struct quic_batch *b)
{
	struct quic_slot *sl = &ep->slots[slot];
	struct quic_conn *c = sl->conn;

	sl->dirty = false;
	if (quic_conn_is_live(c))
		serve_live(sl, now, b);
	if (sl->conn == c && c->state == QUIC_CONN_TOMB && has_room(ep, b))
		serve_tomb(c, now, b);
	if (sl->conn != c)
		return;
	/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): freed ones left it */
	sl->expiry_us = quic_conn_expiry(c).us;
	if (c->state == QUIC_CONN_TOMB && c->close_due)
		sl->dirty = true; /* the batch was full */
}

size_t
quic_endpoint_output(
    struct quic_endpoint *ep, struct mono now, struct quic_batch *b)
{
	size_t n = ep->n_slots, first = ep->next_slot;

	assert(b->max_pkts >= 1 && b->max_pkts <= QUIC_BATCH_MAX);
	assert(b->cap >= ep->p.payload);
	b->n_pkts = 0;
	b->len = 0;
	if (ep->vn_len > 0) {
		put_packet(b, ep->vn_pkt, ep->vn_len);
		ep->vn_len = 0;
	}
	for (size_t i = 0; i < n && has_room(ep, b); i++) {
		size_t slot = (first + i) % n;
		struct quic_slot *sl = &ep->slots[slot];

		if (sl->conn == NULL || (!sl->dirty && sl->expiry_us > now.us))
			continue;
		serve(ep, slot, now, b);
		ep->next_slot = (slot + 1) % n;
	}
	return b->n_pkts;
}

void
quic_endpoint_expire(struct quic_endpoint *ep, struct mono now)
{
	for (size_t i = 0; i < ep->n_slots; i++) {
		struct quic_slot *sl = &ep->slots[i];
		struct quic_conn *c = sl->conn;

		/* A dirty slot's own note may be old. */
		if (c == NULL || !is_live(sl, c) ||
		    quic_conn_expiry(c).us > now.us)
			continue;
		quic_conn_expire(c, now);
		if (!is_live(sl, c))
			continue;
		sl->expiry_us = quic_conn_expiry(c).us;
		sl->dirty = true; /* what is due goes out when it can */
	}
}

struct mono
quic_endpoint_next_deadline(const struct quic_endpoint *ep)
{
	int64_t us = INT64_MAX;

	for (size_t i = 0; i < ep->n_slots; i++) {
		const struct quic_slot *sl = &ep->slots[i];

		if (sl->conn == NULL)
			continue;
		if (sl->dirty)
			return (struct mono){ 0 };
		if (sl->expiry_us < us)
			us = sl->expiry_us;
	}
	return (struct mono){ us };
}

void
quic_endpoint_set_renewable(struct quic_endpoint *ep)
{
	ep->renewable = true;
}

int
quic_endpoint_set_payload(struct quic_endpoint *ep, size_t payload)
{
	if (!is_payload(payload) || payload > ep->payload_max)
		return -ERANGE;
	ep->p.payload = payload;
	return 0;
}

void
quic_endpoint_set_discovery(struct quic_endpoint *ep, bool on)
{
	ep->discovers = on;
}

uint64_t
quic_endpoint_genuine(const struct quic_endpoint *ep)
{
	return ep->n_genuine;
}

void
quic_endpoint_stop_accepting(struct quic_endpoint *ep, bool stop)
{
	ep->stopped = stop;
}

size_t
quic_endpoint_count(const struct quic_endpoint *ep)
{
	return ep->n_conns;
}

bool
quic_endpoint_is_drained(const struct quic_endpoint *ep)
{
	for (size_t i = 0; i < ep->n_slots; i++) {
		const struct quic_conn *c = ep->slots[i].conn;

		if (c != NULL && (c->state != QUIC_CONN_TOMB || c->close_due))
			return false;
	}
	return true;
}
