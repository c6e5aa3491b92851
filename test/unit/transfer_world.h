/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two ends of a transfer in virtual time: a relay that loses, doubles and
 * delays envelopes, and a data plane that moves bytes in order, with the
 * receiver's window.  An end is our flow machine, or a model of peer v0.18.2
 * (transfer_go.h).  Everything follows from a seed.
 */
#ifndef TEST_UNIT_TRANSFER_WORLD_H
#define TEST_UNIT_TRANSFER_WORLD_H

#include <errno.h>
#include <inttypes.h>

#include "lib/err.h"
#include "proto/transfer/transfer_header.h"
#include "proto/transfer/transfer_window.h"
#include "test/unit/transfer_talk.h"

#define WORLD_MAX_PACKETS 512
#define WORLD_TICK_US (5 * MONO_MS)
#define WORLD_IDLE_US (10 * MONO_SEC) /* QUIC notices a death */

struct go; /* transfer_go.h */

struct world_end {
	bool issuer;
	bool sender;
	struct transfer_flow *flow; /* or */
	struct go *go;
	bool dead;
	struct mono open_at; /* OPENING ends */
	/* data plane */
	bool dialled;    /* ready for QUIC */
	bool connected;  /* QUIC stands and was reported */
	bool closed;     /* by this end */
	uint64_t code;   /* of its close */
	int64_t rate;    /* bytes per ms: source or output */
	int64_t moved;   /* taken from the source, or written */
	int64_t arrived; /* receiver */
	bool fin;        /* sent, or arrived */
	struct transfer_window window;
	unsigned heard[ENVELOPE_BULK_CONTROL + 1]; /* envelopes by kind */
};

struct world_packet {
	struct mono at;
	int to;
	struct talk_packet packet;
};

struct world {
	uint64_t random;
	struct mono now;
	unsigned loss; /* percent */
	int64_t delay_us;
	int64_t jitter_us;
	int64_t source;          /* payload bytes */
	struct world_end end[2]; /* issuer, claimant */
	struct mono connect_at;
	struct mono close_at[2]; /* when the other end hears of the close */
	int64_t budget_us;       /* since the last tick */
	size_t n_packets;
	struct world_packet *packet;
	int faults;
};

static inline uint32_t
world_random(struct world *w, uint32_t below)
{
	w->random =
	    w->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return below > 0 ? (uint32_t)(w->random >> 33) % below : 0;
}

static inline void
world_fault(struct world *w, const char *what)
{
	printf("# %s at %" PRId64 " ms\n", what,
	    (w->now.us - talk_at(0).us) / 1000);
	w->faults++;
}

static inline void
world_init(struct world *w, uint64_t seed)
{
	memset(w, 0, sizeof(*w));
	w->random = seed * 2 + 1;
	(void)world_random(w, 1);
	w->now = talk_at(0);
	w->delay_us = 20 * MONO_MS;
	w->connect_at = MONO_NEVER;
	w->close_at[0] = MONO_NEVER;
	w->close_at[1] = MONO_NEVER;
	w->packet = calloc(WORLD_MAX_PACKETS, sizeof(*w->packet));
	if (w->packet == NULL)
		abort();
	for (int i = 0; i < 2; i++) {
		w->end[i].rate = 1 << 20;
		w->end[i].issuer = i == 0;
	}
}

static inline void
world_fini(struct world *w)
{
	transfer_flow_free(w->end[0].flow);
	transfer_flow_free(w->end[1].flow);
	free(w->packet);
}

/* The relay takes an envelope of end @from. */
static inline void
world_send(struct world *w, int from, const uint8_t *p, size_t len)
{
	unsigned copies = world_random(w, 100) < w->loss ? 0 : 1;

	if (w->loss > 0 && copies > 0 && world_random(w, 20) == 0)
		copies = 2;
	while (copies-- > 0) {
		struct world_packet *k = &w->packet[w->n_packets];

		if (w->n_packets == WORLD_MAX_PACKETS) {
			world_fault(w, "flood");
			return;
		}
		k->at = mono_add(w->now,
		    w->delay_us + world_random(w, (uint32_t)w->jitter_us + 1));
		k->to = 1 - from;
		k->packet.len = len;
		memcpy(k->packet.bytes, p, len);
		w->n_packets++;
	}
}

static inline const struct key32 *
world_key(int i)
{
	return i == 0 ? &talk_issuer : &talk_claimant;
}

/* What the model of the peer does; in transfer_go.h. */
static void go_input(struct world *w, int i, const struct envelope *e);
static void go_run(struct world *w, int i);
static void go_disconnected(struct world *w, int i, bool orderly);
static bool go_plan(const struct world *w, int i, struct transfer_plan *ret);
static void go_connected(struct world *w, int i);
static void go_moved(struct world *w, int i);
static void go_finished(struct world *w, int i);

static inline void
world_deliver(struct world *w, struct world_packet *k)
{
	struct world_end *d = &w->end[k->to];
	struct envelope e;

	if (d->dead)
		return;
	if (envelope_open(&e, k->packet.bytes, k->packet.len, &talk_key) < 0)
		abort();
	d->heard[e.kind]++;
	if (d->go != NULL)
		go_input(w, k->to, &e);
	else
		(void)transfer_flow_input(d->flow, w->now, world_key(1 - k->to),
		    k->packet.bytes, k->packet.len);
	envelope_fini(&e);
}

static inline void
world_deliver_due(struct world *w)
{
	for (size_t i = 0; i < w->n_packets;) {
		struct world_packet k;

		if (mono_before(w->now, w->packet[i].at)) {
			i++;
			continue;
		}
		k = w->packet[i];
		w->packet[i] = w->packet[--w->n_packets];
		world_deliver(w, &k);
	}
}

static inline bool
world_plan(const struct world *w, int i, struct transfer_plan *ret)
{
	const struct transfer_plan *p;

	if (w->end[i].go != NULL)
		return go_plan(w, i, ret);
	p = transfer_flow_peek_plan(w->end[i].flow);
	if (p == NULL || p->path == TRANSFER_PATH_UNDECIDED ||
	    transfer_flow_state(w->end[i].flow) < TRANSFER_CONNECTING ||
	    transfer_flow_state(w->end[i].flow) >= TRANSFER_DONE)
		return false;
	*ret = *p;
	return true;
}

/* Both ends must have come to the same plan. */
static inline void
world_compare_plans(struct world *w)
{
	struct transfer_plan a, b;

	if (!world_plan(w, 0, &a) || !world_plan(w, 1, &b))
		return;
	if (a.relay_only != b.relay_only)
		world_fault(w, "relay_only differs");
	if (a.path != b.path)
		world_fault(w, "path differs");
	if (a.quic_server == b.quic_server)
		world_fault(w, "two servers or two clients");
	if (a.streams != b.streams || a.connections != b.connections)
		world_fault(w, "streams differ");
	if (a.encoding != b.encoding || a.chunk_size != b.chunk_size ||
	    a.size != b.size)
		world_fault(w, "encoding differs");
	w->connect_at = mono_add(w->now, 3 * w->delay_us);
}

static inline void
world_connected(struct world *w, int i)
{
	struct world_end *d = &w->end[i];

	if (d->dead || d->closed)
		return;
	d->connected = true;
	if (d->go != NULL)
		go_connected(w, i);
	else
		transfer_flow_connected(d->flow, w->now);
}

static inline void
world_connect(struct world *w)
{
	if (mono_is_never(w->connect_at)) {
		world_compare_plans(w);
		return;
	}
	if (mono_before(w->now, w->connect_at) || w->end[0].connected ||
	    w->end[1].connected || w->end[0].dead || w->end[1].dead)
		return;
	transfer_window_init(&w->end[0].window, 2);
	transfer_window_init(&w->end[1].window, 2);
	world_connected(w, 0);
	world_connected(w, 1);
}

/* An end closes QUIC; the other hears of it. */
static inline void
world_close(struct world *w, int i, uint64_t code)
{
	struct world_end *d = &w->end[i];

	if (d->closed)
		return;
	d->closed = true;
	d->code = code;
	if (d->connected)
		w->close_at[i] = mono_add(w->now, w->delay_us);
}

static inline void
world_hear_close(struct world *w, int i)
{
	struct world_end *other = &w->end[1 - i];
	bool orderly = !w->end[i].dead && w->end[i].code == 0;
	int r = w->end[i].dead ? -DT_ERR_PEER_GONE : -DT_ERR_PEER_ABORTED;

	if (mono_before(w->now, w->close_at[i]))
		return;
	w->close_at[i] = MONO_NEVER;
	if (other->dead)
		return;
	if (other->go != NULL)
		go_disconnected(w, 1 - i, orderly);
	else
		transfer_flow_disconnected(other->flow, orderly, r, "", w->now);
}

static inline bool
world_is_moving(const struct world_end *d)
{
	enum transfer_state s;

	if (d->dead || d->closed || !d->connected)
		return false;
	if (d->go != NULL)
		return true;
	s = transfer_flow_state(d->flow);
	return s == TRANSFER_MOVING || s == TRANSFER_CONFIRMING;
}

static inline void
world_finished(struct world *w, struct world_end *d, int i)
{
	if (d->go != NULL)
		go_finished(w, i);
	else
		transfer_flow_finished(d->flow, w->now);
}

static inline void
world_moved(struct world *w, struct world_end *d, int i)
{
	if (d->go != NULL)
		go_moved(w, i);
	else
		transfer_flow_moved(d->flow, d->moved, w->now);
}

/* A tick of the source. */
static inline void
world_take(struct world *w, int i, struct world_end *s, struct world_end *r)
{
	int64_t n = s->rate * WORLD_TICK_US / 1000;
	int64_t room =
	    transfer_window_limit(&r->window) - (s->moved - r->moved);

	if (!world_is_moving(s) || s->fin)
		return;
	if (n > room)
		n = room;
	if (n > w->source - s->moved)
		n = w->source - s->moved;
	if (n > 0) {
		s->moved += n;
		world_moved(w, s, i);
	}
	if (s->moved == w->source) {
		s->fin = true;
		world_finished(w, s, i);
	}
}

/* A tick of the output. */
static inline void
world_write(struct world *w, int i, struct world_end *r)
{
	int64_t n = r->rate * WORLD_TICK_US / 1000;

	if (!world_is_moving(r))
		return;
	if (n > r->arrived - r->moved)
		n = r->arrived - r->moved;
	if (n > 0) {
		r->moved += n;
		transfer_window_written(&r->window, n, w->now);
		world_moved(w, r, i);
	}
	if (r->fin && r->moved == r->arrived) {
		world_finished(w, r, i);
		r->arrived = -1; /* once */
	}
}

static inline void
world_tick(struct world *w)
{
	int si = w->end[0].sender ? 0 : 1;
	struct world_end *s = &w->end[si], *r = &w->end[1 - si];

	world_take(w, si, s, r);
	if (r->arrived >= 0) {
		transfer_window_received(
		    &r->window, s->moved - r->arrived, w->now);
		r->arrived = s->moved;
		r->fin = s->fin && s->connected;
		world_write(w, 1 - si, r);
	}
}

static inline void
world_run_end(struct world *w, int i)
{
	struct world_end *d = &w->end[i];
	struct talk_packet p;
	struct buf_writer out;
	const char *reason;
	uint64_t code;

	if (d->dead)
		return;
	if (d->go != NULL) {
		go_run(w, i);
		return;
	}
	if (transfer_flow_state(d->flow) == TRANSFER_OPENING) {
		if (d->open_at.us == 0)
			d->open_at = mono_add(w->now, world_random(w, 300000));
		if (!mono_before(w->now, d->open_at))
			transfer_flow_opened(d->flow, w->now);
	}
	if (transfer_flow_wants_lanes(d->flow) && world_random(w, 20) == 0) {
		static struct ready_sets lanes = { .n = 1, .set[0].n = 1 };

		if (addr_parse(&lanes.set[0].a[0], "198.51.100.7:9") < 0)
			abort();
		transfer_flow_set_lanes(d->flow, &lanes, w->now);
	}
	if (transfer_flow_wants_verdict(d->flow) && world_random(w, 50) == 0)
		transfer_flow_set_verdict(d->flow, true, w->now);
	for (;;) {
		out = buf_writer(p.bytes, sizeof(p.bytes));
		if (transfer_flow_output(d->flow, w->now, &out) != 1)
			break;
		world_send(w, i, out.p, out.len);
	}
	if (transfer_flow_may_close(d->flow, &code, &reason))
		world_close(w, i, code);
	/* What is due must have been sent, or we would spin. */
	if (!mono_before(w->now, transfer_flow_next_deadline(d->flow)))
		world_fault(w, "a deadline stays in the past");
}

/* Move on by one tick. */
static inline void
world_step(struct world *w)
{
	world_deliver_due(w);
	world_connect(w);
	world_tick(w);
	for (int i = 0; i < 2; i++) {
		world_run_end(w, i);
		world_hear_close(w, i);
	}
	w->now = mono_add(w->now, WORLD_TICK_US);
}

/* An end is killed. */
static inline void
world_kill(struct world *w, int i)
{
	struct world_end *d = &w->end[i];

	d->dead = true;
	if (d->connected)
		w->close_at[i] = mono_add(w->now, WORLD_IDLE_US);
}

#endif
