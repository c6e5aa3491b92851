/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_send.h"

#include <string.h>

#include "client/cli_token.h"
#include "client/cmd_receive.h"
#include "client/qr.h"
#include "client/send_source.h"
#include "client/transfer_run.h"
#include "lib/err.h"
#include "proto/transfer/transfer_progress.h"

struct send_cmd {
	struct transfer_run run;
	struct send_source *source;
	bool shows_qr;
};

static void
on_failed(void *arg, int r)
{
	struct send_cmd *c = arg;

	job_abort(c->run.job, r); /* said */
}

static int
take_source(struct send_cmd *c)
{
	const struct send_facts *f = send_source_facts(c->source);
	int r = send_source_start(
	    c->source, job_loop(c->run.job), on_failed, c, &c->run.fd);
	char reason[CLI_OUT_MAX_REASON];

	if (r < 0) {
		cli_out_error("%s: %s", f->from_stdin ? "read stdin" : f->name,
		    cli_out_reason(r, reason));
		return CLI_EXIT_LOCAL_IO;
	}
	c->run.size = f->size;
	c->run.positioned = f->positioned;
	c->run.offset = f->offset;
	return CLI_EXIT_OK;
}

static int
run(struct send_cmd *c)
{
	int code = transfer_run_init(&c->run);

	if (code == CLI_EXIT_OK)
		code = take_source(c);
	if (code == CLI_EXIT_OK)
		code = transfer_run_go(&c->run);
	if (code == CLI_EXIT_OK)
		code = send_source_finish(c->source, c->run.moved);
	send_source_free(c->source); /* it is in the loop of the job */
	transfer_run_fini(&c->run);
	return code;
}

/* A word of the command line, checked by its command. */
static int
get_token(const char *word, struct cli_token *token)
{
	if (!cli_token_set(token, word)) {
		cli_out_error("token invalid length");
		return CLI_EXIT_FAILED;
	}
	return cli_token_check_pipe(token);
}

int
cmd_send_pipe(const struct cli_call *call)
{
	struct send_cmd c = { .run = { .call = call, .kind = JOB_PIPE } };
	struct cli_token token;
	int code;

	if (!cli_args_parallel(
		cli_args_text(call->args, "parallel"), &c.run.streams))
		return cli_main_usage(call, "parallel must be 1-16 or auto");
	code = get_token(cli_args_positional(call->args, 0), &token);
	c.run.token = token.text;
	c.run.arg = &c;
	if (code == CLI_EXIT_OK)
		code = send_source_open("", &c.source);
	if (code == CLI_EXIT_OK)
		code = run(&c);
	cli_token_wipe(&token);
	return code;
}

static void
tell_what(const struct send_cmd *c)
{
	const struct send_facts *f = send_source_facts(c->source);
	char quoted[TRANSFER_NAME_QUOTED(TRANSFER_NAME_MAX)];
	char size[TRANSFER_PROGRESS_MAX_SIZE];

	(void)transfer_name_quote(
	    quoted, sizeof(quoted), f->name, strlen(f->name));
	transfer_progress_size(size, f->size > 0 ? f->size : 0);
	if (f->kind == TRANSFER_KIND_FILE)
		cli_out_note(
		    &c->run.out, "Sending %s file named %s", size, quoted);
	else if (f->kind == TRANSFER_KIND_DIRECTORY)
		cli_out_note(&c->run.out, "Sending directory (%s tar) named %s",
		    size, quoted);
	else if (!f->from_stdin)
		cli_out_note(&c->run.out, "Sending text message (%s)", size);
}

static void
tell_token(const struct send_cmd *c, const char *token)
{
	if (!c->shows_qr) {
		cli_out_note(&c->run.out, "On the other machine, run:");
		cli_out_note(
		    &c->run.out, "npx -y derphole@latest receive %s", token);
		return;
	}
	qr_print_token(&c->run.out, token);
}

static void
on_token(void *arg, const char *token)
{
	struct send_cmd *c = arg;
	const struct send_facts *f = send_source_facts(c->source);
	bool is_file = f->kind == TRANSFER_KIND_FILE;

	/* The order scripts know. */
	if (is_file)
		tell_what(c);
	tell_token(c, token);
	if (!is_file)
		tell_what(c);
	if (f->size >= 0 && f->kind != TRANSFER_KIND_TEXT)
		transfer_run_show(&c->run, f->size);
}

static int
add_header(struct send_cmd *c)
{
	struct buf_writer w = buf_writer(c->run.header, sizeof(c->run.header));
	int r = send_source_header(c->source, &w);

	c->run.header_len = w.len;
	if (r == 0)
		return CLI_EXIT_OK;
	cli_out_error("header: %s", err_str(r));
	return CLI_EXIT_FAILED;
}

int
cmd_send(const struct cli_call *call)
{
	struct send_cmd c = { .run = { .call = call,
				  .kind = JOB_SEND,
				  .structured = true,
				  .on_token = on_token },
		.shows_qr = cli_args_flag(call->args, "qr") };
	const char *to = cli_args_text(call->args, "to");
	struct cli_token token;
	int code = cmd_receive_check_port(call);

	token.text[0] = '\0';
	if (code == CLI_EXIT_OK && *to != '\0') {
		code = get_token(to, &token);
		c.run.kind = JOB_PIPE;
		c.run.token = token.text;
	}
	if (code == CLI_EXIT_OK)
		code = send_source_open(
		    cli_args_positional(call->args, 0), &c.source);
	if (code != CLI_EXIT_OK) {
		cli_token_wipe(&token);
		return code;
	}
	c.run.arg = &c;
	c.run.blocks =
	    send_source_facts(c.source)->kind == TRANSFER_KIND_FILE &&
	    send_source_facts(c.source)->positioned;
	if (c.shows_qr &&
	    send_source_facts(c.source)->kind != TRANSFER_KIND_FILE) {
		cli_out_error("--qr only supports file sends");
		code = CLI_EXIT_FAILED;
	}
	if (code == CLI_EXIT_OK)
		code = add_header(&c);
	if (code == CLI_EXIT_OK)
		code = run(&c);
	else
		send_source_free(c.source);
	cli_token_wipe(&token);
	return code;
}
