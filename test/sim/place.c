/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/place.h"

#include <stdio.h>
#include <stdlib.h>

const char *const place_names[PLACE_N] = { "open", "full cone",
	"address-restricted", "port-restricted", "symmetric", "CGN",
	"CGN by address", "symmetric, IPv6", "UDP blocked" };

const char *const couple_names[COUPLE_N] = { "one LAN", "one carrier, hairpin",
	"one carrier" };

static const char *const stun_servers[] = { "192.0.2.1", "192.0.2.2" };

static struct net_nat *
add_nat(struct end *e, const char *ip, int outside, enum net_filter filter)
{
	struct net_nat *nat = net_add_nat(e->net, ip, outside);

	nat->filter = filter;
	nat->random_ports = net_random(e->net, 2) == 0;
	e->nat[e->n_nats++] = nat;
	return nat;
}

/* The home at @ip of realm @outside, and @e within. */
static struct net_nat *
add_home(struct end *e, const char *ip, int outside, enum net_filter filter)
{
	struct net_nat *nat = add_nat(e, ip, outside, filter);
	char inside[40];

	/* Two homes use the same network more often than not. */
	(void)snprintf(
	    inside, sizeof(inside), "192.168.1.%u", 2 + net_random(e->net, 3));
	end_attach(e, net_add_host(e->net, inside, nat->inside));
	return nat;
}

static void
add_v6(struct end *e, int side)
{
	struct net_nat *home = e->nat[e->n_nats - 1];
	char ip[40];

	(void)snprintf(ip, sizeof(ip), "2001:db8:%d::1", side + 1);
	e->nat[e->n_nats++] = net_add_firewall(e->net, ip, home->inside);
	(void)snprintf(ip, sizeof(ip), "2001:db8:%d::%x", side + 1,
	    2 + net_random(e->net, 1000));
	end_attach(e, net_add_host(e->net, ip, home->inside));
}

void
place_move(struct end *e, enum place place, int side)
{
	static const enum net_filter filters[PLACE_N] = { [PLACE_FULL] =
							      NET_EIF,
		[PLACE_ADDR] = NET_ADF,
		[PLACE_PORT] = NET_APDF,
		[PLACE_SYM] = NET_APDF,
		[PLACE_CGN] = NET_APDF,
		[PLACE_CGN_ADDR] = NET_APDF,
		[PLACE_SYM_V6] = NET_APDF,
		[PLACE_BLOCKED] = NET_APDF };
	struct net_nat *nat;
	char ip[40];
	int realm = 0;

	e->n_nats = 0;
	if (place == PLACE_OPEN) {
		(void)snprintf(ip, sizeof(ip), "203.0.113.%d", 10 + side);
		end_attach(e, net_add_host(e->net, ip, 0));
		return;
	}
	(void)snprintf(ip, sizeof(ip), "198.51.100.%d", 10 + side);
	if (place == PLACE_CGN || place == PLACE_CGN_ADDR) {
		nat =
		    add_nat(e, ip, 0, place == PLACE_CGN ? NET_APDF : NET_ADF);
		nat->random_ports = true;
		realm = nat->inside;
		(void)snprintf(ip, sizeof(ip), "100.64.0.%d", 10 + side);
	}
	nat = add_home(e, ip, realm, filters[place]);
	nat->blocks_udp = place == PLACE_BLOCKED;
	if (place == PLACE_SYM || place == PLACE_SYM_V6) {
		nat->mapping = NET_EDM;
		nat->random_ports = true;
	}
	if (place == PLACE_SYM_V6)
		add_v6(e, side);
}

static struct end *
add_end(struct net *net, const struct end_ops *ops)
{
	struct end *e =
	    end_new(net, ops, (uint16_t)(20000 + net_random(net, 40000)));

	for (size_t i = 0; i < 2; i++)
		if (addr_parse_ip(&e->stun[e->n_stun++], stun_servers[i],
			NET_STUN_PORT) < 0)
			abort();
	return e;
}

static struct pair
add_pair(
    uint64_t seed, const struct end_ops *a_ops, const struct end_ops *b_ops)
{
	struct pair p = { .net = net_new(seed) };

	for (size_t i = 0; i < 2; i++)
		net_add_stun(p.net, stun_servers[i]);
	p.end[0] = add_end(p.net, a_ops);
	p.end[1] = add_end(p.net, b_ops);
	end_join(p.end[0], p.end[1]);
	return p;
}

struct pair
place_pair(uint64_t seed, enum place a, enum place b,
    const struct end_ops *a_ops, const struct end_ops *b_ops)
{
	struct pair p = add_pair(seed, a_ops, b_ops);

	place_move(p.end[0], a, 0);
	place_move(p.end[1], b, 1);
	return p;
}

struct pair
place_couple(uint64_t seed, enum couple couple)
{
	struct pair p = add_pair(seed, &end_ours, &end_ours);
	struct net_nat *shared;

	if (couple == COUPLE_LAN) {
		shared = add_home(p.end[0], "198.51.100.10", 0, NET_APDF);
		end_attach(p.end[1],
		    net_add_host(p.net, "192.168.1.77", shared->inside));
		return p;
	}
	shared = add_nat(p.end[0], "198.51.100.10", 0, NET_APDF);
	shared->hairpin = couple == COUPLE_HAIRPIN;
	add_home(p.end[0], "100.64.0.10", shared->inside, NET_APDF);
	add_home(p.end[1], "100.64.0.11", shared->inside, NET_APDF);
	return p;
}

void
place_begin(struct pair *p, uint64_t seed)
{
	size_t listener = seed % 2;

	end_begin(p->end[listener], p->end[1 - listener]);
	p->start = net_now(p->net);
}

void
place_end(struct pair *p)
{
	end_free(p->end[0]);
	end_free(p->end[1]);
	net_free(p->net);
}

static bool
is_symmetric(enum place p)
{
	return p == PLACE_SYM || p == PLACE_SYM_V6;
}

static bool
is_picky(enum place p)
{
	return p == PLACE_PORT || p == PLACE_CGN || p == PLACE_CGN_ADDR ||
	       is_symmetric(p);
}

bool
place_is_feasible(enum place a, enum place b)
{
	if (a == PLACE_BLOCKED || b == PLACE_BLOCKED)
		return false;
	if (a == PLACE_SYM_V6 && b == PLACE_SYM_V6)
		return true;
	return !(is_symmetric(a) && is_picky(b)) &&
	       !(is_symmetric(b) && is_picky(a));
}
