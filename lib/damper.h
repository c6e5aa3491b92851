/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * For what follows changes that may come too often: the first few are served at
 * once, then one in a while, and the last one always.  Pure.
 */
#ifndef LIB_DAMPER_H
#define LIB_DAMPER_H

#include <stdint.h>

#include "lib/mono.h"

struct damper {
	int64_t burst_us; /* ahead of its time that the last may have been */
	int64_t every_us;
	struct mono due; /* of the next one, were they evenly spread */
};

/**
 * damper_init(): none were served yet.
 * @burst: served at once, after long rest; at least 1.
 * @every_us: between others.
 */
void damper_init(struct damper *d, unsigned burst, int64_t every_us);

/** damper_next(): when the next one may be served; may be past. */
struct mono damper_next(const struct damper *d);

/** damper_served(): one is being served, not before damper_next(). */
void damper_served(struct damper *d, struct mono now);

#endif
