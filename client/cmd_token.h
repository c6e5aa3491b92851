/* SPDX-License-Identifier: BSD-3-Clause */
/* `derptun token`: makes credentials, alone and offline. */
#ifndef CLIENT_CMD_TOKEN_H
#define CLIENT_CMD_TOKEN_H

#include "client/cli_main.h"

/** cmd_token_server(), cmd_token_client(): one line on stdout. */
int cmd_token_server(const struct cli_call *call);
int cmd_token_client(const struct cli_call *call);

#endif
