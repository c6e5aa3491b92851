/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Connects to the shared service: in this process, so with the caller's rights
 * and in the caller's network namespace.
 */
#ifndef CLIENT_DIALER_H
#define CLIENT_DIALER_H

#include "client/cli_target.h"
#include "lib/loop.h"

/* From the request to the connected socket, names included. */
#define DIALER_LIMIT_US (10 * MONO_SEC)

struct dialer;
struct dial;

/**
 * dialer_new(): NULL when memory is out.
 * @target: copied.
 */
struct dialer *dialer_new(struct loop *l, const struct cli_target *target);
/** dialer_free(): connections under way are given up without a callback. */
void dialer_free(struct dialer *d);

/**
 * dialer_dial(): try all addresses, one after the other.
 * @cb: called once, never before this returned: r 0 and a connected,
 *      non-blocking socket that is the callee's then, or a negative error.
 *
 * Returns 0 or -ENOMEM (no callback).
 */
int dialer_dial(
    struct dialer *d, void (*cb)(void *arg, int r, int fd), void *arg);

/** dialer_cancel_args(): call @drop with the arg of every dial under way. */
void dialer_cancel_args(struct dialer *d, void (*drop)(void *arg));

#endif
