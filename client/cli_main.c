/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_main.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli_help.h"
#include "lib/log.h"
#include "lib/secret.h"

/* A program started with a standard descriptor closed would hand out a socket
 * of ours under its number. */
static void
open_standard_fds(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* JSON values hold tokens here and there: every one is wiped when freed. */
static void
wiping_free(void *p)
{
	if (p != NULL)
		secret_wipe(p, malloc_usable_size(p));
	free(p);
}

static bool
has_alias(const struct cli_command *cmd, const char *name)
{
	for (const char *const *a = cmd->aliases; a != NULL && *a != NULL; a++)
		if (strcmp(*a, name) == 0)
			return true;
	return false;
}

static const struct cli_command *
find_command(const struct cli_command *table, const char *name)
{
	for (; table->name != NULL; table++)
		if (strcmp(table->name, name) == 0 || has_alias(table, name))
			return table;
	return NULL;
}

static int
unknown_command(const struct cli_program *p, const char *name)
{
	cli_out_error("unknown command: %s", name);
	cli_out_error("Run '%s --help' for usage", p->name);
	return CLI_EXIT_USAGE;
}

int
cli_main_usage(const struct cli_call *call, const char *message)
{
	if (*message != '\0')
		cli_out_error("%s", message);
	cli_help_command(call->program, call->cmd);
	return CLI_EXIT_USAGE;
}

static int
run_command(const struct cli_call *call, const struct cli_command *cmd,
    int argc, char **argv)
{
	struct cli_error error;
	struct cli_args args;
	struct cli_call full = *call;
	int code;

	cli_args_strip_npx(&argc, argv, cmd->name);
	switch (cli_args_parse(&args, cmd, argc, argv, &error)) {
	case CLI_OK:
		full.args = &args;
		code = cmd->run(&full);
		secret_wipe(&args, sizeof(args));
		return code;
	case CLI_HELP:
		cli_help_command(call->program, call->cmd);
		return CLI_EXIT_OK;
	case CLI_HELP_LLM:
		cli_help_llm(call->program, call->cmd);
		return CLI_EXIT_OK;
	case CLI_USAGE:
		break;
	}
	return cli_main_usage(call, error.text);
}

/* `derptun token server ...`: the help is that of the whole group. */
static int
run_subcommand(const struct cli_call *call, int argc, char **argv)
{
	const struct cli_command *sub;

	if (argc > 0 && cli_args_help_word(argv[0]) == CLI_HELP) {
		cli_help_command(call->program, call->cmd);
		return CLI_EXIT_OK;
	}
	if (argc > 0 && cli_args_help_word(argv[0]) == CLI_HELP_LLM) {
		cli_help_llm(call->program, call->cmd);
		return CLI_EXIT_OK;
	}
	if (argc == 0 && call->cmd->explains_itself) {
		cli_help_command(call->program, call->cmd);
		return CLI_EXIT_OK;
	}
	sub = argc > 0 ? find_command(call->cmd->subcommands, argv[0]) : NULL;
	if (sub == NULL && argc > 0 && call->cmd->explains_itself)
		cli_out_error(
		    "unknown %s command: %s", call->cmd->name, argv[0]);
	if (sub == NULL)
		return cli_main_usage(call, "");
	return run_command(call, sub, argc - 1, argv + 1);
}

static int
help_for(const struct cli_program *p, const char *name)
{
	const struct cli_command *cmd = find_command(p->commands, name);

	if (cmd == NULL)
		return unknown_command(p, name);
	cli_help_command(p, cmd);
	return CLI_EXIT_OK;
}

/* The words that are no command of the table. */
static int
run_root_word(const struct cli_program *p, int argc, char **argv)
{
	enum cli_outcome help = cli_args_help_word(argv[0]);
	bool is_alone = argc == 1;

	if (is_alone && (help == CLI_HELP || strcmp(argv[0], "help") == 0)) {
		cli_help_root(p);
		return CLI_EXIT_OK;
	}
	if (is_alone && help == CLI_HELP_LLM && p->has_root_llm) {
		cli_help_llm(p, NULL);
		return CLI_EXIT_OK;
	}
	if (argv[0][0] == '-') {
		cli_out_error("unknown flag: %s", argv[0]);
		cli_help_root(p);
		return CLI_EXIT_USAGE;
	}
	if (p->has_help_command && strcmp(argv[0], "help") == 0)
		return help_for(p, argv[1]);
	return unknown_command(p, argv[0]);
}

int
cli_main(const struct cli_program *program, int argc, char **argv)
{
	struct cli_globals globals;
	struct cli_error error;
	struct cli_out out = { .program = program->name, .events = stdout };
	struct cli_call call = { .program = program, .out = &out };
	bool is_bare;

	open_standard_fds();
	/* A gone reader shows as EPIPE and gets an exit code of its own. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* write(2) tells */
	log_init(program->name, LOG_LEVEL_ERR);
	if (secret_init() < 0) {
		cli_out_error("libsodium does not start");
		return CLI_EXIT_FAILED;
	}
	json_set_alloc_funcs(malloc, wiping_free);
	argc--;
	argv++;
	if (cli_args_globals(&globals, &argc, argv, &error, &is_bare) !=
	    CLI_OK) {
		cli_out_error("%s", error.text);
		if (!is_bare)
			cli_help_root(program);
		return CLI_EXIT_USAGE;
	}
	out.verbose = globals.verbose;
	out.json = globals.json;
	if (argc == 0) {
		cli_help_root(program);
		return CLI_EXIT_OK;
	}
	call.cmd = find_command(program->commands, argv[0]);
	if (call.cmd == NULL)
		return run_root_word(program, argc, argv);
	if (call.cmd->subcommands != NULL)
		return run_subcommand(&call, argc - 1, argv + 1);
	return run_command(&call, call.cmd, argc - 1, argv + 1);
}
