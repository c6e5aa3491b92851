/* SPDX-License-Identifier: BSD-3-Clause */
/* The descriptor that takes the receiver's bytes, and those that wait for it.
 */
#ifndef HELPERS_SESSION_TRANSFER_SINK_H
#define HELPERS_SESSION_TRANSFER_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fifo.h"
#include "lib/loop.h"
#include "lib/mono.h"
#include "proto/transfer/transfer_policy.h"

/* Bytes that follow each other in the payload and wait. */
struct transfer_piece {
	struct fifo out;
	int64_t at;        /* payload offset of the first */
	struct mono since; /* it came */
};

/* Owner: struct transfer_rx. */
struct transfer_sink {
	int fd;             /* -1: not there yet, or done with */
	struct loop_io *io; /* unless positioned */
	bool is_there;
	bool positioned;
	bool sparse;     /* positioned; zeros need not be written */
	int64_t length;  /* sparse: the file's, by what was written */
	int64_t reached; /* sparse: and with the zeros left out */
	bool is_full;    /* it took less than it was given: watched */
	int64_t base;    /* positioned: where the payload begins in the file */
	size_t most;     /* positioned: what a piece may have before a write */
	struct transfer_piece pieces[TRANSFER_MAX_STREAMS];
	int64_t written;
};

void transfer_sink_init(struct transfer_sink *k);
void transfer_sink_fini(struct transfer_sink *k);

/** transfer_sink_set(): owned from now on.  0 or -ENOMEM.
 * @on_writable: it takes bytes again. */
int transfer_sink_set(struct transfer_sink *k, struct loop *l, int fd,
    bool positioned, int64_t offset,
    void (*on_writable)(void *arg, unsigned events, struct mono now),
    void *arg);

/** transfer_sink_share(): @n lanes bring bytes, whose pieces share a cache. */
void transfer_sink_share(struct transfer_sink *k, unsigned n);

/**
 * transfer_sink_put(): payload bytes, in order or, positioned, in any.
 * @lane: that brought them, 0 .. TRANSFER_MAX_STREAMS - 1: each has a piece of
 *        its own.  0 unless positioned.
 * @offset: of the payload.
 *
 * Returns 0, -ENOMEM, -DT_ERR_FULL, or what writing said.
 */
int transfer_sink_put(struct transfer_sink *k, unsigned lane, int64_t offset,
    const uint8_t *p, size_t len, struct mono now);

/** transfer_sink_held(): bytes that wait. */
size_t transfer_sink_held(const struct transfer_sink *k);

/** transfer_sink_flush(): write what waits, as far as it is taken now.
 * Returns 0 or -errno. */
int transfer_sink_flush(struct transfer_sink *k);

/** transfer_sink_end(): everything was flushed: give the file its length, if
 * zeros at its end were left out.  Returns 0 or -errno. */
int transfer_sink_end(struct transfer_sink *k);

/** transfer_sink_is_due(): is it worth a write? */
bool transfer_sink_is_due(const struct transfer_sink *k, struct mono now);
/** transfer_sink_next_deadline(): when it will be, if nothing more comes. */
struct mono transfer_sink_next_deadline(const struct transfer_sink *k);

#endif
