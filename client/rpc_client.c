/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/rpc_client.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/linechan.h"
#include "lib/secret.h"
#include "proto/rpc/rpc.h"

/* Lines towards the daemon: one request and 64 answers to dials. */
#define MAX_QUEUED ((size_t)4 * RPC_MAX_LINE)

struct call {
	int64_t id; /* 0: free */
	rpc_client_cb *cb;
};

struct rpc_client {
	struct rpc_client_params p;
	struct linechan *chan;
	int64_t last_id;
	struct call calls[RPC_CLIENT_MAX_CALLS];
};

static void
on_response(struct rpc_client *c, const struct rpc_message *m)
{
	struct rpc_client_error error = { 0 };
	const char *text;
	rpc_client_cb *cb = NULL;

	for (size_t i = 0; i < RPC_CLIENT_MAX_CALLS; i++)
		if (json_is_integer(m->id) && c->calls[i].id != 0 &&
		    c->calls[i].id == json_integer_value(m->id)) {
			cb = c->calls[i].cb;
			c->calls[i].id = 0;
			break;
		}
	if (cb == NULL)
		return; /* an answer to nothing: the daemon's bug, harmless */
	if (m->error == NULL) {
		cb(c->p.arg, m->result, NULL);
		return;
	}
	error.code = (int)json_integer_value(json_object_get(m->error, "code"));
	text = json_string_value(json_object_get(m->error, "message"));
	error.message = text != NULL ? text : "request failed";
	error.name = json_string_value(
	    json_object_get(json_object_get(m->error, "data"), "name"));
	cb(c->p.arg, NULL, &error);
}

/* Takes the text of rpc_*(). */
static int
send_line(
    struct rpc_client *c, char *line, size_t len, const int *fds, size_t n_fds)
{
	int r;

	if (line == NULL)
		return -DT_ERR_TOO_LONG;
	r = linechan_send(c->chan, line, len, fds, n_fds);
	secret_wipe(line, len);
	free(line);
	return r;
}

static void
on_request(struct rpc_client *c, const struct rpc_message *m)
{
	size_t len = 0;
	char *line;

	if (strcmp(m->method, "dial") == 0) {
		c->p.on_dial(c->p.arg, m->id);
		return;
	}
	if (c->p.on_request != NULL &&
	    c->p.on_request(c->p.arg, m->method, m->id, m->params))
		return;
	line = rpc_error(
	    m->id, RPC_METHOD_NOT_FOUND, "no such method", NULL, &len);
	/* A daemon that does not read is about to be seen as gone. */
	(void)send_line(c, line, len, NULL, 0);
}

static void
on_line(void *arg, const char *line, size_t len, struct mono now)
{
	struct rpc_client *c = arg;
	struct rpc_message m;
	int fds[FD_MAX_PASSED];
	int code, r = rpc_parse(line, len, &m, &code);

	(void)now;
	if (r < 0) {
		c->p.on_gone(c->p.arg, r);
		return;
	}
	/* Nothing the daemon says carries any; do not collect them. */
	if (m.fds > 0 && linechan_take_fds(c->chan, m.fds, fds) == 0)
		for (size_t i = 0; i < m.fds; i++)
			fd_close(&fds[i]);
	if (m.kind == RPC_RESPONSE)
		on_response(c, &m);
	else if (m.kind == RPC_REQUEST)
		on_request(c, &m);
	else if (strcmp(m.method, "event") == 0 && m.params != NULL)
		c->p.on_event(c->p.arg, m.params);
	rpc_fini(&m);
}

static void
on_closed(void *arg, int r)
{
	struct rpc_client *c = arg;

	c->p.on_gone(c->p.arg, r);
}

struct rpc_client *
rpc_client_new(const struct rpc_client_params *p)
{
	struct rpc_client *c = calloc(1, sizeof(*c));
	struct linechan_params lp = { .loop = p->loop,
		.fd = p->fd,
		.max_line = RPC_MAX_LINE,
		.max_queued = MAX_QUEUED,
		.on_line = on_line,
		.on_closed = on_closed,
		.arg = c };
	int fd = p->fd;

	if (c != NULL) {
		c->p = *p;
		c->chan = linechan_new(&lp);
		if (c->chan != NULL)
			return c;
	}
	free(c);
	fd_close(&fd);
	return NULL;
}

void
rpc_client_free(struct rpc_client *c)
{
	if (c == NULL)
		return;
	linechan_free(c->chan);
	free(c);
}

int
rpc_client_call(struct rpc_client *c, const char *method, json_t *params,
    const int *fds, size_t n_fds, rpc_client_cb *cb)
{
	struct call *call = NULL;
	size_t len = 0;
	char *line = rpc_request(++c->last_id, method, params, n_fds, &len);
	int r;

	for (size_t i = 0; i < RPC_CLIENT_MAX_CALLS && call == NULL; i++)
		if (c->calls[i].id == 0)
			call = &c->calls[i];
	if (call == NULL) {
		free(line);
		r = -DT_ERR_FULL;
	} else {
		r = send_line(c, line, len, fds, n_fds);
	}
	if (r < 0) {
		for (size_t i = 0; i < n_fds; i++) {
			int fd = fds[i];

			fd_close(&fd);
		}
		return r;
	}
	call->id = c->last_id;
	call->cb = cb;
	return 0;
}

void
rpc_client_answer(struct rpc_client *c, json_t *id, json_t *result, int fd)
{
	size_t len = 0, n_fds = fd >= 0 ? 1 : 0;
	char *line = rpc_response(id, result, n_fds, &len);

	/* Not sent means that the daemon is gone, which shows elsewhere. */
	if (send_line(c, line, len, &fd, n_fds) < 0)
		fd_close(&fd);
}

void
rpc_client_refuse(struct rpc_client *c, json_t *id, int r, const char *text)
{
	size_t len = 0;
	char *line = rpc_error(id, RPC_FAILED, text,
	    json_pack("{s:s}", "name", err_name(r)), &len);

	(void)send_line(c, line, len, NULL, 0); /* as above */
}

void
rpc_client_dialed(struct rpc_client *c, json_t *id, int r, int fd)
{
	if (r == 0)
		rpc_client_answer(c, id, NULL, fd);
	else
		rpc_client_refuse(c, id, r, err_str(r));
}
