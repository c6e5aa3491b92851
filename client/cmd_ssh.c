/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/cmd_ssh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/cli_relay.h"
#include "client/cli_token.h"
#include "client/job.h"
#include "client/ssh_keys.h"
#include "client/ssh_talk.h"
#include "lib/err.h"
#include "lib/secret.h"

/* Everything went out and the inviter read it or never will. */
#define CONFIRM_US (5 * MONO_SEC)
/* The inviter has left the relay, and all of ours was read from us: what is
 * still on its way has this long. */
#define GONE_US (MONO_SEC / 2)
/* The key is in place; the accepter, who sees our end of the stream, leaves. */
#define LEAVE_US (1 * MONO_SEC)

struct invite_cmd {
	const struct cli_out *out;
	struct job *job;
	struct ssh_keys_account account;
	struct ssh_talk *talk;
	struct loop_timer *timer;
	bool is_over; /* the key arrived, or something broke: said */
	bool has_ended;
	int code;
};

struct accept_cmd {
	const struct cli_out *out;
	struct job *job;
	struct ssh_talk *talk;
	struct loop_timer *timer;
};

static int
tell(const char *what, int r)
{
	char reason[CLI_OUT_MAX_REASON];

	cli_out_error("%s: %s", what, cli_out_reason(r, reason));
	return CLI_EXIT_FAILED;
}

/* One end of a stream for the worker in *@ret_fd; we talk at the other. */
static struct ssh_talk *
new_talk(struct ssh_talk_params *p, int *ret_fd)
{
	struct ssh_talk *t;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
		pair) != 0)
		return NULL;
	p->fd = pair[0];
	t = ssh_talk_new(p);
	if (t != NULL)
		*ret_fd = pair[1];
	else
		fd_close(&pair[1]);
	return t;
}

static int
authorize(struct invite_cmd *c)
{
	struct ssh_keys_outcome outcome;
	struct ssh_key key;
	const char *text, *why = NULL;
	size_t len;
	int r;

	text = ssh_talk_peek_text(c->talk, &len);
	r = ssh_key_parse(&key, text, len, &why);
	if (r < 0) {
		cli_out_error("%s", why != NULL ? why : "invalid public key");
		return CLI_EXIT_FAILED;
	}
	r = ssh_keys_authorize(&c->account, &key, &outcome);
	if (r < 0) {
		(void)tell("authorized_keys", r);
		return CLI_EXIT_LOCAL_IO;
	}
	if (outcome.was_there)
		cli_out_note(
		    c->out, "SSH public key was there: %s", outcome.path);
	else
		cli_out_note(
		    c->out, "Appended SSH public key to %s", outcome.path);
	if (outcome.is_loose)
		cli_out_note(c->out,
		    "%s: others may write there; sshd will "
		    "not use it",
		    outcome.path);
	return CLI_EXIT_OK;
}

static void
on_key_end(void *arg, int r, const char *why)
{
	struct invite_cmd *c = arg;

	c->is_over = true;
	if (r < 0) {
		cli_out_error("%s", why != NULL ? why : err_str(r));
		c->code = CLI_EXIT_FAILED;
	} else
		c->code = authorize(c);
	ssh_talk_free(c->talk);
	c->talk = NULL;
	if (c->code == CLI_EXIT_OK && !c->has_ended)
		loop_timer_in(c->timer, LEAVE_US);
	else
		job_fail(c->job, c->code);
}

static void
on_leave_timer(void *arg, struct mono now)
{
	struct invite_cmd *c = arg;

	(void)now;
	job_fail(c->job, c->code);
}

static int
on_invite_dial(void *arg, struct job *j)
{
	struct invite_cmd *c = arg;
	struct ssh_talk_params p = { .loop = job_loop(j),
		.own = TRANSFER_KIND_SSH_INVITE,
		.peer = TRANSFER_KIND_SSH_ACCEPT,
		.on_end = on_key_end,
		.arg = c };
	int fd = -1;

	if (c->talk != NULL || c->is_over)
		return -DT_ERR_LIMIT; /* one stream */
	c->talk = new_talk(&p, &fd);
	return c->talk != NULL ? fd : -ENOMEM;
}

/* The last bytes may still be on their way to us. */
static void
on_invite_ended(void *arg, struct job *j)
{
	struct invite_cmd *c = arg;

	c->has_ended = true;
	if (c->is_over || c->talk == NULL)
		job_finish(j);
}

static void
on_invite_result(void *arg, struct job *j, const json_t *result)
{
	struct invite_cmd *c = arg;
	const char *token = json_string_value(json_object_get(result, "token"));

	(void)j;
	cli_out_event(
	    c->out, json_pack("{s:s,s:s}", "event", "token", "token", token));
	cli_out_note(c->out, "On the other machine, run:");
	cli_out_note(c->out, "derphole ssh accept %s", token);
}

/* Adds what both commands have in common and runs the job.  @fds has room for
 * one more. */
static int
run(const struct cli_call *call, struct job *j, const char *method,
    json_t *params, int *fds, size_t n_fds)
{
	struct cli_relay relay;
	bool is_minting = json_object_get(params, "token") == NULL;
	int code = cli_relay_init(&relay, call, is_minting);

	if (code != CLI_EXIT_OK) {
		json_decref(params);
		for (size_t i = 0; i < n_fds; i++)
			fd_close(&fds[i]);
		return code;
	}
	if (relay.ca_fd >= 0) {
		(void)json_object_set_new(
		    relay.params, "ca_fd", json_integer((json_int_t)n_fds));
		fds[n_fds++] = relay.ca_fd;
		relay.ca_fd = -1; /* travels with the request */
	}
	cli_relay_direct(params, call);
	(void)json_object_set(params, "relay", relay.params);
	cli_relay_fini(&relay);
	return job_run(j, method, params, fds, n_fds);
}

int
cmd_ssh_invite(const struct cli_call *call)
{
	struct invite_cmd c = { .out = call->out };
	struct job_params jp = { .out = call->out,
		.kind = JOB_INVITE,
		.socket = cli_args_text(call->args, "socket"),
		.bad_token_code = CLI_EXIT_FAILED,
		.on_result = on_invite_result,
		.on_dial = on_invite_dial,
		.on_ended = on_invite_ended,
		.arg = &c };
	const char *user = cli_args_text(call->args, "user");
	int fds[1], code, r = ssh_keys_account(user, &c.account);

	if (r < 0)
		return tell(*user != '\0' ? user : "home", r);
	c.job = job_new(&jp);
	c.timer = c.job != NULL
		      ? loop_timer_new(job_loop(c.job), on_leave_timer, &c)
		      : NULL;
	code = CLI_EXIT_FAILED;
	if (c.timer != NULL)
		code = run(call, c.job, "endpoint.share",
		    json_pack("{s:s,s:b}", "target", "ssh invite", "attach", 1),
		    fds, 0);
	if (c.is_over)
		code = c.code;
	else if (code == CLI_EXIT_OK) {
		cli_out_error("EOF"); /* as the siblings say it */
		code = CLI_EXIT_FAILED;
	}
	ssh_talk_free(c.talk);
	loop_timer_free(c.timer);
	job_free(c.job);
	return code;
}

static bool
is_sent(const struct accept_cmd *c)
{
	return ssh_talk_has_header(c->talk) && ssh_talk_has_sent(c->talk);
}

static void
on_greeting_end(void *arg, int r, const char *why)
{
	struct accept_cmd *c = arg;

	if (r == -DT_ERR_TRUNCATED)
		return; /* the end of the session says why */
	if (r < 0) {
		cli_out_error("%s", why != NULL ? why : err_str(r));
		job_fail(c->job, CLI_EXIT_REMOTE_IO);
	} else if (is_sent(c)) {
		job_fail(c->job, CLI_EXIT_OK); /* it has read ours */
	}
}

static void
on_greeting(void *arg)
{
	struct accept_cmd *c = arg;

	loop_timer_in(c->timer, CONFIRM_US);
}

/* An inviter of v0.18.2 closes the connection when it has the key, without
 * ending its direction of the stream first. */
static int
judge_accept_end(void *arg, int code)
{
	const struct accept_cmd *c = arg;

	if (code == CLI_EXIT_TUNNEL_LOST)
		ssh_talk_poll(c->talk); /* its greeting may wait to be read */
	return code == CLI_EXIT_TUNNEL_LOST && is_sent(c) ? CLI_EXIT_OK : code;
}

/* An inviter of v0.18.2 is a process that ends when it has the key, often
 * before its last packets are out. */
static void
on_peer_gone(void *arg)
{
	struct accept_cmd *c = arg;

	ssh_talk_poll(c->talk);
	if (is_sent(c))
		loop_timer_in(c->timer, GONE_US);
}

static void
on_confirm_timer(void *arg, struct mono now)
{
	struct accept_cmd *c = arg;

	(void)now;
	job_fail(c->job, is_sent(c) ? CLI_EXIT_OK : CLI_EXIT_TIMED_OUT);
}

/* One line; what the siblings take for yes. */
static int
confirm(const struct cli_call *call, const struct ssh_key *key)
{
	char id[SSH_KEY_MAX_COMMENT], line[64] = "";

	(void)ssh_key_id(key, id);
	cli_out_note(call->out, "Sending public key type='%s' keyid='%s'",
	    key->type, id);
	if (cli_args_flag(call->args, "yes"))
		return CLI_EXIT_OK;
	(void)fprintf(stderr, "Really send public key \"%s\"? [y/N] ", id);
	if (fgets(line, sizeof(line), stdin) == NULL) {
		(void)fputc('\n', stderr);
		cli_out_error("confirmation required; rerun with --yes");
		return CLI_EXIT_FAILED;
	}
	line[strcspn(line, "\r\n")] = '\0';
	if (strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0)
		return CLI_EXIT_OK;
	cli_out_error("aborted");
	return CLI_EXIT_FAILED;
}

static int
choose_key(const struct cli_call *call, struct ssh_key *ret_key)
{
	const char *path = cli_args_text(call->args, "key-file"), *why = NULL;
	struct ssh_keys_account account;
	int r = ssh_keys_account(NULL, &account);

	if (r < 0)
		return tell("home", r);
	r = ssh_keys_choose(path, account.home, ret_key, &why);
	if (r == 0)
		return confirm(call, ret_key);
	if (why == NULL)
		return tell(*path != '\0' ? path : "key", r);
	cli_out_error("%s", why);
	return CLI_EXIT_FAILED;
}

static int
send_key(const struct cli_call *call, const struct cli_token *token,
    const struct ssh_key *key)
{
	struct accept_cmd c = { .out = call->out };
	struct job_params jp = { .out = call->out,
		.kind = JOB_ACCEPT,
		.socket = cli_args_text(call->args, "socket"),
		.bad_token_code = CLI_EXIT_FAILED,
		.judge_end = judge_accept_end,
		.on_peer_gone = on_peer_gone,
		.arg = &c };
	char text[SSH_KEY_MAX_LINE + 1];
	struct ssh_talk_params p = { .own = TRANSFER_KIND_SSH_ACCEPT,
		.peer = TRANSFER_KIND_SSH_INVITE,
		.text = text,
		.on_header = on_greeting,
		.on_end = on_greeting_end,
		.arg = &c };
	int fds[2], code = CLI_EXIT_FAILED;

	text[ssh_key_print(key, text, sizeof(text) - 1)] = '\0';
	c.job = job_new(&jp);
	if (c.job == NULL)
		return CLI_EXIT_FAILED;
	p.loop = job_loop(c.job);
	c.timer = loop_timer_new(p.loop, on_confirm_timer, &c);
	c.talk = c.timer != NULL ? new_talk(&p, &fds[0]) : NULL;
	if (c.talk == NULL)
		cli_out_error("out of memory");
	else
		code = run(call, c.job, "session.connect",
		    json_pack("{s:s}", "token", token->text), fds, 1);
	if (code == CLI_EXIT_OK && ssh_talk_has_sent(c.talk))
		cli_out_note(call->out, "Public key sent.");
	ssh_talk_free(c.talk);
	loop_timer_free(c.timer);
	job_free(c.job);
	return code;
}

int
cmd_ssh_accept(const struct cli_call *call)
{
	struct cli_token token;
	struct ssh_key key;
	int code;

	if (*cli_args_positional(call->args, 0) == '\0')
		return cli_main_usage(call, "");
	if (!cli_token_set(&token, cli_args_positional(call->args, 0))) {
		cli_out_error("token invalid length");
		return CLI_EXIT_FAILED;
	}
	code = cli_token_check_accept(&token);
	if (code == CLI_EXIT_OK)
		code = choose_key(call, &key);
	if (code == CLI_EXIT_OK)
		code = send_key(call, &token, &key);
	cli_token_wipe(&token);
	return code;
}
