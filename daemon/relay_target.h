/* SPDX-License-Identifier: BSD-3-Clause */
/* One relay to connect to: what remains of a map node or of a token's route. */
#ifndef DAEMON_RELAY_TARGET_H
#define DAEMON_RELAY_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "proto/derp/derp_map.h"
#include "proto/token/token_route.h"

/* Nodes of one region that are tried in turn; they are meshed. */
#define RELAY_TARGET_MAX 3
#define RELAY_TARGET_MAX_CERT 256
/* "HOST:PORT" */
#define RELAY_TARGET_MAX_TEXT (ADDR_MAX_HOST + 8)

struct relay_target {
	char host[ADDR_MAX_HOST]; /* name or literal, no brackets */
	char cert_name[RELAY_TARGET_MAX_CERT]; /* tls.h; "" for the host */
	struct addr literal[2];                /* family 0: none */
	bool use_dns; /* no literal: ask for the host */
	uint16_t port;
	char ideal[ADDR_MAX_HOST]; /* first node's name, on all others */
};

/**
 * relay_target_from_route(): a relay named by address.
 * @pin: replaces the certificate's name check; "" for none.
 */
void relay_target_from_route(struct relay_target *ret_target,
    const struct token_route *route, const char *pin);

/**
 * relay_target_from_map(): the nodes to try for a token's region, best first.
 * @ret_region: region they are in (it is replaced when the map lacks it).
 *
 * Returns how many, 0 .. RELAY_TARGET_MAX.
 */
size_t relay_target_from_map(struct relay_target *ret_targets,
    const struct derp_map *map, int64_t region, const char *pin,
    int64_t *ret_region);

/** relay_target_equal(): do both name the same relay in the same way? */
bool relay_target_equal(
    const struct relay_target *a, const struct relay_target *b);

/** relay_target_text(): "HOST:PORT", IPv6 literals in brackets. */
void relay_target_text(
    const struct relay_target *t, char out[static RELAY_TARGET_MAX_TEXT]);

#endif
