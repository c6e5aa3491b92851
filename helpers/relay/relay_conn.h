/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One accepted TCP connection: socket, TLS if there is any, what was read and
 * not yet consumed, what is queued for writing, and the death of a receiver
 * that does not read.  What the bytes mean is the business of `input`.
 *
 * Nothing is freed while callbacks run: relay_conn_kill() only marks, and
 * relay_conn_turn_end() frees.
 */
#ifndef HELPERS_RELAY_RELAY_CONN_H
#define HELPERS_RELAY_RELAY_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "helpers/relay/relay.h"
#include "lib/addr.h"
#include "lib/fifo.h"
#include "proto/tls/tls.h"

/* How often a blocked receiver is looked at, and how many looks in a row may
 * find that it took nothing: it is cut off after 2 to 3 s. */
#define RELAY_CONN_LOOK_US (500 * MONO_MS)
#define RELAY_CONN_STALL_LOOKS 5

/* Bytes asked for in one read until a peer turns out to be busy. */
#define RELAY_CONN_READ_IDLE ((size_t)8 * 1024)
/* Plain HTTP: bytes handed to the socket ahead, passed by one frame at most. */
#define RELAY_CONN_MAX_OUTPUT ((size_t)256 * 1024)

enum relay_conn_mode {
	RELAY_CONN_OPEN,   /* reading and writing */
	RELAY_CONN_FINISH, /* writes what is queued, ignores what comes */
	RELAY_CONN_LINGER, /* said goodbye, waits for the peer's end of file */
	RELAY_CONN_DEAD,   /* in relay->dead */
};

struct relay_conn_ops {
	/*
	 * Bytes came.  Sets *ret_consumed (the rest comes again, with more
	 * behind it).  Returns 0, or negative to kill the connection.
	 */
	int (*input)(struct relay_conn *c, const uint8_t *p, size_t len,
	    struct mono now, size_t *ret_consumed);
	/* The last call: free the struct that embeds @c. */
	void (*closed)(struct relay_conn *c);
};

/* Owner: the struct that embeds it, freed by ops->closed. */
struct relay_conn {
	TAILQ_ENTRY(relay_conn) in_all;
	TAILQ_ENTRY(relay_conn) in_handshakes;
	TAILQ_ENTRY(relay_conn) in_dirty; /* or in dead */
	struct relay *relay;
	const struct relay_conn_ops *ops;
	enum relay_conn_mode mode;
	bool is_handshake;  /* in relay->handshakes */
	bool is_dirty;      /* in relay->dirty */
	bool is_blocked;    /* the socket takes no more */
	bool is_waiting;    /* LOOP_WRITE is asked for, and stall runs */
	bool is_turn_disco; /* whose turn it is, of disco and data */
	bool has_write_error;
	bool has_pong; /* one waits in control */
	int fd;
	struct addr remote;
	struct loop_io *io;
	struct loop_timer *stall;
	struct tls *tls; /* NULL: plain HTTP */
	struct fifo in;  /* plaintext not consumed */
	struct fifo out; /* plain HTTP only: bytes for the socket */
	size_t read_size;
	size_t counted; /* our share of relay->handshake_bytes */
	size_t ignored; /* bytes read while finishing */
	struct relay_queue control;
	struct relay_queue disco;
	struct relay_queue data;
	unsigned idle_looks; /* in a row that found no progress */
	uint64_t acked;      /* bytes acknowledged at the last look */
};

/**
 * relay_conn_start(): take over an accepted socket.
 * @c: zeroed.
 * @fd: non-blocking, options set; owned by @c on success only.
 *
 * Returns 0 or -ENOMEM (nothing to undo but @fd and @c's memory).
 */
int relay_conn_start(struct relay_conn *c, struct relay *relay, int fd,
    const struct addr *remote, const struct relay_conn_ops *ops);

/** relay_conn_admit(): the handshake is over. */
void relay_conn_admit(struct relay_conn *c);

/**
 * relay_conn_put_packet(): queue a packet for this receiver, dropping its
 * oldest ones if they fill the queue.  Never fails, never blocks: what cannot
 * be kept is counted as dropped.
 */
void relay_conn_put_packet(struct relay_conn *c, const struct key32 *src,
    const uint8_t *data, size_t len, struct mono now);

/**
 * relay_conn_put_control(): queue bytes of our own, whole frames or HTTP text;
 * they go before packets and in order.
 * @len: 5 .. RELAY_QUEUE_BLOCK.
 *
 * Returns 0, -DT_ERR_FULL, -DT_ERR_CLOSED or -ENOMEM.
 */
int relay_conn_put_control(
    struct relay_conn *c, const void *p, size_t len, struct mono now);

/** relay_conn_mark_dirty(): flush this one at the turn's end. */
void relay_conn_mark_dirty(struct relay_conn *c);

/**
 * relay_conn_put_pong(): the same for a Pong, of which only one waits at a
 * time: -DT_ERR_FULL while one does.
 */
int relay_conn_put_pong(
    struct relay_conn *c, const void *p, size_t len, struct mono now);

/** relay_conn_finish(): write what is queued, then close properly. */
void relay_conn_finish(struct relay_conn *c);

/** relay_conn_kill(): close at the end of this turn. */
void relay_conn_kill(struct relay_conn *c);

/** relay_conn_turn_end(): write what was queued and free what was killed. */
void relay_conn_turn_end(struct relay *relay, struct mono now);

/** relay_conn_kill_all(): close and free every connection now. */
void relay_conn_kill_all(struct relay *relay, struct mono now);

#endif
