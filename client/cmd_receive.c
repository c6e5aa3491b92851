/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_receive.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "client/cli_token.h"
#include "client/recv_sink.h"
#include "client/transfer_run.h"
#include "proto/transfer/transfer_name.h"
#include "proto/transfer/transfer_progress.h"

struct receive_cmd {
	struct transfer_run run;
	struct recv_sink *sink;
	bool token_to_stdout;
	bool is_folder;
	bool is_whole; /* nothing can be missing when it is saved */
	bool is_saved;
	int64_t files, contents; /* of a folder, announced; -1: not */
	json_t *save_id;         /* a reference, while saving */
};

int
cmd_receive_check_port(const struct cli_call *call)
{
	int64_t port = cli_args_number(call->args, "direct-tcp-port");

	if (port >= 0 && port <= UINT16_MAX)
		return CLI_EXIT_OK;
	cli_out_error("direct TCP port %" PRId64
		      " must be zero or within [1,65535]",
	    port);
	return CLI_EXIT_FAILED;
}

static void
on_token(void *arg, const char *token)
{
	struct receive_cmd *c = arg;
	int code = CLI_EXIT_OK;

	if (c->run.out.json)
		return;
	if (c->token_to_stdout)
		code = cli_out_payload(token);
	else
		cli_out_note(&c->run.out, "%s", token);
	if (code != CLI_EXIT_OK)
		job_fail(c->run.job, code);
}

static void
on_saved(void *arg, int r)
{
	struct receive_cmd *c = arg;

	if (r < 0)
		job_refuse(
		    c->run.job, c->save_id, r, recv_sink_reason(c->sink));
	else
		job_answer(c->run.job, c->save_id, NULL, -1);
	c->is_saved = r == 0;
	json_decref(c->save_id);
	c->save_id = NULL;
}

static void
on_failed(void *arg, int r)
{
	struct receive_cmd *c = arg;

	transfer_run_fail(&c->run, r, recv_sink_reason(c->sink));
}

static void
on_save(void *arg, struct job *j, json_t *id, const json_t *params)
{
	struct receive_cmd *c = arg;

	(void)j;
	c->save_id = json_incref(id);
	recv_sink_save(
	    c->sink, json_integer_value(json_object_get(params, "body")));
}

/* The sender may be gone, or have given up, before it heard that all is here:
 * then it is here all the same. */
static int
judge_end(void *arg, int code)
{
	const struct receive_cmd *c = arg;

	return c->is_saved && c->is_whole ? CLI_EXIT_OK : code;
}

static void
on_stop(void *arg)
{
	const struct receive_cmd *c = arg;

	if (c->sink != NULL)
		recv_sink_give_up(c->sink);
}

static void
on_moved(void *arg, int64_t bytes)
{
	struct receive_cmd *c = arg;

	(void)bytes;
	recv_sink_flush(c->sink);
}

static const char *
text_of(const json_t *params, const char *name)
{
	const char *text = json_string_value(json_object_get(params, name));

	return text != NULL ? text : "";
}

static void
tell_contents(
    struct receive_cmd *c, const char *before, int64_t files, int64_t bytes)
{
	char total[TRANSFER_PROGRESS_MAX_SIZE];

	transfer_progress_size(total, bytes);
	cli_out_note(&c->run.out, "%s%" PRId64 " files, %s (uncompressed)",
	    before, files, total);
}

static void
announce(struct receive_cmd *c, int64_t size)
{
	char quoted[TRANSFER_NAME_QUOTED(TRANSFER_NAME_MAX)];
	char total[TRANSFER_PROGRESS_MAX_SIZE];
	const char *leaf = recv_sink_peek_leaf(c->sink);

	(void)transfer_name_quote(quoted, sizeof(quoted), leaf, strlen(leaf));
	transfer_progress_size(total, size);
	if (c->is_folder)
		cli_out_note(&c->run.out, "Receiving directory (%s) into: %s/",
		    total, quoted);
	else
		cli_out_note(
		    &c->run.out, "Receiving file (%s) into: %s", total, quoted);
	if (c->is_folder && c->files >= 0)
		tell_contents(c, "", c->files, c->contents);
	transfer_run_show(&c->run, size);
}

/* -1 when it is not there. */
static int64_t
count_of(const json_t *params, const char *name)
{
	const json_t *v = json_object_get(params, name);

	return json_is_integer(v) ? json_integer_value(v) : -1;
}

static void
on_open(void *arg, struct job *j, json_t *id, const json_t *params)
{
	struct receive_cmd *c = arg;
	const char *kind = text_of(params, "kind"),
		   *name = text_of(params, "name");
	int64_t size = json_integer_value(json_object_get(params, "size"));
	struct recv_fd fd;
	int r;

	c->is_folder = strcmp(kind, "directory") == 0;
	c->files = count_of(params, "files");
	c->contents = count_of(params, "contents");
	c->is_whole = c->is_folder || (strcmp(kind, "file") == 0 && size > 0);
	if (strcmp(kind, "text") == 0)
		r = recv_sink_stdout(c->sink, false, &fd);
	else if (c->is_folder)
		r = recv_sink_folder(c->sink, name, &fd);
	else /* no size may mean an empty file, or one that ends when it ends */
		r = recv_sink_file(c->sink, name, size > 0 ? size : -1,
		    json_is_true(json_object_get(params, "blocks")), &fd);
	if (r < 0) {
		job_refuse(j, id, r, recv_sink_reason(c->sink));
		return;
	}
	if (strcmp(kind, "text") != 0)
		announce(c, size);
	job_answer(j, id,
	    json_pack("{s:b,s:b,s:I}", "positioned", (int)fd.positioned,
		"sparse", (int)fd.sparse, "offset", (json_int_t)fd.offset),
	    fd.fd);
}

/* What is common once the job is there. */
static int
new_sink(struct receive_cmd *c)
{
	struct recv_sink_params p = { .loop = job_loop(c->run.job),
		.output = c->run.structured
			      ? cli_args_text(c->run.call->args, "output")
			      : "",
		.on_failed = on_failed,
		.on_saved = on_saved,
		.arg = c };

	c->sink = recv_sink_new(&p);
	if (c->sink != NULL)
		return CLI_EXIT_OK;
	cli_out_error("out of memory");
	return CLI_EXIT_FAILED;
}

static void
fini(struct receive_cmd *c)
{
	recv_sink_free(c->sink); /* it is in the loop of the job */
	transfer_run_fini(&c->run);
	json_decref(c->save_id);
}

int
cmd_receive_listen(const struct cli_call *call)
{
	struct receive_cmd c = { .run = { .call = call,
				     .kind = JOB_LISTEN,
				     .on_token = on_token,
				     .on_save = on_save,
				     .on_stop = on_stop },
		.token_to_stdout =
		    cli_args_flag(call->args, "print-token-only") };
	struct recv_fd fd;
	int code;

	c.run.arg = &c;
	code = transfer_run_init(&c.run);
	if (code == CLI_EXIT_OK)
		code = new_sink(&c);
	if (code == CLI_EXIT_OK &&
	    recv_sink_stdout(c.sink, c.token_to_stdout, &fd) < 0) {
		cli_out_error("%s", recv_sink_reason(c.sink));
		code = CLI_EXIT_LOCAL_IO;
	}
	if (code == CLI_EXIT_OK) {
		c.run.fd = fd.fd;
		c.run.positioned = c.run.blocks = fd.positioned;
		c.run.offset = fd.offset;
		code = transfer_run_go(&c.run);
	}
	fini(&c);
	return code;
}

/* Said at the start when the sender did; what came counts. */
static void
tell_totals(struct receive_cmd *c)
{
	const struct archive_totals *t = recv_sink_totals(c->sink);

	if (t == NULL || !c->is_folder ||
	    (t->files == c->files && t->bytes == c->contents))
		return;
	tell_contents(c, c->files >= 0 ? "arrived: " : "", t->files, t->bytes);
}

static int
run_receive(struct receive_cmd *c)
{
	int code = transfer_run_init(&c->run);

	if (code == CLI_EXIT_OK)
		code = new_sink(c);
	if (code == CLI_EXIT_OK)
		code = transfer_run_go(&c->run);
	if (code == CLI_EXIT_OK)
		tell_totals(c);
	fini(c);
	return code;
}

static int
get_token(const struct cli_call *call, struct cli_token *token)
{
	if (!cli_token_set(token, cli_args_positional(call->args, 0))) {
		cli_out_error("token invalid length");
		return CLI_EXIT_FAILED;
	}
	if (token->text[0] == '\0') {
		cli_out_error("receive code is required");
		return CLI_EXIT_FAILED;
	}
	return cli_token_check_receive(token);
}

int
cmd_receive(const struct cli_call *call)
{
	struct receive_cmd c = { .run = { .call = call,
				     .kind = JOB_LISTEN,
				     .structured = true,
				     .on_token = on_token,
				     .on_open = on_open,
				     .on_save = on_save,
				     .judge_end = judge_end,
				     .on_stop = on_stop,
				     .on_moved = on_moved } };
	struct cli_token token;
	int code = cmd_receive_check_port(call);

	token.text[0] = '\0';
	if (code == CLI_EXIT_OK && call->args->n_positionals > 0) {
		code = get_token(call, &token);
		c.run.kind = JOB_RECEIVE;
		c.run.token = token.text;
	}
	c.run.arg = &c;
	c.run.blocks =
	    recv_sink_is_regular(cli_args_text(call->args, "output"));
	if (code == CLI_EXIT_OK)
		code = run_receive(&c);
	cli_token_wipe(&token);
	return code;
}
