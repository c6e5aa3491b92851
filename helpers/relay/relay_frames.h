/* SPDX-License-Identifier: BSD-3-Clause */
/* An admitted client and the frames it may send. */
#ifndef HELPERS_RELAY_RELAY_FRAMES_H
#define HELPERS_RELAY_RELAY_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/relay/relay_conn.h"
#include "lib/ratelimit.h"

enum relay_client_state {
	RELAY_CLIENT_HEAD, /* waits for the HTTP request */
	RELAY_CLIENT_INFO, /* waits for ClientInfo */
	RELAY_CLIENT_LIVE, /* admitted */
};

/* Owner: itself, freed by the connection's last callback. */
struct relay_client {
	struct relay_conn conn; /* first: both are one object */
	enum relay_client_state state;
	struct loop_timer *timer; /* handshake deadline, then KeepAlive */
	struct relay_seat seat;
	struct key32 key; /* proved by ClientInfo */
	struct ratelimit not_here;
	uint64_t discard; /* bytes of an unknown frame still to skip */
	int64_t keepalive_us;
	struct mono admitted;
	bool is_home;
	bool is_not_ideal;
};

/**
 * relay_frames_input(): frames of an admitted client.
 * @ret_consumed: whole frames, and what could be skipped.
 *
 * Returns 0, or -DT_ERR_PEER_PROTOCOL or -DT_ERR_TOO_LONG: close.
 */
int relay_frames_input(struct relay_client *cl, const uint8_t *p, size_t len,
    struct mono now, size_t *ret_consumed);

/** relay_frames_put_gone(): tell @cl that @key is gone; was it queued? */
bool relay_frames_put_gone(struct relay_client *cl, const struct key32 *key,
    uint8_t reason, struct mono now);

#endif
