/* SPDX-License-Identifier: BSD-3-Clause */
/* Listening sockets: bound or inherited, and the accepting of connections. */
#ifndef HELPERS_RELAY_RELAY_ACCEPT_H
#define HELPERS_RELAY_RELAY_ACCEPT_H

#include <stddef.h>

#include "helpers/relay/relay.h"
#include "lib/addr.h"

/* Sockets of each kind: what a socket unit passes, or one that we bind. */
#define RELAY_ACCEPT_MAX_SOCKETS 8

/* Owner: main; fds are closed by relay_accept_close(). */
struct relay_sockets {
	int tcp[RELAY_ACCEPT_MAX_SOCKETS];
	size_t n_tcp;
	int udp[RELAY_ACCEPT_MAX_SOCKETS];
	size_t n_udp;
};

/** relay_accept_bind_tcp(): listen on @a.  0 or -errno. */
int relay_accept_bind_tcp(struct relay_sockets *s, const struct addr *a);
/** relay_accept_bind_udp(): a STUN socket on @a.  0 or -errno. */
int relay_accept_bind_udp(struct relay_sockets *s, const struct addr *a);

/**
 * relay_accept_inherit(): take sockets passed by systemd's LISTEN_FDS
 * convention: stream ones listen for DERP, datagram ones for STUN.  Clears the
 * variables.
 *
 * Returns 0 (also when nothing was passed), -DT_ERR_UNSUPPORTED for another
 * kind of descriptor, -DT_ERR_LIMIT for too many.
 */
int relay_accept_inherit(struct relay_sockets *s);

/** relay_accept_local(): the address a socket is bound to.  0 or -errno. */
int relay_accept_local(int fd, struct addr *ret_addr);

void relay_accept_close(struct relay_sockets *s);

struct relay_accept;

/**
 * relay_accept_new(): accept clients on @fd, which the caller keeps.
 * Returns NULL when memory is out.
 */
struct relay_accept *relay_accept_new(struct relay *relay, int fd);
/** relay_accept_free(): NULL is fine. */
void relay_accept_free(struct relay_accept *a);

#endif
