/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens of endpoints: identity, relay, text. */
#include "daemon/endpoint_mint.h"

#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/relay_map.h"
#include "daemon/stun_servers.h"
#include "daemon/transfer.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/token/token_session.h"

void
endpoint_tell_token(struct endpoint *e)
{
	if (e->call.id == NULL || e->token[0] == '\0')
		return;
	ctl_answer(e->daemon->ctl, &e->call,
	    json_pack(
		"{s:I,s:s}", "endpoint", (json_int_t)e->id, "token", e->token));
	secret_wipe(e->token, sizeof(e->token));
}

static int
mint(struct endpoint *e, uint16_t region)
{
	struct session_token t;
	int r;

	token_session_mint(&t, mono_unix_seconds() + TOKEN_SESSION_LIFE, region,
	    e->has_route ? &e->route : NULL, e->capabilities);
	t.derp_public = e->derp_public;
	t.quic_public = e->quic_public;
	r = token_session_encode(&t, e->token);
	if (r == 0 && e->transfer != NULL)
		r = transfer_set_token(e->transfer, e->token);
	if (r == 0) {
		e->token_version = t.version;
		e->session_id = t.session_id;
		e->expires_unix = t.expires_unix;
		e->secret = t.bearer;
		if (e->transfer == NULL)
			endpoint_tell_token(e);
	}
	token_session_wipe(&t);
	return r;
}

static void
on_map(void *arg, int r, const struct derp_map *map, int64_t region,
    const char *why)
{
	struct endpoint *e = arg;
	struct relay_target targets[RELAY_TARGET_MAX];
	char text[IPC_MAX_TEXT];
	int64_t in = 0;
	size_t n;

	e->query = NULL;
	if (r < 0) {
		(void)snprintf(
		    text, sizeof(text), "no usable DERP map: %s", why);
		log_warn("endpoint", "%s endpoint=%u", text, e->id);
		endpoint_stop(e, r, text);
		return;
	}
	n = relay_target_from_map(targets, map, region, e->params->pin, &in);
	if (n == 0) {
		endpoint_stop(e, -DT_ERR_RELAY_UNREACHABLE,
		    "no bootstrap DERP node available");
		return;
	}
	if (!e->force_relay)
		stun_servers_from_map(e->stun, map, in,
		    relay_map_nearest(e->daemon->maps, e->params));
	if (e->kind != IPC_KIND_DERPTUN)
		r = mint(e, (uint16_t)in);
	if (r < 0)
		endpoint_stop(e, r, err_str(r));
	else
		endpoint_open(e, targets, n);
}

/* The rest comes in a later turn, when the caller has its answer. */
static int
look_up(struct endpoint *e)
{
	e->query = relay_map_query_new(
	    e->daemon->maps, e->params, e->kind != IPC_KIND_DERPTUN, on_map, e);
	return e->query != NULL ? 0 : -ENOMEM;
}

static void
open_route(struct endpoint *e)
{
	struct relay_target target;

	relay_target_from_route(&target, &e->route, e->params->pin);
	if (!e->force_relay)
		stun_servers_from_route(e->stun, &e->route);
	endpoint_open(e, &target, 1);
}

int
endpoint_new_minted(
    struct daemon *d, const struct endpoint_request *q, struct ctl_call *call)
{
	struct endpoint *e = endpoint_new(
	    d, q, q->transfer != NULL ? IPC_KIND_TRANSFER : IPC_KIND_SHARE);
	int r = 0;

	if (e == NULL)
		return -ENOMEM;
	e->call = *call;
	call->id = NULL; /* transferred */
	secret_curve_keypair(&e->derp_private, &e->derp_public);
	secret_ed25519_keypair(&e->quic_seed, &e->quic_public);
	e->has_route = e->params->has_server;
	e->route = e->params->server;
	if (!e->has_route)
		r = look_up(e);
	else {
		r = mint(e, TOKEN_ROUTE_REGION);
		if (r == 0)
			open_route(e);
	}
	if (r < 0)
		endpoint_stop(e, r, err_str(r));
	return 0;
}

static bool
is_served(struct daemon *d, const struct derptun_server_token *t)
{
	const struct endpoint *e;

	LIST_FOREACH(e, &d->endpoints, entry)
		if (secret_equal(&e->derp_public, &t->derp_public,
			sizeof(e->derp_public)))
			return true;
	return false;
}

int
endpoint_new_serve(struct daemon *d, const struct endpoint_request *q,
    const struct derptun_server_token *server, uint32_t *ret_id)
{
	struct endpoint *e;
	int r = 0;

	/* Two with one key would fight over every packet. */
	if (is_served(d, server))
		return -DT_ERR_STATE;
	e = endpoint_new(d, q, IPC_KIND_DERPTUN);
	if (e == NULL)
		return -ENOMEM;
	e->token_version = server->has_route ? TOKEN_SESSION_VERSION_ROUTE
					     : TOKEN_SESSION_VERSION_PUBLIC;
	e->session_id = server->session_id;
	e->expires_unix = server->expires_unix;
	e->derp_private = server->derp_private;
	e->derp_public = server->derp_public;
	e->quic_seed = server->quic_seed;
	e->quic_public = server->quic_public;
	e->secret = server->signing_secret;
	e->capabilities = TOKEN_CAP_DERPTUN_TCP;
	e->has_route = server->has_route;
	e->route = server->route;
	*ret_id = e->id;
	if (e->has_route)
		open_route(e);
	else
		r = look_up(e);
	if (r < 0)
		endpoint_stop(e, r, err_str(r));
	return 0;
}
