/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A relay that was used twice within a minute will be used again: somebody
 * works with tunnels through it.  A connection under a fresh key, of which the
 * relay knows nothing else, is kept ready for the next one, which saves it
 * three round trips to the relay and the check of its certificate.
 *
 * For relay_link.c and relay_pool.c only.
 */
#ifndef DAEMON_RELAY_SPARE_H
#define DAEMON_RELAY_SPARE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/relay_params.h"
#include "daemon/relay_target.h"
#include "lib/loop.h"

struct relay_link;
struct relay_pool;

/* Between a use and the next spare: see WORKER_SPARE_PAUSE_US. */
#define RELAY_SPARE_PAUSE_US (50 * MONO_MS)
/* How long a use counts, and how long the spare is kept after it. */
#define RELAY_SPARE_KEEP_US (60 * MONO_SEC)

/* Owner: the pool of links. */
struct relay_spare {
	struct relay_pool *pool;
	struct relay_link *link;     /* NULL: none */
	struct relay_params *params; /* of the last use; NULL: none lately */
	struct relay_target targets[RELAY_TARGET_MAX];
	size_t n_targets;
	struct loop_timer *birth;
	struct loop_timer *leave;
};

/** relay_spare_init(): 0 or -ENOMEM. */
int relay_spare_init(struct relay_spare *s, struct relay_pool *pool);
/** relay_spare_fini(): before the links go. */
void relay_spare_fini(struct relay_spare *s);

/**
 * relay_spare_use(): somebody wants a link of a fresh key to these relays.
 *
 * Returns the spare one, which is none then, or NULL: there is none for them.
 */
struct relay_link *relay_spare_use(struct relay_spare *s,
    struct relay_params *params, const struct relay_target *targets,
    size_t n_targets);

/** relay_spare_lost(): @link, perhaps the spare, lost its connection or failed
 * to get one: no spare is tried again. */
void relay_spare_lost(struct relay_spare *s, struct relay_link *link);

#endif
