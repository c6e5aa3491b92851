/* SPDX-License-Identifier: BSD-3-Clause */
/* The relay parameters of one session, from flags and this process's own
 * environment: see "relay parameters" in proto/rpc/rpc.h. */
#ifndef CLIENT_CLI_RELAY_H
#define CLIENT_CLI_RELAY_H

#include <jansson.h>
#include <stdbool.h>

#include "client/cli_main.h"
#include "proto/token/token_route.h"

/* The options every command that needs a relay has. */
#define CLI_RELAY_OPTIONS                                                      \
	{ "derp-pin", '\0', CLI_STRING,                                        \
		"Trust the relay with this certificate: sha256-raw:HEX" },     \
	{                                                                      \
		"derp-map", '\0', CLI_STRING,                                  \
		    "DERP map to use: a file or an http(s) URL"                \
	}

struct cli_relay {
	json_t *params; /* object, perhaps empty; owned */
	int ca_fd;      /* sealed copy of SSL_CERT_FILE, owned; or -1 */
};

/**
 * cli_relay_init(): read and check everything.
 * @is_minting: a token will be made: DERPHOLE_DERP_SERVER counts.
 *
 * Returns CLI_EXIT_OK, or another code with the reason said; nothing is held
 * then.
 */
int cli_relay_init(
    struct cli_relay *relay, const struct cli_call *call, bool is_minting);
void cli_relay_fini(struct cli_relay *relay);

/**
 * cli_relay_route(): DERPHOLE_DERP_SERVER as a route.
 * @ret_has_route: false when it is unset or empty.
 *
 * Returns CLI_EXIT_OK or CLI_EXIT_FAILED with the reason said.
 */
int cli_relay_route(struct token_route *ret_route, bool *ret_has_route);

/** cli_relay_direct(): add to the request @params which direct paths may be
 * tried: --force-relay, DERPHOLE_V2_RAW_DIRECT. */
void cli_relay_direct(json_t *params, const struct cli_call *call);

#endif
