/* SPDX-License-Identifier: BSD-3-Clause */
/* From the name of an error to the exit code of proto/rpc/rpc_exit.def. */
#ifndef CLIENT_CLI_EXIT_H
#define CLIENT_CLI_EXIT_H

enum cli_exit {
#define RPC_EXIT(number, ident, text) CLI_EXIT_##ident = (number),
#include "proto/rpc/rpc_exit.def"
#undef RPC_EXIT
};

/**
 * cli_exit_code(): the code for an err_name(), as `ended` events and RPC errors
 * carry it.  Unknown names and NULL give FAILED.
 */
int cli_exit_code(const char *name);

#endif
