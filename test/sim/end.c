/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/end.h"

#include <stdlib.h>
#include <string.h>

#include "proto/stun/stun.h"

#define PREPARE_US (1 * MONO_SEC)

enum relayed {
	RELAYED_CANDIDATES,
	RELAYED_CALL,
	RELAYED_MESSAGE,
	RELAYED_START
};

/* --------------------------------------------------------------- relay */

static void
on_relayed(void *arg, const uint8_t *p, size_t len)
{
	struct end *e = arg;
	struct candidate_list list;

	if (p[0] == RELAYED_START) {
		e->started = true;
		e->ops->start(e);
	}
	if (!e->started)
		return;
	if (p[0] == RELAYED_CANDIDATES || p[0] == RELAYED_START) {
		memcpy(&list, p + 1, sizeof(list));
		e->ops->on_peer(e, &list);
	} else if (p[0] == RELAYED_CALL) {
		e->ops->on_called(e);
	} else {
		(void)stream_input(e, p + 1, len - 1);
	}
	end_turn(e);
}

static void
relay(struct end *e, enum relayed kind, const void *p, size_t len)
{
	uint8_t copy[2048];

	if (e->no_relay)
		return;
	copy[0] = (uint8_t)kind;
	if (len > 0)
		memcpy(copy + 1, p, len);
	net_after(e->net, END_RELAY_US, on_relayed, e->peer, copy, len + 1);
}

void
end_relay(struct end *e, const uint8_t *p, size_t len)
{
	relay(e, RELAYED_MESSAGE, p, len);
}

void
end_tell(
    struct end *e, enum direct_out_kind kind, const struct candidate_list *list)
{
	if (kind == DIRECT_OUT_CANDIDATES)
		relay(e, RELAYED_CANDIDATES, list, sizeof(*list));
	else
		relay(e, RELAYED_CALL, NULL, 0);
}

/* ---------------------------------------------------------------- time */

static void
on_timer(void *arg, const uint8_t *p, size_t len)
{
	struct end *e = arg;

	(void)p;
	(void)len;
	if (mono_before(net_now(e->net), e->timer))
		return; /* an earlier one was set since and did the work */
	e->timer = MONO_NEVER;
	end_turn(e);
}

/* Did it move?  QUIC is told at once. */
static void
watch_path(struct end *e)
{
	struct mono now = net_now(e->net);
	bool direct = e->ops->selected(e) != NULL;

	if (direct == e->is_direct)
		return;
	e->is_direct = direct;
	if (!direct) {
		e->downs++;
		e->down_at = now;
	} else {
		e->up_at = now;
		if (mono_is_never(e->first_at))
			e->first_at = now;
	}
	stream_kick(e);
}

void
end_turn(struct end *e)
{
	struct mono now = net_now(e->net), next;

	if (!e->started)
		return;
	next = e->ops->turn(e);
	watch_path(e);
	next = mono_min(next, stream_turn(e));
	/* What was said may have changed what is due. */
	next = mono_min(next, e->ops->turn(e));
	watch_path(e);
	if (mono_is_never(next) || !mono_before(next, e->timer))
		return;
	if (mono_before(next, now))
		next = now;
	e->timer = next;
	net_after(e->net, mono_diff(next, now), on_timer, e, NULL, 0);
}

/* ------------------------------------------------------------- members */

static void
on_packet(void *arg, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct end *e = arg;

	if (to->port != e->port || len == 0)
		return;
	e->ops->on_packet(e, from, p, len);
	end_turn(e);
}

void
end_attach(struct end *e, struct net_host *host)
{
	struct net_host **at =
	    host->ip.family == AF_INET6 ? &e->host6 : &e->host;

	if (*at != NULL)
		(*at)->link.no_in = true;
	*at = host;
	host->arg = e;
	host->on_input = on_packet;
}

void
end_send(struct end *e, const struct addr *to, const uint8_t *p, size_t len)
{
	struct net_host *h = to->family == AF_INET6 ? e->host6 : e->host;

	if (h != NULL)
		net_send(e->net, h, e->port, to, p, len);
}

struct end *
end_new(struct net *net, const struct end_ops *ops, uint16_t port)
{
	struct end *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	e->net = net;
	e->ops = ops;
	e->port = port;
	memset(e->key.b, 3, sizeof(e->key.b));
	e->timer = MONO_NEVER;
	e->first_at = MONO_NEVER;
	e->up_at = MONO_NEVER;
	e->down_at = MONO_NEVER;
	e->stream.ack = MONO_NEVER;
	e->gather = stun_gather_new(net_now(net));
	if (e->gather == NULL)
		abort();
	return e;
}

void
end_free(struct end *e)
{
	e->ops->stop(e);
	stun_gather_free(e->gather);
	free(e);
}

void
end_join(struct end *a, struct end *b)
{
	a->peer = b;
	b->peer = a;
	a->native = a->ops == b->ops && a->ops == &end_ours;
	b->native = a->native;
	a->stream.say_us = STREAM_SAY_US;
	b->stream.say_us = STREAM_SAY_US;
}

void
end_begin(struct end *listener, struct end *claimer)
{
	struct candidate_list list;

	if (listener->ops->prepare != NULL)
		listener->ops->prepare(listener);
	if (claimer->ops->prepare != NULL)
		claimer->ops->prepare(claimer);
	end_run(listener->net, PREPARE_US);
	claimer->ops->own(claimer, &list);
	listener->started = true;
	listener->ops->start(listener);
	listener->ops->on_peer(listener, &list);
	listener->ops->own(listener, &list);
	relay(listener, RELAYED_START, &list, sizeof(list));
	end_turn(listener);
}

void
end_run(struct net *net, int64_t us)
{
	struct mono until = mono_add(net_now(net), us);

	while (net_step(net, until))
		;
}
