/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_relay.h"
#include "client/cmd_claim.h"
#include "client/cmd_listen.h"
#include "client/cmd_netcheck.h"
#include "client/cmd_receive.h"
#include "client/cmd_send.h"
#include "client/cmd_ssh.h"
#include "client/cmd_version.h"
#include "client/transfer_run.h"

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

static const struct cli_option listen_options[] = {
	{ "print-token-only", '\0', CLI_BOOL,
	    "Print the token, and only that, on stdout" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const char *const listen_examples[] = {
	"derphole listen",
	"derphole listen | tar x",
	NULL,
};

static const struct cli_option pipe_options[] = {
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	{ "parallel", 'P', CLI_STRING, "Streams: 1-16 or auto" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional pipe_positionals[] = {
	{ "token", false, "Token from the listener" },
	{ .name = NULL },
};

static const char *const pipe_examples[] = {
	"echo hello | derphole pipe <token>",
	"tar c dir | derphole pipe <token>",
	NULL,
};

static const struct cli_option send_options[] = {
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	TRANSFER_RUN_BAR_OPTIONS,
	{ "qr", '\0', CLI_BOOL, "The code of a file for a camera" },
	{ "direct-tcp-port", '\0', CLI_INT, "Taken for compatibility" },
	{ "to", '\0', CLI_STRING, "Token of a `derphole receive` that waits" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional send_positionals[] = {
	{ "what", true, "File, directory, or text; stdin when absent" },
	{ .name = NULL },
};

static const char *const send_examples[] = {
	"derphole send hello",
	"derphole send ./photo.jpg",
	"derphole send ./directory",
	NULL,
};

static const char *const send_aliases[] = { "tx", NULL };

static const struct cli_option receive_options[] = {
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	TRANSFER_RUN_BAR_OPTIONS,
	{ "output", 'o', CLI_STRING, "File or directory to write to" },
	{ "direct-tcp-port", '\0', CLI_INT, "Taken for compatibility" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional receive_positionals[] = {
	{ "code", true, "Code from the sender; absent: wait for one" },
	{ .name = NULL },
};

static const char *const receive_examples[] = {
	"derphole receive <code>",
	"derphole receive --output photo.jpg <code>",
	NULL,
};

static const char *const receive_aliases[] = { "rx", "recv", "recieve", NULL };

static const struct cli_option invite_options[] = {
	{ "user", 'u', CLI_STRING, "Whose authorized_keys to extend" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional invite_positionals[] = {
	{ "ignored", true, "One word more changes nothing" },
	{ .name = NULL },
};

static const struct cli_option accept_options[] = {
	{ "key-file", 'F', CLI_STRING, "Public key, or a directory with one" },
	{ "yes", 'y', CLI_BOOL, "Do not ask" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const struct cli_positional accept_positionals[] = {
	{ "token", true, "Token from the inviter" },
	{ .name = NULL },
};

static const struct cli_command ssh_commands[] = {
	{ .name = "invite",
	    .about = "Let in the owner of the key that is sent.",
	    .options = invite_options,
	    .positionals = invite_positionals,
	    .run = cmd_ssh_invite },
	{ .name = "accept",
	    .about = "Send a public key to where it may log in.",
	    .options = accept_options,
	    .positionals = accept_positionals,
	    .run = cmd_ssh_accept },
	{ .name = NULL },
};

static const char *const ssh_examples[] = {
	"derphole ssh invite [-u|--user USER] [--force-relay]",
	"derphole ssh accept <token> [-F|--key-file PATH] [-y|--yes]",
	NULL,
};

static const char *const netcheck_examples[] = {
	"derphole netcheck",
	"derphole netcheck --json --timeout 2s",
	NULL,
};

static const struct cli_command commands[] = {
	{ .name = "listen",
	    .about = "Print a token and write what comes to stdout.",
	    .usage = "[--print-token-only] [--force-relay]",
	    .options = listen_options,
	    .examples = listen_examples,
	    .run = cmd_receive_listen },
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
	{ .name = "pipe",
	    .about = "Send stdin to a listener.",
	    .usage = "[--force-relay] [--parallel N|auto]",
	    .options = pipe_options,
	    .positionals = pipe_positionals,
	    .examples = pipe_examples,
	    .run = cmd_send_pipe },
	{ .name = "receive",
	    .about = "Receive a text, file or directory.",
	    .usage = "[--force-relay] [--output PATH]",
	    .options = receive_options,
	    .positionals = receive_positionals,
	    .examples = receive_examples,
	    .aliases = receive_aliases,
	    .run = cmd_receive },
	{ .name = "send",
	    .about = "Send a text, file or directory.",
	    .usage = "[--force-relay] [--qr]",
	    .options = send_options,
	    .positionals = send_positionals,
	    .examples = send_examples,
	    .aliases = send_aliases,
	    .run = cmd_send },
	{ .name = "share",
	    .about = "Share a local TCP service until Ctrl-C.",
	    .usage = "[--print-token-only] [--force-relay]",
	    .options = share_options,
	    .positionals = share_positionals,
	    .examples = share_examples,
	    .run = cmd_listen_share },
	{ .name = "ssh",
	    .about = "Exchange a public key for SSH.",
	    .usage = "invite|accept",
	    .examples = ssh_examples,
	    .subcommands = ssh_commands,
	    .explains_itself = true },
	{ .name = "version",
	    .about = "Print the derphole version.",
	    .ignores_args = true,
	    .run = cmd_version },
	{ .name = NULL },
};

static const char *const examples[] = {
	"derphole send ./photo.jpg",
	"derphole receive <code>",
	"derphole listen",
	"echo hello | derphole pipe <token>",
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
		.about = "Move bytes and share TCP services with a "
			 "token, over a relay or directly.",
		.commands = commands,
		.examples = examples,
		.has_help_command = true,
		.has_root_llm = true,
	};

	return cli_main(&program, argc, argv);
}
