/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Worker processes: birth, the two channels, the judgement of what they send,
 * and death.  Knows no session and no endpoint.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/worker_pool.h"
#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/secret.h"
#include "proto/ipc/ipc.h"
#include "proto/ipc/ipc_body.h"

struct worker;

/* From fork until BORN; a worker needs a few milliseconds. */
#define WORKER_BIRTH_US (5 * MONO_SEC)
/* From STOP until SIGKILL. */
#define WORKER_GRACE_US (1 * MONO_SEC)
/* Relayed packets waiting for a worker. */
#define WORKER_MAX_PACKETS ((size_t)1024 * 1024)
/* Workers at the same time: sessions and their gates. */
#define WORKER_MAX 320

/* Largest body of worker_send(); boot messages are larger. */
#define WORKER_MAX_SENT 2048

/* Descriptors that go with a message. */
struct worker_fds {
	int fd[FD_MAX_PASSED];
	size_t n;
};

struct worker_params {
	enum ipc_role role;
	uint32_t id; /* of the session or endpoint, for messages and logs */
	const void *boot; /* the whole boot message; borrowed */
	size_t boot_len;
	int boot_fd; /* rides on it, or -1; moves to the worker on success */
	/* Confined and ready. */
	void (*born)(void *arg, struct mono now);
	/*
	 * A message that the table permits, except LOG, BORN and ENDED.  fds as
	 * in chan.h.  Returns 0; anything else is a violation.
	 */
	int (*message)(void *arg, const struct ipc_header *h,
	    struct buf_reader *body, int *fds, size_t n_fds, struct mono now);
	/* A packet for the relay.  @key: destination from a gate, else NULL. */
	void (*packet)(
	    void *arg, const struct key32 *key, const uint8_t *p, size_t len);
	/*
	 * Reaped, and everything it wrote was read.  Called exactly once unless
	 * worker_abandon() came first; the pointer is dead afterwards.
	 * @code: 0 (clean, asked for) or negative; @text: static or borrowed.
	 */
	void (*gone)(void *arg, int code, const char *text, struct mono now);
	void *arg;
};

/** worker_new(): fork and exec, or take the one prepared.  Returns 0, -errno,
 * -DT_ERR_LIMIT. */
int worker_new(struct worker_pool *pool, const struct worker_params *p,
    struct worker **ret_worker);

/**
 * worker_send(): a control message.
 * @body: @len bytes as written by ipc_put_*().
 * @fd: rides along, or -1; moves to the worker's channel (closed on failure).
 *
 * Returns 0 or a negative error, after which the worker is at its end.
 */
int worker_send(struct worker *w, enum ipc_type type, uint32_t seq,
    const void *body, size_t len, int fd);
/** worker_send_fds(): worker_send() with several descriptors. */
int worker_send_fds(struct worker *w, enum ipc_type type, uint32_t seq,
    const void *body, size_t len, struct worker_fds *fds);
/** worker_next_seq(): number for a request of ours. */
uint32_t worker_next_seq(struct worker *w);

/**
 * worker_packet(): a relayed packet for the worker, batched until
 * worker_pool_flush(); dropped when it does not keep up.
 * @key: sender, for gates; NULL for sessions.
 */
void worker_packet(
    struct worker *w, const struct key32 *key, const uint8_t *p, size_t len);
/** worker_pause(): stop reading its packets, for back-pressure. */
void worker_pause(struct worker *w, bool paused);

/** worker_stop(): ask it to end; gone() follows within WORKER_GRACE_US or so.
 * May be called again. */
void worker_stop(struct worker *w, int code, const char *text);
/** worker_abandon(): worker_stop(), and no callback ever again.  NULL: fine. */
void worker_abandon(struct worker *w);
/** worker_kill(): a violation found by the owner; gone() follows. */
void worker_kill(struct worker *w, const char *why);

bool worker_is_born(const struct worker *w);
pid_t worker_pid(const struct worker *w);
/** worker_dropped(): packets that it did not take in time. */
size_t worker_dropped(const struct worker *w);

#endif
