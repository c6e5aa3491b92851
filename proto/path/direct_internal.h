/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that the files of struct direct share. */
#ifndef PROTO_PATH_DIRECT_INTERNAL_H
#define PROTO_PATH_DIRECT_INTERNAL_H

#include "proto/path/direct_state.h"

/* direct.c */

/** direct_wake(): something may be due at @at. */
void direct_wake(struct direct *d, struct mono at);
/** direct_announce(): candidates, and a call unless direct, as soon as their
 * spacing permits. */
void direct_announce(struct direct *d, struct mono now);

/* direct_list.c */

struct direct_entry *direct_list_find(
    struct direct *d, const struct addr *addr);
bool direct_list_is_live(const struct direct_entry *e);
/** direct_list_can_send(): have we a socket for it, and may we? */
bool direct_list_can_send(const struct direct *d, const struct addr *addr);
/** direct_list_learn(): a source that proved to be the peer's; NULL when there
 * is no room. */
struct direct_entry *direct_list_learn(
    struct direct *d, const struct addr *from, struct mono now);
/** direct_list_admit(): give the peer's addresses entries, as far as there is
 * room; new ones are probed. */
void direct_list_admit(struct direct *d, struct mono now);
/** direct_list_drop_old(): reflexive addresses that were silent for long. */
void direct_list_drop_old(struct direct *d, struct mono now);
int64_t direct_list_bias(const struct addr *addr);
/** direct_list_can_win(): could it replace the selected one at its best? */
bool direct_list_can_win(const struct direct *d, const struct direct_entry *e);

/* direct_probe.c */

/** direct_probe_arm(): @n probes to @e from @at on. */
void direct_probe_arm(
    struct direct *d, struct direct_entry *e, unsigned n, struct mono at);
/** direct_probe_arm_all(): all live entries but the selected one. */
void direct_probe_arm_all(struct direct *d, struct mono now);
/** direct_probe_trigger(): @e was heard: the way to it may be open now. */
void direct_probe_trigger(
    struct direct *d, struct direct_entry *e, struct mono now);
/** direct_probe_called(): the peer called, on the relay: it probes us now. */
void direct_probe_called(struct direct *d, struct mono now);
/** direct_probe_write(): a fresh probe to @to in d->pkt; @size 0: the usual
 * one.  Returns its length. */
size_t direct_probe_write(
    struct direct *d, const struct addr *to, uint16_t size, struct mono now);
/** direct_probe_output(): the next one that is due. */
bool direct_probe_output(
    struct direct *d, struct mono now, struct direct_out *ret_out);
struct mono direct_probe_deadline(const struct direct *d);

/* direct_life.c */

void direct_life_select(struct direct *d, struct direct_entry *e,
    struct mono now, const char *reason);
/** direct_life_fall_back(): to the relay; probes and calls at once. */
void direct_life_fall_back(
    struct direct *d, struct mono now, const char *reason);
/** direct_life_is_quiet(): is the selected path silent long enough for others
 * to take over? */
bool direct_life_is_quiet(const struct direct *d, struct mono now);
/** direct_life_suspect(): prove it now or give it up soon. */
void direct_life_suspect(struct direct *d, struct mono now);
void direct_life_acked(struct direct *d, struct mono now);
/** direct_life_advance(): death, and looking for better ones. */
void direct_life_advance(struct direct *d, struct mono now);
bool direct_life_output(
    struct direct *d, struct mono now, struct direct_out *ret_out);
struct mono direct_life_deadline(const struct direct *d);

/* direct_size.c */

/** direct_size_start(): a path was selected, the peer is native, or its size
 * is in doubt: search from DIRECT_MIN_PAYLOAD. */
void direct_size_start(struct direct *d, struct mono now);
void direct_size_stop(struct direct *d);
void direct_size_acked(struct direct *d, size_t size, struct mono now);
void direct_size_refused(struct direct *d, size_t size, struct mono now);
bool direct_size_output(
    struct direct *d, struct mono now, struct direct_out *ret_out);
struct mono direct_size_deadline(const struct direct *d);

#endif
