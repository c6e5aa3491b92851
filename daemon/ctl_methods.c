/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/ctl_methods.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/claim_token.h"
#include "daemon/ctl.h"
#include "daemon/ctl_status.h"
#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/session_claim.h"
#include "daemon/session_worker.h"
#include "daemon/transfer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/token/token_derptun.h"
#include "proto/token/token_session.h"

static void
fail(struct ctl_request *q, int code, int r, const char *text)
{
	q->code = code;
	q->error = r;
	(void)snprintf(q->message, sizeof(q->message), "%s", text);
}

static const char *
text_param(const struct ctl_request *q, const char *name)
{
	return json_string_value(json_object_get(q->params, name));
}

static bool
flag_param(const struct ctl_request *q, const char *name)
{
	return json_is_true(json_object_get(q->params, name));
}

/* Ids beyond 32 bits exist as little as those never given. */
static uint32_t
id_param(const struct ctl_request *q, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(q->params, name));

	return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

bool
ctl_methods_may(const struct ctl_request *q, enum rpc_method method)
{
	if (rpc_method_class(method) == RPC_CLASS_READ || q->is_owner)
		return true;
	if (method == RPC_DAEMON_STOP)
		return false;
	/* Who may connect to the system's socket may have own objects. */
	return q->daemon->config->system;
}

/* The object's maker, or the owner of the daemon. */
static bool
owns(struct ctl_request *q, uid_t uid)
{
	if (q->is_owner || q->uid == uid)
		return true;
	fail(q, RPC_FORBIDDEN, 0, "this belongs to another user");
	return false;
}

static struct session *
session_param(struct ctl_request *q)
{
	struct session *s = session_find(q->daemon, id_param(q, "session"));

	if (s == NULL)
		fail(q, RPC_NOT_FOUND, 0, "no such session");
	return s;
}

static bool
has_room(struct ctl_request *q)
{
	if (q->daemon->stopping)
		fail(q, RPC_BUSY, -DT_ERR_CLOSED, "the daemon is stopping");
	else if (!daemon_may_add(q->daemon, q->uid))
		fail(q, RPC_BUSY, -DT_ERR_LIMIT, "too many sessions");
	else
		return true;
	return false;
}

static struct relay_params *
relay_param(struct ctl_request *q)
{
	char why[RELAY_PARAMS_MAX_WHY];
	struct relay_params *p;
	int r = relay_params_parse(
	    json_object_get(q->params, "relay"), q->fds, q->n_fds, &p, why);

	if (r == 0)
		return p;
	fail(q, RPC_INVALID_PARAMS, r, why[0] != '\0' ? why : err_str(r));
	return NULL;
}

static void
do_discover(struct ctl_request *q)
{
	q->result = rpc_discover();
}

static void
do_daemon_status(struct ctl_request *q)
{
	q->result = ctl_status_daemon(q->daemon);
}

static void
do_daemon_stop(struct ctl_request *q)
{
	daemon_stop(q->daemon, "asked for on the control socket");
}

static void
do_endpoint_list(struct ctl_request *q)
{
	q->result = ctl_status_endpoints(q->daemon);
}

static void
do_session_list(struct ctl_request *q)
{
	q->result = ctl_status_sessions(q->daemon);
}

static void
do_session_show(struct ctl_request *q)
{
	struct session *s = session_param(q);
	struct ctl_call call = { q->conn, NULL };

	if (s == NULL)
		return;
	call.id = json_incref(q->id);
	q->late = true;
	session_describe(s, q->uid, &call);
}

static void
do_session_why(struct ctl_request *q)
{
	struct session *s = session_param(q);
	struct ctl_call call = { q->conn, NULL };

	if (s == NULL)
		return;
	call.id = json_incref(q->id);
	q->late = true;
	session_net_why(s, &call);
}

static void
do_session_subscribe(struct ctl_request *q)
{
	if (json_object_get(q->params, "session") != NULL &&
	    session_param(q) == NULL)
		return;
	q->subscribe = true;
	q->subscribe_session = id_param(q, "session");
	q->result = json_pack("{s:b}", "subscribed", 1);
}

/* Why the caller stops something; 0: its own, which it does not want any more.
 */
static int
stop_code(const struct ctl_request *q, uint32_t owner)
{
	const char *error = text_param(q, "error");

	if (error == NULL && q->conn != owner)
		return -ECANCELED;
	return ctl_ask_error(error);
}

static const char *
stop_text(const struct ctl_request *q, uint32_t owner)
{
	return q->conn == owner ? "stopped" : "stopped by another program";
}

static void
do_session_stop(struct ctl_request *q)
{
	struct session *s = session_param(q);

	if (s != NULL && owns(q, s->uid))
		session_stop(s, stop_code(q, s->owner), stop_text(q, s->owner));
}

static void
do_endpoint_stop(struct ctl_request *q)
{
	struct endpoint *e = endpoint_find(q->daemon, id_param(q, "endpoint"));

	if (e == NULL)
		fail(q, RPC_NOT_FOUND, 0, "no such endpoint");
	else if (owns(q, e->uid))
		endpoint_stop(
		    e, stop_code(q, e->owner), stop_text(q, e->owner));
}

/* What all endpoints have in common; false when refused.  @target: for
 * display. */
static bool
endpoint_params(
    struct ctl_request *q, const char *target, struct endpoint_request *r)
{
	memset(r, 0, sizeof(*r));
	r->owner = q->conn;
	r->uid = q->uid;
	r->target = target;
	r->force_relay = flag_param(q, "force_relay");
	r->raw_direct = !flag_param(q, "no_raw_direct");
	if (!has_room(q))
		return false;
	if (!daemon_may_serve(q->daemon, q->uid)) {
		fail(q, RPC_BUSY, -DT_ERR_LIMIT, "too many endpoints");
		return false;
	}
	if (strlen(r->target) >= ENDPOINT_MAX_TARGET) {
		fail(q, RPC_INVALID_PARAMS, 0, "target is too long");
		return false;
	}
	r->params = relay_param(q);
	return r->params != NULL;
}

/* The answer comes when the token is minted. */
static void
mint(struct ctl_request *q, const struct endpoint_request *er)
{
	struct ctl_call call = { q->conn, json_incref(q->id) };
	int r = endpoint_new_minted(q->daemon, er, &call);

	if (r < 0) {
		relay_params_unref(er->params);
		transfer_free(er->transfer);
		ctl_forget(&call);
		fail(q, RPC_INTERNAL, r, err_str(r));
		return;
	}
	q->late = true;
}

static void
do_endpoint_share(struct ctl_request *q)
{
	struct endpoint_request er;

	if (!endpoint_params(q, text_param(q, "target"), &er))
		return;
	er.capabilities =
	    flag_param(q, "attach") ? TOKEN_CAP_ATTACH : TOKEN_CAP_SHARE;
	mint(q, &er);
}

/* After relay_param(), which takes the CA file.  NULL when refused. */
static struct transfer *
transfer_param(struct ctl_request *q, bool issuer)
{
	struct transfer *t = NULL;
	const char *why = "";
	int r = transfer_parse(q->params, issuer, q->fds, q->n_fds, &t, &why);

	if (r < 0)
		fail(q, r == -ENOMEM ? RPC_INTERNAL : RPC_INVALID_PARAMS, r,
		    why);
	return t;
}

static void
do_endpoint_transfer(struct ctl_request *q)
{
	struct endpoint_request er;

	if (!endpoint_params(q, text_param(q, "direction"), &er))
		return;
	er.transfer = transfer_param(q, true);
	if (er.transfer == NULL) {
		relay_params_unref(er.params);
		return;
	}
	er.capabilities = transfer_capabilities(er.transfer);
	mint(q, &er);
}

/* The server token of the caller, or a fresh one. */
static int
server_token(struct ctl_request *q, const struct relay_params *params,
    struct derptun_server_token *ret_token)
{
	const char *text = text_param(q, "token");
	int64_t now = mono_unix_seconds(), until = 0;
	struct token_error e = { 0, "" };
	int r;

	if (text != NULL)
		r = token_derptun_decode_server(ret_token, text, now, &e);
	else {
		r = token_derptun_expiry(
		    &until, now, 0, TOKEN_DERPTUN_SERVER_DAYS, &e);
		if (r == 0)
			r = token_derptun_mint_server(ret_token, now, until,
			    params->has_server ? &params->server : NULL, &e);
	}
	if (r < 0)
		fail(q, RPC_BAD_TOKEN, r,
		    e.text[0] != '\0' ? e.text : err_str(r));
	return r;
}

static int
client_text(struct ctl_request *q, const struct derptun_server_token *server,
    char out[static TOKEN_DERPTUN_MAX_CLIENT_TEXT])
{
	struct derptun_client_token t;
	struct token_error e = { 0, "" };
	int64_t now = mono_unix_seconds(), until = 0;
	int r =
	    token_derptun_expiry(&until, now, 0, TOKEN_DERPTUN_CLIENT_DAYS, &e);

	if (until > server->expires_unix)
		until = server->expires_unix;
	if (r == 0)
		r = token_derptun_mint_client(&t, server, now, until, &e);
	if (r < 0) {
		fail(q, RPC_BAD_TOKEN, r, e.text);
		return r;
	}
	token_derptun_encode_client(&t, out);
	token_derptun_wipe_client(&t);
	return 0;
}

static void
serve(struct ctl_request *q, const struct endpoint_request *er,
    const struct derptun_server_token *server)
{
	char text[TOKEN_DERPTUN_MAX_CLIENT_TEXT];
	uint32_t id = 0;
	int r = client_text(q, server, text);

	if (r < 0) {
		relay_params_unref(er->params);
		return;
	}
	r = endpoint_new_serve(q->daemon, er, server, &id);
	if (r < 0) {
		relay_params_unref(er->params);
		fail(q, r == -DT_ERR_STATE ? RPC_BUSY : RPC_INTERNAL, r,
		    r == -DT_ERR_STATE ? "this token is being served already"
				       : err_str(r));
	} else
		q->result = json_pack("{s:I,s:s}", "endpoint", (json_int_t)id,
		    "client_token", text);
	secret_wipe(text, sizeof(text));
}

static void
do_endpoint_serve(struct ctl_request *q)
{
	struct derptun_server_token server;
	struct endpoint_request er;

	memset(&server, 0, sizeof(server));
	if (!endpoint_params(q, text_param(q, "target"), &er))
		return;
	if (server_token(q, er.params, &server) < 0) {
		relay_params_unref(er.params);
		return;
	}
	serve(q, &er, &server);
	token_derptun_wipe_server(&server);
}

/* A claiming session that is not started yet, or NULL when refused.
 * @capabilities: of a session token. */
static struct session *
new_claimer(
    struct ctl_request *q, enum session_role role, uint32_t capabilities)
{
	struct token_error e = { 0, "" };
	struct relay_params *params;
	struct session_claim claim;
	struct session *s;
	int r;

	if (!has_room(q))
		return NULL;
	r = claim_token_decode(&claim, text_param(q, "token"), capabilities,
	    mono_unix_seconds(), &e);
	if (r < 0) {
		fail(q, RPC_BAD_TOKEN, r, e.text);
		return NULL;
	}
	params = relay_param(q);
	s = params != NULL ? session_new(q->daemon, role, q->conn, q->uid)
			   : NULL;
	if (s == NULL) {
		if (params != NULL)
			fail(q, RPC_INTERNAL, -ENOMEM, err_str(-ENOMEM));
		relay_params_unref(params);
	} else {
		s->params = params;
		s->claim = claim;
		s->force_relay = flag_param(q, "force_relay");
		s->raw_direct = !flag_param(q, "no_raw_direct");
	}
	secret_wipe(&claim, sizeof(claim));
	return s;
}

static void
start_claimer(struct ctl_request *q, struct session *s)
{
	int r = session_claim_start(s);

	if (r < 0) {
		fail(q, RPC_INTERNAL, r, err_str(r));
		session_discard(s);
		return;
	}
	q->result = json_pack("{s:I}", "session", (json_int_t)s->id);
}

static void
do_session_open(struct ctl_request *q)
{
	struct session *s = new_claimer(q, SESSION_OPEN, TOKEN_CAP_SHARE);

	if (s != NULL)
		start_claimer(q, s);
}

static bool
is_listening(int fd)
{
	int on = 0;
	socklen_t len = sizeof(on);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &len) == 0 &&
	       on != 0;
}

static void
do_session_listen(struct ctl_request *q)
{
	struct session *s = session_param(q);

	if (s == NULL || !owns(q, s->uid))
		return;
	if (s->role != SESSION_OPEN) {
		fail(q, RPC_INVALID_PARAMS, -DT_ERR_STATE,
		    "this session takes no listener");
		return;
	}
	if (q->n_fds != 1 || !is_listening(q->fds[0])) {
		fail(q, RPC_INVALID_PARAMS, 0,
		    "one listening socket must be attached");
		return;
	}
	/* The worker accepts from it and must not wait in accept(). */
	if (fd_set_nonblock(q->fds[0]) < 0) {
		fail(q, RPC_INTERNAL, 0, "cannot use the listening socket");
		return;
	}
	fd_close(&s->listen_fd);
	s->listen_fd = q->fds[0];
	q->fds[0] = -1; /* transferred */
	session_worker_give_listener(s);
}

/* All descriptors but the CA file's, which is closed by now. */
static bool
take_stdio(struct ctl_request *q, struct session *s)
{
	for (size_t i = 0; i < q->n_fds && s->n_stdio < 2; i++) {
		if (q->fds[i] < 0)
			continue;
		s->stdio[s->n_stdio++] = q->fds[i];
		q->fds[i] = -1; /* transferred */
	}
	return s->n_stdio > 0;
}

static void
do_session_connect(struct ctl_request *q)
{
	struct session *s = new_claimer(q, SESSION_CONNECT, TOKEN_CAP_ATTACH);

	if (s == NULL)
		return;
	if (!take_stdio(q, s)) {
		fail(q, RPC_INVALID_PARAMS, 0,
		    "one or two descriptors must be attached");
		session_discard(s);
	} else
		start_claimer(q, s);
}

/* What the token must be good for is known from the direction alone. */
static uint32_t
transfer_bits(const struct ctl_request *q)
{
	const char *way = text_param(q, "direction");

	return TOKEN_CAP_TRANSFER_V2 |
	       (strcmp(way, "send") == 0 ? TOKEN_CAP_STDIO
					 : TOKEN_CAP_STDIO_OFFER);
}

static void
do_session_transfer(struct ctl_request *q)
{
	struct session *s = new_claimer(q, SESSION_TRANSFER, transfer_bits(q));

	if (s == NULL)
		return;
	if (s->claim.kind != IPC_KIND_TRANSFER) {
		fail(q, RPC_BAD_TOKEN, -DT_ERR_KIND, "unknown session");
		session_discard(s);
		return;
	}
	s->transfer = transfer_param(q, false);
	if (s->transfer == NULL) {
		session_discard(s);
	} else if (transfer_set_token(s->transfer, text_param(q, "token")) <
		   0) {
		fail(q, RPC_INVALID_PARAMS, 0, "header is malformed");
		session_discard(s);
	} else
		start_claimer(q, s);
}

void
ctl_methods_run(struct ctl_request *q, enum rpc_method method)
{
	static void (*const table[RPC_METHOD_COUNT])(struct ctl_request *) = {
		[RPC_DISCOVER] = do_discover,
		[RPC_DAEMON_STATUS] = do_daemon_status,
		[RPC_DAEMON_STOP] = do_daemon_stop,
		[RPC_ENDPOINT_LIST] = do_endpoint_list,
		[RPC_SESSION_LIST] = do_session_list,
		[RPC_SESSION_SHOW] = do_session_show,
		[RPC_SESSION_WHY] = do_session_why,
		[RPC_SESSION_SUBSCRIBE] = do_session_subscribe,
		[RPC_SESSION_STOP] = do_session_stop,
		[RPC_ENDPOINT_STOP] = do_endpoint_stop,
		[RPC_ENDPOINT_SHARE] = do_endpoint_share,
		[RPC_ENDPOINT_SERVE] = do_endpoint_serve,
		[RPC_ENDPOINT_TRANSFER] = do_endpoint_transfer,
		[RPC_SESSION_OPEN] = do_session_open,
		[RPC_SESSION_LISTEN] = do_session_listen,
		[RPC_SESSION_CONNECT] = do_session_connect,
		[RPC_SESSION_TRANSFER] = do_session_transfer,
	};

	table[method](q);
}
