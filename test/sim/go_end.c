/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The path manager of peer v0.18.2, as far as it shows on the wire: one worker
 * that gathers for a while before it tells, calls and probes; one outstanding
 * probe per address; suppression for 5 s; nothing is learned from probes; own
 * writes count as life.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/stun/stun.h"
#include "test/sim/end.h"

#define TICK_US (1 * MONO_SEC)
#define STALE_US (10 * MONO_SEC)
#define SUPPRESS_US (5 * MONO_SEC)
#define GATHER_MIN_MS 100
#define GATHER_MORE_MS 600

struct go_addr {
	struct addr addr;
	bool pending;
	struct disco_nonce nonce;
	struct mono sent;
	struct mono suppressed; /* until */
	int64_t rtt_us;
};

struct go_end {
	struct go_addr ep[CANDIDATE_MAX_LIST];
	size_t n;
	bool direct;
	struct addr best;
	int64_t best_rtt_us;
	struct mono last_direct, last_refresh, last_call;
	struct mono tick;
	bool requested, force; /* another run */
	bool busy;             /* gathering until */
	struct mono busy_until;
	bool run_refresh, run_call;
	struct addr target[CANDIDATE_MAX_LIST];
	size_t n_targets;
	struct addr mapped;
	struct stun_tx tx;
};

static bool
is_stale(const struct end *e)
{
	return e->go->direct &&
	       mono_diff(net_now(e->net), e->go->last_direct) >= STALE_US;
}

static struct go_addr *
find(struct go_end *g, const struct addr *a)
{
	for (size_t i = 0; i < g->n; i++)
		if (addr_equal(&g->ep[i].addr, a))
			return &g->ep[i];
	return NULL;
}

static void
ask_stun(struct end *e)
{
	uint8_t p[STUN_REQUEST_LEN];

	secret_random(e->go->tx.b, sizeof(e->go->tx.b));
	stun_write_request(p, &e->go->tx);
	if (e->n_stun > 0)
		end_send(e, &e->stun[0], p, sizeof(p));
}

static void
own(const struct end *e, struct candidate_list *ret_own)
{
	struct addr a[2] = { e->go->mapped, e->host->ip };

	a[1].port = e->port;
	candidate_advertise(ret_own, a, 2, CANDIDATE_POLICY_PEER);
}

static void
fall_back(struct end *e)
{
	struct go_end *g = e->go;

	g->direct = false;
	g->last_refresh = MONO_NEVER;
	g->last_call = MONO_NEVER;
	g->requested = true;
	g->force = true;
	for (size_t i = 0; i < g->n; i++)
		g->ep[i].pending = false;
}

static bool
is_due(struct mono last, struct mono now)
{
	return mono_is_never(last) || mono_diff(now, last) >= TICK_US;
}

static void
plan(struct end *e)
{
	struct go_end *g = e->go;
	struct mono now = net_now(e->net);

	g->n_targets = 0;
	g->run_refresh = g->force;
	g->run_call = false;
	for (size_t i = 0; i < g->n; i++)
		if (g->ep[i].pending &&
		    mono_diff(now, g->ep[i].sent) > TICK_US) {
			g->ep[i].pending = false;
			g->ep[i].suppressed = mono_add(now, SUPPRESS_US);
		}
	if (!g->direct || is_stale(e)) {
		g->run_refresh |= is_due(g->last_refresh, now);
		g->run_call = is_due(g->last_call, now);
		for (size_t i = 0; i < g->n; i++)
			if (!g->ep[i].pending &&
			    !mono_before(now, g->ep[i].suppressed))
				g->target[g->n_targets++] = g->ep[i].addr;
	}
	g->force = false;
	g->requested = false;
	g->busy = g->run_refresh || g->run_call || g->n_targets > 0;
	g->busy_until = now;
	if (g->run_refresh) {
		ask_stun(e);
		g->busy_until = mono_add(
		    now, (GATHER_MIN_MS + net_random(e->net, GATHER_MORE_MS)) *
			     MONO_MS);
	}
}

static void
carry_out(struct end *e)
{
	struct go_end *g = e->go;
	struct candidate_list list;

	g->busy = false;
	if (g->run_refresh) {
		own(e, &list);
		end_tell(e, DIRECT_OUT_CANDIDATES, &list);
		g->last_refresh = net_now(e->net);
	}
	if (g->run_call) {
		end_tell(e, DIRECT_OUT_CALL_ME_MAYBE, NULL);
		g->last_call = net_now(e->net);
	}
	for (size_t i = 0; i < g->n_targets; i++) {
		struct go_addr *a = find(g, &g->target[i]);
		struct disco_packet packet = { .kind = DISCO_PROBE };
		uint8_t p[DISCO_LEN];

		if (a == NULL)
			continue;
		secret_random(packet.nonce.b, sizeof(packet.nonce.b));
		a->pending = true;
		a->nonce = packet.nonce;
		a->sent = net_now(e->net);
		(void)disco_build(p, sizeof(p), &e->key, &packet);
		end_send(e, &a->addr, p, sizeof(p));
	}
}

/* The whole list is gathered before a claim is made or accepted. */
static void
go_prepare(struct end *e)
{
	e->go = calloc(1, sizeof(*e->go));
	if (e->go == NULL)
		abort();
	ask_stun(e);
}

static void
go_start(struct end *e)
{
	struct go_end *g = e->go;

	g->tick = net_now(e->net);
	g->last_refresh = MONO_NEVER;
	g->last_call = MONO_NEVER;
}

static void
go_stop(struct end *e)
{
	free(e->go);
}

static void
go_on_peer(struct end *e, const struct candidate_list *peer)
{
	struct go_end *g = e->go;
	struct go_addr ep[CANDIDATE_MAX_LIST];
	struct go_addr *best;
	size_t n = 0;

	for (size_t i = 0; i < peer->n; i++) {
		struct go_addr *old = find(g, &peer->a[i]);

		ep[n++] =
		    old != NULL ? *old : (struct go_addr){ .addr = peer->a[i] };
	}
	/* The selected one survives. */
	best = g->direct ? find(g, &g->best) : NULL;
	if (best != NULL && !candidate_contains(peer, &g->best) &&
	    n < CANDIDATE_MAX_LIST)
		ep[n++] = *best;
	memcpy(g->ep, ep, n * sizeof(ep[0]));
	g->n = n;
	g->requested = true;
}

static void
go_on_called(struct end *e)
{
	e->go->requested = true;
	e->go->force = true;
}

static int64_t
bias_us(const struct addr *a)
{
	if (addr_is_loopback(a))
		return 50 * MONO_MS;
	if (addr_is_link_local(a))
		return 30 * MONO_MS;
	return addr_is_private(a) ? 20 * MONO_MS : 0;
}

static void
on_ack(struct end *e, const struct addr *from, const struct disco_nonce *nonce)
{
	struct go_end *g = e->go;
	struct go_addr *a = find(g, from);
	struct mono now = net_now(e->net);
	bool same;

	if (a == NULL || !a->pending)
		return;
	a->pending = false;
	if (memcmp(nonce->b, a->nonce.b, sizeof(nonce->b)) != 0 ||
	    mono_diff(now, a->sent) > TICK_US)
		return;
	a->rtt_us = mono_diff(now, a->sent);
	same = g->direct && addr_equal(&g->best, from);
	g->last_direct = now;
	if (same || (g->direct && a->rtt_us - bias_us(from) + 5 * MONO_MS >
				      g->best_rtt_us - bias_us(&g->best)))
		return;
	g->direct = true;
	g->best = *from;
	g->best_rtt_us = a->rtt_us;
	a->suppressed = now;
}

static void
go_on_packet(
    struct end *e, const struct addr *from, const uint8_t *p, size_t len)
{
	struct go_end *g = e->go;
	struct disco_packet packet;
	uint8_t ack[DISCO_LEN];
	struct stun_tx tx;
	struct addr mapped;

	if (g == NULL)
		return;
	if (stun_is_message(p, len)) {
		if (stun_parse_response(p, len, &tx, &mapped) == 0 &&
		    stun_tx_equal(&tx, &g->tx))
			g->mapped = mapped;
		return;
	}
	if (disco_parse(&packet, &e->key, p, len) == 0) {
		if (packet.kind == DISCO_ACK)
			on_ack(e, from, &packet.nonce);
		if (packet.kind != DISCO_PROBE)
			return;
		packet.kind = DISCO_ACK;
		(void)disco_build(ack, sizeof(ack), &e->key, &packet);
		end_send(e, from, ack, sizeof(ack));
		return;
	}
	if (g->direct && find(g, from) == NULL && !addr_equal(&g->best, from))
		return;
	if (g->direct && addr_equal(&g->best, from))
		g->last_direct = net_now(e->net);
	(void)stream_input(e, p, len);
}

static bool
go_send(struct end *e, const uint8_t *p, size_t len)
{
	struct go_end *g = e->go;

	if (is_stale(e))
		fall_back(e);
	if (!g->direct)
		return false;
	end_send(e, &g->best, p, len);
	g->last_direct = net_now(e->net);
	return true;
}

static struct mono
go_turn(struct end *e)
{
	struct go_end *g = e->go;
	struct mono now = net_now(e->net);

	if (!mono_before(now, g->tick)) {
		g->tick = mono_add(now, TICK_US);
		g->requested = true;
	}
	if (!g->busy && g->requested)
		plan(e);
	if (g->busy && !mono_before(now, g->busy_until))
		carry_out(e);
	if (g->busy)
		return mono_min(g->tick, g->busy_until);
	return g->requested ? now : g->tick;
}

static const struct addr *
go_selected(const struct end *e)
{
	return e->go != NULL && e->go->direct ? &e->go->best : NULL;
}

static void
go_on_network(struct end *e)
{
	(void)e; /* it does not watch interfaces */
}

const struct end_ops end_go = {
	.prepare = go_prepare,
	.own = own,
	.on_network = go_on_network,
	.start = go_start,
	.stop = go_stop,
	.on_peer = go_on_peer,
	.on_called = go_on_called,
	.on_packet = go_on_packet,
	.send = go_send,
	.turn = go_turn,
	.selected = go_selected,
};
