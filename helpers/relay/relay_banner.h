/* SPDX-License-Identifier: BSD-3-Clause */
/* What a user needs to know to point clients at this relay. */
#ifndef HELPERS_RELAY_RELAY_BANNER_H
#define HELPERS_RELAY_RELAY_BANNER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"

/* Two paths, a map and a few lines. */
#define RELAY_BANNER_MAX 12288

struct relay_banner {
	struct addr listen;
	struct addr stun; /* family 0: none */
	const char *hostname;
	const char *pin;     /* "" without TLS */
	const char *ca_path; /* "" when clients need none */
	bool is_tls;
};

/**
 * relay_banner_write(): the block of lines, NUL-terminated.
 * Returns 0, -DT_ERR_SYNTAX for an unusable host name, -ENOMEM or -DT_ERR_FULL.
 */
int relay_banner_write(
    const struct relay_banner *b, char ret_text[static RELAY_BANNER_MAX]);

/**
 * relay_banner_hostname(): what clients can call a relay bound to @listen when
 * the operator did not say: the address itself, or for a wildcard the one this
 * host would use towards the internet, or loopback.
 */
void relay_banner_hostname(
    const struct addr *listen, char ret_host[static ADDR_MAX_TEXT]);

#endif
