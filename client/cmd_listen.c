/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_listen.h"

#include "client/cli_relay.h"
#include "client/cli_target.h"
#include "client/cli_token.h"
#include "client/job.h"

struct listen_cmd {
	const struct cli_out *out;
	bool token_to_stdout;
};

static const char *
text_of(const json_t *result, const char *name)
{
	const char *text = json_string_value(json_object_get(result, name));

	return text != NULL ? text : "";
}

static void
on_share_result(void *arg, struct job *j, const json_t *result)
{
	struct listen_cmd *c = arg;
	const char *token = text_of(result, "token");
	int code = cli_out_answer(
	    c->out, json_pack("{s:s,s:s}", "event", "token", "token", token));

	if (!c->out->json && c->token_to_stdout)
		code = cli_out_payload(token);
	else
		cli_out_note(c->out, "%s", token);
	if (code != CLI_EXIT_OK)
		job_fail(j, code);
}

static void
on_serve_result(void *arg, struct job *j, const json_t *result)
{
	struct listen_cmd *c = arg;
	const char *token = text_of(result, "client_token");
	int code = cli_out_answer(
	    c->out, json_pack("{s:s,s:s}", "event", "token", "token", token));

	if (code != CLI_EXIT_OK)
		job_fail(j, code);
	cli_out_note(c->out, "On the other machine, run:");
	cli_out_note(c->out, "  npx -y derptun@latest open --token %s", token);
}

/* Checks HOST:PORT now: an unusable one would refuse every connection. */
static int
get_target(const char *text, struct cli_target *ret_target)
{
	if (cli_target_parse(ret_target, text) == 0)
		return CLI_EXIT_OK;
	cli_out_error("invalid target \"%s\": use HOST:PORT", text);
	return CLI_EXIT_USAGE;
}

/* Adds what both commands have in common and runs the job. */
static int
run(const struct cli_call *call, struct job_params *jp, const char *method,
    json_t *params, const char *target)
{
	struct cli_relay relay;
	struct job *j;
	size_t n_fds = 0;
	int fds[1];
	bool has_token = json_object_get(params, "token") != NULL;
	int code = cli_relay_init(&relay, call, !has_token);

	if (code != CLI_EXIT_OK) {
		json_decref(params);
		return code;
	}
	if (relay.ca_fd >= 0) {
		(void)json_object_set_new(
		    relay.params, "ca_fd", json_integer(0));
		fds[n_fds++] = relay.ca_fd;
		relay.ca_fd = -1; /* the job's */
	}
	(void)json_object_set_new(params, "target", json_string(target));
	cli_relay_direct(params, call);
	(void)json_object_set(params, "relay", relay.params);
	cli_relay_fini(&relay);
	jp->out = call->out;
	jp->socket = cli_args_text(call->args, "socket");
	j = job_new(jp);
	code = job_run(j, method, params, fds, n_fds);
	job_free(j);
	return code;
}

int
cmd_listen_share(const struct cli_call *call)
{
	struct listen_cmd c = { .out = call->out,
		.token_to_stdout =
		    cli_args_flag(call->args, "print-token-only") };
	struct cli_target target;
	struct job_params jp = { .kind = JOB_SHARE,
		.bad_token_code = CLI_EXIT_FAILED,
		.target = &target,
		.on_result = on_share_result,
		.arg = &c };
	const char *text = cli_args_positional(call->args, 0);
	int code = get_target(text, &target);

	if (code != CLI_EXIT_OK)
		return code;
	return run(call, &jp, "endpoint.share", json_object(), text);
}

/* The server token into @params, checked, when there is one. */
static int
add_server_token(const struct cli_call *call, json_t *params)
{
	struct derptun_server_token server;
	struct cli_token token;
	int code = cli_token_read(call, false, &token);

	if (code == CLI_EXIT_OK && token.text[0] != '\0') {
		code = cli_token_check_server(&token, &server);
		if (code == CLI_EXIT_OK) {
			token_derptun_wipe_server(&server);
			(void)json_object_set_new(
			    params, "token", json_string(token.text));
		}
	}
	cli_token_wipe(&token);
	return code;
}

int
cmd_listen_serve(const struct cli_call *call)
{
	struct listen_cmd c = { .out = call->out };
	struct cli_target target;
	struct job_params jp = { .kind = JOB_SERVE,
		.bad_token_code = CLI_EXIT_FAILED,
		.target = &target,
		.on_result = on_serve_result,
		.arg = &c };
	const char *text = cli_args_text(call->args, "tcp");
	json_t *params;
	int code;

	if (*text == '\0')
		return cli_main_usage(call, "");
	code = get_target(text, &target);
	if (code != CLI_EXIT_OK)
		return code;
	params = json_object();
	code = add_server_token(call, params);
	if (code == CLI_EXIT_OK)
		return run(call, &jp, "endpoint.serve", params, text);
	json_decref(params);
	return code;
}
