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
	PLACE_BLOCKED,  /* no UDP */
	PLACE_N,
};

extern const char *const place_names[PLACE_N];

/** place_end(): an end on side @side (0, 1) in a net of its own. */
struct end *place_end(
    struct net *net, enum place place, int side, const struct end_ops *ops);

/** place_is_feasible(): can the two have a direct path, both of them ours? */
bool place_is_feasible(enum place a, enum place b);

#endif
