/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A list of at most IPC_MAX_STUN hosts, best first.  A host with literal
 * addresses has them at once; another has a lookup under way until they are
 * known, and keeps its last addresses when a later lookup fails.
 */
#include "daemon/stun_servers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct host {
	struct stun_servers *owner;
	struct loop_lookup *lookup;
	char name[ADDR_MAX_HOST]; /* to look up, or "" */
	uint16_t port;
	bool is_own;           /* of the session's relay */
	bool off[2];           /* IPv4, IPv6: the map forbids it */
	struct addr addr[2];   /* IPv4, IPv6; family 0: not known */
	struct mono looked_up; /* us 0: never with success */
};

struct stun_servers {
	struct loop *loop;
	void (*cb)(void *arg);
	void *arg;
	size_t n;
	struct host host[IPC_MAX_STUN];
};

struct stun_servers *
stun_servers_new(struct loop *loop, void (*cb)(void *arg), void *arg)
{
	struct stun_servers *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->loop = loop;
	s->cb = cb;
	s->arg = arg;
	return s;
}

static void
forget(struct stun_servers *s)
{
	for (size_t i = 0; i < s->n; i++)
		loop_lookup_cancel(s->host[i].lookup);
	s->n = 0;
}

void
stun_servers_free(struct stun_servers *s)
{
	if (s == NULL)
		return;
	forget(s);
	free(s);
}

/* A server's address must be one that a packet can be sent to, and our own
 * machine only if the user put the relay there. */
static bool
is_usable(const struct host *h, const struct addr *a)
{
	if (addr_is_unspecified(a) || addr_is_multicast(a) ||
	    addr_is_broadcast(a) || addr_is_link_local(a) || a->port == 0)
		return false;
	return h->is_own || !addr_is_loopback(a);
}

/* Keeps the first of its family. */
static void
keep(struct host *h, struct addr found[2], const struct addr *a)
{
	struct addr u = addr_unmap(a);
	size_t i = u.family == AF_INET6 ? 1 : 0;

	if (found[i].family == 0 && !h->off[i] && is_usable(h, &u))
		found[i] = u;
}

static void
on_lookup(void *arg, int r, const struct addr *addrs, size_t n)
{
	struct host *h = arg;
	struct addr found[2];

	h->lookup = NULL;
	if (r < 0)
		return;
	memset(found, 0, sizeof(found));
	for (size_t i = 0; i < n; i++)
		keep(h, found, &addrs[i]);
	h->looked_up = loop_now(h->owner->loop);
	if (addr_equal(&found[0], &h->addr[0]) &&
	    addr_equal(&found[1], &h->addr[1]))
		return;
	memcpy(h->addr, found, sizeof(found));
	h->owner->cb(h->owner->arg);
}

static void
look_up(struct host *h)
{
	if (h->name[0] != '\0' && h->lookup == NULL)
		h->lookup =
		    loop_lookup(h->owner->loop, h->name, h->port, on_lookup, h);
}

static struct host *
add(struct stun_servers *s, uint16_t port, bool is_own)
{
	struct host *h = &s->host[s->n++];

	memset(h, 0, sizeof(*h));
	h->owner = s;
	h->port = port;
	h->is_own = is_own;
	return h;
}

/* "" asks DNS; a literal is taken; any other text switches the family off. */
static bool
read_literal(struct host *h, size_t i, const char *text)
{
	struct addr a;

	if (text[0] == '\0')
		return false;
	if (addr_parse_ip(&a, text, h->port) == 0)
		keep(h, h->addr, &a);
	else
		h->off[i] = true;
	return h->addr[i].family != 0;
}

static void
add_node(struct stun_servers *s, const struct derp_map_node *node, bool is_own)
{
	struct host *h;
	struct addr a;
	bool known;

	if (s->n == IPC_MAX_STUN || node->stun_port <= 0)
		return;
	h = add(s, (uint16_t)node->stun_port, is_own);
	if (addr_parse_ip(&a, node->stun_test_ip, h->port) == 0) {
		keep(h, h->addr, &a);
		return;
	}
	known = read_literal(h, 0, node->ipv4);
	known = read_literal(h, 1, node->ipv6) || known;
	if (known || (h->off[0] && h->off[1]))
		return;
	(void)snprintf(h->name, sizeof(h->name), "%s", node->host_name);
	look_up(h);
}

static void
add_region(struct stun_servers *s, const struct derp_map_region *region,
    size_t max, bool is_own)
{
	for (size_t i = 0; i < region->n_nodes && i < max; i++)
		add_node(s, &region->nodes[i], is_own);
}

void
stun_servers_from_map(struct stun_servers *s, const struct derp_map *map,
    int64_t region, int64_t home)
{
	const struct derp_map_region *own = derp_map_region(map, region);
	const struct derp_map_region *near = derp_map_region(map, home);

	forget(s);
	if (own != NULL)
		add_region(s, own, STUN_SERVERS_MAX_OWN, true);
	if (near != NULL && near != own)
		add_region(s, near, 1, false);
	for (size_t i = 0; i < map->n_regions; i++) {
		const struct derp_map_region *r = &map->regions[i];

		if (r != own && r != near && !r->avoid &&
		    !r->no_measure_no_home)
			add_region(s, r, 1, false);
	}
}

void
stun_servers_from_route(struct stun_servers *s, const struct token_route *route)
{
	struct host *h;
	struct addr a;

	forget(s);
	h = add(s, route->stun_port, true);
	if (addr_parse_ip(&a, route->host, h->port) == 0) {
		keep(h, h->addr, &a);
		return;
	}
	(void)snprintf(h->name, sizeof(h->name), "%s", route->host);
	look_up(h);
}

void
stun_servers_refresh(struct stun_servers *s)
{
	struct mono now = loop_now(s->loop);

	for (size_t i = 0; i < s->n; i++) {
		struct host *h = &s->host[i];

		if (h->looked_up.us == 0 ||
		    mono_diff(now, h->looked_up) > STUN_SERVERS_FRESH_US)
			look_up(h);
	}
}

size_t
stun_servers_get(const struct stun_servers *s, bool with_v6,
    struct addr out[static IPC_MAX_STUN])
{
	size_t n = 0, n6 = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct host *h = &s->host[i];

		if (h->addr[0].family != 0 &&
		    n - n6 < IPC_MAX_STUN - STUN_SERVERS_MAX_V6)
			out[n++] = h->addr[0];
		if (h->addr[1].family != 0 && with_v6 &&
		    n6 < STUN_SERVERS_MAX_V6) {
			out[n++] = h->addr[1];
			n6++;
		}
	}
	return n;
}
