/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The claimer's local side: accepts connections, or takes stdin and stdout, and
 * parks them until the tunnel has lanes for them.
 */
#ifndef HELPERS_SESSION_LOCAL_H
#define HELPERS_SESSION_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/mono.h"

struct loop_io;
struct session;
struct splice;

/* Accepted but not yet carried; then the listener's own queue fills. */
#define LOCAL_MAX_PARKED 128

/* Owner: the session. */
struct local {
	int listen_fd;
	struct loop_io *listen_io;
	struct mono retry_at; /* descriptors were out: accept again then */
	size_t n_parked;
	struct splice *stdio; /* one_stream; NULL after its end */
	bool had_stdio;
};

void local_init(struct local *l);
void local_fini(struct session *s);

/** local_listen(): accept from @fd, owned from now on.  Replaces an earlier
 * listener.  0 or -ENOMEM (closed). */
int local_listen(struct session *s, int fd);

/** local_stdio(): the one stream; descriptors owned from now on.
 * @fd_out: -1 when @fd_in is a socket for both directions. */
int local_stdio(struct session *s, int fd_in, int fd_out);

/** local_resume(): lanes may be there for parked ones. */
void local_resume(struct session *s);

/** local_gone(): a splice ends, parked or not. */
void local_gone(struct session *s, struct splice *sp);

/** local_run(): watch the listener when there is room. */
void local_run(struct session *s);
struct mono local_next_deadline(const struct session *s);

#endif
