/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How many bytes a receiver lets pile up in front of a slow output.  A flow A
 * sender of v0.18.2 gives up 5 s after it handed its last byte to QUIC, so what
 * is under way must be written within less; and memory stays flat.  Pure.
 *
 * The caller returns stream credit only while
 *	received - written < transfer_window_limit()
 * and gives QUIC a connection window of transfer_window_limit() at the start.
 * Without a flow A sender of v0.18.2 in sight it is a fine rule, too.
 */
#ifndef PROTO_TRANSFER_TRANSFER_WINDOW_H
#define PROTO_TRANSFER_TRANSFER_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mono.h"

/* Unasked credit: under 5 s of an output of 110 kB/s.  It doubles in each round
 * trip that fills it, so it does not slow a start down that is slow itself. */
#define TRANSFER_WINDOW_FIRST ((int64_t)512 << 10)
/* 5 s of an output of 13 kB/s. */
#define TRANSFER_WINDOW_LEAST ((int64_t)64 << 10)
/* 1.3 Gb/s at 200 ms. */
#define TRANSFER_WINDOW_MAX ((int64_t)32 << 20)
/* Backlog in time: less than the 5 s by a margin for the network. */
#define TRANSFER_WINDOW_US (2 * MONO_SEC)

/* Owner: the embedding struct.  Invariant: written <= received. */
struct transfer_window {
	int64_t received;
	int64_t written;
	int64_t limit;
	int64_t least;          /* never below */
	struct mono busy_since; /* NEVER while nothing waits for the output */
	int64_t busy_us;        /* of the present sample */
	int64_t busy_bytes;     /* written in it */
};

/**
 * transfer_window_init():
 * @streams: what is striped over several needs room for a chunk of each,
 *           whatever the output does, or the wanted one could wait for credit.
 */
void transfer_window_init(struct transfer_window *w, unsigned streams);
/** transfer_window_received(): @n more bytes wait for the output. */
void transfer_window_received(
    struct transfer_window *w, int64_t n, struct mono now);
/** transfer_window_written(): @n of them were taken by it. */
void transfer_window_written(
    struct transfer_window *w, int64_t n, struct mono now);
/** transfer_window_limit(): bytes that may wait. */
int64_t transfer_window_limit(const struct transfer_window *w);

#endif
