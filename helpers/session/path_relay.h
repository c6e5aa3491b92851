/* SPDX-License-Identifier: BSD-3-Clause */
/* The relayed path: datagrams packed into batches for the daemon. */
#ifndef HELPERS_SESSION_PATH_RELAY_H
#define HELPERS_SESSION_PATH_RELAY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "proto/path/path.h"
#include "proto/quic/quic_params.h"

struct worker;

/* TCP carries it, so only the peer limits the size of a datagram: Go takes
 * 1452 bytes, ours this much.  Few large ones cost less than many small. */
#define PATH_RELAY_PAYLOAD QUIC_ENDPOINT_MAX_PAYLOAD

/* Owner: the session. */
struct path_relay {
	struct path path;
	struct worker *worker;
	uint8_t *out; /* one batch being packed */
};

/** path_relay_init(): 0 or -ENOMEM. */
int path_relay_init(struct path_relay *r, struct worker *w);
void path_relay_fini(struct path_relay *r);

/** path_relay_send_one(): a packet that is no QUIC datagram (envelopes); lost
 * without a word when the queue is full, its sender repeats it. */
void path_relay_send_one(struct path_relay *r, const void *p, size_t len);

#endif
