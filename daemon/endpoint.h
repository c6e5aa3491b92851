/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Endpoints: tokens being served.  An endpoint has a relay link, a gate worker
 * that judges claims, and at most one session at a time.
 */
#ifndef DAEMON_ENDPOINT_H
#define DAEMON_ENDPOINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/backoff.h"
#include "daemon/ctl.h"
#include "daemon/relay_link.h"
#include "daemon/worker.h"
#include "lib/queue.h"
#include "proto/token/token_derptun.h"
#include "proto/token/token_session.h"

struct daemon;
struct relay_map_query;
struct session;
struct stun_servers;
struct transfer;

/* "HOST:PORT" for display. */
#define ENDPOINT_MAX_TARGET 280
/* A crashed gate is replaced after this, doubling up to that. */
#define ENDPOINT_GATE_RETRY_US (100 * MONO_MS)
#define ENDPOINT_GATE_RETRY_MAX_US (10 * MONO_SEC)
/* A gate that lived this long makes its replacement quick again. */
#define ENDPOINT_GATE_GOOD_US (30 * MONO_SEC)
/* How often a waiting share looks at the clock (which may be set). */
#define ENDPOINT_EXPIRY_US (10 * MONO_SEC)

enum endpoint_state {
	ENDPOINT_PREPARING, /* relay not chosen, token not minted */
	ENDPOINT_STARTING,  /* gate or relay not ready */
	ENDPOINT_WAITING,   /* for a claim */
	ENDPOINT_ACTIVE,    /* a session exists */
	ENDPOINT_ENDING,    /* waiting for its session to end */
	ENDPOINT_ENDED,     /* dead, to be freed */
};

/* Owner: the daemon's list.  Found by id, never kept by others. */
struct endpoint {
	LIST_ENTRY(endpoint) entry;
	struct daemon *daemon;
	uint32_t id;
	uint32_t owner; /* control connection */
	uid_t uid;
	enum ipc_kind kind;
	enum endpoint_state state;
	struct mono since;
	bool force_relay;
	bool raw_direct; /* boot flag of its sessions */
	char target[ENDPOINT_MAX_TARGET];
	struct relay_params *params;
	struct ctl_call call; /* until the token is told */
	/* Identity and token; secret. */
	uint8_t token_version; /* 5 or 6 */
	struct id16 session_id;
	int64_t expires_unix;
	struct key32 derp_private, derp_public;
	struct key32 quic_seed, quic_public;
	struct key32 secret; /* bearer or signing secret */
	uint32_t capabilities;
	/* Transfer: until we can be reached, as peers claim but once. */
	char token[TOKEN_SESSION_MAX_TEXT];
	bool has_route;
	struct token_route route;
	/* Parts. */
	struct relay_map_query *query;
	struct stun_servers *stun; /* for its sessions */
	struct relay_link *link;
	struct relay_watch watch;
	struct worker *gate;
	struct mono gate_since;
	struct backoff gate_backoff;
	bool is_gate_lost; /* and that was told */
	struct loop_timer *gate_timer;
	struct loop_timer *expiry;
	uint32_t session;          /* in the slot; 0: none */
	struct transfer *transfer; /* what is sent or received; or NULL */
	int end_code;
	char end_text[IPC_MAX_TEXT];
};

/* What all ways to make one have in common. */
struct endpoint_request {
	uint32_t owner;
	uid_t uid;
	const char *target;
	bool force_relay;
	bool raw_direct;
	struct relay_params *params; /* reference is taken on success */
	uint32_t capabilities;       /* of the token to be minted */
	struct transfer *transfer;   /* taken on success; or NULL */
};

struct endpoint *endpoint_find(struct daemon *d, uint32_t id);

/**
 * endpoint_new_minted(): a share, an ssh invitation or a transfer.  @call is
 * answered with {endpoint, token} when the relay is chosen; it is taken over on
 * success.
 *
 * Returns 0 or -ENOMEM.
 */
int endpoint_new_minted(
    struct daemon *d, const struct endpoint_request *q, struct ctl_call *call);

/**
 * endpoint_new_serve(): @server is copied.
 *
 * Returns 0, -DT_ERR_STATE when this token is being served already, -ENOMEM.
 */
int endpoint_new_serve(struct daemon *d, const struct endpoint_request *q,
    const struct derptun_server_token *server, uint32_t *ret_id);

/** endpoint_stop(): end its session in order, then `ended`. */
void endpoint_stop(struct endpoint *e, int code, const char *text);
/** endpoint_free(): for the daemon's list of the dead. */
void endpoint_free(struct endpoint *e);
json_t *endpoint_status(const struct endpoint *e);

/** endpoint_session_born(): the worker of a session in the slot lives. */
void endpoint_session_born(struct endpoint *e, struct session *s);
/** endpoint_session_ended(): the slot is free; s is about to be buried. */
void endpoint_session_ended(
    struct endpoint *e, struct session *s, int code, const char *text);
/** endpoint_session_checked(): outcome of session_worker_probe(). */
void endpoint_session_checked(
    struct endpoint *e, struct session *s, bool alive);
/** endpoint_claim_back(): a claim that the session gives to the gate. */
void endpoint_claim_back(
    struct endpoint *e, const struct key32 *src, const uint8_t *p, size_t len);

#endif
