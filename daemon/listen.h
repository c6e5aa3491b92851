/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening control socket: given to us, or bound by us. */
#ifndef DAEMON_LISTEN_H
#define DAEMON_LISTEN_H

#include <stdbool.h>

/**
 * listen_inherited(): the socket passed by systemd or by a client program
 * ($LISTEN_PID, $LISTEN_FDS); the variables are forgotten.
 *
 * Returns a non-blocking, close-on-exec descriptor, -ENOENT when there is none,
 * or another -errno when what was passed is no listening UNIX stream socket.
 */
int listen_inherited(void);

/**
 * listen_bind(): bind @path, removing a socket that nobody listens on.
 * @shared: mode 0660 (group may connect) instead of 0600.
 *
 * Returns the descriptor; -EADDRINUSE when a daemon lives there;
 * -EINVAL when @path is empty; -ENAMETOOLONG; or another -errno.
 */
int listen_bind(const char *path, bool shared);

#endif
