/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/stun/stun.h"

#define MAX_EVENTS 200000 /* more means that something never ends */
#define START_US (100 * MONO_SEC)
#define NAT_TIMEOUT_US (60 * MONO_SEC)

struct event {
	struct mono at;
	uint64_t order; /* of those at the same time */
	net_fn *fn;
	void *arg;
	size_t len;
	uint8_t p[];
};

struct transit {
	struct net *net;
	struct net_host *host;
	struct addr from, to;
};

struct net {
	struct mono now;
	uint64_t random, order, packets;
	struct event **heap;
	size_t n_events, cap;
	struct net_host host[NET_MAX_HOSTS];
	size_t n_hosts;
	struct net_nat nat[NET_MAX_NATS];
	size_t n_nats;
	void (*watch)(void *arg, const struct addr *from, const struct addr *to,
	    const uint8_t *p, size_t len);
	void *watch_arg;
};

/* Nonces are of the seed, too: the linker puts this in the place of the real
 * one (meson.build). */
static uint64_t nonces;
void __wrap_secret_random(void *p, size_t len);

static uint64_t
step(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	return x ^ x << 17;
}

void
__wrap_secret_random(void *p, size_t len)
{
	uint8_t *octets = p;

	for (size_t i = 0; i < len; i++) {
		nonces = step(nonces);
		octets[i] = (uint8_t)(nonces >> 32);
	}
}

static void
die(const char *why)
{
	(void)fprintf(stderr, "sim: %s\n", why);
	abort();
}

struct net *
net_new(uint64_t seed)
{
	struct net *n = calloc(1, sizeof(*n));

	if (n == NULL)
		die("memory");
	n->now = (struct mono){ START_US };
	n->random = seed * 0x9e3779b97f4a7c15u + 1;
	nonces = n->random ^ 0x5555555555555555u;
	for (int i = 0; i < 8; i++)
		(void)net_random(n, 2);
	return n;
}

void
net_free(struct net *n)
{
	for (size_t i = 0; i < n->n_events; i++)
		free(n->heap[i]);
	free(n->heap);
	free(n);
}

struct mono
net_now(const struct net *n)
{
	return n->now;
}

uint64_t
net_packets(const struct net *n)
{
	return n->packets;
}

uint32_t
net_random(struct net *n, uint32_t below)
{
	n->random = step(n->random);
	return (uint32_t)(n->random >> 32) % below;
}

/* -------------------------------------------------------------- events */

static bool
is_earlier(const struct event *a, const struct event *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void
swap(struct event **a, struct event **b)
{
	struct event *t = *a;

	*a = *b;
	*b = t;
}

void
net_after(struct net *n, int64_t us, net_fn *fn, void *arg, const uint8_t *p,
    size_t len)
{
	struct event *e = malloc(sizeof(*e) + len);
	size_t i = n->n_events++;

	if (n->n_events > n->cap) {
		n->cap = n->cap * 2 + 64;
		n->heap = realloc(n->heap, n->cap * sizeof(n->heap[0]));
	}
	if (e == NULL || n->heap == NULL || n->n_events > MAX_EVENTS)
		die("too many events");
	*e = (struct event){ .at = mono_add(n->now, us),
		.order = n->order++,
		.fn = fn,
		.arg = arg,
		.len = len };
	if (len > 0)
		memcpy(e->p, p, len);
	n->heap[i] = e;
	while (i > 0 && is_earlier(n->heap[i], n->heap[(i - 1) / 2])) {
		swap(&n->heap[i], &n->heap[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

static struct event *
take_first(struct net *n)
{
	struct event *first = n->heap[0];
	size_t i = 0;

	n->heap[0] = n->heap[--n->n_events];
	for (;;) {
		size_t least = i, l = 2 * i + 1;

		for (size_t k = l; k < l + 2 && k < n->n_events; k++)
			if (is_earlier(n->heap[k], n->heap[least]))
				least = k;
		if (least == i)
			return first;
		swap(&n->heap[i], &n->heap[least]);
		i = least;
	}
}

bool
net_step(struct net *n, struct mono until)
{
	struct event *e;

	if (n->n_events == 0 || mono_before(until, n->heap[0]->at)) {
		if (mono_before(n->now, until))
			n->now = until;
		return false;
	}
	e = take_first(n);
	n->now = e->at;
	e->fn(e->arg, e->p, e->len);
	free(e);
	return true;
}

/* ----------------------------------------------------------------- NAT */

static bool
same_ip(const struct addr *a, const struct addr *b)
{
	return a->family == b->family &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

/* Is @to behind, or is it, @t as seen from the outside? */
static bool
leads_to(const struct net_nat *t, const struct addr *to)
{
	if (!t->firewall)
		return same_ip(&t->ip, to);
	return to->family == AF_INET6 && memcmp(t->ip.ip, to->ip, 8) == 0;
}

static bool
is_alive(
    const struct net *n, const struct net_nat *t, struct net_mapping_entry *e)
{
	return e->used && mono_diff(n->now, e->last) < t->timeout_us;
}

static struct net_mapping_entry *
by_port(struct net *n, struct net_nat *t, uint16_t port)
{
	for (size_t i = 0; i < NET_MAX_MAPPINGS; i++)
		if (is_alive(n, t, &t->entry[i]) && t->entry[i].port == port)
			return &t->entry[i];
	return NULL;
}

static struct net_mapping_entry *
map_out(struct net *n, struct net_nat *t, const struct addr *inside,
    const struct addr *remote)
{
	struct net_mapping_entry *free_one = &t->entry[0];
	uint16_t port = inside->port;

	for (size_t i = 0; i < NET_MAX_MAPPINGS; i++) {
		struct net_mapping_entry *e = &t->entry[i];

		if (is_alive(n, t, e) && addr_equal(&e->inside, inside) &&
		    (t->mapping == NET_EIM || addr_equal(&e->remote, remote)))
			return e;
		if (!is_alive(n, t, e))
			e->used = false;
		if (!e->used ||
		    (free_one->used && mono_before(e->last, free_one->last)))
			free_one = e;
	}
	while (t->random_ports || by_port(n, t, port) != NULL) {
		port = (uint16_t)(1024 + net_random(n, 60000));
		if (by_port(n, t, port) == NULL)
			break;
	}
	*free_one = (struct net_mapping_entry){
		.used = true, .inside = *inside, .remote = *remote, .port = port
	};
	return free_one;
}

static void
note_peer(struct net *n, struct net_mapping_entry *e, const struct addr *to)
{
	e->last = n->now;
	for (size_t i = 0; i < NET_MAX_PEERS; i++)
		if (addr_equal(&e->peer[i].addr, to)) {
			e->peer[i].at = n->now;
			return;
		}
	e->peer[e->next_peer++ % NET_MAX_PEERS] =
	    (struct net_peer){ .addr = *to, .at = n->now };
}

static bool
may_enter(struct net *n, struct net_nat *t, struct net_mapping_entry *e,
    const struct addr *from)
{
	if (t->filter == NET_EIF)
		return true;
	for (size_t i = 0; i < NET_MAX_PEERS; i++) {
		struct net_peer *p = &e->peer[i];

		if (p->addr.family == 0 ||
		    mono_diff(n->now, p->at) >= t->timeout_us)
			continue;
		if (t->filter == NET_ADF ? same_ip(&p->addr, from)
					 : addr_equal(&p->addr, from))
			return true;
	}
	return false;
}

void
net_forget(struct net_nat *nat)
{
	memset(nat->entry, 0, sizeof(nat->entry));
}

/* ------------------------------------------------------------- routing */

static void route(struct net *n, int realm, struct addr from, struct addr to,
    const uint8_t *p, size_t len);

static void
arrive(void *arg, const uint8_t *p, size_t len)
{
	struct transit t;
	struct net_host *h;

	(void)arg;
	memcpy(&t, p, sizeof(t));
	h = t.host;
	if (!h->link.no_in && len - sizeof(t) <= h->link.mtu &&
	    same_ip(&h->ip, &t.to))
		h->on_input(
		    h->arg, &t.from, &t.to, p + sizeof(t), len - sizeof(t));
}

static int64_t
delay(struct net *n, const struct net_link *l)
{
	return l->delay_us + (l->jitter_us > 0 ? (int64_t)net_random(
						     n, (uint32_t)l->jitter_us)
					       : 0);
}

static void
deliver(struct net *n, struct net_host *h, const struct addr *from,
    const struct addr *to, const uint8_t *p, size_t len)
{
	uint8_t copy[sizeof(struct transit) + NET_MAX_PACKET];
	struct transit t = { .net = n, .host = h, .from = *from, .to = *to };

	if (net_random(n, 1000) < h->link.loss)
		return;
	memcpy(copy, &t, sizeof(t));
	memcpy(copy + sizeof(t), p, len);
	net_after(n, delay(n, &h->link), arrive, NULL, copy, sizeof(t) + len);
	if (net_random(n, 1000) < h->link.dup)
		net_after(
		    n, delay(n, &h->link), arrive, NULL, copy, sizeof(t) + len);
}

/* From the outside of @t. */
static void
enter(struct net *n, struct net_nat *t, const struct addr *from,
    const struct addr *to, const uint8_t *p, size_t len)
{
	struct net_mapping_entry *e = by_port(n, t, to->port);

	if (t->firewall && e != NULL && !same_ip(&e->inside, to))
		return;
	if (e != NULL && !t->blocks_udp && may_enter(n, t, e, from))
		route(n, t->inside, *from, e->inside, p, len);
}

static void
leave(struct net *n, struct net_nat *t, const struct addr *from,
    const struct addr *to, const uint8_t *p, size_t len)
{
	struct net_mapping_entry *e;
	struct addr outside = t->firewall ? *from : t->ip;

	if (t->blocks_udp || (same_ip(&t->ip, to) && !t->hairpin))
		return;
	e = map_out(n, t, from, to);
	note_peer(n, e, to);
	outside.port = e->port;
	if (same_ip(&t->ip, to))
		enter(n, t, &outside, to, p, len);
	else
		route(n, t->outside, outside, *to, p, len);
}

static void
route(struct net *n, int realm, struct addr from, struct addr to,
    const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < n->n_hosts; i++)
		if (n->host[i].realm == realm && same_ip(&n->host[i].ip, &to)) {
			deliver(n, &n->host[i], &from, &to, p, len);
			return;
		}
	for (size_t i = 0; i < n->n_nats; i++)
		if (n->nat[i].outside == realm && leads_to(&n->nat[i], &to)) {
			enter(n, &n->nat[i], &from, &to, p, len);
			return;
		}
	for (size_t i = 0; i < n->n_nats; i++)
		if (n->nat[i].inside == realm &&
		    n->nat[i].ip.family == to.family)
			leave(n, &n->nat[i], &from, &to, p, len);
}

static void
depart(void *arg, const uint8_t *p, size_t len)
{
	struct transit t;

	(void)arg;
	memcpy(&t, p, sizeof(t));
	route(
	    t.net, t.host->realm, t.from, t.to, p + sizeof(t), len - sizeof(t));
}

void
net_send(struct net *n, struct net_host *from, uint16_t port,
    const struct addr *to, const uint8_t *p, size_t len)
{
	uint8_t copy[sizeof(struct transit) + NET_MAX_PACKET];
	struct transit t = {
		.net = n, .host = from, .from = from->ip, .to = *to
	};

	t.from.port = port;
	n->packets++;
	if (n->watch != NULL)
		n->watch(n->watch_arg, &t.from, to, p, len);
	if (from->link.no_out || len > from->link.mtu ||
	    net_random(n, 1000) < from->link.loss)
		return;
	memcpy(copy, &t, sizeof(t));
	memcpy(copy + sizeof(t), p, len);
	net_after(
	    n, delay(n, &from->link), depart, NULL, copy, sizeof(t) + len);
}

void
net_watch(struct net *n,
    void (*fn)(void *arg, const struct addr *from, const struct addr *to,
	const uint8_t *p, size_t len),
    void *arg)
{
	n->watch = fn;
	n->watch_arg = arg;
}

void
net_inject(struct net *n, int realm, const struct addr *from,
    const struct addr *to, const uint8_t *p, size_t len)
{
	route(n, realm, *from, *to, p, len);
}

/* ------------------------------------------------------------- members */

static struct addr
ip_of(const char *ip)
{
	struct addr a = { 0 };

	if (addr_parse_ip(&a, ip, 0) < 0)
		die(ip);
	return a;
}

struct net_host *
net_add_host(struct net *n, const char *ip, int realm)
{
	struct net_host *h = &n->host[n->n_hosts++];

	if (n->n_hosts > NET_MAX_HOSTS)
		die("too many hosts");
	*h = (struct net_host){ .net = n,
		.ip = ip_of(ip),
		.realm = realm,
		.link = { .delay_us = 10 * MONO_MS, .mtu = 1472 } };
	return h;
}

struct net_nat *
net_add_nat(struct net *n, const char *ip, int outside)
{
	struct net_nat *t = &n->nat[n->n_nats++];

	if (n->n_nats > NET_MAX_NATS)
		die("too many NATs");
	*t = (struct net_nat){ .ip = ip_of(ip),
		.outside = outside,
		.inside = (int)n->n_nats,
		.timeout_us = NAT_TIMEOUT_US };
	return t;
}

struct net_nat *
net_add_firewall(struct net *n, const char *ip, int inside)
{
	struct net_nat *t = net_add_nat(n, ip, 0);

	t->firewall = true;
	t->filter = NET_APDF;
	t->inside = inside;
	return t;
}

static void
on_stun(void *arg, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct net_host *h = arg;
	uint8_t reply[STUN_MAX_RESPONSE_LEN];
	struct stun_tx tx;

	if (to->port == NET_STUN_PORT && stun_parse_request(p, len, &tx) == 0)
		net_send(h->net, h, NET_STUN_PORT, from, reply,
		    stun_write_response(reply, &tx, from));
}

void
net_add_stun(struct net *n, const char *ip)
{
	struct net_host *h = net_add_host(n, ip, 0);

	h->on_input = on_stun;
	h->arg = h;
}
