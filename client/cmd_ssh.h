/* SPDX-License-Identifier: BSD-3-Clause */
/* `derphole ssh`: a public key travels to where it may log in. */
#ifndef CLIENT_CMD_SSH_H
#define CLIENT_CMD_SSH_H

#include "client/cli_main.h"

/** cmd_ssh_invite(): the host that lets in. */
int cmd_ssh_invite(const struct cli_call *call);
/** cmd_ssh_accept(): who wants to get in. */
int cmd_ssh_accept(const struct cli_call *call);

#endif
