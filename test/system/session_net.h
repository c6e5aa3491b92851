/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP for the two workers of a world, in a network namespace of its own: each
 * has a managed socket, and reaches the other either at the address of the
 * namespace or only through a proxy that can be made to misbehave.
 */
#ifndef TEST_SYSTEM_SESSION_NET_H
#define TEST_SYSTEM_SESSION_NET_H

#include <stdbool.h>
#include <stdint.h>

#include "test/system/session_world.h"

#define NET_HOST "10.99.0.1"

/* The way towards one worker. */
struct net_way {
	struct net *net;
	int fd; /* the proxy's: the other worker sends here */
	struct loop_io *io;
	struct addr addr;   /* of fd */
	struct addr worker; /* who is reached */
	uint64_t passed, dropped;
};

struct net {
	struct world *w;
	bool proxied;    /* candidates are the proxy's addresses */
	bool hole;       /* the proxy loses everything */
	bool hole_to[2]; /* likewise, towards the claimer, the listener */
	size_t max_len;  /* longer datagrams are lost; 0: none is */
	unsigned loss_permille;
	struct net_way to[2]; /* claimer, listener */
	struct addr stun;     /* server, or family 0 */
	uint64_t random;
};

/** net_enter(): into a namespace with NET_HOST.  False: not permitted. */
bool net_enter(void);

/** net_init(): a world whose workers get sockets; @n stays with it. */
void net_init(struct net *n, struct world *w, enum ipc_kind kind, bool proxied,
    const bool force_relay[2]);
/** net_init_transfer(): a world of transfers; @w has its callbacks, of which
 * on_boot calls net_boot(). */
void net_init_transfer(struct net *n, struct world *w, bool proxied);
/** net_boot(): what a worker is told of the network. */
void net_boot(struct end *e);
/** net_fini(): before world_fini(), whose loop it leaves. */
void net_fini(struct net *n);

/** net_roam(): the proxy's socket towards @to's peer changes its port: what
 * comes from worker 1 - @from now has another source. */
void net_roam(struct net *n, int who);

/** net_tell(): the daemon of @who notices that the network changed. */
void net_tell(struct net *n, int who);

/** net_send(): a datagram to the worker @who from an unknown address. */
void net_send(struct net *n, int who, int fd, const void *p, size_t len);
/** net_stranger(): an unbound UDP socket. */
int net_stranger(void);

bool net_is_direct(const struct end *e);
bool net_both_direct(struct world *w);
bool net_both_relayed(struct world *w);

#endif
