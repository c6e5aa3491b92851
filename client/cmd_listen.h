/* SPDX-License-Identifier: BSD-3-Clause */
/* The listening sides: each makes an endpoint, says how to reach it, and runs
 * until it ends or a signal comes. */
#ifndef CLIENT_CMD_LISTEN_H
#define CLIENT_CMD_LISTEN_H

#include "client/cli_main.h"

/** cmd_listen_share(): `derphole share`. */
int cmd_listen_share(const struct cli_call *call);
/** cmd_listen_serve(): `derptun serve`. */
int cmd_listen_serve(const struct cli_call *call);

#endif
