/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/sandbox_session.h"

#include "helpers/worker/sandbox_worker.h"

/*
 * No setsockopt, fcntl, ioctl: whoever passes a descriptor has prepared it
 * (O_NONBLOCK, TCP_NODELAY, buffers).  No socket, connect, bind, open.
 */
static const int allowed[] = { SANDBOX_WORKER_ALLOW,
	/* splice.c: local sockets; local.c: the listener */
	__NR_shutdown, __NR_accept4,
	/* transfer_tx.c, transfer_sink.c: files */
	__NR_pread64, __NR_pwrite64,
	/* udp.c */
	__NR_recvmmsg, -1 };
static const int soft[] = { SANDBOX_WORKER_SOFT, -1 };

const struct sandbox_profile sandbox_session = {
	.name = "session",
	.allow = allowed,
	.eacces_list = soft,
	.deny_filesystem = true,
	.deny_tcp = true,
	/* SESSION_MAX_SPLICES sockets, parked ones, channels, passed ones */
	.max_fds = 1200,
	/* Libraries map 60 MiB; the rest bounds what a peer can make us hold:
	 * 1024 connections at their initial windows. */
	.max_bytes = (uint64_t)4 << 30,
	.no_children = true,
};
