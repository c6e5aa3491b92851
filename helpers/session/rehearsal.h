/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A handshake with ourselves before there is a peer.  What libraries do at
 * their first use (tables, code and memory not yet touched) costs as much as
 * half a handshake, and would come between a claim and its first byte.
 */
#ifndef HELPERS_SESSION_REHEARSAL_H
#define HELPERS_SESSION_REHEARSAL_H

#include <stdbool.h>

/**
 * rehearsal_run(): takes a few milliseconds; leaves nothing but warm memory.
 *
 * Returns whether both ends stood in the end; no matter to anybody but tests.
 */
bool rehearsal_run(void);

#endif
