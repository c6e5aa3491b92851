/* SPDX-License-Identifier: BSD-3-Clause */
/* The local TCP port of `open`. */
#ifndef CLIENT_LISTENER_H
#define CLIENT_LISTENER_H

#include "client/cli_target.h"

/**
 * listener_bind(): bind, so that errors come early, but not listen.
 * @at: empty host: all addresses, of both families where the system has them.
 * @ret_fd: close-on-exec, non-blocking socket of the caller's.
 * @ret_addr: what it is bound to.
 *
 * Returns 0, -DT_ERR_RESOLVE or -errno.
 */
int listener_bind(
    const struct cli_target *at, int *ret_fd, struct addr *ret_addr);

/** listener_start(): 0 or -errno. */
int listener_start(int fd);

#endif
