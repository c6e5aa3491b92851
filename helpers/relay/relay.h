/* SPDX-License-Identifier: BSD-3-Clause */
/* What all parts of one relay share. */
#ifndef HELPERS_RELAY_RELAY_H
#define HELPERS_RELAY_RELAY_H

#include <stddef.h>
#include <stdint.h>

#include "helpers/relay/relay_peers.h"
#include "helpers/relay/relay_queue.h"
#include "helpers/relay/relay_stats.h"
#include "lib/loop.h"
#include "lib/mono.h"
#include "lib/queue.h"
#include "lib/secret.h"
#include "proto/tls/tls_ctx.h"

struct relay_conn;
TAILQ_HEAD(relay_conns, relay_conn);

/* Plaintext of one read: the largest frame's rest and a big read behind it. */
#define RELAY_SCRATCH ((size_t)256 * 1024)

/* Bytes in one receiver's data queue: 4 ms at 1 Gb/s, 40 ms at 100 Mb/s. */
#define RELAY_MAX_QUEUE_BYTES ((size_t)512 * 1024)
/* Path discovery has a queue of its own, which bulk data cannot evict. */
#define RELAY_MAX_DISCO_PACKETS 32
#define RELAY_MAX_DISCO_BYTES ((size_t)128 * 1024)
/* Our own frames and HTTP answers for one connection. */
#define RELAY_MAX_CONTROL_BYTES ((size_t)64 * 1024)
/* Free blocks kept: 8 MiB, a burst over 16 full queues. */
#define RELAY_MAX_FREE_BLOCKS 170

/* Connections that have not said who they are.  Above it the oldest one goes;
 * so a flood must outrun the 10 s of the handshake to keep others out. */
#define RELAY_MAX_HANDSHAKES 1024
/* Bytes those may buffer in all: 64 times the largest ClientInfo. */
#define RELAY_MAX_HANDSHAKE_BYTES ((size_t)16 * 1024 * 1024)

/* Owner: main.  Everything in it outlives all connections. */
struct relay {
	struct loop *loop;
	struct tls_ctx *tls; /* NULL: plain HTTP */
	struct key32 private_key;
	struct key32 public_key;
	size_t max_clients;
	size_t queue_packets; /* data queue of each client */
	int64_t keepalive_us;
	struct mono started;

	struct relay_stats stats;
	struct relay_pool pool;
	struct relay_peers *peers;
	uint8_t *scratch; /* RELAY_SCRATCH bytes, one callback's use */

	struct relay_conns all;        /* every connection */
	struct relay_conns handshakes; /* not yet admitted, oldest first */
	struct relay_conns dirty;      /* something to write */
	struct relay_conns dead;       /* to be freed at the turn's end */
	size_t n_conns;
	size_t handshake_bytes; /* buffered by the ones in handshakes */
};

#endif
