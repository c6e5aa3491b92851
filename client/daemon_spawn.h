/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting the user's own daemon. */
#ifndef CLIENT_DAEMON_SPAWN_H
#define CLIENT_DAEMON_SPAWN_H

#include <signal.h>

#include "client/daemon_dir.h"

/**
 * daemon_spawn(): under a lock: connect if somebody else was faster, else bind
 * the socket, execute derptund with it and a log file, and wait for its hello.
 * @wait_mask: as of daemon_connect().
 *
 * Returns as daemon_find().
 */
int daemon_spawn(const struct daemon_dir *dir, const sigset_t *wait_mask,
    int *ret_fd, char *ret_error);

#endif
