/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/path_udp.h"

static size_t
udp_path_send(struct path *base, const struct path_batch *b)
{
	struct path_udp *p = (struct path_udp *)base;
	struct udp_sent sent;

	if (p->socket == NULL)
		return b->n_pkts; /* lost */
	sent = udp_send(p->socket, &p->to, b);
	if (p->socket->is_full)
		p->path.state = PATH_STATE_BLOCKED;
	/* Longer ones were made for another path. */
	if (sent.error != 0 && sent.len <= p->path.payload)
		p->on_refused(p->arg, &p->to, sent.error, sent.len);
	return sent.n;
}

static const struct path_ops udp_ops = { udp_path_send };

void
path_udp_init(struct path_udp *p, enum path_kind kind)
{
	*p = (struct path_udp){ .path = { .ops = &udp_ops,
				    .kind = kind,
				    .state = PATH_STATE_DOWN } };
}

void
path_udp_set(struct path_udp *p, struct udp *socket, const struct addr *to,
    size_t payload)
{
	p->socket = socket;
	p->to = *to;
	p->path.payload = payload;
	p->path.state = socket->is_full ? PATH_STATE_BLOCKED : PATH_STATE_UP;
}
