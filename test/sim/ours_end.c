/* SPDX-License-Identifier: BSD-3-Clause */
/* What the session worker does with struct direct and struct stun_gather, in
 * helpers/session/discovery.c. */
#include <stdlib.h>

#include "proto/stun/stun.h"
#include "test/sim/end.h"

static void
own(const struct end *e, struct candidate_list *ret_own)
{
	struct addr a[2 + STUN_GATHER_MAX_MAPPED];
	size_t n = stun_gather_mapped(e->gather, a);

	a[n] = e->host->ip;
	a[n++].port = e->port;
	if (e->host6 != NULL) {
		a[n] = e->host6->ip;
		a[n++].port = e->port;
	}
	candidate_advertise(ret_own, a, n, CANDIDATE_POLICY_PEER);
}

static void
update_own(struct end *e)
{
	struct candidate_list list;

	own(e, &list);
	direct_set_own(e->direct, &list, net_now(e->net));
}

static void
start(struct end *e)
{
	struct direct_params params = {
		.disco_key = e->key, .has_v4 = true, .has_v6 = e->host6 != NULL
	};

	e->direct = direct_new(&params, net_now(e->net));
	if (e->direct == NULL)
		abort();
	if (e->native)
		direct_set_native(e->direct);
	stun_gather_set_servers(e->gather, e->stun, e->n_stun, net_now(e->net));
	update_own(e);
}

static void
stop(struct end *e)
{
	direct_free(e->direct);
}

static void
on_peer(struct end *e, const struct candidate_list *peer)
{
	direct_set_peer(e->direct, peer, net_now(e->net));
}

static void
on_called(struct end *e)
{
	direct_called(e->direct, net_now(e->net));
}

static void
on_network(struct end *e)
{
	stun_gather_restart(e->gather, net_now(e->net));
	update_own(e);
	direct_network_changed(e->direct, net_now(e->net));
}

static void
on_packet(struct end *e, const struct addr *from, const uint8_t *p, size_t len)
{
	struct mono now = net_now(e->net);

	if (e->direct == NULL)
		return;
	if (stun_is_message(p, len)) {
		if (stun_gather_input(e->gather, from, p, len, now))
			update_own(e);
	} else if (disco_is_ours(p, len)) {
		direct_input(e->direct, from, p, len, now);
	} else if (direct_accepts(e->direct, from) && stream_input(e, p, len)) {
		direct_heard(e->direct, from, now);
	}
}

static bool
send_direct(struct end *e, const uint8_t *p, size_t len)
{
	const struct addr *to = direct_selected(e->direct);

	if (to == NULL)
		return false;
	end_send(e, to, p, len);
	direct_sent(e->direct, net_now(e->net));
	return true;
}

static void
follow(struct end *e)
{
	struct mono now = net_now(e->net);
	bool direct = direct_selected(e->direct) != NULL;

	e->generation = direct_generation(e->direct);
	stun_gather_pause(e->gather, direct, now);
	if (!direct)
		stun_gather_restart(e->gather, now);
}

static struct mono
turn(struct end *e)
{
	struct mono now = net_now(e->net);
	uint8_t request[STUN_REQUEST_LEN];
	struct direct_out out;
	struct addr to;

	while (stun_gather_output(e->gather, now, &to, request))
		end_send(e, &to, request, sizeof(request));
	while (direct_output(e->direct, now, &out)) {
		if (out.kind == DIRECT_OUT_PACKET) {
			e->packets++;
			end_send(e, &out.to, out.pkt, out.len);
		} else {
			end_tell(e, out.kind, direct_peek_own(e->direct));
		}
	}
	if (direct_generation(e->direct) != e->generation)
		follow(e);
	return mono_min(direct_next_deadline(e->direct),
	    stun_gather_next_deadline(e->gather));
}

static const struct addr *
selected(const struct end *e)
{
	return e->direct != NULL ? direct_selected(e->direct) : NULL;
}

const struct end_ops end_ours = {
	.start = start,
	.stop = stop,
	.own = own,
	.on_peer = on_peer,
	.on_called = on_called,
	.on_packet = on_packet,
	.on_network = on_network,
	.send = send_direct,
	.turn = turn,
	.selected = selected,
};
