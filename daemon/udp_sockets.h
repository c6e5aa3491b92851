/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP sockets of a session, made here because its worker may make none: bound
 * to all addresses, a port of its own each, in the daemon's network namespace.
 */
#ifndef DAEMON_UDP_SOCKETS_H
#define DAEMON_UDP_SOCKETS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ipc/ipc_network.h"

/* What one end may have in flight on a fast path; the kernel gives less where
 * net.core.rmem_max and wmem_max say so. */
#define UDP_SOCKETS_BUFFER_BYTES (4 * 1024 * 1024)

/* One socket; why it is not there, otherwise. */
struct udp_socket {
	enum ipc_socket_use use;
	int fd;    /* -1: none */
	int error; /* why none: -errno; else 0 */
	uint16_t port;
	bool has_gro;
	uint32_t rcvbuf_bytes; /* granted, as the kernel counts */
	uint32_t sndbuf_bytes;
};

/* Invariant: one entry for each use. */
#define UDP_SOCKETS_N 3
struct udp_sockets {
	struct udp_socket socket[UDP_SOCKETS_N];
};

/** udp_sockets_init(): no sockets. */
void udp_sockets_init(struct udp_sockets *u);
/**
 * udp_sockets_open(): make them; one that cannot be made has its error.  What
 * was there is closed.
 * @with_raw: also the one for raw-direct.
 */
void udp_sockets_open(struct udp_sockets *u, bool with_raw);
/** udp_sockets_close(): those still ours.  What they were like stays. */
void udp_sockets_close(struct udp_sockets *u);

/**
 * udp_sockets_give(): hand over all descriptors.
 * @ret_body: what they are, in their order.
 * @ret_fds: IPC_MAX_SOCKETS entries.  The caller's from now on.
 *
 * Returns how many.
 */
size_t udp_sockets_give(
    struct udp_sockets *u, struct ipc_sockets *ret_body, int *ret_fds);

/** udp_sockets_port(): of the socket for @use, 0 when it was not made. */
uint16_t udp_sockets_port(const struct udp_sockets *u, enum ipc_socket_use use);

#endif
