/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_token.h"

#include <stdio.h>

#include "client/cli_date.h"
#include "client/cli_relay.h"
#include "client/cli_token.h"
#include "lib/mono.h"

static int
fail(const struct token_error *error)
{
	cli_out_error("%s", error->text);
	return CLI_EXIT_FAILED;
}

/* --expires wins over --days.  Returns an exit code. */
static int
get_expiry(const struct cli_call *call, int64_t now_unix, int64_t default_days,
    int64_t *ret_unix)
{
	const char *date = cli_args_text(call->args, "expires");
	char text[CLI_MAX_ERROR];
	struct token_error error;

	if (*date != '\0') {
		if (cli_date_parse(date, ret_unix) == 0)
			return CLI_EXIT_OK;
		(void)snprintf(text, sizeof(text),
		    "invalid --expires value \"%s\"; use RFC3339 or YYYY-MM-DD",
		    date);
		return cli_main_usage(call, text);
	}
	if (token_derptun_expiry(ret_unix, now_unix,
		cli_args_number(call->args, "days"), default_days, &error) < 0)
		return fail(&error);
	return CLI_EXIT_OK;
}

static int
print(const struct cli_call *call, const char *kind, const char *text,
    int64_t expires_unix)
{
	json_t *o;
	int code;

	if (!call->out->json)
		return cli_out_payload(text);
	o = json_pack("{s:s,s:s,s:I}", "kind", kind, "token", text,
	    "expires_unix", (json_int_t)expires_unix);
	code = cli_out_result(o);
	json_decref(o);
	return code;
}

int
cmd_token_server(const struct cli_call *call)
{
	char text[TOKEN_DERPTUN_MAX_SERVER_TEXT];
	struct derptun_server_token token;
	struct token_error error;
	struct token_route route;
	int64_t now = mono_unix_seconds(), expires;
	bool has_route;
	int code = cli_relay_route(&route, &has_route);

	if (code == CLI_EXIT_OK)
		code =
		    get_expiry(call, now, TOKEN_DERPTUN_SERVER_DAYS, &expires);
	if (code != CLI_EXIT_OK)
		return code;
	if (token_derptun_mint_server(
		&token, now, expires, has_route ? &route : NULL, &error) < 0)
		return fail(&error);
	token_derptun_encode_server(&token, text);
	code = print(call, "server", text, token.expires_unix);
	token_derptun_wipe_server(&token);
	secret_wipe(text, sizeof(text));
	return code;
}

static int
mint_client(
    const struct cli_call *call, const struct derptun_server_token *server)
{
	char text[TOKEN_DERPTUN_MAX_CLIENT_TEXT];
	struct derptun_client_token token;
	struct token_error error;
	int64_t now = mono_unix_seconds(), expires;
	int code = get_expiry(call, now, TOKEN_DERPTUN_CLIENT_DAYS, &expires);

	if (code != CLI_EXIT_OK)
		return code;
	/* Nobody asked for so many days. */
	if (*cli_args_text(call->args, "expires") == '\0' &&
	    cli_args_number(call->args, "days") == 0 &&
	    server->expires_unix > now && expires > server->expires_unix)
		expires = server->expires_unix;
	if (token_derptun_mint_client(&token, server, now, expires, &error) < 0)
		return fail(&error);
	token_derptun_encode_client(&token, text);
	code = print(call, "client", text, token.expires_unix);
	token_derptun_wipe_client(&token);
	secret_wipe(text, sizeof(text));
	return code;
}

int
cmd_token_client(const struct cli_call *call)
{
	struct derptun_server_token server;
	struct cli_token source;
	int code = cli_token_read(call, true, &source);

	if (code == CLI_EXIT_OK)
		code = cli_token_check_server(&source, &server);
	cli_token_wipe(&source);
	if (code != CLI_EXIT_OK)
		return code;
	code = mint_client(call, &server);
	token_derptun_wipe_server(&server);
	return code;
}
