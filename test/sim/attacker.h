/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who sees all datagrams of a pair and sends any, from any source.  What third
 * parties get is counted.
 */
#ifndef TEST_SIM_ATTACKER_H
#define TEST_SIM_ATTACKER_H

#include "test/sim/place.h"

#define ATTACKER_VICTIMS 250 /* addresses 192.88.99.1 and up */
#define ATTACKER_RECORDED 1024
#define ATTACKER_DRAIN_US (4 * MONO_SEC)
/* Of probes to an address that nobody has verified. */
#define ATTACKER_BUDGET_US (DIRECT_PROBE_US + DIRECT_SUPPRESS_US)

struct record {
	struct addr from, to;
	size_t len;
	uint8_t p[DISCO_SIZE_ACK];
};

/* What third parties got. */
struct victim {
	unsigned probes, others;
	struct mono at[DIRECT_MAX_TRIES]; /* the last probes */
};

struct attacker {
	struct pair pair;
	struct net *net;
	struct record record[ATTACKER_RECORDED];
	size_t n_recorded;
	struct victim victim[ATTACKER_VICTIMS];
	unsigned above;  /* probes beyond the budget of an unverified address */
	unsigned total;  /* datagrams to third parties */
	unsigned astray; /* of these, messages of the session */
	unsigned per_turn;
	void (*act)(struct attacker *a);
	bool stopped;

	struct net_host *middle;
	struct addr real[2]; /* where the ends send from */
};

/** attacker_new(): watches a pair in these places. */
struct attacker *attacker_new(uint64_t seed, enum place x, enum place y);
void attacker_free(struct attacker *a);
/** attacker_begin(): @act from now on, so often. */
void attacker_begin(
    struct attacker *a, void (*act)(struct attacker *a), unsigned per_second);
/** attacker_finish(): let the stream end, with the attack still on. */
void attacker_finish(struct attacker *a);
/** attacker_goes_on(): is the stream whole, was no pause longer than @stall_us,
 * and was the relay needed at most so often? */
bool attacker_goes_on(
    const struct attacker *a, int64_t stall_us, unsigned downs);
/** attacker_is_direct(): are both ends, since then, and not with a victim? */
bool attacker_is_direct(const struct attacker *a, int64_t within_us);
struct addr attacker_victim(unsigned i);
/** attacker_outside(): where end @i can be reached. */
struct addr attacker_outside(const struct attacker *a, size_t i);
uint8_t attacker_octet(struct attacker *a);

#endif
