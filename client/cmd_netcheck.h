/* SPDX-License-Identifier: BSD-3-Clause */
/* `netcheck` of derphole and derptun.  Needs no daemon. */
#ifndef CLIENT_CMD_NETCHECK_H
#define CLIENT_CMD_NETCHECK_H

#include "client/cli_main.h"

/** For the table of each program; --json is global. */
extern const struct cli_option cmd_netcheck_options[];

int cmd_netcheck(const struct cli_call *call);

#endif
