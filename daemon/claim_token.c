/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/claim_token.h"

#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "proto/token/token_classify.h"
#include "proto/token/token_derptun.h"
#include "proto/token/token_session.h"

static int
from_session(struct session_claim *c, const char *text, uint32_t capabilities,
    int64_t now_unix, struct token_error *ret_error)
{
	struct session_token t;
	int r = token_session_decode(&t, text, now_unix, ret_error);

	if (r < 0)
		return r;
	c->kind = (capabilities & TOKEN_CAP_TRANSFER_V2) != 0
		      ? IPC_KIND_TRANSFER
		      : IPC_KIND_SHARE;
	c->token_version = t.version;
	c->session_id = t.session_id;
	c->expires_unix = t.expires_unix;
	c->region = t.region;
	c->has_route = t.has_route;
	c->route = t.route;
	c->peer_derp = t.derp_public;
	c->peer_quic = t.quic_public;
	c->bearer = t.bearer;
	c->capabilities = t.capabilities;
	token_session_wipe(&t);
	/* As the peers' tools say it when a code is for something else. */
	if ((c->capabilities & capabilities & ~TOKEN_CAP_TRANSFER_V2) == 0 ||
	    secret_is_zero(&c->peer_derp, sizeof(c->peer_derp)))
		return token_text_fail(
		    ret_error, -DT_ERR_KIND, "unknown session");
	if ((capabilities & ~c->capabilities) != 0)
		return token_text_fail(ret_error, -DT_ERR_KIND,
		    "external v2 transfer unsupported");
	return 0;
}

static int
from_client(struct session_claim *c, const char *text, int64_t now_unix,
    struct token_error *ret_error)
{
	struct derptun_client_token t;
	char name[TOKEN_DERPTUN_CLIENT_NAME_LEN];
	int r = token_derptun_decode_client(&t, text, now_unix, ret_error);

	if (r < 0)
		return r;
	c->kind = IPC_KIND_DERPTUN;
	c->token_version = t.has_route ? TOKEN_SESSION_VERSION_ROUTE
				       : TOKEN_SESSION_VERSION_PUBLIC;
	c->session_id = t.session_id;
	c->expires_unix = t.expires_unix;
	c->has_route = t.has_route;
	c->route = t.route;
	c->peer_derp = t.derp_public;
	c->peer_quic = t.quic_public;
	c->bearer = t.bearer;
	c->capabilities = TOKEN_CAP_DERPTUN_TCP;
	c->client_id = t.client_id;
	c->token_id = t.token_id;
	c->proof = t.proof;
	token_derptun_client_name(name, &t.client_id);
	(void)snprintf(c->client_name, sizeof(c->client_name), "%s", name);
	token_derptun_wipe_client(&t);
	return 0;
}

int
claim_token_decode(struct session_claim *ret_claim, const char *text,
    uint32_t capabilities, int64_t now_unix, struct token_error *ret_error)
{
	struct session_claim c;
	int r;

	memset(&c, 0, sizeof(c));
	if (token_classify(text) == TOKEN_KIND_DERPTUN_CLIENT)
		r = from_client(&c, text, now_unix, ret_error);
	else if (token_classify(text) == TOKEN_KIND_DERPTUN_SERVER)
		r = token_text_fail(ret_error, -DT_ERR_KIND,
		    "this is a server token; a client token is needed");
	else
		r = from_session(&c, text, capabilities, now_unix, ret_error);
	if (r == 0)
		*ret_claim = c;
	secret_wipe(&c, sizeof(c));
	return r;
}
