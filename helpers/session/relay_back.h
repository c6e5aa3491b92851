/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The daemon's connection to the relay was lost and stands again: what waits
 * for a timer is not to wait on.
 */
#ifndef HELPERS_SESSION_RELAY_BACK_H
#define HELPERS_SESSION_RELAY_BACK_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/mono.h"

struct session;

/* Embedded in the session; all 0: nothing to do. */
struct relay_back {
	unsigned left;      /* pings */
	struct mono next;   /* while left > 0 */
	int64_t wait_us;    /* after it */
	uint64_t n_genuine; /* of the session's QUIC, at the beginning */
};

/** relay_back_handle(): RELAY_BACK came.  0 or -DT_ERR_IPC. */
int relay_back_handle(struct session *s, struct buf_reader *body);
/** relay_back_run(): once per turn. */
void relay_back_run(struct session *s);
struct mono relay_back_next_deadline(const struct session *s);

#endif
