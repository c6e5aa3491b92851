/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_claim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli_relay.h"
#include "client/cli_target.h"
#include "client/cli_token.h"
#include "client/job.h"
#include "client/listener.h"
#include "client/pump.h"
#include "lib/err.h"

/* The parameters of session.open and session.connect.  @fds has room for one
 * more.  Returns an exit code; *@ret_params only with CLI_EXIT_OK. */
static int
make_params(const struct cli_call *call, const struct cli_token *token,
    int *fds, size_t *n_fds, json_t **ret_params)
{
	struct cli_relay relay;
	json_t *params;
	int code = cli_relay_init(&relay, call, false);

	if (code != CLI_EXIT_OK)
		return code;
	if (relay.ca_fd >= 0) {
		(void)json_object_set_new(
		    relay.params, "ca_fd", json_integer((json_int_t)*n_fds));
		fds[(*n_fds)++] = relay.ca_fd;
		relay.ca_fd = -1; /* travels with the request */
	}
	params =
	    json_pack("{s:s,s:O}", "token", token->text, "relay", relay.params);
	cli_relay_direct(params, call);
	cli_relay_fini(&relay);
	*ret_params = params;
	return CLI_EXIT_OK;
}

struct open_cmd {
	const struct cli_out *out;
	int fd; /* bound, listening after `ready`; -1: handed over */
	struct addr addr;
};

static void
on_open_ready(void *arg, struct job *j)
{
	struct open_cmd *c = arg;
	char text[ADDR_MAX_TEXT], reason[CLI_OUT_MAX_REASON];
	int fd = c->fd, r = listener_start(fd), code;

	addr_format(&c->addr, text);
	if (r < 0) {
		cli_out_error(
		    "listen tcp %s: %s", text, cli_out_reason(r, reason));
		job_fail(j, CLI_EXIT_FAILED);
		return;
	}
	c->fd = -1;
	job_listen(j, fd);
	code = cli_out_answer(c->out,
	    json_pack("{s:s,s:s}", "event", "listening", "address", text));
	if (code != CLI_EXIT_OK)
		job_fail(j, code);
	cli_out_note(c->out, "listening on %s", text);
}

/* `open` of both programs, once the token is known to be good. */
static int
run_open(const struct cli_call *call, const struct cli_token *token,
    const char *at_text, int bad_token_code)
{
	struct open_cmd c = { .out = call->out, .fd = -1 };
	struct job_params jp = { .out = call->out,
		.kind = JOB_OPEN,
		.socket = cli_args_text(call->args, "socket"),
		.bad_token_code = bad_token_code,
		.on_ready = on_open_ready,
		.arg = &c };
	struct cli_target at;
	struct job *j;
	json_t *params = NULL;
	char reason[CLI_OUT_MAX_REASON];
	size_t n_fds = 0;
	int fds[1], code, r;

	if (*at_text == '\0')
		at_text = "127.0.0.1:0";
	r = cli_target_parse_listen(&at, at_text);
	if (r < 0) {
		cli_out_error("listen tcp %s: not HOST:PORT", at_text);
		return CLI_EXIT_FAILED;
	}
	r = listener_bind(&at, &c.fd, &c.addr);
	if (r < 0) {
		cli_out_error("listen tcp %s: bind: %s", at_text,
		    cli_out_reason(r, reason));
		return CLI_EXIT_FAILED;
	}
	code = make_params(call, token, fds, &n_fds, &params);
	if (code == CLI_EXIT_OK) {
		j = job_new(&jp);
		code = job_run(j, "session.open", params, fds, n_fds);
		job_free(j);
	}
	fd_close(&c.fd);
	return code;
}

int
cmd_claim_share(const struct cli_call *call)
{
	struct cli_token token;
	unsigned n;
	int code;

	/* It chose transfer lanes once and has no meaning for tunnels. */
	if (!cli_args_parallel(cli_args_text(call->args, "parallel"), &n))
		return cli_main_usage(call, "parallel must be 1-16 or auto");
	if (!cli_token_set(&token, cli_args_positional(call->args, 0))) {
		cli_out_error("token invalid length");
		return CLI_EXIT_FAILED;
	}
	code = cli_token_check_share(&token);
	if (code == CLI_EXIT_OK)
		code = run_open(call, &token,
		    cli_args_positional(call->args, 1), CLI_EXIT_FAILED);
	cli_token_wipe(&token);
	return code;
}

static int
read_client_token(const struct cli_call *call, struct cli_token *token)
{
	int code = cli_token_read(call, true, token);

	return code == CLI_EXIT_OK ? cli_token_check_client(token) : code;
}

int
cmd_claim_open(const struct cli_call *call)
{
	struct cli_token token;
	int code = read_client_token(call, &token);

	if (code == CLI_EXIT_OK)
		code = run_open(call, &token,
		    cli_args_text(call->args, "listen"), CLI_EXIT_USAGE);
	cli_token_wipe(&token);
	return code;
}

/* How often we look whether bytes still come from a worker that ended. */
#define DRAIN_US (200 * MONO_MS)

struct connect_cmd {
	struct job *job;
	struct pump *in, *out; /* NULL: not copied here, or over */
	struct loop_timer *drain;
	bool ended;
};

static void
close_standard(int fd)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* The number stays taken; the other end sees the last copy go. */
	if (null_fd >= 0 && null_fd != fd)
		(void)dup2(null_fd, fd);
	if (null_fd > STDERR_FILENO)
		(void)close(null_fd);
}

static void
tell(const char *what, int r)
{
	char reason[CLI_OUT_MAX_REASON];

	cli_out_error("%s: %s", what, cli_out_reason(r, reason));
}

static void
on_in_done(void *arg, int r)
{
	struct connect_cmd *c = arg;

	pump_free(c->in);
	c->in = NULL;
	if (r >= 0)
		return;
	tell("read stdin", r);
	job_fail(c->job, CLI_EXIT_LOCAL_IO);
}

static void
on_out_done(void *arg, int r)
{
	struct connect_cmd *c = arg;

	pump_free(c->out);
	c->out = NULL;
	close_standard(STDOUT_FILENO);
	if (r < 0) {
		tell("write stdout", r);
		job_fail(c->job, CLI_EXIT_LOCAL_IO);
	} else if (c->ended) {
		job_finish(c->job);
	}
}

static void
on_connect_ended(void *arg, struct job *j)
{
	struct connect_cmd *c = arg;

	c->ended = true;
	if (c->out == NULL)
		job_finish(j);
	else
		loop_timer_in(c->drain, DRAIN_US);
}

/* The worker is gone, so its socket ends; but should somebody else hold it,
 * silence ends us too. */
static void
on_drain(void *arg, struct mono now)
{
	struct connect_cmd *c = arg;

	(void)now;
	if (c->out == NULL || pump_is_idle(c->out))
		job_finish(c->job);
	else
		loop_timer_in(c->drain, DRAIN_US);
}

static int
attach(struct connect_cmd *c, int fds[2])
{
	struct pump_params pp = { .loop = job_loop(c->job),
		.arg = c,
		.fd = STDIN_FILENO,
		.direction = PUMP_IN,
		.on_done = on_in_done };
	int r = pump_attach(&pp, &fds[0], &c->in);

	if (r < 0) {
		tell("stdin", r);
		return CLI_EXIT_LOCAL_IO;
	}
	pp.fd = STDOUT_FILENO;
	pp.direction = PUMP_OUT;
	pp.on_done = on_out_done;
	r = pump_attach(&pp, &fds[1], &c->out);
	if (r < 0) {
		tell("stdout", r);
		fd_close(&fds[0]);
		return CLI_EXIT_LOCAL_IO;
	}
	/* Nobody but the worker shall keep the user's pipes open. */
	if (c->in == NULL)
		close_standard(STDIN_FILENO);
	if (c->out == NULL)
		close_standard(STDOUT_FILENO);
	return CLI_EXIT_OK;
}

static int
run_connect(const struct cli_call *call, const struct cli_token *token,
    struct connect_cmd *c)
{
	json_t *params = NULL;
	size_t n_fds = 2;
	int fds[3];
	int code = attach(c, fds);

	if (code != CLI_EXIT_OK)
		return code;
	code = make_params(call, token, fds, &n_fds, &params);
	if (code == CLI_EXIT_OK)
		return job_run(c->job, "session.connect", params, fds, n_fds);
	fd_close(&fds[0]);
	fd_close(&fds[1]);
	return code;
}

int
cmd_claim_connect(const struct cli_call *call)
{
	struct cli_out out = *call->out;
	struct connect_cmd c = { 0 };
	struct job_params jp = { .out = &out,
		.kind = JOB_CONNECT,
		.socket = cli_args_text(call->args, "socket"),
		.bad_token_code = CLI_EXIT_USAGE,
		.on_ended = on_connect_ended,
		.arg = &c };
	struct cli_token token;
	int code;

	if (!cli_args_flag(call->args, "stdio"))
		return cli_main_usage(call, "");
	code = read_client_token(call, &token);
	if (code != CLI_EXIT_OK) {
		cli_token_wipe(&token);
		return code;
	}
	out.events = stderr; /* stdout is the peer's bytes and nothing else */
	c.job = job_new(&jp);
	c.drain = c.job != NULL ? loop_timer_new(job_loop(c.job), on_drain, &c)
				: NULL;
	code = CLI_EXIT_FAILED;
	if (c.drain != NULL)
		code = run_connect(call, &token, &c);
	cli_token_wipe(&token);
	pump_free(c.in);
	pump_free(c.out);
	loop_timer_free(c.drain);
	job_free(c.job);
	return code;
}
