/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One local byte stream (a TCP socket, or stdin and stdout) and the lanes that
 * carry it.  Both directions keep their own end: half-close passes through.
 */
#ifndef HELPERS_SESSION_SPLICE_H
#define HELPERS_SESSION_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fifo.h"
#include "lib/mono.h"
#include "lib/queue.h"
#include "proto/tunnel/lane_table.h"
#include "proto/tunnel/stripe_rx.h"
#include "proto/tunnel/stripe_tx.h"

struct lane;
struct loop_io;
struct session;

enum splice_state {
	SPLICE_PARKED,    /* claimer: has its descriptor, waits for lanes */
	SPLICE_GATHERING, /* listener: lanes are missing */
	SPLICE_DIALING,   /* listener: waits for the backend */
	SPLICE_RUNNING,
};

/* Longest frame written through tail[]: a read that just fits a page. */
#define SPLICE_TAIL 4096

/* Owner: the session's list.  Freed in splice_settle() only, at turn end. */
struct splice {
	struct session *s;
	uint32_t id; /* in DIAL */
	enum splice_state state;

	/* Local side.  in is what we read; the same as out for a socket. */
	int fd_in;
	int fd_out;
	bool is_socket;
	struct loop_io *io_in;
	struct loop_io *io_out; /* NULL for a socket: io_in does both */
	struct fifo out;        /* from the peer, not yet written */

	/* To the peer. */
	bool in_end;     /* nothing more is read: FIN queued, or given up */
	bool in_blocked; /* the stream is full; waits for stream_writable */
	struct stripe_tx tx;
	uint8_t *tail; /* framed: what did not fit a span; lazily made */
	size_t tail_len;
	size_t tail_off;

	/* From the peer. */
	bool out_end;  /* it sent its FIN */
	bool out_cut;  /* its stream broke; what came is still written */
	bool out_dead; /* the local side takes no more */
	bool out_shut; /* local writing side is closed */
	bool out_full; /* it took no more: not tried again in this turn */

	/* Lanes; entries are NULL until they come and after they ended. */
	bool framed;
	size_t n_lanes;
	size_t n_live;
	struct lane **lanes;
	struct stripe_rx *rx;
	struct lane_group group;
	bool in_table;

	bool aborted;
	int result; /* 0, or why it did not end well: -DT_ERR_*, -errno */
	struct mono progress; /* when bytes last left for the local side */
	uint64_t bytes_in;    /* from the peer */
	uint64_t bytes_out;   /* to the peer */

	bool dirty;
	TAILQ_ENTRY(splice) dirty_link;
	TAILQ_ENTRY(splice) link; /* of the session, or of parked ones */
	bool is_parked;
};

/**
 * splice_new(): listed by the session, without descriptors or lanes.
 * @n_lanes: 1 .. 255; @framed: lanes carry striped framing.
 * Returns NULL when memory or the session's room is out.
 */
struct splice *splice_new(struct session *s, size_t n_lanes, bool framed);

/**
 * splice_set_fds(): the local side; owned by the splice from now on, also on
 * failure.  @fd_out: -1 when @fd_in is a socket for both.  0 or -ENOMEM.
 */
int splice_set_fds(struct splice *sp, int fd_in, int fd_out);

/** splice_join(): lane @index is there. */
void splice_join(struct splice *sp, struct lane *l, size_t index);

/** splice_run(): descriptors and lanes are there: start copying. */
void splice_run(struct splice *sp);

/* From QUIC. */
void splice_input(
    struct splice *sp, struct lane *l, const uint8_t *p, size_t len, bool fin);
void splice_writable(struct splice *sp);
void splice_reset(struct splice *sp, unsigned code);
void splice_stopped(struct splice *sp);
void splice_lane_closed(struct splice *sp, struct lane *l, bool clean);

/** splice_abort(): give up both sides.  @code goes to the peer; @result is
 * kept.  The splice is gone after this turn. */
void splice_abort(struct splice *sp, unsigned code, int result);

/** splice_touch(): settle it at the end of this turn. */
void splice_touch(struct splice *sp);

/** splice_settle(): write, close what has ended, watch what has not.  May free
 * @sp.  Called at turn end only. */
void splice_settle(struct splice *sp);

/** splice_is_draining(): are there bytes of the peer that the local side has
 * yet to take? */
bool splice_is_draining(const struct splice *sp);

#endif
