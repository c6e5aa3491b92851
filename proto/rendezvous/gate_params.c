/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/gate.h"

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
