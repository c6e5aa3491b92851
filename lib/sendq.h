/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages waiting for a socket that is full, with their descriptors: the
 * shared half of chan and linechan.
 */
#ifndef LIB_SENDQ_H
#define LIB_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fd.h"
#include "lib/mono.h"
#include "lib/queue.h"

/* Descriptors that may wait: who does not read must not use up ours. */
#define SENDQ_MAX_FDS 256

struct sendq_item {
	TAILQ_ENTRY(sendq_item) link;
	size_t len;  /* bytes in data */
	size_t sent; /* bytes already gone (stream sockets) */
	int fds[FD_MAX_PASSED];
	size_t n_fds;
	uint8_t data[];
};

/* Owner: the embedding channel.  bytes is the sum of all len - sent, n_fds that
 * of all n_fds. */
struct sendq {
	TAILQ_HEAD(sendq_head, sendq_item) items;
	size_t bytes;
	size_t n_fds;
	size_t max_bytes;
};

/** sendq_init(): an empty queue of at most @max_bytes. */
void sendq_init(struct sendq *q, size_t max_bytes);
/** sendq_fini(): drop all, closing their descriptors. */
void sendq_fini(struct sendq *q);

/**
 * sendq_push(): copy a message to the end.
 * @tail: one byte appended after @p, or -1 for none.
 * @fds: ownership moves on success.
 *
 * Returns 0, -DT_ERR_FULL (too many bytes or descriptors), -ENOMEM.
 */
int sendq_push(struct sendq *q, const void *p, size_t len, int tail,
    const int *fds, size_t n_fds);

/** sendq_drop_oldest(): forget the first message; false when empty. */
bool sendq_drop_oldest(struct sendq *q);

/* Between attempts when the kernel is short of memory. */
#define SENDQ_RETRY_US (10 * MONO_MS)

/** sendq_is_shortage(): does @r, of fd_send() or sendq_flush(), mean that the
 * kernel is short of memory for now?  The socket is writable all the same, so
 * there is nothing to wait for but SENDQ_RETRY_US. */
bool sendq_is_shortage(ssize_t r);

/**
 * sendq_flush(): send until empty or the socket is full.
 *
 * Returns 0 (look at sendq_empty()), or -errno: a shortage, or the socket
 * broke.
 */
int sendq_flush(struct sendq *q, int fd);

/** sendq_empty(): nothing waits. */
bool sendq_empty(const struct sendq *q);

#endif
