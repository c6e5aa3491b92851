/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who gets a packet that came in on one relay identity: known senders have a
 * session, everybody else meets the gate, within limits.  Pure: destinations
 * are callbacks.
 */
#ifndef DAEMON_ROUTER_H
#define DAEMON_ROUTER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/secret.h"

struct router;

/* Peers of one relay identity; one each is the rule, so this only bounds. */
#define ROUTER_MAX_PEERS 256
/* Strangers: a claimer sends 4 claims a second. */
#define ROUTER_STRANGER_RATE 8
#define ROUTER_STRANGER_BURST 16
/* All strangers together: what a gate can judge without falling behind. */
#define ROUTER_TOTAL_RATE 1000
#define ROUTER_TOTAL_BURST 2000
/* Longest control envelope of peers; only those concern a gate. */
#define ROUTER_MAX_CLAIM 16384

/* A destination.  The packet is borrowed. */
typedef void router_sink(
    void *arg, const struct key32 *src, const uint8_t *p, size_t len);

struct router_counters {
	uint64_t to_sessions;
	uint64_t to_gate;
	uint64_t limited;  /* strangers over their limit */
	uint64_t unwanted; /* no gate, or nothing a gate would read */
};

/** router_new(): NULL when memory is out. */
struct router *router_new(struct mono now);
void router_free(struct router *r);

/**
 * router_add(): packets from @peer go to @sink.  An earlier destination for
 * @peer is replaced.
 *
 * Returns 0, -DT_ERR_FULL, -ENOMEM.
 */
int router_add(
    struct router *r, const struct key32 *peer, router_sink *sink, void *arg);
/** router_remove(): only if @peer still leads to @arg. */
void router_remove(struct router *r, const struct key32 *peer, const void *arg);
/** router_set_gate(): where strangers go; NULL: nowhere. */
void router_set_gate(struct router *r, router_sink *sink, void *arg);

void router_input(struct router *r, const struct key32 *src, const uint8_t *p,
    size_t len, struct mono now);

const struct router_counters *router_counters(const struct router *r);

#endif
