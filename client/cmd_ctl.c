/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl_call.h"
#include "client/ctl_table.h"
#include "client/ctl_why.h"

static const char *const endpoint_columns[] = { "id", "kind", "target", "state",
	"session", "relay", NULL };
static const char *const session_columns[] = { "id", "kind", "role", "state",
	"path", "address", "peer", "relay", "since_ms", NULL };
static const char *const relay_columns[] = { "host", "port", "state",
	"since_ms", "packets_in", "packets_out", "error", NULL };
static const char *const worker_columns[] = { "pid", "role", "session",
	"endpoint", NULL };
static const char *const method_columns[] = { "name", "class", "description",
	NULL };

/* Ids are positive; 0 means that the text is none. */
static json_int_t
parse_id(const char *text)
{
	char *rest;
	long long v;

	errno = 0;
	v = strtoll(text, &rest, 10);
	return errno == 0 && *text != '\0' && *rest == '\0' && v > 0 ? v : 0;
}

static int
print_part(const json_t *result, const char *name, const char *const *columns)
{
	const json_t *list = json_object_get(result, name);

	if (json_array_size(list) == 0)
		return CLI_EXIT_OK;
	(void)printf("\n%s\n", name);
	return ctl_table_print(list, columns);
}

int
cmd_ctl_status(const struct cli_call *call)
{
	json_t *result;
	int code = ctl_call(call, "daemon.status", NULL, &result);

	if (code != CLI_EXIT_OK)
		return code;
	if (call->out->json) {
		code = cli_out_result(result);
	} else {
		code = ctl_table_fields(result);
		if (code == CLI_EXIT_OK)
			code = print_part(result, "workers", worker_columns);
		if (code == CLI_EXIT_OK)
			code = print_part(result, "relays", relay_columns);
	}
	json_decref(result);
	return code;
}

static int
list_one(const struct cli_call *call, const char *method, const char *name,
    const char *const *columns)
{
	json_t *result;
	int code = ctl_call(call, method, NULL, &result);

	if (code != CLI_EXIT_OK)
		return code;
	code = call->out->json
		   ? cli_out_result(result)
		   : ctl_table_print(json_object_get(result, name), columns);
	json_decref(result);
	return code;
}

int
cmd_ctl_list(const struct cli_call *call)
{
	const char *what = cli_args_positional(call->args, 0);

	if (*what == '\0' || strcmp(what, "sessions") == 0)
		return list_one(
		    call, "session.list", "sessions", session_columns);
	if (strcmp(what, "endpoints") == 0)
		return list_one(
		    call, "endpoint.list", "endpoints", endpoint_columns);
	return cli_main_usage(call, "list takes sessions or endpoints");
}

int
cmd_ctl_show(const struct cli_call *call)
{
	json_int_t id = parse_id(cli_args_positional(call->args, 0));
	json_t *result, *worker;
	int code;

	if (id == 0)
		return cli_main_usage(call, "show takes the id of a session");
	code = ctl_call(
	    call, "session.show", json_pack("{s:I}", "session", id), &result);
	if (code != CLI_EXIT_OK)
		return code;
	worker = json_object_get(result, "worker");
	if (call->out->json) {
		code = cli_out_result(result);
	} else {
		code = ctl_table_fields(json_object_get(result, "session"));
		if (code == CLI_EXIT_OK && worker != NULL)
			code = ctl_table_fields(worker);
	}
	json_decref(result);
	return code;
}

int
cmd_ctl_why(const struct cli_call *call)
{
	json_int_t id = parse_id(cli_args_positional(call->args, 0));
	json_t *result;
	int code;

	if (id == 0)
		return cli_main_usage(call, "why takes the id of a session");
	code = ctl_call(
	    call, "session.why", json_pack("{s:I}", "session", id), &result);
	if (code != CLI_EXIT_OK)
		return code;
	code = call->out->json ? cli_out_result(result) : ctl_why_print(result);
	json_decref(result);
	return code;
}

int
cmd_ctl_stop(const struct cli_call *call)
{
	const char *what = cli_args_positional(call->args, 0);
	const char *id_text = cli_args_positional(call->args, 1);
	json_int_t id = parse_id(id_text);
	json_t *result;
	int code;

	if (strcmp(what, "daemon") == 0 && *id_text == '\0')
		code = ctl_call(call, "daemon.stop", NULL, &result);
	else if (strcmp(what, "session") == 0 && id != 0)
		code = ctl_call(call, "session.stop",
		    json_pack("{s:I}", "session", id), &result);
	else if (strcmp(what, "endpoint") == 0 && id != 0)
		code = ctl_call(call, "endpoint.stop",
		    json_pack("{s:I}", "endpoint", id), &result);
	else
		return cli_main_usage(
		    call, "stop takes daemon, session ID or endpoint ID");
	if (code != CLI_EXIT_OK)
		return code;
	if (call->out->json)
		code = cli_out_result(result);
	json_decref(result);
	return code;
}

static int
on_event(void *arg, const json_t *params)
{
	const struct cli_out *out = arg;
	json_t *copy = json_deep_copy(params);
	int code = CLI_EXIT_OK;

	if (out->json) {
		cli_out_event(out, copy);
		return ferror(stdout) ? CLI_EXIT_LOCAL_IO : CLI_EXIT_OK;
	}
	code = ctl_table_line(copy);
	json_decref(copy);
	return code;
}

int
cmd_ctl_events(const struct cli_call *call)
{
	const char *text = cli_args_positional(call->args, 0);
	struct cli_out out = *call->out;
	json_int_t id = parse_id(text);

	if (*text != '\0' && id == 0)
		return cli_main_usage(call, "events takes the id of a session");
	return ctl_call_events(call,
	    id != 0 ? json_pack("{s:I}", "session", id) : NULL, on_event, &out);
}

int
cmd_ctl_methods(const struct cli_call *call)
{
	return list_one(call, "rpc.discover", "methods", method_columns);
}
