/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/ctl_call.h"

#include <errno.h>
#include <signal.h>

#include "client/daemon_find.h"
#include "client/rpc_client.h"
#include "lib/err.h"

/* session.show waits 2 s for a worker, daemon.stop 3 s for its sessions. */
#define ANSWER_US (10 * MONO_SEC)

/* One per process run, on the stack. */
struct ctl {
	struct loop *loop;
	struct loop_timer *timer;
	struct loop_signal *signals[2];
	struct rpc_client *rpc;
	int (*on_event)(void *arg, const json_t *params);
	void *arg;
	json_t *result;
	int code;
	bool is_stream; /* goes on after the answer */
};

static void
end(struct ctl *c, int code)
{
	c->code = code;
	loop_stop(c->loop);
}

static void
on_answer(void *arg, const json_t *result, const struct rpc_client_error *error)
{
	struct ctl *c = arg;

	loop_timer_at(c->timer, MONO_NEVER);
	if (error != NULL) {
		cli_out_error("%s", error->message);
		end(c, cli_exit_code(error->name));
		return;
	}
	c->result = json_deep_copy(result);
	if (!c->is_stream)
		end(c, CLI_EXIT_OK);
}

static void
on_event(void *arg, const json_t *params)
{
	struct ctl *c = arg;

	int code = CLI_EXIT_OK;

	if (c->on_event != NULL)
		code = c->on_event(c->arg, params);
	if (code != CLI_EXIT_OK)
		end(c, code);
}

static void
on_dial(void *arg, json_t *id)
{
	struct ctl *c = arg;

	rpc_client_dialed(c->rpc, id, -EINVAL, -1); /* we serve nothing */
}

static void
on_gone(void *arg, int r)
{
	struct ctl *c = arg;

	(void)r;
	cli_out_error("derptund is gone");
	end(c, CLI_EXIT_TUNNEL_LOST);
}

static void
on_timeout(void *arg, struct mono now)
{
	struct ctl *c = arg;

	(void)now;
	cli_out_error("derptund does not answer");
	end(c, CLI_EXIT_TIMED_OUT);
}

static void
on_signal(void *arg, int signo, struct mono now)
{
	struct ctl *c = arg;

	(void)now;
	end(c, c->is_stream ? CLI_EXIT_OK : 128 + signo);
}

static int
ctl_init(struct ctl *c, const struct cli_call *call)
{
	struct rpc_client_params rp = { .on_event = on_event,
		.on_dial = on_dial,
		.on_gone = on_gone,
		.arg = c };
	struct daemon_find_params fp = { .socket = cli_args_text(
					     call->args, "socket") };
	char error[DAEMON_FIND_MAX_ERROR];
	int r = daemon_find(&fp, &rp.fd, error);

	if (r < 0) {
		cli_out_error("%s", error);
		return CLI_EXIT_FAILED;
	}
	c->loop = rp.loop = loop_new();
	if (c->loop != NULL) {
		c->timer = loop_timer_new(c->loop, on_timeout, c);
		c->signals[0] = loop_signal_new(c->loop, SIGINT, on_signal, c);
		c->signals[1] = loop_signal_new(c->loop, SIGTERM, on_signal, c);
		c->rpc = rpc_client_new(&rp);
	}
	if (c->timer != NULL && c->signals[0] != NULL &&
	    c->signals[1] != NULL && c->rpc != NULL)
		return CLI_EXIT_OK;
	cli_out_error("out of memory");
	return CLI_EXIT_FAILED;
}

static void
ctl_fini(struct ctl *c)
{
	rpc_client_free(c->rpc);
	loop_timer_free(c->timer);
	loop_signal_free(c->signals[0]);
	loop_signal_free(c->signals[1]);
	loop_free(c->loop);
}

static int
ctl_run(struct ctl *c, const struct cli_call *call, const char *method,
    json_t *params)
{
	int r, code = ctl_init(c, call);

	if (code != CLI_EXIT_OK) {
		json_decref(params);
		ctl_fini(c);
		return code;
	}
	c->code = CLI_EXIT_FAILED;
	r = rpc_client_call(c->rpc, method, params, NULL, 0, on_answer);
	if (r < 0) {
		cli_out_error("%s: %s", method, err_str(r));
	} else {
		loop_timer_in(c->timer, ANSWER_US);
		(void)loop_run(c->loop); /* code stays FAILED then */
	}
	ctl_fini(c);
	return c->code;
}

int
ctl_call(const struct cli_call *call, const char *method, json_t *params,
    json_t **ret_result)
{
	struct ctl c = { 0 };
	int code = ctl_run(&c, call, method, params);

	if (code == CLI_EXIT_OK)
		*ret_result = c.result;
	else
		json_decref(c.result);
	return code;
}

int
ctl_call_events(const struct cli_call *call, json_t *params,
    int (*on_event_cb)(void *arg, const json_t *params), void *arg)
{
	struct ctl c = {
		.is_stream = true, .on_event = on_event_cb, .arg = arg
	};
	int code = ctl_run(&c, call, "session.subscribe", params);

	json_decref(c.result);
	return code;
}
