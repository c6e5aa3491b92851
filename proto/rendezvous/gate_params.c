/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/gate.h"

#define FLAG_ROUTE 1u
#define FLAG_LOOPBACK 2u

void
gate_params_from_session(
    struct gate_params *ret_params, const struct session_token *token)
{
	*ret_params = (struct gate_params){
		.kind = GATE_SESSION,
		.version = token->version,
		.session_id = token->session_id,
		.expires_unix = token->expires_unix,
		.capabilities = token->capabilities,
		.derp_public = token->derp_public,
		.quic_public = token->quic_public,
		.secret = token->bearer,
		.has_route = token->has_route,
		.route = token->route,
	};
}

void
gate_params_from_derptun(
    struct gate_params *ret_params, const struct derptun_server_token *server)
{
	*ret_params = (struct gate_params){
		.kind = GATE_DERPTUN,
		.version = server->has_route ? TOKEN_SESSION_VERSION_ROUTE
					     : TOKEN_SESSION_VERSION_PUBLIC,
		.session_id = server->session_id,
		.expires_unix = server->expires_unix,
		.capabilities = TOKEN_CAP_DERPTUN_TCP,
		.derp_public = server->derp_public,
		.quic_public = server->quic_public,
		.secret = server->signing_secret,
		.has_route = server->has_route,
		.route = server->route,
	};
}

void
gate_params_put(struct buf_writer *w, const struct gate_params *params)
{
	unsigned flags = 0;

	if (params->has_route)
		flags |= FLAG_ROUTE;
	if (params->allow_loopback)
		flags |= FLAG_LOOPBACK;
	buf_put_u8(w, (uint8_t)params->kind);
	buf_put_u8(w, params->version);
	buf_put_u8(w, (uint8_t)flags);
	buf_put_bytes(w, params->session_id.b, sizeof(params->session_id.b));
	buf_put_u64(w, (uint64_t)params->expires_unix);
	buf_put_u32(w, params->capabilities);
	buf_put_bytes(w, params->derp_public.b, sizeof(params->derp_public.b));
	buf_put_bytes(w, params->quic_public.b, sizeof(params->quic_public.b));
	buf_put_bytes(w, params->secret.b, sizeof(params->secret.b));
	if (params->has_route)
		token_route_put(w, &params->route);
}

int
gate_params_get(struct buf_reader *r, struct gate_params *ret_params)
{
	struct gate_params p = { 0 };
	uint8_t kind = buf_get_u8(r);
	uint8_t flags;

	if (kind != GATE_SESSION && kind != GATE_DERPTUN)
		return -DT_ERR_SYNTAX;
	p.kind = (enum gate_kind)kind;
	p.version = buf_get_u8(r);
	flags = buf_get_u8(r);
	buf_get_bytes(r, p.session_id.b, sizeof(p.session_id.b));
	p.expires_unix = (int64_t)buf_get_u64(r);
	p.capabilities = buf_get_u32(r);
	buf_get_bytes(r, p.derp_public.b, sizeof(p.derp_public.b));
	buf_get_bytes(r, p.quic_public.b, sizeof(p.quic_public.b));
	buf_get_bytes(r, p.secret.b, sizeof(p.secret.b));
	p.has_route = (flags & FLAG_ROUTE) != 0;
	p.allow_loopback = (flags & FLAG_LOOPBACK) != 0;
	if (r->err < 0 || (flags & ~(FLAG_ROUTE | FLAG_LOOPBACK)) != 0 ||
	    (p.has_route && token_route_get(r, &p.route, NULL) < 0)) {
		secret_wipe(&p, sizeof(p));
		return -DT_ERR_SYNTAX;
	}
	*ret_params = p;
	secret_wipe(&p, sizeof(p));
	return 0;
}
