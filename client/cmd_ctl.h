/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of derptunctl. */
#ifndef CLIENT_CMD_CTL_H
#define CLIENT_CMD_CTL_H

#include "client/cli_main.h"

int cmd_ctl_status(const struct cli_call *call);
int cmd_ctl_list(const struct cli_call *call);
int cmd_ctl_show(const struct cli_call *call);
int cmd_ctl_stop(const struct cli_call *call);
int cmd_ctl_events(const struct cli_call *call);
int cmd_ctl_why(const struct cli_call *call);
int cmd_ctl_methods(const struct cli_call *call);

#endif
