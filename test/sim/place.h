/* SPDX-License-Identifier: BSD-3-Clause */
/* Where an end is: the kinds of network it can be behind. */
#ifndef TEST_SIM_PLACE_H
#define TEST_SIM_PLACE_H

#include "test/sim/end.h"

enum place {
	PLACE_OPEN,     /* a public address */
	PLACE_FULL,     /* NAT: EIM, EIF ("full cone") */
	PLACE_ADDR,     /* NAT: EIM, ADF */
	PLACE_PORT,     /* NAT: EIM, APDF: most homes */
	PLACE_SYM,      /* NAT: EDM with random ports, APDF */
	PLACE_CGN,      /* a home behind a carrier's NAT, both EIM and APDF */
	PLACE_CGN_ADDR, /* the same, but the carrier filters by address only */
	PLACE_SYM_V6,   /* PLACE_SYM and IPv6 behind a firewall */
	PLACE_BLOCKED,  /* no UDP */
	PLACE_N,
};

extern const char *const place_names[PLACE_N];

/* Two ends that share something. */
enum couple {
	COUPLE_LAN,     /* one home */
	COUPLE_HAIRPIN, /* two homes of a carrier, whose NAT hairpins */
	COUPLE_CARRIER, /* the same, and it does not */
	COUPLE_N,
};

extern const char *const couple_names[COUPLE_N];

struct pair {
	struct net *net;
	struct end *end[2];
	struct mono start; /* of the claim */
};

/** place_pair(): a net of two ends that are joined; not begun. */
struct pair place_pair(uint64_t seed, enum place a, enum place b,
    const struct end_ops *a_ops, const struct end_ops *b_ops);
struct pair place_couple(uint64_t seed, enum couple couple);
/** place_begin(): the claim, by the one or the other as the seed has it. */
void place_begin(struct pair *p, uint64_t seed);
void place_end(struct pair *p);

/** place_move(): @e is somewhere else from now on; it is not told. */
void place_move(struct end *e, enum place place, int side);

/** place_is_feasible(): can the two have a direct path, both of them ours? */
bool place_is_feasible(enum place a, enum place b);

#endif
