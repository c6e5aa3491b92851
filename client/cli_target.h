/* SPDX-License-Identifier: BSD-3-Clause */
/* HOST:PORT of the service that is shared or served. */
#ifndef CLIENT_CLI_TARGET_H
#define CLIENT_CLI_TARGET_H

#include <stdint.h>

#include "lib/addr.h"

struct cli_target {
	char host[ADDR_MAX_HOST]; /* name or literal, never empty */
	uint16_t port;            /* host order, not 0 */
};

/**
 * cli_target_parse(): "127.0.0.1:3000", "[::1]:22", "db.lan:postgresql",
 * ":8080" (this machine).  Names of ports come from services(5).
 *
 * Returns 0 or -DT_ERR_SYNTAX.
 */
int cli_target_parse(struct cli_target *ret_target, const char *text);

/**
 * cli_target_parse_listen(): the same for a listener: port 0 and an empty host
 * (all addresses, kept empty) are allowed.
 */
int cli_target_parse_listen(struct cli_target *ret_target, const char *text);

#endif
