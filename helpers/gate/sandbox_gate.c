/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/gate/sandbox_gate.h"

#include "helpers/worker/sandbox_worker.h"

static const int allowed[] = { SANDBOX_WORKER_ALLOW, -1 };
static const int soft[] = { SANDBOX_WORKER_SOFT, -1 };

const struct sandbox_profile sandbox_gate = {
	.name = "gate",
	.allow = allowed,
	.eacces_list = soft,
	.deny_filesystem = true,
	.deny_tcp = true,
	.max_fds = 16,         /* 0-4, epoll, timers; it is never given more */
	.max_bytes = 64 << 20, /* libraries map 20 MiB; envelopes are 16 KiB */
	.no_children = true,
};
