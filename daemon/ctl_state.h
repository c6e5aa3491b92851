/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by ctl.c, ctl_ask.c and ctl_event.c only. */
#ifndef DAEMON_CTL_STATE_H
#define DAEMON_CTL_STATE_H

#include <sys/resource.h>

#include "daemon/ctl.h"
#include "lib/linechan.h"
#include "lib/queue.h"
#include "proto/rpc/rpc.h"

/* One question to a caller.  Owner: its connection. */
struct ctl_ask {
	LIST_ENTRY(ctl_ask) entry;
	int64_t id;
	enum ctl_ask_kind kind;
	uint32_t session;
	uint32_t connection; /* DIAL */
	struct mono deadline;
};

/* Owner: the list of ctl. */
struct ctl_conn {
	LIST_ENTRY(ctl_conn) entry;
	struct ctl *ctl;
	uint32_t id;
	uid_t uid;
	pid_t pid;
	struct linechan *line;
	unsigned late; /* requests not answered yet */
	bool subscribed;
	uint32_t subscribed_to; /* session, or 0: all */
	bool closing;
	/* The newest event of one session, waiting beside the queue; or NULL */
	char *newest;
	size_t newest_len;
	uint32_t newest_of;
	int64_t last_ask;
	size_t n_asks;
	LIST_HEAD(ctl_ask_list, ctl_ask) asks;
};

struct ctl {
	struct daemon *daemon;
	int listen_fd;
	rlim_t max_fd; /* descriptors of connections are below */
	struct loop_io *io;
	struct loop_timer *ask_timer;
	struct loop_timer *accept_timer;
	uint32_t last_id;
	size_t count;
	LIST_HEAD(ctl_conn_list, ctl_conn) conns;
};

/** ctl_find(): a connection by id, or NULL. */
struct ctl_conn *ctl_find(struct ctl *c, uint32_t id);
/** ctl_put_line(): send and free @line; NULL (no memory, or too long) and a
 * full queue end the connection. */
void ctl_put_line(struct ctl_conn *k, char *line, size_t len);

/** ctl_give_up(): one that does not read is shut from our side, in its own
 * turn. */
void ctl_give_up(struct ctl_conn *k, const char *why);

/** ctl_event_sent(): something left; was it the last that waited? */
void ctl_event_sent(struct ctl_conn *k);
/** ctl_event_forget(): what waits beside the queue. */
void ctl_event_forget(struct ctl_conn *k);

/** ctl_ask_timer(): for ctl_new(). */
struct loop_timer *ctl_ask_timer(struct ctl *c);
/** ctl_ask_response(): the answer to one; takes a descriptor it uses. */
void ctl_ask_response(
    struct ctl_conn *k, const struct rpc_message *m, int *fds, size_t n_fds);
/** ctl_ask_drop_all(): the connection is gone. */
void ctl_ask_drop_all(struct ctl_conn *k);

#endif
