/* SPDX-License-Identifier: BSD-3-Clause */
/* Landlock by raw system calls; for sandbox.c only. */
#ifndef LIB_SANDBOX_LANDLOCK_H
#define LIB_SANDBOX_LANDLOCK_H

#include <stdbool.h>

/** sandbox_landlock_abi(): the kernel's ABI (1 ..), or -errno without it. */
int sandbox_landlock_abi(void);

/**
 * sandbox_landlock_restrict(): enter a domain that denies what is asked for, as
 * far as @abi knows it.  Needs no-new-privileges.
 * @scope: no signals to and no abstract sockets of processes outside.
 *
 * Returns 0 or -errno.
 */
int sandbox_landlock_restrict(int abi, bool no_files, bool no_tcp, bool scope);

#endif
