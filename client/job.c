/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ASKING   the request was sent; a signal ends us at once.
 * RUNNING  the object exists; its events are reported.
 * STOPPING asked to stop, by a signal or a failure of ours; nothing is reported
 *          any more.  Ends with the object, or after STOP_US.
 * ENDING   it ended by itself; the command may still have bytes to write.
 * DONE     the loop is stopping.
 *
 * Ctrl-C may come when a transfer is complete already: the end tells.
 *
 * A second signal ends it on the spot, but for what has to be cleaned up.  What
 * a transfer is asked for (where to put it, to save it) is passed on to its
 * command.
 */
#include "client/job.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/daemon_find.h"
#include "client/dialer.h"
#include "client/job_events.h"
#include "client/rpc_client.h"
#include "lib/err.h"
#include "proto/rpc/rpc.h"

/* The daemon ends sessions within 3 s, then there is its answer. */
#define STOP_US (5 * MONO_SEC)
/* A signal that came while the daemon was looked for is waiting in the loop. */
#define SIGNAL_US (1 * MONO_SEC)

enum job_state { ASKING, RUNNING, STOPPING, ENDING, DONE };

struct job {
	struct job_params p;
	struct job_events events;
	enum job_state state;
	struct loop *loop;
	struct loop_signal *signals[3]; /* the last one may be NULL */
	struct loop_timer *timer;
	struct rpc_client *rpc;
	struct dialer *dialer;
	int64_t id; /* of the object; 0: not known yet */
	int signals_seen;
	int stop_error;      /* why it is stopped, if not by the user */
	bool is_interrupted; /* what is no tunnel; to be said at the end */
	int code;
	bool was_ready;
};

/* One dial of the daemon's.  Owner: the dialer's callback. */
struct job_dial {
	struct job *job;
	json_t *id;
};

static bool
is_endpoint(const struct job *j)
{
	switch (j->p.kind) {
	case JOB_SHARE:
	case JOB_SERVE:
	case JOB_LISTEN:
	case JOB_SEND:
	case JOB_INVITE:
		return true;
	case JOB_OPEN:
	case JOB_CONNECT:
	case JOB_PIPE:
	case JOB_RECEIVE:
	case JOB_ACCEPT:
	default:
		return false;
	}
}

/* A tunnel that is interrupted has done its duty; a transfer has not. */
static bool
is_tunnel(const struct job *j)
{
	return j->p.kind <= JOB_CONNECT;
}

static bool
is_transfer(const struct job *j)
{
	return j->p.kind >= JOB_LISTEN && j->p.kind <= JOB_RECEIVE;
}

static void
before_text(struct job *j, bool ended, int code)
{
	if (j->p.on_text != NULL)
		j->p.on_text(j->p.arg, j, ended, code);
}

static const char *
id_member(const struct job *j)
{
	return is_endpoint(j) ? "endpoint" : "session";
}

static void
end(struct job *j, int code)
{
	if (j->is_interrupted) {
		j->is_interrupted = false;
		before_text(j, true, code);
		if (code != CLI_EXIT_OK) /* as scripts know it */
			cli_out_error("context canceled");
	}
	j->state = DONE;
	j->code = code;
	loop_stop(j->loop);
}

static void
on_stop_answer(
    void *arg, const json_t *result, const struct rpc_client_error *error)
{
	/* `ended` follows, or has come before. */
	(void)arg;
	(void)result;
	(void)error;
}

static void
ask_stop(struct job *j)
{
	json_t *params = json_pack("{s:I}", id_member(j), (json_int_t)j->id);

	if (j->stop_error != 0)
		(void)json_object_set_new(
		    params, "error", json_string(err_name(j->stop_error)));

	if (rpc_client_call(j->rpc,
		is_endpoint(j) ? "endpoint.stop" : "session.stop", params, NULL,
		0, on_stop_answer) < 0)
		end(j, j->code);
}

/* The object shall end; @code is what the process returns then. */
static void
stop(struct job *j, int code)
{
	if (j->state == ASKING) {
		end(j, code); /* what has no id yet ends with the connection */
		return;
	}
	if (j->p.on_stop != NULL)
		j->p.on_stop(j->p.arg);
	j->state = STOPPING;
	j->code = code;
	loop_timer_in(j->timer, STOP_US);
	ask_stop(j);
}

static int
judge(const struct job *j, int code)
{
	return j->p.judge_end != NULL ? j->p.judge_end(j->p.arg, code) : code;
}

static void
interrupt(struct job *j, int signo)
{
	int code = CLI_EXIT_OK;

	j->is_interrupted = !is_tunnel(j);
	if (j->is_interrupted)
		code = judge(j, 128 + signo);
	stop(j, code);
}

static void
on_signal(void *arg, int signo, struct mono now)
{
	struct job *j = arg;

	(void)now;
	if (j->state == DONE)
		return;
	if (j->signals_seen++ > 0)
		end(j, j->is_interrupted && j->code == CLI_EXIT_OK
			   ? CLI_EXIT_OK
			   : 128 + signo);
	else if (j->state == ASKING || j->state == RUNNING)
		interrupt(j, signo);
	else if (j->state == ENDING)
		end(j, j->code);
}

static void
on_timer(void *arg, struct mono now)
{
	struct job *j = arg;

	(void)now;
	end(j, j->code);
}

static void
tell_error(struct job *j, const struct rpc_client_error *error)
{
	int code = cli_exit_code(error->name);

	if (error->code == RPC_BAD_TOKEN)
		code = j->p.bad_token_code;
	cli_out_error("%s", error->message);
	end(j, code);
}

static void
on_answer(void *arg, const json_t *result, const struct rpc_client_error *error)
{
	struct job *j = arg;

	if (j->state != ASKING)
		return;
	if (error != NULL) {
		tell_error(j, error);
		return;
	}
	j->id = json_integer_value(json_object_get(result, id_member(j)));
	j->state = RUNNING;
	if (j->p.on_result != NULL)
		j->p.on_result(j->p.arg, j, result);
}

static void
on_ended(struct job *j, const json_t *params)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	const char *reason =
	    json_string_value(json_object_get(params, "reason"));
	int code = cli_exit_code(name);

	if (j->state == STOPPING) {
		if (j->is_interrupted && is_transfer(j) && code == CLI_EXIT_OK)
			j->code = CLI_EXIT_OK; /* it came too late */
		end(j, j->code);
		return;
	}
	j->code = judge(j, code);
	before_text(j, true, j->code);
	if (j->code != CLI_EXIT_OK)
		cli_out_error("%s", reason != NULL && *reason != '\0' ? reason
				    : name != NULL                    ? name
						   : "ended");
	j->state = ENDING;
	if (j->p.on_ended != NULL)
		j->p.on_ended(j->p.arg, j);
	else
		end(j, j->code);
}

static bool
is_event(const json_t *params, const char *wanted)
{
	const char *name = json_string_value(json_object_get(params, "event"));

	return name != NULL && strcmp(name, wanted) == 0;
}

static void
on_progress(struct job *j, const json_t *params)
{
	if (j->state != RUNNING)
		return;
	cli_out_event(j->p.out, json_deep_copy(params));
	if (j->p.on_progress != NULL)
		j->p.on_progress(j->p.arg, j, params);
}

static void
on_event(void *arg, const json_t *params)
{
	struct job *j = arg;
	enum job_event event;

	if (is_event(params, "progress")) {
		on_progress(j, params);
		return;
	}
	if (is_event(params, "peer-gone") && j->state == RUNNING &&
	    j->p.on_peer_gone != NULL)
		j->p.on_peer_gone(j->p.arg);
	if (j->p.out->verbose)
		before_text(j, false, CLI_EXIT_OK);
	event = job_events_take(
	    &j->events, params, id_member(j), j->state != STOPPING);

	if (j->state == DONE || j->state == ENDING)
		return;
	if (event == JOB_EVENT_ENDED) {
		on_ended(j, params);
	} else if (event == JOB_EVENT_READY && !j->was_ready &&
		   j->state == RUNNING) {
		j->was_ready = true;
		if (j->p.on_ready != NULL)
			j->p.on_ready(j->p.arg, j);
	}
}

static void
on_dialed(void *arg, int r, int fd)
{
	struct job_dial *d = arg;

	if (r < 0)
		cli_out_status(
		    d->job->p.out, "backend-dial-failed err=%s", err_name(r));
	rpc_client_dialed(d->job->rpc, d->id, r, fd);
	json_decref(d->id);
	free(d);
}

static void
drop_dial(void *arg)
{
	struct job_dial *d = arg;

	json_decref(d->id);
	free(d);
}

static void
on_dial(void *arg, json_t *id)
{
	struct job *j = arg;
	struct job_dial *d = NULL;
	int r = -EINVAL; /* nothing is shared here */

	if (j->p.on_dial != NULL && j->state == RUNNING) {
		r = j->p.on_dial(j->p.arg, j);
		rpc_client_dialed(j->rpc, id, r < 0 ? r : 0, r);
		return;
	}
	if (j->dialer != NULL) {
		d = calloc(1, sizeof(*d));
		r = -ENOMEM;
	}
	if (d != NULL) {
		d->job = j;
		d->id = json_incref(id);
		r = dialer_dial(j->dialer, on_dialed, d);
		if (r < 0)
			drop_dial(d);
	}
	if (r < 0)
		rpc_client_dialed(j->rpc, id, r, -1);
}

static bool
on_request(void *arg, const char *method, json_t *id, const json_t *params)
{
	struct job *j = arg;

	if (j->state != RUNNING)
		return false; /* it is being ended */
	if (strcmp(method, "transfer.open") == 0 && j->p.on_open != NULL)
		j->p.on_open(j->p.arg, j, id, params);
	else if (strcmp(method, "transfer.save") == 0 && j->p.on_save != NULL)
		j->p.on_save(j->p.arg, j, id, params);
	else
		return false;
	return true;
}

void
job_answer(struct job *j, json_t *id, json_t *result, int fd)
{
	rpc_client_answer(j->rpc, id, result, fd);
}

void
job_refuse(struct job *j, json_t *id, int r, const char *text)
{
	rpc_client_refuse(j->rpc, id, r, text);
}

static void
on_gone(void *arg, int r)
{
	struct job *j = arg;

	(void)r;
	if (j->state == DONE)
		return;
	if (j->state == STOPPING) {
		end(j, j->code); /* an idle daemon may leave first */
		return;
	}
	if (j->state == ENDING)
		return; /* the end is known; bytes may be left */
	before_text(j, true, CLI_EXIT_TUNNEL_LOST);
	cli_out_error("%s: derptund is gone",
	    is_tunnel(j) ? "tunnel lost" : "transfer lost");
	end(j, CLI_EXIT_TUNNEL_LOST);
}

/* Of a terminal that goes away; nohup(1) asks for being spared. */
static bool
is_hangup_ours(void)
{
	struct sigaction old;

	return sigaction(SIGHUP, NULL, &old) == 0 && old.sa_handler != SIG_IGN;
}

struct job *
job_new(const struct job_params *p)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	j->p = *p;
	job_events_init(&j->events, p->out, p->kind);
	j->events.is_trying = p->force_relay;
	j->loop = loop_new();
	if (j->loop != NULL) {
		j->signals[0] = loop_signal_new(j->loop, SIGINT, on_signal, j);
		j->signals[1] = loop_signal_new(j->loop, SIGTERM, on_signal, j);
		if (is_hangup_ours())
			j->signals[2] =
			    loop_signal_new(j->loop, SIGHUP, on_signal, j);
		j->timer = loop_timer_new(j->loop, on_timer, j);
		if (p->target != NULL)
			j->dialer = dialer_new(j->loop, p->target);
	}
	if (j->timer != NULL && j->signals[0] != NULL &&
	    j->signals[1] != NULL && (p->target == NULL || j->dialer != NULL))
		return j;
	cli_out_error("out of memory");
	job_free(j);
	return NULL;
}

static void
hold_signals(sigset_t *ret_before)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, ret_before);
}

void
job_free(struct job *j)
{
	if (j == NULL)
		return;
	/* The exit code is decided: a signal that comes while we clean up and
	 * end does not make it another. */
	hold_signals(NULL);
	rpc_client_free(j->rpc);
	if (j->dialer != NULL)
		dialer_cancel_args(j->dialer, drop_dial);
	dialer_free(j->dialer);
	loop_timer_free(j->timer);
	loop_signal_free(j->signals[0]);
	loop_signal_free(j->signals[1]);
	loop_signal_free(j->signals[2]);
	loop_free(j->loop);
	free(j);
}

struct loop *
job_loop(struct job *j)
{
	return j->loop;
}

/* A signal before anything began: it decides the exit code. */
static int
take_signal(struct job *j)
{
	j->code = CLI_EXIT_FAILED;
	loop_timer_in(j->timer, SIGNAL_US);
	(void)loop_run(j->loop);
	j->state = DONE;
	return j->code;
}

/* Finds the daemon and connects.  Returns an exit code. */
static int
attach(struct job *j)
{
	struct rpc_client_params rp = { .loop = j->loop,
		.on_event = on_event,
		.on_dial = on_dial,
		.on_request = on_request,
		.on_gone = on_gone,
		.arg = j };
	sigset_t before;
	struct daemon_find_params fp = {
		.socket = j->p.socket, .may_start = true, .wait_mask = &before
	};
	char error[DAEMON_FIND_MAX_ERROR];
	int r;

	hold_signals(&before);
	r = daemon_find(&fp, &rp.fd, error);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (r == -EINTR)
		return take_signal(j);
	if (r < 0) {
		cli_out_error("%s", error);
		return CLI_EXIT_FAILED;
	}
	j->rpc = rpc_client_new(&rp);
	if (j->rpc == NULL) {
		cli_out_error("out of memory");
		return CLI_EXIT_FAILED;
	}
	return CLI_EXIT_OK;
}

int
job_run(struct job *j, const char *method, json_t *params, const int *fds,
    size_t n_fds)
{
	int code = j != NULL ? attach(j) : CLI_EXIT_FAILED, r;

	if (j == NULL || j->rpc == NULL) {
		json_decref(params);
		for (size_t i = 0; i < n_fds; i++)
			(void)close(fds[i]);
		return code;
	}
	r = rpc_client_call(j->rpc, method, params, fds, n_fds, on_answer);
	if (r < 0) {
		cli_out_error("%s: %s", method, err_str(r));
		return CLI_EXIT_FAILED;
	}
	if (loop_run(j->loop) < 0 && j->state != DONE) {
		cli_out_error("event loop failed");
		return CLI_EXIT_FAILED;
	}
	return j->code;
}

static void
on_listen_answer(
    void *arg, const json_t *result, const struct rpc_client_error *error)
{
	struct job *j = arg;

	(void)result;
	if (error != NULL && j->state == RUNNING)
		tell_error(j, error);
}

void
job_listen(struct job *j, int fd)
{
	int r = rpc_client_call(j->rpc, "session.listen",
	    json_pack("{s:I}", "session", (json_int_t)j->id), &fd, 1,
	    on_listen_answer);

	if (r < 0) {
		cli_out_error("session.listen: %s", err_str(r));
		job_fail(j, CLI_EXIT_FAILED);
	}
}

void
job_finish(struct job *j)
{
	end(j, j->code);
}

void
job_abort(struct job *j, int r)
{
	j->stop_error = r;
	job_fail(j, cli_exit_code(err_name(r)));
}

void
job_fail(struct job *j, int code)
{
	if (j->state == ASKING || j->state == RUNNING)
		stop(j, code);
	else if (j->state == ENDING)
		end(j, code);
}
