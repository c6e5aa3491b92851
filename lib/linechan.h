/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A line channel: UNIX stream socket on the loop that carries one message per
 * line, with descriptors attached to lines.  Knows no JSON.
 *
 * Descriptors travel with the first byte of their line and are queued in order
 * of arrival; linechan_take_fds() hands out as many as the line says it has.
 */
#ifndef LIB_LINECHAN_H
#define LIB_LINECHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/fd.h"
#include "lib/loop.h"

struct linechan;

struct linechan_params {
	struct loop *loop;
	int fd;            /* stream socket; the channel owns it */
	size_t max_line;   /* bytes, newline included */
	size_t max_queued; /* bytes waiting to be sent */
	/* One line came, without its newline, not NUL-terminated.  The callee
	 * may free the channel. */
	void (*on_line)(
	    void *arg, const char *line, size_t len, struct mono now);
	/* What waited was sent; may send more.  NULL: nobody cares. */
	void (*on_drained)(void *arg);
	/* The peer is gone (0), sent too long a line (-DT_ERR_TOO_LONG), or the
	 * socket broke.  Called at most once. */
	void (*on_closed)(void *arg, int r);
	/* Optional.  Descriptors have come, before anything is done with them;
	 * what is not 0 ends the channel. */
	int (*on_fds)(void *arg, const int *fds, size_t n);
	/* Optional.  May descriptors come in now?  If not and there are some,
	 * they stay in the socket, on_barred() gets what came with them, and
	 * nothing more is read: close the channel. */
	bool (*may_take)(void *arg);
	void (*on_barred)(void *arg, const char *text, size_t len);
	void *arg;
};

struct linechan *linechan_new(const struct linechan_params *p);
/** linechan_free(): closes the socket and all descriptors still queued. */
void linechan_free(struct linechan *c);

/**
 * linechan_send(): send now or queue a copy of @len bytes; a newline is added.
 * @fds: ownership of each moves to the channel on success.
 *
 * Returns 0, -DT_ERR_FULL (nothing taken), -DT_ERR_CLOSED.
 */
int linechan_send(struct linechan *c, const char *line, size_t len,
    const int *fds, size_t n_fds);

/**
 * linechan_take_fds(): the descriptors of the line being handled.
 * @n: how many the line says it has, 0 .. FD_MAX_PASSED.
 * @ret_fds: owned by the caller then.
 *
 * Returns 0, or -DT_ERR_SYNTAX when fewer have arrived (nothing is taken).
 */
int linechan_take_fds(struct linechan *c, size_t n, int *ret_fds);

/** linechan_queued(): bytes waiting to be sent. */
size_t linechan_queued(const struct linechan *c);
/** linechan_fd(): the socket, for SO_PEERCRED. */
int linechan_fd(const struct linechan *c);
/** linechan_close_when_sent(): no more reading; on_closed(0) when the queue is
 * empty or after @timeout_us. */
void linechan_close_when_sent(struct linechan *c, int64_t timeout_us);

#endif
