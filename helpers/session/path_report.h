/* SPDX-License-Identifier: BSD-3-Clause */
/* Telling the daemon which way packets take, and why. */
#ifndef HELPERS_SESSION_PATH_REPORT_H
#define HELPERS_SESSION_PATH_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/mono.h"
#include "proto/ipc/ipc_network.h"

struct session;

/* Owner: the session. */
struct path_report {
	struct ipc_path now; /* kind 0: none yet */
	struct mono since;
	uint32_t switches;
	bool is_due;       /* `now` has not been told */
	struct mono quiet; /* nothing is told before */
};

/** path_report_set(): packets take this way from now on.  @peer: NULL for the
 * relay.  @reason: static words. */
void path_report_set(struct session *s, enum path_kind kind,
    const struct addr *peer, const char *reason);

/** path_report_explain(): answer EXPLAIN.  0 or -DT_ERR_IPC. */
int path_report_explain(
    struct session *s, uint32_t seq, struct buf_reader *body);

void path_report_run(struct session *s);
struct mono path_report_next_deadline(const struct session *s);

#endif
