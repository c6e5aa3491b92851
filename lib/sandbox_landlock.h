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

/**
 * sandbox_landlock_confine(): enter a domain in which folders and regular files
 * can be made, written and listed below @dir, and nothing else of the file
 * system, no TCP, no process outside can be reached.  Needs no-new-privileges.
 *
 * Returns 0 or -errno.
 */
int sandbox_landlock_confine(int abi, int dir);

#endif
