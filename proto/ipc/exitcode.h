/* SPDX-License-Identifier: BSD-3-Clause */
/* Exit statuses of workers, and what the daemon does about each. */
#ifndef PROTO_IPC_EXITCODE_H
#define PROTO_IPC_EXITCODE_H

enum worker_exit {
	EXIT_WORKER_OK = 0,       /* asked for, or its session ended: nothing */
	EXIT_WORKER_IPC = 70,     /* the channel broke its table: log as bug */
	EXIT_WORKER_MEMORY = 71,  /* out of memory: session refused */
	EXIT_WORKER_SANDBOX = 77, /* could not confine itself: fail closed */
	EXIT_WORKER_BOOT = 78,    /* no or bad boot message: log as bug */
};

#endif
