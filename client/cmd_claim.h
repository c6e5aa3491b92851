/* SPDX-License-Identifier: BSD-3-Clause */
/* The claiming sides: each opens a session with a token and runs until it ends
 * or a signal comes. */
#ifndef CLIENT_CMD_CLAIM_H
#define CLIENT_CMD_CLAIM_H

#include "client/cli_main.h"

/** cmd_claim_share(): `derphole open`. */
int cmd_claim_share(const struct cli_call *call);
/** cmd_claim_open(): `derptun open`. */
int cmd_claim_open(const struct cli_call *call);
/** cmd_claim_connect(): `derptun connect --stdio`. */
int cmd_claim_connect(const struct cli_call *call);

#endif
