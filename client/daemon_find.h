/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which daemon to talk to: the one named, else the system's if it may be used
 * and lives in our network namespace, else the user's own, started on demand.
 */
#ifndef CLIENT_DAEMON_FIND_H
#define CLIENT_DAEMON_FIND_H

#include <signal.h>
#include <stdbool.h>

/* A reason: two paths and the last line of a log. */
#define DAEMON_FIND_MAX_ERROR 1024

struct daemon_find_params {
	const char *socket;        /* of --socket, or "" */
	bool may_start;            /* start the user's own if there is none */
	const sigset_t *wait_mask; /* as of daemon_connect() */
};

/**
 * daemon_find(): connect and read the hello, nothing beyond it.  Blocks: up to
 * 10 s while a daemon starts, else as long as a daemon takes to greet.
 * @ret_fd: connected socket; owned by the caller.
 * @ret_error: DAEMON_FIND_MAX_ERROR bytes; the reason on failure, for people.
 *
 * Returns 0, -EINTR (a signal came), or another negative error.
 */
int daemon_find(
    const struct daemon_find_params *p, int *ret_fd, char *ret_error);

#endif
