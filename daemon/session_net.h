/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Direct paths of a session, as far as they are the daemon's: sockets and
 * knowledge of the network for its worker, the path it reports, and why.
 */
#ifndef DAEMON_SESSION_NET_H
#define DAEMON_SESSION_NET_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/ctl.h"
#include "daemon/udp_sockets.h"
#include "lib/buf.h"
#include "lib/loop.h"
#include "lib/ratelimit.h"
#include "proto/ipc/ipc_network.h"

struct portmap_want;
struct session;
struct stun_servers;

/* PATH of one worker: each is an event to callers.  What comes faster is told
 * late, only the last of it. */
#define SESSION_NET_PATH_RATE 4
#define SESSION_NET_PATH_BURST 16
#define SESSION_NET_PATH_US (250 * MONO_MS)
/* session.why asked at the same time. */
#define SESSION_NET_MAX_WHY 8

/* Owner: the session, whose first worker begins it. */
struct session_net {
	struct stun_servers *stun;  /* claimer: its own */
	struct portmap_want *want;  /* of the IPv4 socket, or NULL */
	struct udp_sockets sockets; /* as the worker got them */
	bool is_told;               /* it has SOCKETS and NETWORK */
	struct ipc_network network; /* as last told */
	struct ipc_path path;       /* as last reported; kind 0: never */
	bool is_late;               /* `path` is still to be announced */
	struct ratelimit paths;
	struct loop_timer *path_timer;
	struct ctl_call why[SESSION_NET_MAX_WHY];
	size_t n_why;
	struct loop_timer *why_timer;
};

/** session_net_init(): 0 or -ENOMEM; session_net_fini() in any case. */
int session_net_init(struct session *s);
void session_net_fini(struct session *s);

/** session_net_start(): the worker has its boot message: sockets and network,
 * unless the session must stay on the relay.  What fails is logged: the relay
 * remains. */
void session_net_start(struct session *s);
/** session_net_stop(): the worker is gone. */
void session_net_stop(struct session *s);
/** session_net_changed(): tell the worker what is new, if anything is.
 * @interfaces: addresses or routes of this machine changed. */
void session_net_changed(struct session *s, bool interfaces);

/** session_net_servers(): a claimer's, made when first needed; NULL when memory
 * is out. */
struct stun_servers *session_net_servers(struct session *s);

/** session_net_on_path(): PATH came.  0 or -DT_ERR_IPC. */
int session_net_on_path(struct session *s, struct buf_reader *body);
/** session_net_use(): packets go directly to @address, or through the relay;
 * told to callers if that is news. */
void session_net_use(struct session *s, bool direct, const char *address);

/** session_net_why(): answer @call, now or soon. */
void session_net_why(struct session *s, struct ctl_call *call);
/** session_net_on_explanation(): the worker answered.  0 or -DT_ERR_IPC. */
int session_net_on_explanation(struct session *s, struct buf_reader *body);

#endif
