/* SPDX-License-Identifier: BSD-3-Clause */
/* How a worker ended, in words. */
#ifndef DAEMON_WORKER_EXIT_H
#define DAEMON_WORKER_EXIT_H

#define WORKER_EXIT_MAX_TEXT 64

/** worker_exit_text(): @status is waitpid()'s. */
void worker_exit_text(int status, char out[static WORKER_EXIT_MAX_TEXT]);

#endif
