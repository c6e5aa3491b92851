/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The ready exchange, and raw-direct with peers of v0.18.2: a socket that QUIC
 * has for itself, found by punching, without a way back to the relay.  Our own
 * ends decline it at once.
 */
#ifndef HELPERS_SESSION_RAW_H
#define HELPERS_SESSION_RAW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/session/path_udp.h"
#include "helpers/session/udp.h"
#include "lib/mono.h"

struct message_ready;
struct punch;
struct ready;
struct session;
struct stun_gather;

enum raw_state {
	RAW_IDLE,    /* not accepted yet */
	RAW_WAITING, /* listener: what is the claimer? */
	RAW_GATHERING,
	RAW_TALKING,  /* ready exchange runs */
	RAW_PUNCHING, /* and both could */
	RAW_DONE,     /* decided; the exchange is reinforced */
};

/* As in struct ipc_explanation. */
enum raw_outcome {
	RAW_NOT_TRIED = 0,
	RAW_RUNNING = 1,
	RAW_AGREED = 2,
	RAW_REFUSED_BY_US = 3,
	RAW_REFUSED_BY_PEER = 4,
	RAW_PEER_SILENT = 5,
	RAW_NO_PUNCH = 6,
};

/* Owner: the session. */
struct raw {
	enum raw_state state;
	enum raw_outcome outcome;
	struct udp udp;
	struct stun_gather *gather;
	struct ready *ready;
	struct punch *punch;
	struct path_udp path;
	struct mono until;   /* WAITING, GATHERING: at the latest */
	struct mono silence; /* claimer: dial the relay then */
	bool declined;       /* whatever punching finds: no */
	bool heard;          /* anything of the peer's exchange */
};

void raw_init(struct session *s);
void raw_fini(struct session *s);
/** raw_on_socket(): the daemon gave a socket; owned from now on. */
int raw_on_socket(struct session *s, int fd, uint16_t port);

/** raw_start(): accepted.  @is_native: the peer is known to be one of ours.
 * 0 or -ENOMEM. */
int raw_start(struct session *s, bool is_native);
/** raw_on_peer(): the claimer has said something; is it one of ours? */
void raw_on_peer(struct session *s, bool is_native);
/** raw_on_ready(): a verified body of the peer's. */
void raw_on_ready(struct session *s, const struct message_ready *body);
/** raw_decline(): QUIC stands on the managed paths. */
void raw_decline(struct session *s);

/** raw_may_dial(): is it settled where a claimer's QUIC starts? */
bool raw_may_dial(const struct session *s);
/** raw_is_settled(): would leaving now leave no peer in the exchange? */
bool raw_is_settled(const struct session *s);

void raw_run(struct session *s);
struct mono raw_next_deadline(const struct session *s);

#endif
