/* SPDX-License-Identifier: BSD-3-Clause */
/* What connections are told of the pipe below them: it moved, it is back. */
#include "proto/quic/quic_internal.h"

static void
each_live(struct quic_endpoint *ep, struct mono now,
    void (*what)(struct quic_conn *c, struct mono now))
{
	for (size_t i = 0; i < ep->n_slots; i++) {
		struct quic_conn *c = ep->slots[i].conn;

		if (c != NULL && quic_conn_is_live(c))
			what(c, now);
	}
}

void
quic_endpoint_set_run(struct quic_endpoint *ep, size_t most)
{
	ep->run_most = most;
	ep->run = 0;
}

void
quic_endpoint_kick(struct quic_endpoint *ep, struct mono now)
{
	each_live(ep, now, quic_revive_kick);
}

void
quic_endpoint_revive(struct quic_endpoint *ep, struct mono now)
{
	each_live(ep, now, quic_revive_ask);
}

void
quic_endpoint_renew(struct quic_endpoint *ep, struct mono now)
{
	each_live(ep, now, quic_renew_conn);
}
