/* SPDX-License-Identifier: BSD-3-Clause */
/* Help texts, from the tables of a program.  Always on stderr. */
#ifndef CLIENT_CLI_HELP_H
#define CLIENT_CLI_HELP_H

#include "client/cli_main.h"

void cli_help_root(const struct cli_program *p);
void cli_help_command(
    const struct cli_program *p, const struct cli_command *cmd);
/** cli_help_llm(): Markdown; @cmd NULL is the whole program. */
void cli_help_llm(const struct cli_program *p, const struct cli_command *cmd);

#endif
