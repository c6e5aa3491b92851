/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiving sides of transfers. */
#ifndef CLIENT_CMD_RECEIVE_H
#define CLIENT_CMD_RECEIVE_H

#include "client/cli_main.h"

/** cmd_receive_listen(): `derphole listen`. */
int cmd_receive_listen(const struct cli_call *call);
/** cmd_receive(): `derphole receive`. */
int cmd_receive(const struct cli_call *call);

/** cmd_receive_is_port(): of --direct-tcp-port, which changes nothing here.
 * Returns an exit code. */
int cmd_receive_check_port(const struct cli_call *call);

#endif
