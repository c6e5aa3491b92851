/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct paths of a session: its UDP sockets, its own addresses, the peer's,
 * and which path packets take.  Starts with the SOCKETS message; without it, or
 * when the relay is forced, everything here does nothing.
 */
#ifndef HELPERS_SESSION_DISCOVERY_H
#define HELPERS_SESSION_DISCOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/session/path_udp.h"
#include "helpers/session/udp.h"
#include "lib/addr.h"
#include "lib/buf.h"
#include "lib/mono.h"
#include "proto/ipc/ipc_network.h"
#include "proto/rendezvous/candidate.h"

struct direct;
struct envelope;
struct session;
struct stun_gather;

/* One managed socket and what servers say of it. */
struct discovery_socket {
	struct udp udp;
	struct stun_gather *gather;
};

/* Owner: the session. */
struct discovery {
	struct udp_buffers *buffers;
	struct discovery_socket v4;
	struct discovery_socket v6;
	struct direct *direct; /* NULL before SOCKETS, and after a stop */
	struct path_udp path;
	struct ipc_network net;
	struct candidate_list peer; /* heard before there was `direct` */
	bool stopped;               /* QUIC has a path of its own */
	bool accepted;              /* the peer knows of us: controls may go */
	uint32_t generation;        /* of `direct`, carried out */
	uint32_t returns;           /* likewise */
	uint64_t packets_out;       /* of the path, reported to `direct` */
};

/** discovery_init(): before confinement. */
void discovery_init(struct session *s);
void discovery_fini(struct session *s);

/** discovery_on_sockets(), discovery_on_network(): messages of the daemon.
 * 0, or -DT_ERR_IPC. */
int discovery_on_sockets(
    struct session *s, struct buf_reader *body, int *fds, size_t n_fds);
int discovery_on_network(struct session *s, struct buf_reader *body);

/** discovery_list_own(): what can be told to the peer now, perhaps nothing. */
void discovery_list_own(
    const struct session *s, struct candidate_list *ret_list);

/** discovery_accept(): the peer takes control messages from now on.
 * @peer: the candidates of its claim or decision. */
void discovery_accept(struct session *s, const struct candidate_list *peer);
/** discovery_set_peer(): the peer's candidates, changed. */
void discovery_set_peer(struct session *s, const struct candidate_list *peer);
/** discovery_called(): the peer asks to be probed now. */
void discovery_called(struct session *s);
/** discovery_on_control(): a verified control envelope. */
void discovery_on_control(struct session *s, const struct envelope *e);
/** discovery_set_native(): the peer is one of ours. */
void discovery_set_native(struct session *s);

/** discovery_stop(): QUIC runs on a socket of its own: no more probes. */
void discovery_stop(struct session *s);

/** discovery_run(): send what is due, change paths.  Once per turn, before
 * packets are sent. */
void discovery_run(struct session *s);
/** discovery_sent(): after packets were sent. */
void discovery_sent(struct session *s);
struct mono discovery_next_deadline(const struct session *s);

#endif
