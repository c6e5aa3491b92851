/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_ctl.h"
#include "client/cmd_version.h"

static const struct cli_option options[] = {
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional list_positionals[] = {
	{ "what", true, "sessions (the default) or endpoints" },
	{ .name = NULL },
};

static const struct cli_positional show_positionals[] = {
	{ "session", false, "Id of a session" },
	{ .name = NULL },
};

static const struct cli_positional stop_positionals[] = {
	{ "what", false, "session, endpoint or daemon" },
	{ "id", true, "Id of the session or endpoint" },
	{ .name = NULL },
};

static const struct cli_positional events_positionals[] = {
	{ "session", true, "Only of this session" },
	{ .name = NULL },
};

static const struct cli_command commands[] = {
	{ .name = "events",
	    .about = "Show events as they happen.",
	    .options = options,
	    .positionals = events_positionals,
	    .run = cmd_ctl_events },
	{ .name = "list",
	    .about = "List sessions or endpoints.",
	    .options = options,
	    .positionals = list_positionals,
	    .run = cmd_ctl_list },
	{ .name = "methods",
	    .about = "List the methods of the control socket.",
	    .options = options,
	    .run = cmd_ctl_methods },
	{ .name = "show",
	    .about = "Show one session with its counters.",
	    .options = options,
	    .positionals = show_positionals,
	    .run = cmd_ctl_show },
	{ .name = "status",
	    .about = "Show the daemon, its workers and relays.",
	    .options = options,
	    .run = cmd_ctl_status },
	{ .name = "stop",
	    .about = "Stop a session, an endpoint or the daemon.",
	    .options = options,
	    .positionals = stop_positionals,
	    .run = cmd_ctl_stop },
	{ .name = "version",
	    .about = "Print the derptunctl version.",
	    .ignores_args = true,
	    .run = cmd_version },
	{ .name = "why",
	    .about = "Tell why a session is direct, or is not.",
	    .options = options,
	    .positionals = show_positionals,
	    .run = cmd_ctl_why },
	{ .name = NULL },
};

static const char *const examples[] = {
	"derptunctl status",
	"derptunctl list --json",
	"derptunctl stop session 3",
	"derptunctl why 3",
	NULL,
};

int
main(int argc, char **argv)
{
	static const struct cli_program program = {
		.name = "derptunctl",
		.about = "Inspect and control a running derptund.",
		.commands = commands,
		.examples = examples,
		.has_help_command = true,
		.has_root_llm = true,
	};

	return cli_main(&program, argc, argv);
}
