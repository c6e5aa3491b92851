/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every worker process shares: its order of birth, its two channels and
 * its end.  The program supplies what happens in between.
 *
 * Order of birth: prepare() starts libraries -> rlimits, no new privileges,
 * Landlock, seccomp -> read the boot message from fd 3 (nothing else is trusted
 * to exist) -> boot() -> BORN -> the loop, where the first untrusted byte is
 * read.  All that comes before the boot message can be done before there is
 * anything to do: see daemon/worker_spare.h.  A program without prepare() is
 * confined after boot() instead.
 */
#ifndef HELPERS_WORKER_WORKER_H
#define HELPERS_WORKER_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/loop.h"
#include "lib/sandbox.h"
#include "proto/ipc/ipc.h"

struct worker;

struct worker_params {
	const char *name; /* for logs, e.g. "gate" */
	enum ipc_role role;
	enum ipc_type boot_type;
	const struct sandbox_profile *profile;

	/*
	 * Optional.  Before confinement, knowing nothing: initialise libraries,
	 * above all those that open files.  Returns 0 or an error
	 * (EXIT_WORKER_BOOT).
	 */
	int (*prepare)(void *arg);
	/*
	 * Optional, with prepare() only.  Confined, while nobody waits: the
	 * boot message has not come.  Do what is slow when done for the first
	 * time.
	 */
	void (*rehearse)(void *arg);
	/*
	 * Decode the boot message, make keys.  fds: set an entry to -1 to keep
	 * it.  Not yet allowed: sending anything but logs.  Returns 0 or an
	 * error (EXIT_WORKER_BOOT).
	 */
	int (*boot)(void *arg, struct worker *w, uint32_t session,
	    struct buf_reader *body, int *fds, size_t n_fds);
	/* Confined, the loop about to run: start timers, send first packets. */
	int (*start)(void *arg, struct mono now);
	/* A permitted control message other than boot and STOP.  Returns 0, or
	 * an error: the process exits EXIT_WORKER_IPC. */
	int (*message)(void *arg, const struct ipc_header *header,
	    struct buf_reader *body, int *fds, size_t n_fds, struct mono now);
	/* A batch of relayed packets.  Returns 0, or an error as above. */
	int (*packets)(void *arg, struct buf_reader *batch, struct mono now);
	/* Optional: packets can be sent again after a worker_send_packets()
	 * that failed with -DT_ERR_FULL. */
	void (*packets_writable)(void *arg, struct mono now);
	/* STOP came: finish what protects the peer, then worker_end(). */
	void (*stop)(void *arg, int code, const char *text, struct mono now);
	void *arg;
};

/**
 * worker_main(): the whole life of a worker process.
 *
 * Returns the exit status, enum worker_exit.  EOF on fd 3 ends it at once.
 */
int worker_main(const struct worker_params *p);

struct loop *worker_loop(struct worker *w);

/** worker_set_verbose(): whether debug lines leave; off at birth. */
void worker_set_verbose(struct worker *w, bool verbose);

/**
 * worker_send(): send a control message started with ipc_begin().
 * @fd: a descriptor to hand over, or -1; ownership moves on success.
 *
 * Returns 0, the writer's error, or as chan_send().
 */
int worker_send(struct worker *w, const struct buf_writer *msg, int fd);
/** worker_session(): the id to put into headers. */
uint32_t worker_session(const struct worker *w);

/** worker_send_packets(): send one batch.  0, -DT_ERR_FULL, -DT_ERR_CLOSED. */
int worker_send_packets(struct worker *w, const void *batch, size_t len);
/** worker_packets_queued(): bytes accepted but not yet taken by the daemon. */
size_t worker_packets_queued(const struct worker *w);

/**
 * worker_end(): last words; worker_main() returns after this turn.
 * @code: 0, or why.  @text: for people, already escaped.
 */
void worker_end(struct worker *w, int code, const char *text);

#endif
