/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cli_relay.h"
#include "client/cli_token.h"
#include "client/cmd_claim.h"
#include "client/cmd_listen.h"
#include "client/cmd_netcheck.h"
#include "client/cmd_token.h"
#include "client/cmd_version.h"

#define EXPIRY_OPTIONS                                                         \
	{ "days", '\0', CLI_INT, "Lifetime in days: server 180, client 90" },  \
	{                                                                      \
		"expires", '\0', CLI_STRING,                                   \
		    "Absolute expiry as RFC3339 or YYYY-MM-DD"                 \
	}

static const struct cli_option server_options[] = {
	EXPIRY_OPTIONS,
	{ .name = NULL },
};

static const struct cli_option client_options[] = {
	EXPIRY_OPTIONS,
	CLI_TOKEN_OPTIONS("Server token to derive from"),
	{ .name = NULL },
};

static const struct cli_command token_commands[] = {
	{ .name = "server",
	    .about = "Generate a server credential.",
	    .options = server_options,
	    .run = cmd_token_server },
	{ .name = "client",
	    .about = "Generate a client access token.",
	    .options = client_options,
	    .run = cmd_token_client },
	{ .name = NULL },
};

static const char *const token_examples[] = {
	"derptun token server > server.dts",
	"derptun token client --token-file server.dts > client.dt1",
	"printf '%s\\n' \"$TOKEN\" | derptun token client --token-stdin",
	NULL,
};

static const struct cli_option serve_options[] = {
	CLI_TOKEN_OPTIONS("Server token"),
	{ "tcp", '\0', CLI_STRING,
	    "Local TCP service, for example 127.0.0.1:22" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const char *const serve_examples[] = {
	"derptun serve --tcp 127.0.0.1:8080",
	"derptun token server --days 365 > server.dts",
	"derptun serve --token-file server.dts --tcp 127.0.0.1:8080",
	NULL,
};

static const struct cli_option open_options[] = {
	CLI_TOKEN_OPTIONS("Client token"),
	{ "listen", '\0', CLI_STRING,
	    "Local address, for example 127.0.0.1:2222" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const char *const open_examples[] = {
	"derptun open --token-file client.dt1",
	"derptun open --token-file client.dt1 --listen 127.0.0.1:8081",
	NULL,
};

static const struct cli_option connect_options[] = {
	CLI_TOKEN_OPTIONS("Client token"),
	{ "stdio", '\0', CLI_BOOL, "Carry one stream over stdin and stdout" },
	{ "force-relay", '\0', CLI_BOOL, "No direct path" },
	CLI_RELAY_OPTIONS,
	CLI_SOCKET_OPTION,
	{ .name = NULL },
};

static const char *const connect_examples[] = {
	"derptun connect --stdio --token-file client.dt1",
	"ssh -o 'ProxyCommand derptun connect --stdio --token-file c' host",
	NULL,
};

#define SOURCE "(--token TOKEN|--token-file PATH|--token-stdin)"

static const char *const netcheck_examples[] = {
	"derptun netcheck",
	"derptun netcheck --json --timeout 2s",
	NULL,
};

static const struct cli_command commands[] = {
	{ .name = "connect",
	    .about = "Connect one tunnel stream over stdin/stdout.",
	    .usage = SOURCE " --stdio [--force-relay]",
	    .options = connect_options,
	    .examples = connect_examples,
	    .run = cmd_claim_connect },
	{ .name = "netcheck",
	    .about = "Check how well this network suits direct UDP.",
	    .usage = "[--json] [--timeout DURATION] [--stun HOST:PORT]...",
	    .options = cmd_netcheck_options,
	    .examples = netcheck_examples,
	    .run = cmd_netcheck },
	{ .name = "open",
	    .about = "Open a local TCP listener using a client token.",
	    .usage = SOURCE " [--listen HOST:PORT] [--force-relay]",
	    .options = open_options,
	    .examples = open_examples,
	    .run = cmd_claim_open },
	{ .name = "serve",
	    .about = "Serve a local TCP target using a server token.",
	    .usage = "[--token TOKEN|--token-file PATH|--token-stdin] "
		     "--tcp HOST:PORT [--force-relay]",
	    .options = serve_options,
	    .examples = serve_examples,
	    .run = cmd_listen_serve },
	{ .name = "token",
	    .about = "Generate server credentials or client access tokens.",
	    .usage = "server [--days N|--expires DATE] | client " SOURCE
		     " [--days N|--expires DATE]",
	    .options = client_options,
	    .examples = token_examples,
	    .subcommands = token_commands },
	{ .name = "version",
	    .about = "Print the derptun version.",
	    .ignores_args = true,
	    .run = cmd_version },
	{ .name = NULL },
};

static const char *const examples[] = {
	"derptun serve --tcp 127.0.0.1:8080",
	"derptun open --token DT1...",
	"derptun token server > server.dts",
	"derptun token client --token-file server.dts > client.dt1",
	"derptun open --token-file client.dt1 --listen 127.0.0.1:8081",
	NULL,
};

int
main(int argc, char **argv)
{
	static const struct cli_program program = {
		.name = "derptun",
		.about = "Durable TCP tunnels with tokens, over a relay or "
			 "directly.",
		.commands = commands,
		.examples = examples,
	};

	return cli_main(&program, argc, argv);
}
