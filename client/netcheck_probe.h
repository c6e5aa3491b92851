/* SPDX-License-Identifier: BSD-3-Clause */
/* Asks STUN servers over IPv4, all at once. */
#ifndef CLIENT_NETCHECK_PROBE_H
#define CLIENT_NETCHECK_PROBE_H

#include <stddef.h>
#include <stdint.h>

#include "client/netcheck_report.h"

/* Twice what the sibling tools ask. */
#define NETCHECK_PROBE_MAX_SERVERS 8
/* Questions from a port of their own each, besides the one per server. */
#define NETCHECK_PROBE_FRESH 3
#define NETCHECK_PROBE_MAX_ROWS                                                \
	(NETCHECK_PROBE_MAX_SERVERS + NETCHECK_PROBE_FRESH)

struct netcheck_probe_params {
	const char *const *servers; /* HOST:PORT; 1 to MAX_SERVERS */
	size_t n_servers;
	int64_t timeout_us;
};

/** netcheck_probe_check(): 0 if @server is a name or IPv4 address and a port,
 * else -DT_ERR_SYNTAX. */
int netcheck_probe_check(const char *server);

/**
 * netcheck_probe_run(): returns when all have answered or failed, when nothing
 * more can be learnt, or at the end of the time; blocks until then.
 * @ret_rows: one per server, asked from one port, in the given order; then the
 *            FRESH ones, which ask the first server, or another while the first
 *            is silent.  They borrow from @params.
 *
 * Returns 0, the number of the signal (INT or TERM) that ended it early, or
 * -ENOMEM.
 */
int netcheck_probe_run(const struct netcheck_probe_params *params,
    struct netcheck_row ret_rows[static NETCHECK_PROBE_MAX_ROWS],
    size_t *ret_n);

#endif
