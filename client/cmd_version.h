/* SPDX-License-Identifier: BSD-3-Clause */
/* `version` of every program. */
#ifndef CLIENT_CMD_VERSION_H
#define CLIENT_CMD_VERSION_H

#include "client/cli_main.h"

int cmd_version(const struct cli_call *call);

#endif
