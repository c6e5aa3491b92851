/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/portmap/sandbox_portmap.h"

#include "helpers/worker/sandbox_worker.h"

/* Datagrams and connections need no more than the channels do. */
static const int allowed[] = { SANDBOX_WORKER_ALLOW, -1 };
static const int soft[] = { SANDBOX_WORKER_SOFT, -1 };

const struct sandbox_profile sandbox_portmap = {
	.name = "portmap",
	.allow = allowed,
	.eacces_list = soft,
	.deny_filesystem = true,
	.deny_tcp = true,
	.max_fds = 24, /* 0-4, epoll, timers, two UDP, one TCP, one arriving */
	.max_bytes = 64 << 20, /* libraries map 20 MiB; it holds 200 KiB */
	.no_children = true,
};
