/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies of the messages about direct paths in ipc_messages.def: what a session
 * worker is told of the network, and what it tells of its paths.  Rules as in
 * ipc_body.h.
 */
#ifndef PROTO_IPC_IPC_NETWORK_H
#define PROTO_IPC_IPC_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/buf.h"
#include "proto/path/path.h"

#define IPC_MAX_SOCKETS 4
#define IPC_MAX_OWN 64        /* interface addresses told to a worker */
#define IPC_MAX_STUN 8        /* servers, both families */
#define IPC_MAX_CANDIDATES 48 /* rows of an explanation */

/* SOCKETS, once, before any untrusted byte: one descriptor for each entry, in
 * order.  Bound, non-blocking, with GRO, DF and buffers set: a worker may not
 * call setsockopt. */
enum ipc_socket_use {
	IPC_SOCKET_MANAGED4 = 1, /* probes, managed path, IPv4 */
	IPC_SOCKET_MANAGED6 = 2, /* likewise, IPv6 only */
	IPC_SOCKET_RAW4 = 3,     /* raw-direct with peer v0.18.2 */
};
struct ipc_sockets {
	uint8_t n;
	struct {
		uint8_t use;   /* enum ipc_socket_use, each at most once */
		uint16_t port; /* local, host order */
	} socket[IPC_MAX_SOCKETS];
};
void ipc_put_sockets(struct buf_writer *w, const struct ipc_sockets *s);
int ipc_get_sockets(struct buf_reader *r, struct ipc_sockets *ret_sockets);

/* NETWORK: the whole of what is known; again whenever it changes. */
struct ipc_network {
	bool changed; /* interfaces or routes changed: try everything afresh */
	uint8_t n_own;
	struct addr own[IPC_MAX_OWN]; /* interface addresses, port 0 */
	uint8_t n_stun;
	struct addr stun[IPC_MAX_STUN];
	bool has_mapping; /* a gateway forwards to the MANAGED4 socket */
	struct addr mapping;
};
void ipc_put_network(struct buf_writer *w, const struct ipc_network *n);
int ipc_get_network(struct buf_reader *r, struct ipc_network *ret_network);

/* PATH: packets to the peer take this way from now on. */
struct ipc_path {
	uint8_t kind;     /* enum path_kind */
	struct addr peer; /* family 0 for the relay */
	char reason[64];  /* static words, e.g. "probe answered" */
};
void ipc_put_path(struct buf_writer *w, const struct ipc_path *p);
int ipc_get_path(struct buf_reader *r, struct ipc_path *ret_path);

/* EXPLANATION: why the path is what it is; answers EXPLAIN (empty body). */
struct ipc_candidate {
	struct addr addr;
	uint8_t state; /* enum direct_try */
	bool reflexive;
	uint32_t probes;
	uint32_t acks;
	uint32_t rtt_us; /* 0: none */
	int32_t error;   /* last send error, -errno, or 0 */
};
struct ipc_explanation {
	struct ipc_path path; /* kind 0: none yet */
	uint32_t path_ms;     /* on it for so long */
	uint32_t switches;    /* changes of path since birth */
	bool peer_is_native;
	bool forced_relay;
	uint8_t raw;        /* 0 not tried, 1 running, 2 agreed, 3 refused by
			       us, 4 by the peer, 5 peer silent, 6 no punch came */
	uint8_t stun_asked; /* servers */
	uint8_t stun_answered;
	bool symmetric;   /* servers saw different ports */
	uint16_t payload; /* QUIC datagram size in use */
	uint8_t n_own;
	struct addr own[IPC_MAX_CANDIDATES]; /* what we advertised */
	uint8_t n_peer;
	struct ipc_candidate peer[IPC_MAX_CANDIDATES];
};
void ipc_put_explanation(struct buf_writer *w, const struct ipc_explanation *e);
int ipc_get_explanation(
    struct buf_reader *r, struct ipc_explanation *ret_explanation);

#endif
