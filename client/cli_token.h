/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tokens as the user gives them: --token, --token-file, --token-stdin, or a
 * word; whole pasted lines are accepted, the token is their last word.  Bad
 * tokens are told here, before anything is contacted.
 */
#ifndef CLIENT_CLI_TOKEN_H
#define CLIENT_CLI_TOKEN_H

#include <stdbool.h>

#include "client/cli_main.h"
#include "proto/token/token_derptun.h"

/* Holds a secret: wipe it with cli_token_wipe(). */
struct cli_token {
	char text[TOKEN_DERPTUN_MAX_INPUT]; /* terminated; "" is none */
};

/* The three options every command with a token source has. */
#define CLI_TOKEN_OPTIONS(what)                                                \
	{ "token", '\0', CLI_STRING, what " (seen in the process list)" },     \
	    { "token-file", '\0', CLI_STRING, "Read the token from a file" },  \
	{                                                                      \
		"token-stdin", '\0', CLI_BOOL,                                 \
		    "Read the token from the first line of stdin"              \
	}

/**
 * cli_token_read(): from the one source that was given.
 * @is_required: else none is fine and the text is empty then.
 *
 * Returns CLI_EXIT_OK, or CLI_EXIT_USAGE with everything said.
 */
int cli_token_read(
    const struct cli_call *call, bool is_required, struct cli_token *ret_token);

/** cli_token_set(): from a word of the command line.  false: too long. */
bool cli_token_set(struct cli_token *token, const char *word);

void cli_token_wipe(struct cli_token *token);

/* Each says what is wrong in one line and returns CLI_EXIT_OK, or the exit code
 * scripts know from the sibling tools. */
/** cli_token_check_share(): a session token of `derphole share`; 1. */
int cli_token_check_share(const struct cli_token *token);
/** cli_token_check_pipe(): of a receiver that waits; 1. */
int cli_token_check_pipe(const struct cli_token *token);
/** cli_token_check_receive(): of a sender that waits; 1. */
int cli_token_check_receive(const struct cli_token *token);
/** cli_token_check_accept(): of `derphole ssh invite`; 1. */
int cli_token_check_accept(const struct cli_token *token);
/** cli_token_check_client(): a derptun client token; 2. */
int cli_token_check_client(const struct cli_token *token);
/** cli_token_check_server(): a derptun server token; 1.  Wipe the result. */
int cli_token_check_server(
    const struct cli_token *token, struct derptun_server_token *ret_server);

#endif
