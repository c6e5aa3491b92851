/* SPDX-License-Identifier: BSD-3-Clause */
/* From main() to a command: global flags, root words, help, dispatch. */
#ifndef CLIENT_CLI_MAIN_H
#define CLIENT_CLI_MAIN_H

#include "client/cli_args.h"
#include "client/cli_out.h"

/* The option of every command that talks to a daemon. */
#define CLI_SOCKET_OPTION                                                      \
	{                                                                      \
		"socket", '\0', CLI_STRING,                                    \
		    "Control socket of the daemon to use"                      \
	}

struct cli_program {
	const char *name;
	const char *about;
	const struct cli_command *commands;
	const char *const *examples; /* NULL-terminated */
	bool has_help_command;       /* `NAME help COMMAND` works */
	bool has_root_llm;           /* `NAME --help-llm` works */
};

/* What a command's run() gets. */
struct cli_call {
	const struct cli_program *program;
	const struct cli_command *cmd; /* whose help a usage error shows */
	const struct cli_args *args;
	const struct cli_out *out;
};

/** cli_main(): returns the exit code of the process. */
int cli_main(const struct cli_program *program, int argc, char **argv);

/**
 * cli_main_usage(): a usage error found by a command itself.
 * @message: printed first unless empty; the command's help follows.
 *
 * Returns CLI_EXIT_USAGE.
 */
int cli_main_usage(const struct cli_call *call, const char *message);

#endif
