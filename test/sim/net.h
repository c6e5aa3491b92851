/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An internet on virtual time, seeded: hosts and NATs in realms, links with
 * delay, loss, disorder, duplication and a largest packet, and STUN servers.
 *
 * A realm is one address space; realm 0 is the public internet.  A NAT joins
 * the realm behind it to the one before it, so that NATs can be stacked.
 */
#ifndef TEST_SIM_NET_H
#define TEST_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/mono.h"

#define NET_MAX_HOSTS 24
#define NET_MAX_NATS 20
#define NET_MAX_MAPPINGS 96 /* of a NAT; the oldest goes */
#define NET_MAX_PEERS 16    /* remotes a mapping remembers */
#define NET_MAX_PACKET 17000

enum net_mapping { NET_EIM, NET_EDM };          /* RFC 4787 4.1 */
enum net_filter { NET_EIF, NET_ADF, NET_APDF }; /* RFC 4787 5 */

struct net_link {
	int64_t delay_us;  /* one way, host to the middle */
	int64_t jitter_us; /* up to so much more, which also reorders */
	unsigned loss;     /* of 1000, each way */
	unsigned dup;      /* of 1000 */
	size_t mtu;        /* largest payload */
	bool no_out;       /* black holes */
	bool no_in;
};

struct net;

struct net_host {
	struct net *net;
	struct addr ip; /* port 0 */
	int realm;
	struct net_link link;
	void *arg;
	void (*on_input)(void *arg, const struct addr *from,
	    const struct addr *to, const uint8_t *p, size_t len);
};

struct net_peer {
	struct addr addr;
	struct mono at;
};

struct net_mapping_entry {
	bool used;
	struct addr inside;
	struct addr remote; /* EDM: whom it is for */
	uint16_t port;
	struct mono last;
	struct net_peer peer[NET_MAX_PEERS];
	size_t next_peer;
};

struct net_nat {
	int inside, outside; /* realms */
	struct addr ip;      /* on the outside */
	enum net_mapping mapping;
	enum net_filter filter;
	bool random_ports;
	bool hairpin;
	bool blocks_udp;
	bool firewall; /* translates nothing; ip tells the /64 */
	int64_t timeout_us;
	struct net_mapping_entry entry[NET_MAX_MAPPINGS];
};

/* What may happen: a datagram arrives, a control arrives, a timer. */
typedef void net_fn(void *arg, const uint8_t *p, size_t len);

struct net *net_new(uint64_t seed);
void net_free(struct net *n);
struct mono net_now(const struct net *n);
uint32_t net_random(struct net *n, uint32_t below);

/** net_add_host(): returns it; @ip "10.0.0.2". */
struct net_host *net_add_host(struct net *n, const char *ip, int realm);
/** net_add_nat(): a NAT at @ip of realm @outside; its inside is a new realm. */
struct net_nat *net_add_nat(struct net *n, const char *ip, int outside);
/** net_add_firewall(): IPv6 of the home that is @inside, whose /64 @ip tells.
 */
struct net_nat *net_add_firewall(struct net *n, const char *ip, int inside);
/** net_forget(): the NAT loses its mappings, as after a restart. */
void net_forget(struct net_nat *nat);

/** net_add_stun(): a public STUN server. */
void net_add_stun(struct net *n, const char *ip);
#define NET_STUN_PORT 3478

void net_send(struct net *n, struct net_host *from, uint16_t port,
    const struct addr *to, const uint8_t *p, size_t len);

/** net_after(): call @fn with a copy of the bytes. */
void net_after(struct net *n, int64_t us, net_fn *fn, void *arg,
    const uint8_t *p, size_t len);

/** net_watch(): @fn sees every datagram that leaves a host: an attacker. */
void net_watch(struct net *n,
    void (*fn)(void *arg, const struct addr *from, const struct addr *to,
	const uint8_t *p, size_t len),
    void *arg);
/** net_inject(): a datagram with any source enters @realm. */
void net_inject(struct net *n, int realm, const struct addr *from,
    const struct addr *to, const uint8_t *p, size_t len);

/** net_step(): the next event, unless it is after @until; false then. */
bool net_step(struct net *n, struct mono until);

uint64_t net_packets(const struct net *n);

#endif
