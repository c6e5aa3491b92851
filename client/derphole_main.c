/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_relay.h"
#include "client/cmd_claim.h"
#include "client/cmd_listen.h"
#include "client/cmd_netcheck.h"
#include "client/cmd_version.h"

static const struct cli_option share_options[] = {
	{ "print-token-only", '\0', CLI_BOOL,
	    "Print the token, and only that, on stdout" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional share_positionals[] = {
	{ "target", false, "Local TCP service, for example 127.0.0.1:3000" },
	{ .name = NULL },
};

static const char *const share_examples[] = {
	"derphole share 127.0.0.1:3000",
	"derphole share 127.0.0.1:8080 --print-token-only",
	NULL,
};

static const struct cli_option open_options[] = {
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	{ "parallel", 'P', CLI_STRING, "1-16 or auto; no effect on tunnels" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional open_positionals[] = {
	{ "token", false, "Token from the sharer" },
	{ "bindaddr", true, "Local address, for example 127.0.0.1:8080" },
	{ .name = NULL },
};

static const char *const open_examples[] = {
	"derphole open <token>",
	"derphole open <token> 127.0.0.1:8080",
	NULL,
};

static const char *const netcheck_examples[] = {
	"derphole netcheck",
	"derphole netcheck --json --timeout 2s",
	NULL,
};

static const struct cli_command commands[] = {
	{ .name = "netcheck",
	    .about = "Check how well this network suits direct UDP.",
	    .usage = "[--json] [--timeout DURATION] [--stun HOST:PORT]...",
	    .options = cmd_netcheck_options,
	    .examples = netcheck_examples,
	    .run = cmd_netcheck },
	{ .name = "open",
	    .about = "Open a shared service locally until Ctrl-C.",
	    .usage = "[--force-relay] [--parallel N|auto]",
	    .options = open_options,
	    .positionals = open_positionals,
	    .examples = open_examples,
	    .run = cmd_claim_share },
	{ .name = "share",
	    .about = "Share a local TCP service until Ctrl-C.",
	    .usage = "[--print-token-only] [--force-relay]",
	    .options = share_options,
	    .positionals = share_positionals,
	    .examples = share_examples,
	    .run = cmd_listen_share },
	{ .name = "version",
	    .about = "Print the derphole version.",
	    .ignores_args = true,
	    .run = cmd_version },
	{ .name = NULL },
};

static const char *const examples[] = {
	"derphole share 127.0.0.1:3000",
	"derphole open <token>",
	"derphole version",
	NULL,
};

int
main(int argc, char **argv)
{
	static const struct cli_program program = {
		.name = "derphole",
		.about = "Share a TCP service with a token, over a relay "
			 "or directly.",
		.commands = commands,
		.examples = examples,
		.has_help_command = true,
		.has_root_llm = true,
	};

	return cli_main(&program, argc, argv);
}
