/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Candidate lists and the policies by which they are believed.  Addresses in a
 * struct candidate_list are always unmapped (IPv4 as IPv4) and unique.
 */
#ifndef PROTO_RENDEZVOUS_CANDIDATE_H
#define PROTO_RENDEZVOUS_CANDIDATE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"
#include "proto/rendezvous/message.h"

#define CANDIDATE_MAX_LIST 32  /* per list, by the peer's rule */
#define CANDIDATE_MAX_TEXT 128 /* octets of one text, by the peer's rule */

struct candidate_list {
	size_t n;
	struct addr a[CANDIDATE_MAX_LIST];
};

/* A list as texts, for building messages; owner: the caller's stack. */
struct candidate_texts {
	struct message_text item[CANDIDATE_MAX_LIST];
	char text[CANDIDATE_MAX_LIST][ADDR_MAX_TEXT];
};

enum candidate_policy {
	CANDIDATE_POLICY_PEER,     /* no loopback */
	CANDIDATE_POLICY_LOOPBACK, /* loopback allowed: tests on one machine */
};

/**
 * candidate_parse(): one text; must be canonical and sendable by @policy.
 * Returns 0 or -DT_ERR_SYNTAX.
 */
int candidate_parse(struct addr *ret_addr, struct message_text text,
    enum candidate_policy policy);

/**
 * candidate_from_claim(): claim policy; one bad entry, one duplicate, or more
 * than CANDIDATE_MAX_LIST spoil the claim.  Returns 0 or -DT_ERR_SYNTAX.
 */
int candidate_from_claim(struct candidate_list *ret_list,
    const struct message_list *texts, enum candidate_policy policy);

/** candidate_from_peer(): peer policy (accept, control, v2): bad entries and
 * duplicates are skipped, the first CANDIDATE_MAX_LIST kept. */
void candidate_from_peer(struct candidate_list *ret_list,
    const struct message_list *texts, enum candidate_policy policy);

/** candidate_from_ready(): lists of v2_data_plane_ready: sloppy spelling is
 * re-canonicalised, loopback allowed, otherwise as candidate_from_peer(). */
void candidate_from_ready(
    struct candidate_list *ret_list, const struct message_list *texts);

/** candidate_add(): append unless full, duplicate, or unfit for sending under
 * @policy.  Returns whether it was added. */
bool candidate_add(struct candidate_list *list, const struct addr *a,
    enum candidate_policy policy);

/**
 * candidate_advertise(): what may be put into our claims, decisions and
 * controls: no loopback (unless @policy), unspecified, multicast, port 0 or
 * duplicate; sorted as texts; at most CANDIDATE_MAX_LIST.
 * @a: @n addresses in any form and number, the most useful first.
 */
void candidate_advertise(struct candidate_list *ret_list, const struct addr *a,
    size_t n, enum candidate_policy policy);

/** candidate_may_send(): would we ever send to it?  Refuses broadcast too. */
bool candidate_may_send(const struct addr *a);

bool candidate_contains(
    const struct candidate_list *list, const struct addr *a);

/** candidate_remove_all(): drop from @list what is in @other (peers echo our
 * own list). */
void candidate_remove_all(
    struct candidate_list *list, const struct candidate_list *other);

/** candidate_to_texts(): @ret_texts owns what the returned list points to. */
struct message_list candidate_to_texts(
    struct candidate_texts *ret_texts, const struct candidate_list *list);

#endif
