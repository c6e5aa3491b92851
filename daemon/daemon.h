/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the daemon share, and how it begins and ends. */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/worker_spawn.h"
#include "lib/loop.h"
#include "lib/queue.h"

struct ctl;
struct endpoint;
struct portmap;
struct netif;
struct relay_map_source;
struct relay_pool;
struct session;
struct worker_pool;

/* Objects of all callers, and of one (root and our own uid excepted).  Lists of
 * them must fit a line of 64 KiB. */
#define DAEMON_MAX_SESSIONS 128
#define DAEMON_MAX_ENDPOINTS 48
#define DAEMON_MAX_SESSIONS_PER_UID 64
#define DAEMON_MAX_ENDPOINTS_PER_UID 16
/* An orderly stop takes no longer, whatever hangs. */
#define DAEMON_STOP_US (3 * MONO_SEC)

struct daemon_config {
	struct worker_programs programs; /* what workers are started from */
	const char *cache_dir;           /* or "" */
	const char *socket_path;         /* to remove at the end, or NULL */
	int listen_fd;
	int64_t idle_exit_us; /* 0: never */
	bool system;          /* serves other users than our own */
	bool verbose;
	bool no_port_mapping;
};

LIST_HEAD(daemon_endpoints, endpoint);
LIST_HEAD(daemon_sessions, session);

/* One per process, owned by main(). */
struct daemon {
	const struct daemon_config *config;
	struct loop *loop;
	struct ctl *ctl;
	struct worker_pool *workers;
	struct relay_pool *relays;
	struct relay_map_source *maps;
	struct portmap *portmap;
	struct netif *netif;
	struct loop_timer
	    *end_timer; /* idle exit, then the limit of stopping */
	struct loop_signal *signals[2];
	struct daemon_endpoints endpoints;
	struct daemon_sessions sessions;
	/* Ended in this turn, freed at its end: they may be on the stack. */
	struct daemon_endpoints dead_endpoints;
	struct daemon_sessions dead_sessions;
	struct mono started;
	uint32_t last_id;
	uint64_t netns; /* inode of our network namespace */
	uid_t uid;
	bool stopping;
	bool idle;     /* since end_timer was armed */
	size_t stuck;  /* after daemon_fini(): as closer_fini() */
	bool unlinked; /* our socket; what is there now is somebody else's */
};

/** daemon_init(): everything but the confinement.  0 or a negative error. */
int daemon_init(struct daemon *d, const struct daemon_config *config);
void daemon_fini(struct daemon *d);

/** daemon_stop(): end all objects in order, then the loop. */
void daemon_stop(struct daemon *d, const char *why);
/** daemon_owner_gone(): end the objects of a control connection. */
void daemon_owner_gone(struct daemon *d, uint32_t conn);
/** daemon_next_id(): ids of sessions and endpoints are never used twice. */
uint32_t daemon_next_id(struct daemon *d);
size_t daemon_count_sessions(const struct daemon *d);
size_t daemon_count_endpoints(const struct daemon *d);

/** daemon_may_add(): is there room for one more session of @uid? */
bool daemon_may_add(const struct daemon *d, uid_t uid);
/** daemon_may_serve(): is there room for one more endpoint of @uid? */
bool daemon_may_serve(const struct daemon *d, uid_t uid);

#endif
