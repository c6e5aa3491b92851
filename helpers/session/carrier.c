/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/carrier.h"

#include <stdlib.h>

#include "helpers/session/session.h"
#include "lib/log.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"

struct carrier *
carrier_new(struct session *s, struct quic_conn *conn, enum carrier_use use)
{
	struct carrier *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->conn = conn;
	c->use = use;
	LIST_INSERT_HEAD(&s->carriers, c, link);
	return c;
}

void
carrier_free(struct carrier *c)
{
	LIST_REMOVE(c, link);
	free(c);
}

void
carrier_close(struct carrier *c, unsigned code, const char *reason)
{
	if (c->closing || c->conn == NULL)
		return;
	c->closing = true;
	quic_conn_close(c->conn, code, reason);
}

struct carrier *
carrier_connect(struct session *s, enum carrier_use use)
{
	struct carrier *c = carrier_new(s, NULL, use);
	int r;

	if (c == NULL)
		return NULL;
	r = quic_endpoint_connect(s->quic, s->now, c, &c->conn);
	if (r < 0) {
		log_warn_r(r, "session", "cannot start a connection");
		carrier_free(c);
		return NULL;
	}
	session_wake(s);
	return c;
}
