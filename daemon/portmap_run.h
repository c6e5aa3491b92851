/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One derptun-portmap: a worker for one gateway and one address of ours towards
 * it.  Makes the sockets it asks for, and none that lead elsewhere.
 */
#ifndef DAEMON_PORTMAP_RUN_H
#define DAEMON_PORTMAP_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/worker.h"
#include "lib/addr.h"
#include "lib/loop.h"
#include "lib/queue.h"
#include "lib/ratelimit.h"
#include "proto/ipc/ipc_portmap.h"

/* Connections being made at the same time; the worker needs one. */
#define PORTMAP_RUN_MAX_DIALS 2
/* Connections a second, and at once: removing the mappings of all sessions
 * takes one each. */
#define PORTMAP_RUN_DIAL_RATE 4
#define PORTMAP_RUN_DIAL_BURST 256
/* Less than what the worker waits for its answer. */
#define PORTMAP_RUN_DIAL_US (2 * MONO_SEC)

/* A connection being made.  fd -1: free. */
struct portmap_dial {
	struct portmap_run *run;
	int fd;
	uint32_t seq;
	struct loop_io *io;
	struct loop_timer *timer;
};

struct portmap_run;
LIST_HEAD(portmap_runs, portmap_run);

struct portmap_run_params {
	struct loop *loop;
	struct worker_pool *workers;
	struct portmap_runs *runs; /* where it is kept until its worker ended */
	struct addr gateway;       /* IPv4, port 0 */
	/* Requests can be sent from now on. */
	void (*born)(void *arg);
	/* What became of a mapping. */
	void (*mapped)(void *arg, const struct ipc_mapped *m);
	/* The worker is gone, though not asked to; the run goes with it. */
	void (*gone)(void *arg, int code, const char *text, struct mono now);
	void *arg;
};

/* Owner: itself; it goes when its worker is gone, or is discarded. */
struct portmap_run {
	LIST_ENTRY(portmap_run) entry;
	struct portmap_run_params p;
	struct addr local;
	struct worker *worker;
	bool stopping; /* its owner has forgotten it */
	unsigned n_ssdp;
	struct ratelimit dials_left;
	struct portmap_dial dials[PORTMAP_RUN_MAX_DIALS];
};

/**
 * portmap_run_new(): start it.
 *
 * Returns 0, -errno (no way to the gateway), or as worker_new().
 */
int portmap_run_new(
    const struct portmap_run_params *p, struct portmap_run **ret_run);

/** portmap_run_local(): our address towards the gateway, port 0. */
const struct addr *portmap_run_local(const struct portmap_run *r);
/** portmap_run_find_local(): the same for any gateway, as the routes are now.
 * 0 or -errno. */
int portmap_run_find_local(const struct addr *gateway, struct addr *ret_local);

/** portmap_run_is_born(): between born and the end. */
bool portmap_run_is_born(const struct portmap_run *r);
/** portmap_run_request(), portmap_run_release(): only when born. */
void portmap_run_request(
    struct portmap_run *r, const struct ipc_map_request *m);
void portmap_run_release(struct portmap_run *r, uint16_t port);

/** portmap_run_stop(): remove all mappings and end; nobody is called back.  It
 * goes on making connections until it has. */
void portmap_run_stop(struct portmap_run *r);
/** portmap_run_discard(): ends it without waiting; the run is freed at once. */
void portmap_run_discard(struct portmap_run *r);

#endif
