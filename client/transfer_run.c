/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/transfer_run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli_relay.h"
#include "lib/fd.h"
#include "lib/secret.h"
#include "proto/token/token_text.h"

static bool
is_sender(const struct transfer_run *t)
{
	return t->kind == JOB_PIPE || t->kind == JOB_SEND;
}

static void
arm(struct transfer_run *t)
{
	loop_timer_at(
	    t->bar_timer, t->has_bar ? progress_bar_next(&t->bar) : MONO_NEVER);
}

static void
on_bar_timer(void *arg, struct mono now)
{
	struct transfer_run *t = arg;

	progress_bar_tick(&t->bar, now);
	arm(t);
}

void
transfer_run_show(struct transfer_run *t, int64_t total)
{
	const struct cli_args *args = t->call->args;
	enum progress_bar_when when = PROGRESS_BAR_AUTO;

	if (t->out.json || cli_args_flag(args, "hide-progress"))
		when = PROGRESS_BAR_NEVER;
	else if (cli_args_flag(args, "show-progress"))
		when = PROGRESS_BAR_ALWAYS;
	progress_bar_init(
	    &t->bar, when, STDERR_FILENO, total, loop_now(job_loop(t->job)));
	t->has_bar = true;
	arm(t);
}

static int64_t
number(const json_t *params, const char *name)
{
	return json_integer_value(json_object_get(params, name));
}

static void
on_progress(void *arg, struct job *j, const json_t *params)
{
	struct transfer_run *t = arg;
	struct mono now = loop_now(job_loop(j));

	t->moved = number(params, "moved");
	if (t->on_moved != NULL)
		t->on_moved(t->arg, t->moved);
	if (!t->has_bar)
		return;
	if (is_sender(t))
		progress_bar_set_peer(&t->bar, number(params, "peer_written"),
		    number(params, "peer_elapsed_ms"), now);
	else
		progress_bar_set(&t->bar, t->moved, now);
	if (json_is_true(json_object_get(params, "final"))) {
		progress_bar_end(&t->bar, true, now);
		t->has_bar = false;
	}
	arm(t);
}

static void
on_text(void *arg, struct job *j, bool ended, int code)
{
	struct transfer_run *t = arg;

	if (!t->has_bar)
		return;
	if (ended) {
		progress_bar_end(
		    &t->bar, code == CLI_EXIT_OK, loop_now(job_loop(j)));
		t->has_bar = false;
	} else
		progress_bar_pause(&t->bar);
	arm(t);
}

void
transfer_run_fail(struct transfer_run *t, int r, const char *text)
{
	on_text(t, t->job, true, CLI_EXIT_FAILED);
	cli_out_error("%s", text);
	job_abort(t->job, r);
}

static void
on_result(void *arg, struct job *j, const json_t *result)
{
	struct transfer_run *t = arg;
	const char *token = json_string_value(json_object_get(result, "token"));

	(void)j;
	if (t->kind == JOB_PIPE)
		cli_out_status(&t->out, "waiting-for-claim");
	if (token == NULL)
		return;
	cli_out_event(
	    &t->out, json_pack("{s:s,s:s}", "event", "token", "token", token));
	if (t->on_token != NULL)
		t->on_token(t->arg, token);
}

static void
on_open(void *arg, struct job *j, json_t *id, const json_t *params)
{
	struct transfer_run *t = arg;

	t->on_open(t->arg, j, id, params);
}

static int
judge_end(void *arg, int code)
{
	struct transfer_run *t = arg;

	return t->judge_end(t->arg, code);
}

static void
on_stop(void *arg)
{
	struct transfer_run *t = arg;

	t->on_stop(t->arg);
}

static void
on_save(void *arg, struct job *j, json_t *id, const json_t *params)
{
	struct transfer_run *t = arg;

	t->on_save(t->arg, j, id, params);
}

int
transfer_run_init(struct transfer_run *t)
{
	struct job_params jp = { .out = &t->out,
		.kind = t->kind,
		.socket = cli_args_text(t->call->args, "socket"),
		.force_relay = cli_args_flag(t->call->args, "force-relay"),
		.bad_token_code = CLI_EXIT_FAILED,
		.on_result = on_result,
		.on_open = t->on_open != NULL ? on_open : NULL,
		.on_save = t->on_save != NULL ? on_save : NULL,
		.judge_end = t->judge_end != NULL ? judge_end : NULL,
		.on_stop = t->on_stop != NULL ? on_stop : NULL,
		.on_progress = on_progress,
		.on_text = on_text,
		.arg = t };

	t->out = *t->call->out;
	/* A receiver's stdout is the peer's bytes and nothing else. */
	if (!is_sender(t))
		t->out.events = stderr;
	t->fd = -1;
	t->job = job_new(&jp);
	if (t->job == NULL)
		return CLI_EXIT_FAILED;
	t->bar_timer = loop_timer_new(job_loop(t->job), on_bar_timer, t);
	if (t->bar_timer != NULL)
		return CLI_EXIT_OK;
	cli_out_error("out of memory");
	return CLI_EXIT_FAILED;
}

static void
add_header(json_t *params, const struct transfer_run *t)
{
	char text[TOKEN_TEXT_BASE64_LEN(TRANSFER_HEADER_MAX_OWN) + 1];

	if (token_text_base64_encode(
		text, sizeof(text), t->header, t->header_len) == 0)
		(void)json_object_set_new(params, "header", json_string(text));
}

static json_t *
make_params(const struct transfer_run *t)
{
	json_t *params = json_pack("{s:s,s:b,s:b,s:b,s:I}", "direction",
	    is_sender(t) ? "send" : "receive", "structured", (int)t->structured,
	    "blocks", (int)t->blocks, "positioned", (int)t->positioned,
	    "offset", (json_int_t)t->offset);

	if (t->token != NULL)
		(void)json_object_set_new(
		    params, "token", json_string(t->token));
	if (is_sender(t)) {
		(void)json_object_set_new(
		    params, "size", json_integer(t->size));
		(void)json_object_set_new(
		    params, "streams", json_integer((json_int_t)t->streams));
	}
	if (t->header_len > 0)
		add_header(params, t);
	return params;
}

int
transfer_run_go(struct transfer_run *t)
{
	struct cli_relay relay;
	json_t *params;
	size_t n_fds = 0;
	int fds[2], code = cli_relay_init(&relay, t->call, t->token == NULL);

	if (code != CLI_EXIT_OK)
		return code;
	params = make_params(t);
	if (relay.ca_fd >= 0) {
		(void)json_object_set_new(
		    relay.params, "ca_fd", json_integer(0));
		fds[n_fds++] = relay.ca_fd;
		relay.ca_fd = -1; /* travels with the request */
	}
	if (t->fd >= 0)
		fds[n_fds++] = t->fd;
	t->fd = -1; /* likewise */
	cli_relay_direct(params, t->call);
	(void)json_object_set(params, "relay", relay.params);
	cli_relay_fini(&relay);
	return job_run(t->job,
	    t->token == NULL ? "endpoint.transfer" : "session.transfer", params,
	    fds, n_fds);
}

void
transfer_run_fini(struct transfer_run *t)
{
	fd_close(&t->fd);
	loop_timer_free(t->bar_timer);
	job_free(t->job);
	secret_wipe(t->header, sizeof(t->header));
}
