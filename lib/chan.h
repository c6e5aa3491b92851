/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A message channel between two processes: SOCK_SEQPACKET on the loop, with
 * descriptors, a bounded send queue and back-pressure.  Knows no protocol.
 */
#ifndef LIB_CHAN_H
#define LIB_CHAN_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/fd.h"
#include "lib/loop.h"

struct chan;

/* What happens when the send queue is full. */
enum chan_full {
	CHAN_FULL_FAILS,       /* chan_send() returns -DT_ERR_FULL */
	CHAN_FULL_DROPS_OLDEST /* the oldest queued message goes (packets) */
};

struct chan_params {
	struct loop *loop;
	int fd;             /* SEQPACKET socket; the channel owns it */
	size_t max_message; /* largest message received, bytes */
	size_t max_queued;  /* bytes waiting to be sent */
	enum chan_full full;
	/*
	 * A message came.  fds are the callee's to take: set an entry to -1 to
	 * keep that descriptor; the rest is closed afterwards.  The callee may
	 * free the channel.
	 */
	void (*on_message)(void *arg, const void *msg, size_t len, int *fds,
	    size_t n_fds, struct mono now);
	/* The peer is gone (r 0) or the channel broke (r < 0).  Called once, at
	 * most; free the channel now or later. */
	void (*on_closed)(void *arg, int r);
	/* Optional: the queue fell to half of max_queued or less after a send
	 * had returned -DT_ERR_FULL.  Nothing is said otherwise. */
	void (*on_writable)(void *arg, struct mono now);
	void *arg;
};

/** chan_new(): start watching.  NULL when memory is out (@fd stays open). */
struct chan *chan_new(const struct chan_params *p);
/** chan_free(): closes the descriptor and drops what is queued.  NULL is fine.
 */
void chan_free(struct chan *c);

/**
 * chan_send(): send now or queue a copy.
 * @fds: duplicated by the kernel or kept until sent: ownership of each moves to
 *       the channel on success.
 *
 * Returns 0, -DT_ERR_FULL, -DT_ERR_CLOSED, -EMSGSIZE.
 */
int chan_send(
    struct chan *c, const void *msg, size_t len, const int *fds, size_t n_fds);

/** chan_queued(): bytes waiting to be sent. */
size_t chan_queued(const struct chan *c);
/** chan_dropped(): messages dropped so far by CHAN_FULL_DROPS_OLDEST. */
size_t chan_dropped(const struct chan *c);
/** chan_pause(): stop (or go on) reading, for back-pressure. */
void chan_pause(struct chan *c, bool paused);
/** chan_flush(): try to send what is queued, blocking at most @timeout_ms.  For
 * last words before exit.  Returns 0 or -DT_ERR_TIMEOUT / -DT_ERR_CLOSED. */
int chan_flush(struct chan *c, int timeout_ms);

#endif
