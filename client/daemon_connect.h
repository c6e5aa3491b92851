/* SPDX-License-Identifier: BSD-3-Clause */
/* One attempt at one socket. */
#ifndef CLIENT_DAEMON_CONNECT_H
#define CLIENT_DAEMON_CONNECT_H

#include <signal.h>
#include <stdint.h>
#include <sys/un.h>

#include "lib/mono.h"

/** daemon_connect_address(): 0 or -ENAMETOOLONG. */
int daemon_connect_address(struct sockaddr_un *ret_address, const char *path);

/**
 * daemon_connect(): connect and read the first line, byte by byte, so that
 * everything behind it stays in the socket.
 * @wait_mask: the signal mask while it waits, as of ppoll(2): what the caller
 *             blocks and this lets through cannot come unnoticed between a look
 *             and a wait.  NULL: no other than now.
 * @ret_netns: inode of the network namespace it says it lives in.
 *
 * Returns 0, -EINTR, -ETIMEDOUT, -DT_ERR_CLOSED (it left or died),
 * -DT_ERR_SYNTAX (no daemon of ours), -DT_ERR_VERSION (another protocol), or
 * what connect(2) says.
 */
int daemon_connect(const char *path, struct mono deadline,
    const sigset_t *wait_mask, int *ret_fd, uint64_t *ret_netns);

#endif
