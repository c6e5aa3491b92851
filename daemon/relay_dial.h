/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TCP to one host: resolve, then try its addresses, a new one every 250 ms or
 * as soon as one fails; the first to connect wins (after RFC 8305).
 */
#ifndef DAEMON_RELAY_DIAL_H
#define DAEMON_RELAY_DIAL_H

#include "daemon/relay_target.h"
#include "lib/loop.h"

struct relay_dial;

/* RFC 8305 section 5, recommended delay. */
#define RELAY_DIAL_STAGGER_US (250 * MONO_MS)
/* All of it, within the 10 s that a whole relay connect may take. */
#define RELAY_DIAL_LIMIT_US (8 * MONO_SEC)

/**
 * relay_dial_new(): begin.
 * @cb: called once, never before this returned: with a connected, non-blocking
 *      socket (the callee's) and r 0; or fd -1 and -DT_ERR_RESOLVE,
 *      -DT_ERR_TIMEOUT or the -errno of the last address.  The handle is gone
 *      when it runs.
 *
 * Returns NULL when memory is out.
 */
struct relay_dial *relay_dial_new(struct loop *loop,
    const struct relay_target *target, void (*cb)(void *arg, int r, int fd),
    void *arg);
/** relay_dial_cancel(): no callback.  NULL is fine. */
void relay_dial_cancel(struct relay_dial *d);

#endif
