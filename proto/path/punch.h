/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Raw-direct selection on one socket (peer v0.18.2): both ends send punches to
 * all of the other's candidates and see from where punches come.  Pure.
 */
#ifndef PROTO_PATH_PUNCH_H
#define PROTO_PATH_PUNCH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "lib/mono.h"
#include "proto/path/disco.h"
#include "proto/rendezvous/candidate.h"

#define PUNCH_EVERY_US (25 * MONO_MS)         /* peer v0.18.2 */
#define PUNCH_CLIENT_DELAY_US (350 * MONO_MS) /* peer v0.18.2 */
#define PUNCH_LISTEN_US (1200 * MONO_MS)      /* peer v0.18.2 */
#define PUNCH_LINGER_US (250 * MONO_MS)       /* peer v0.18.2 */
#define PUNCH_REPLY_US (100 * MONO_MS)        /* peer v0.18.2 */
#define PUNCH_MAX_SOURCES 16                  /* observed and remembered */

enum punch_state {
	PUNCH_RUNNING,
	PUNCH_FOUND,  /* punch_peek_address() */
	PUNCH_FAILED, /* nothing was observed in PUNCH_LISTEN_US */
};

struct punch;

/**
 * punch_new():
 * @peer: candidates of the peer's socket of the same index.
 * @delay_us: 0 or PUNCH_CLIENT_DELAY_US before the first punch.
 * NULL when memory is out.
 */
struct punch *punch_new(
    const struct candidate_list *peer, int64_t delay_us, struct mono now);
void punch_free(struct punch *p);

/** punch_input(): a datagram for which disco_is_punch() holds. */
void punch_input(struct punch *p, const struct addr *from, struct mono now);

/** punch_output(): the next punch that is due: true and its destination; call
 * again until false.  Lets time pass. */
bool punch_output(struct punch *p, struct mono now, struct addr *ret_to);
struct mono punch_next_deadline(const struct punch *p);

enum punch_state punch_state(const struct punch *p);
/**
 * punch_peek_address(): the best observed source: one of the peer's candidates
 * before a stranger, then by the peer's rank: global, other, private,
 * 100.64/10, link-local, loopback.
 */
const struct addr *punch_peek_address(const struct punch *p);

#endif
