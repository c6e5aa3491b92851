/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/end.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "proto/stun/stun.h"

#define SAY_US (20 * MONO_MS)
#define RESEND_US (300 * MONO_MS)
#define WINDOW 32
#define MESSAGE_LEN 100
#define MESSAGE 0x41 /* as QUIC's short header */

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
		end_input(e, p + 1, len - 1, false);
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
end_tell(
    struct end *e, enum direct_out_kind kind, const struct candidate_list *list)
{
	if (kind == DIRECT_OUT_CANDIDATES)
		relay(e, RELAYED_CANDIDATES, list, sizeof(*list));
	else
		relay(e, RELAYED_CALL, NULL, 0);
}

/* -------------------------------------------------------------- stream */

static void
say(struct end *e, uint32_t number)
{
	uint8_t p[MESSAGE_LEN] = { 0 };
	struct buf_writer w = buf_writer(p, sizeof(p));

	buf_put_u8(&w, MESSAGE);
	buf_put_u32(&w, number);
	buf_put_u32(&w, e->got);
	if (e->ops->send(e, p, sizeof(p))) {
		e->by_direct++;
		return;
	}
	e->by_relay++;
	relay(e, RELAYED_MESSAGE, p, sizeof(p));
}

static void
progressed(struct end *e)
{
	int64_t us = mono_diff(net_now(e->net), e->progress);

	if (us > e->worst_us)
		e->worst_us = us;
	e->progress = net_now(e->net);
}

/* Messages are numbered from 1; each carries what was got in order. */
void
end_input(struct end *e, const uint8_t *p, size_t len, bool direct)
{
	struct buf_reader r = buf_reader(p, len);
	uint32_t number, acked;

	(void)direct;
	if (buf_get_u8(&r) != MESSAGE)
		return;
	number = buf_get_u32(&r);
	acked = buf_get_u32(&r);
	if (r.err != 0)
		return;
	if (number > e->got && number - e->got <= 32)
		e->ahead |= 1u << (number - e->got - 1);
	while ((e->ahead & 1) != 0) {
		e->ahead >>= 1;
		e->got++;
		progressed(e);
	}
	if (acked > e->acked && acked <= e->made) {
		e->acked = acked;
		e->resend = mono_add(net_now(e->net), RESEND_US);
	}
}

static struct mono
talk(struct end *e)
{
	struct mono now = net_now(e->net);

	if (!e->talks)
		return MONO_NEVER;
	if (!mono_before(now, e->say)) {
		e->say = mono_add(now, SAY_US);
		if (e->made - e->acked < WINDOW) {
			if (e->made == e->acked)
				e->resend = mono_add(now, RESEND_US);
			say(e, ++e->made);
		}
	}
	if (e->made > e->acked && !mono_before(now, e->resend)) {
		e->resend = mono_add(now, RESEND_US);
		for (uint32_t i = e->acked + 1; i <= e->made; i++)
			say(e, i);
	}
	return mono_min(e->say, e->made > e->acked ? e->resend : MONO_NEVER);
}

/* -------------------------------------------------------------- common */

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

void
end_turn(struct end *e)
{
	struct mono now = net_now(e->net), next;
	bool direct;

	if (!e->started)
		return;
	next = mono_min(talk(e), e->ops->turn(e));
	direct = e->ops->selected(e) != NULL;
	if (direct && mono_is_never(e->direct_at))
		e->direct_at = now;
	if (mono_is_never(next) || !mono_before(next, e->timer))
		return;
	if (mono_before(next, now))
		next = now;
	e->timer = next;
	net_after(e->net, mono_diff(next, now), on_timer, e, NULL, 0);
}

static void
on_packet(void *arg, const struct addr *from, const struct addr *to,
    const uint8_t *p, size_t len)
{
	struct end *e = arg;

	if (to->port != e->port)
		return;
	e->ops->on_packet(e, from, p, len);
	end_turn(e);
}

struct end *
end_new(struct net *net, struct net_host *host, const struct end_ops *ops,
    uint16_t port)
{
	struct end *e = calloc(1, sizeof(*e));

	if (e == NULL)
		abort();
	e->net = net;
	e->host = host;
	e->ops = ops;
	e->port = port;
	memset(e->key.b, 3, sizeof(e->key.b));
	e->timer = MONO_NEVER;
	e->direct_at = MONO_NEVER;
	e->relay_at = MONO_NEVER;
	e->gather = stun_gather_new(net_now(net));
	if (e->gather == NULL)
		abort();
	host->arg = e;
	host->on_input = on_packet;
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
}

void
end_own(const struct end *e, struct candidate_list *ret_own)
{
	struct addr own[1 + STUN_GATHER_MAX_MAPPED];
	size_t n = stun_gather_mapped(e->gather, own);

	own[n] = e->host->ip;
	own[n++].port = e->port;
	candidate_advertise(ret_own, own, n, CANDIDATE_POLICY_PEER);
}

void
end_begin(struct end *listener, struct end *claimer)
{
	struct candidate_list list;

	listener->progress = net_now(listener->net);
	claimer->progress = listener->progress;
	end_own(claimer, &list);
	listener->started = true;
	listener->ops->start(listener);
	listener->ops->on_peer(listener, &list);
	end_own(listener, &list);
	relay(listener, RELAYED_START, &list, sizeof(list));
	end_turn(listener);
}

void
end_move(struct end *e, const char *ip)
{
	if (addr_parse_ip(&e->host->ip, ip, 0) < 0)
		abort();
}

void
end_run(struct net *net, int64_t us)
{
	struct mono until = mono_add(net_now(net), us);

	while (net_step(net, until))
		;
}

/* ---------------------------------------------------------------- ours */

static void
ours_start(struct end *e)
{
	struct direct_params params = { .disco_key = e->key, .has_v4 = true };
	struct candidate_list own;

	e->direct = direct_new(&params, net_now(e->net));
	if (e->direct == NULL)
		abort();
	if (e->native)
		direct_set_native(e->direct);
	stun_gather_set_servers(e->gather, e->stun, e->n_stun, net_now(e->net));
	end_own(e, &own);
	direct_set_own(e->direct, &own, net_now(e->net));
}

static void
ours_stop(struct end *e)
{
	direct_free(e->direct);
}

static void
ours_on_peer(struct end *e, const struct candidate_list *peer)
{
	direct_set_peer(e->direct, peer, net_now(e->net));
}

static void
ours_on_called(struct end *e)
{
	direct_called(e->direct, net_now(e->net));
}

static void
ours_on_packet(
    struct end *e, const struct addr *from, const uint8_t *p, size_t len)
{
	struct mono now = net_now(e->net);
	struct candidate_list own;

	if (stun_is_message(p, len)) {
		if (stun_gather_input(e->gather, from, p, len, now) &&
		    e->direct != NULL) {
			end_own(e, &own);
			direct_set_own(e->direct, &own, now);
		}
		return;
	}
	if (e->direct == NULL)
		return;
	if (disco_is_ours(p, len)) {
		direct_input(e->direct, from, p, len, now);
	} else if (direct_accepts(e->direct, from) && p[0] == MESSAGE) {
		direct_heard(e->direct, from, now);
		end_input(e, p, len, true);
	}
}

static bool
ours_send(struct end *e, const uint8_t *p, size_t len)
{
	const struct addr *to = direct_selected(e->direct);

	if (to == NULL)
		return false;
	net_send(e->net, e->host, e->port, to, p, len);
	direct_sent(e->direct, net_now(e->net));
	return true;
}

static struct mono
ours_turn(struct end *e)
{
	struct mono now = net_now(e->net);
	uint8_t request[STUN_REQUEST_LEN];
	struct direct_out out;
	struct addr to;

	while (stun_gather_output(e->gather, now, &to, request))
		net_send(
		    e->net, e->host, e->port, &to, request, sizeof(request));
	while (direct_output(e->direct, now, &out)) {
		if (out.kind == DIRECT_OUT_PACKET) {
			e->packets++;
			net_send(e->net, e->host, e->port, &out.to, out.pkt,
			    out.len);
		} else {
			end_tell(e, out.kind, direct_peek_own(e->direct));
		}
	}
	if (direct_generation(e->direct) != e->generation) {
		e->generation = direct_generation(e->direct);
		e->switches++;
		if (direct_selected(e->direct) == NULL)
			e->relay_at = now;
	}
	return mono_min(direct_next_deadline(e->direct),
	    stun_gather_next_deadline(e->gather));
}

static const struct addr *
ours_selected(const struct end *e)
{
	return e->direct != NULL ? direct_selected(e->direct) : NULL;
}

const struct end_ops end_ours = {
	.start = ours_start,
	.stop = ours_stop,
	.on_peer = ours_on_peer,
	.on_called = ours_on_called,
	.on_packet = ours_on_packet,
	.send = ours_send,
	.turn = ours_turn,
	.selected = ours_selected,
};
