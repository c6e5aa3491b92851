/* SPDX-License-Identifier: BSD-3-Clause */
/* The sending sides of transfers. */
#ifndef CLIENT_CMD_SEND_H
#define CLIENT_CMD_SEND_H

#include "client/cli_main.h"

/** cmd_send_pipe(): `derphole pipe`. */
int cmd_send_pipe(const struct cli_call *call);
/** cmd_send(): `derphole send`. */
int cmd_send(const struct cli_call *call);

#endif
