/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions: one peer each.  A listening one is made by its endpoint when the
 * gate accepted a claim; a claiming one by session.open or session.connect.
 */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/absence.h"
#include "daemon/backoff.h"
#include "daemon/ctl.h"
#include "daemon/places.h"
#include "daemon/relay_link.h"
#include "daemon/session_net.h"
#include "daemon/worker.h"
#include "lib/queue.h"
#include "lib/ratelimit.h"
#include "proto/token/token_route.h"

struct daemon;
struct endpoint;
struct relay_map_query;
struct signer;
struct transfer;

/* A claimer that reached no relay gives up after this long ... */
#define SESSION_RELAY_US (10 * MONO_SEC)
/* ... or after so many attempts: the tokens' first node and its neighbours. */
#define SESSION_RELAY_ATTEMPTS 4
/* session.open claims again: from this to that, doubling. */
#define SESSION_RETRY_US (1 * MONO_SEC)
#define SESSION_RETRY_MAX_US (30 * MONO_SEC)
/* "session already claimed" is retried every second for this long: a crashed
 * predecessor needs 12 s to be noticed. */
#define SESSION_CLAIMED_US (15 * MONO_SEC)
#define SESSION_CLAIMED_RETRY_US (1 * MONO_SEC)
/* A share that was lost is claimed again for this long: if its listener still
 * lives, it answers; if it was a Go tool's, it may never. */
#define SESSION_SHARE_LOST_US (30 * MONO_SEC)
/* A listener that knows the claim answers within a round trip.  After this long
 * people are told that nobody does ... */
#define SESSION_UNANSWERED_US (2500 * MONO_MS)
/* ... and after this long of silence connect ends, if the listener is at the
 * relay: it does not know the token, and never will. */
#define SESSION_SILENT_US (30 * MONO_SEC)
/* The relay is asked, and has this long to say, whether it knows the listener.
 */
#define SESSION_ABSENT_US (1500 * MONO_MS)
/* What a probed peer may take to answer, and its worker to say so. */
#define SESSION_PROBE_MS 2000u
#define SESSION_PROBE_US (3 * MONO_SEC)
/* DESCRIBE is answered at once by a worker that lives. */
#define SESSION_DESCRIBE_US (2 * MONO_SEC)

/* STATUS of one worker: each is an event to callers.  A handful comes at the
 * start, later ones only when the path changes. */
#define SESSION_STATUS_RATE 4
#define SESSION_STATUS_BURST 32

enum session_role {
	SESSION_LISTENER,
	SESSION_OPEN,
	SESSION_CONNECT,
	SESSION_TRANSFER, /* claims; an issuer is a LISTENER */
};

enum session_state {
	SESSION_STARTING,     /* looking for the relay */
	SESSION_CONNECTING,   /* to the relay */
	SESSION_CLAIMING,     /* worker runs, peer has not decided */
	SESSION_CLAIMED,      /* accepted; QUIC is not up */
	SESSION_READY,        /* streams can start */
	SESSION_RECONNECTING, /* waiting to claim again */
	SESSION_ENDING,       /* asked to end */
	SESSION_ENDED,        /* dead, to be freed */
};

/* What a claiming session needs from its token.  Secret. */
struct session_claim {
	enum ipc_kind kind;
	uint8_t token_version; /* 5 or 6 */
	struct id16 session_id;
	int64_t expires_unix;
	int64_t region;
	bool has_route;
	struct token_route route;
	struct key32 peer_derp;
	struct key32 peer_quic;
	struct key32 bearer;
	uint32_t capabilities;
	/* derptun only: */
	struct id16 client_id;
	struct id16 token_id;
	struct key32 proof;
	char client_name[IPC_MAX_CLIENT_NAME];
};

/* Owner: the daemon's list.  Found by id, never kept by others. */
/* The analyzer would save 30 bytes by giving up the order of meaning.
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct session {
	LIST_ENTRY(session) entry;
	struct daemon *daemon;
	uint32_t id;
	uint32_t endpoint; /* 0: none */
	uint32_t owner;    /* control connection */
	uid_t uid;
	enum session_role role;
	enum ipc_kind kind;
	enum session_state state;
	struct mono since;
	int stop_code;
	const char *stop_text; /* static */
	struct relay_params *params;
	struct relay_link *link;
	struct relay_watch watch;
	struct key32 peer_derp;
	struct worker *worker;
	struct loop_timer *timer; /* claimer: relay budget, retry; or NULL */
	unsigned dials;
	bool force_relay;
	bool raw_direct; /* boot flag */
	bool is_direct;  /* path of packets, once there is one */
	bool has_path;
	bool stopping;             /* by us; the reason stands beside it */
	bool was_ready;            /* in any attempt */
	bool probing;              /* listener: CHECK is being answered */
	bool stream_given;         /* connect: STDIO was sent */
	bool said_ready;           /* this worker */
	struct ratelimit statuses; /* of this worker */
	struct session_net net;
	/* session.show */
	struct ctl_call describe[PLACES_MAX]; /* of describers */
	struct places describers;
	struct loop_timer *describe_timer;
	/* Transfer. */
	struct ratelimit progresses; /* of this worker */
	bool said_open, said_save;   /* by this worker */
	bool is_complete; /* it knows that the receiver has everything */
	bool said_gone;   /* peer-gone was */
	uint32_t open_seq, save_seq; /* of its questions */
	struct transfer *transfer; /* claimer; an issuer's is its endpoint's */
	/* Listener. */
	struct signer *signer;
	uint32_t accept_seq; /* of the gate's ACCEPT; 0: answered */
	uint32_t check_seq;  /* of the gate's CHECK */
	struct loop_timer *probe_timer;
	/* Claimer. */
	struct session_claim claim;
	struct key32 own_private; /* of this attempt */
	struct relay_map_query *query;
	struct backoff backoff;
	struct mono relay_deadline;
	struct mono claimed_since; /* us 0: not being refused */
	struct mono heard_of; /* claiming since, or the relay did not know it */
	bool asked_relay;     /* about the listener; the timer waits for it */
	bool is_absent;       /* it does not know it */
	bool said_unanswered; /* of this attempt */
	struct absence absence;
	int listen_fd; /* ours; workers get copies */
	int stdio[2];  /* until handed over; -1 */
	size_t n_stdio;
};

struct session *session_find(struct daemon *d, uint32_t id);
/** session_new(): an empty one in the table; NULL when memory is out. */
struct session *session_new(
    struct daemon *d, enum session_role role, uint32_t owner, uid_t uid);
/** session_set_state(): and the moment of it. */
void session_set_state(struct session *s, enum session_state state);
/** session_stop(): the peer is told; `ended` follows.  @text is static. */
void session_stop(struct session *s, int code, const char *text);
/** session_finish(): it is over now: tell everybody and bury it. */
void session_finish(struct session *s, int code, const char *text);
/** session_discard(): it never came to life: no event, no endpoint. */
void session_discard(struct session *s);
/** session_free(): for the daemon's list of the dead. */
void session_free(struct session *s);

/** session_leave_link(): no more packets, either way. */
void session_leave_link(struct session *s);
/** session_kind_name(): "share", "derptun" or "transfer". */
const char *session_kind_name(enum ipc_kind kind);
/** session_status(): object for session.list; NULL when memory is out. */
json_t *session_status(const struct session *s);
/** session_describe(): answer @call of @uid with counters, now or soon; refuse
 * it when @uid, or everybody, asks too much at once. */
void session_describe(struct session *s, uid_t uid, struct ctl_call *call);
/** session_described(): the worker answered. */
void session_described(struct session *s, const struct ipc_description *d);

#endif
