/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/place.h"

#include <stdio.h>
#include <stdlib.h>

const char *const place_names[PLACE_N] = { "open", "full cone",
	"address-restricted", "port-restricted", "symmetric", "CGN",
	"CGN by address", "UDP blocked" };

static void
add_stun(struct net *net, struct end *e)
{
	static const char *servers[] = { "192.0.2.1", "192.0.2.2" };

	for (size_t i = 0; i < 2; i++) {
		if (addr_parse_ip(&e->stun[i], servers[i], NET_STUN_PORT) < 0)
			abort();
		e->n_stun++;
	}
	(void)net;
}

static int
add_nats(struct net *net, enum place place, int side)
{
	struct net_nat *nat;
	char ip[40];
	int realm = 0;

	(void)snprintf(ip, sizeof(ip), "198.51.100.%d", 10 + side);
	if (place == PLACE_CGN || place == PLACE_CGN_ADDR) {
		nat = net_add_nat(net, ip, 0);
		nat->filter = place == PLACE_CGN ? NET_APDF : NET_ADF;
		nat->random_ports = true;
		realm = nat->inside;
		(void)snprintf(ip, sizeof(ip), "100.64.0.%d", 10 + side);
	}
	nat = net_add_nat(net, ip, realm);
	nat->filter = NET_APDF;
	nat->random_ports = net_random(net, 2) == 0;
	if (place == PLACE_FULL)
		nat->filter = NET_EIF;
	if (place == PLACE_ADDR)
		nat->filter = NET_ADF;
	if (place == PLACE_SYM) {
		nat->mapping = NET_EDM;
		nat->random_ports = true;
	}
	nat->blocks_udp = place == PLACE_BLOCKED;
	return nat->inside;
}

struct end *
place_end(
    struct net *net, enum place place, int side, const struct end_ops *ops)
{
	char ip[40];
	int realm = 0;
	struct end *e;

	/* Two homes use the same network more often than not. */
	if (place == PLACE_OPEN)
		(void)snprintf(ip, sizeof(ip), "203.0.113.%d", 10 + side);
	else
		(void)snprintf(
		    ip, sizeof(ip), "192.168.1.%u", 2 + net_random(net, 3));
	if (place != PLACE_OPEN)
		realm = add_nats(net, place, side);
	e = end_new(net, net_add_host(net, ip, realm), ops,
	    (uint16_t)(20000 + net_random(net, 40000)));
	add_stun(net, e);
	return e;
}

static bool
is_picky(enum place p)
{
	return p == PLACE_PORT || p == PLACE_SYM || p == PLACE_CGN ||
	       p == PLACE_CGN_ADDR;
}

bool
place_is_feasible(enum place a, enum place b)
{
	if (a == PLACE_BLOCKED || b == PLACE_BLOCKED)
		return false;
	return !(a == PLACE_SYM && is_picky(b)) &&
	       !(b == PLACE_SYM && is_picky(a));
}
