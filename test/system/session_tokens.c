/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens of each kind of session. */
#include "proto/rendezvous/session_keys.h"
#include "test/system/session_world.h"

#define LIFE_S 3600

static void
make_share_token(struct world *w, struct ipc_boot_session *b)
{
	struct session_token t;
	struct gate_params g;
	struct key32 unused;

	token_session_mint(
	    &t, mono_unix_seconds() + LIFE_S, 1, NULL, TOKEN_CAP_SHARE);
	secret_curve_keypair(&unused, &t.derp_public);
	secret_ed25519_keypair(&w->listener_seed, &t.quic_public);
	w->listener_derp = t.derp_public;
	w->listener_quic = t.quic_public;
	b->session_id = t.session_id;
	b->token_version = t.version;
	b->capabilities = t.capabilities;
	b->bearer = t.bearer;
	gate_params_from_session(&g, &t);
	w->gate = gate_new(&g);
}

static void
make_derptun_token(struct world *w, struct ipc_boot_session *b)
{
	int64_t now = mono_unix_seconds();
	struct derptun_server_token server;
	struct derptun_client_token client;
	struct token_error error;
	struct gate_params g;

	world_need(token_derptun_mint_server(
		       &server, now, now + LIFE_S, NULL, &error) == 0 &&
		       token_derptun_mint_client(
			   &client, &server, now, now + LIFE_S, &error) == 0,
	    "tokens");
	w->listener_seed = server.quic_seed;
	w->listener_derp = server.derp_public;
	w->listener_quic = server.quic_public;
	b->session_id = client.session_id;
	b->token_version = TOKEN_SESSION_VERSION_PUBLIC;
	b->capabilities = TOKEN_CAP_DERPTUN_TCP;
	b->bearer = client.bearer;
	b->client_id = client.client_id;
	b->token_id = client.token_id;
	b->client_expires_unix = client.expires_unix;
	b->proof = client.proof;
	token_derptun_client_name(b->client_name, &client.client_id);
	gate_params_from_derptun(&g, &server);
	w->gate = gate_new(&g);
}

static void
make_transfer_token(struct world *w, struct ipc_boot_session *b)
{
	struct session_token t;
	struct key32 unused;

	token_session_mint(&t, mono_unix_seconds() + LIFE_S, 1, NULL,
	    TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2);
	secret_curve_keypair(&unused, &t.derp_public);
	secret_ed25519_keypair(&w->listener_seed, &t.quic_public);
	w->listener_derp = t.derp_public;
	w->listener_quic = t.quic_public;
	w->bearer = t.bearer;
	w->session_id = t.session_id;
	session_keys_envelope(&w->envelope_key, &t.bearer, &t.session_id);
	b->session_id = t.session_id;
	b->token_version = t.version;
	b->capabilities = t.capabilities;
	b->bearer = t.bearer;
	w->set_boot(&w->claimer, b);
}

/* The token that both of a world know, and what the claimer has of it. */
void
world_make_token(struct world *w, struct ipc_boot_session *b)
{
	if (w->kind == IPC_KIND_SHARE)
		make_share_token(w, b);
	else if (w->kind == IPC_KIND_TRANSFER)
		make_transfer_token(w, b);
	else
		make_derptun_token(w, b);
	world_need(w->gate != NULL || w->kind == IPC_KIND_TRANSFER, "gate");
}
