/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A model of what peer v0.18.2 does with a transfer: one claim, one accept, one
 * complete, each never repeated; a ready conversation of two phases of 5 s that
 * fails the transfer; capabilities for bulk packets always offered; a sender
 * of flow A that waits 5 s for v2_complete after its last byte.
 */
#ifndef TEST_UNIT_TRANSFER_GO_H
#define TEST_UNIT_TRANSFER_GO_H

#include "test/unit/transfer_world.h"

enum go_state {
	GO_CLAIM,  /* claimant: send it; issuer: wait for it */
	GO_ACCEPT, /* wait for the accept / gather, then send it */
	GO_GATHER, /* lanes' candidates; deaf */
	GO_CANDIDATES,
	GO_SELECTION,
	GO_QUIC,
	GO_MOVING,
	GO_CONFIRM, /* sender: wait for complete */
	GO_FINAL,   /* sender: wait for the last progress */
	GO_DONE,
	GO_FAILED,
};

struct go {
	enum go_state state;
	bool force_relay;
	bool blocks; /* has a random-access source or output */
	bool raw;    /* offers lanes, on which no punch will be seen */
	unsigned streams;
	int64_t slow_us; /* gathering */
	const uint8_t *header;
	size_t header_len;

	struct transfer_plan plan;
	bool use_blocks;
	/* issuer: what the claim said */
	bool claim_blocks;  /* Flow A: it requests them */
	bool claim_capable; /* Flow B */
	bool claim_bulk;
	unsigned claim_streams;
	bool peer_relay_capable;
	size_t peer_header_len; /* receiver of blocks */
	struct mono until;      /* of this state */
	struct mono next;       /* resend, progress */
	struct mono first;
	struct mono background_until;
	struct mono background_next;
	const char *background;
	uint64_t sequence;
	int64_t progress; /* sender: seen */
	const char *why;
};

static inline void
go_fail(struct world *w, int i, const char *why)
{
	struct go *g = w->end[i].go;

	if (g->state >= GO_DONE)
		return;
	g->state = GO_FAILED;
	g->why = why;
	world_close(w, i, 1);
}

static inline void
go_send(struct world *w, int i, const struct envelope *e)
{
	struct talk_packet p;

	talk_build(&p, e);
	world_send(w, i, p.bytes, p.len);
}

static inline void
go_put_blocks(const struct world *w, const struct go *g,
    struct message_text *mode, struct message_octets *header, int64_t *size,
    int64_t *chunk)
{
	*mode = talk_text("blocks-v1");
	*header = (struct message_octets){ g->header, g->header_len };
	*size = w->source;
	*chunk = 262144;
}

static inline void
go_send_claim(struct world *w, int i)
{
	struct go *g = w->end[i].go;
	struct envelope e = talk_claim(!g->force_relay);

	e.v2_claim.parallel_initial = g->streams;
	e.v2_claim.parallel_cap = g->streams;
	if (g->blocks) {
		e.v2_claim.block_packet_capable = true;
		e.v2_claim.block_packet_batch_capable = true;
		e.v2_claim.block_packet_group_capable = true;
	}
	if (g->blocks && w->end[i].sender)
		go_put_blocks(w, g, &e.v2_claim.transfer_mode,
		    &e.v2_claim.block_header, &e.v2_claim.block_size,
		    &e.v2_claim.block_chunk_size);
	else if (g->blocks)
		e.v2_claim.block_capable = true;
	go_send(w, i, &e);
}

/* Both know both: what follows from claim and accept. */
static inline void
go_enter(struct world *w, int i, bool peer_relay_capable)
{
	struct go *g = w->end[i].go;

	g->plan.relay_only = g->force_relay || !peer_relay_capable;
	g->plan.streams = g->streams;
	g->plan.connections = 1;
	g->plan.path = TRANSFER_PATH_MANAGER;
	g->plan.quic_server = w->end[i].issuer;
	g->plan.encoding = g->use_blocks     ? TRANSFER_BLOCKS
			   : g->streams == 1 ? TRANSFER_PLAIN
					     : TRANSFER_STRIPED;
	g->plan.size = g->use_blocks ? w->source : -1;
	g->plan.chunk_size = g->use_blocks ? 262144 : 0;
	g->state = g->plan.relay_only ? GO_QUIC : GO_GATHER;
	g->until = mono_add(w->now, world_random(w, 750000));
}

static inline void
go_send_accept(struct world *w, int i)
{
	struct go *g = w->end[i].go;
	struct envelope e = talk_accept(!g->force_relay);

	if (w->end[i].sender)
		g->use_blocks = g->blocks && g->claim_capable;
	else
		g->use_blocks = g->blocks && g->claim_blocks;
	if (!w->end[i].sender)
		g->streams = g->claim_streams;
	e.v2_accept.parallel_initial = g->streams;
	e.v2_accept.parallel_cap = g->streams;
	if (g->blocks) {
		e.v2_accept.block_packet_batch_capable = true;
		e.v2_accept.block_packet_group_capable = true;
	}
	if (g->use_blocks && w->end[i].sender)
		go_put_blocks(w, g, &e.v2_accept.transfer_mode,
		    &e.v2_accept.block_header, &e.v2_accept.block_size,
		    &e.v2_accept.block_chunk_size);
	else if (g->use_blocks)
		e.v2_accept.transfer_mode = talk_text("blocks-v1");
	if (g->claim_bulk)
		world_fault(w, "our claim asks for bulk packets or TCP");
	go_send(w, i, &e);
	go_enter(w, i, g->peer_relay_capable);
}

static inline void
go_on_claim(struct world *w, int i, const struct message_v2_claim *c)
{
	struct go *g = w->end[i].go;

	g->claim_blocks = envelope_text_equal(c->transfer_mode, "blocks-v1") &&
			  c->block_size >= 0 && c->block_chunk_size > 0;
	g->claim_capable = c->block_capable;
	g->claim_bulk = c->block_packet_capable ||
			c->block_packet_batch_capable ||
			c->direct_tcp_file_capable;
	g->claim_streams = (unsigned)c->parallel_initial;
	g->peer_relay_capable = c->relay_capable;
	g->peer_header_len = c->block_header.n;
	g->state = GO_ACCEPT;
	g->until = mono_add(w->now, g->slow_us);
}

static inline void
go_on_accept(struct world *w, int i, const struct message_v2_accept *a)
{
	struct go *g = w->end[i].go;

	if (!a->accepted) {
		go_fail(w, i, "external v2 transfer rejected");
		return;
	}
	g->streams = (unsigned)a->parallel_initial;
	g->peer_header_len = a->block_header.n;
	g->use_blocks = envelope_text_equal(a->transfer_mode, "blocks-v1");
	if (a->block_packet_batch_capable || a->direct_tcp_file_capable)
		world_fault(w, "our accept asks for bulk packets or TCP");
	if (!w->end[i].sender)
		g->use_blocks = g->use_blocks && a->block_chunk_size > 0;
	go_enter(w, i, a->relay_capable);
}

static inline void
go_on_complete(struct world *w, int i, int64_t bytes)
{
	struct go *g = w->end[i].go;

	if (g->state != GO_CONFIRM || !w->end[i].sender)
		return;
	if (bytes < 0) {
		go_fail(w, i, "invalid v2 complete bytes");
		return;
	}
	g->state = GO_FINAL;
	g->until = mono_add(w->now, g->progress >= bytes ? 0
				    : g->progress > 0    ? 2000000
							 : 250000);
}

static inline void
go_on_ready(struct world *w, int i, const struct message_ready *body)
{
	struct go *g = w->end[i].go;
	bool selection = envelope_text_equal(body->phase, "selection");

	if (g->state != (selection ? GO_SELECTION : GO_CANDIDATES))
		return; /* another phase: dropped */
	g->background = selection ? "selection" : "candidates";
	g->background_next = w->now;
	g->background_until = mono_add(w->now, MONO_SEC);
	if (selection) {
		g->state = GO_QUIC;
		return;
	}
	g->state = GO_SELECTION;
	g->next = mono_add(w->now, g->raw && body->raw_direct ? 1200000 : 0);
	g->until = mono_add(g->next, 5 * MONO_SEC);
}

static inline void
go_input(struct world *w, int i, const struct envelope *e)
{
	struct go *g = w->end[i].go;
	struct world_end *d = &w->end[i];

	if (e->kind == ENVELOPE_V2_CLAIM && d->issuer && g->state == GO_CLAIM) {
		go_on_claim(w, i, &e->v2_claim);
	} else if (e->kind == ENVELOPE_V2_ACCEPT && !d->issuer &&
		   g->state == GO_ACCEPT) {
		go_on_accept(w, i, &e->v2_accept);
	} else if (e->kind == ENVELOPE_READY) {
		go_on_ready(w, i, &e->ready);
	} else if (e->kind == ENVELOPE_V2_COMPLETE) {
		go_on_complete(w, i, e->v2_complete.bytes_received);
	} else if (e->kind == ENVELOPE_PROGRESS && d->sender) {
		g->progress = e->progress.bytes_received;
	} else if (e->kind == ENVELOPE_ABORT &&
		   (g->state >= GO_MOVING || (!d->issuer && !d->sender))) {
		go_fail(w, i, "peer aborted transfer");
	}
}

static inline void
go_send_ready(struct world *w, int i, const char *phase)
{
	struct go *g = w->end[i].go;
	struct envelope e = talk_ready(phase, g->raw && phase[0] == 'c');
	struct message_text one = talk_text("192.0.2.1:9");
	struct message_list set = { &one, 1, true };

	if (e.ready.raw_direct) {
		e.ready.candidates = set;
		e.ready.candidate_sets =
		    (struct message_lists){ &set, 1, true };
	}
	go_send(w, i, &e);
}

static inline void
go_run_phase(struct world *w, int i, const char *phase)
{
	struct go *g = w->end[i].go;

	if (!mono_before(w->now, g->until)) {
		go_fail(w, i, "context deadline exceeded");
		return;
	}
	if (mono_before(w->now, g->next))
		return;
	go_send_ready(w, i, phase);
	g->next = mono_add(w->now, 250 * MONO_MS);
}

static inline void
go_run_background(struct world *w, int i)
{
	struct go *g = w->end[i].go;

	if (g->background == NULL || g->state >= GO_DONE ||
	    mono_before(w->now, g->background_next) ||
	    mono_before(g->background_until, w->now))
		return;
	go_send_ready(w, i, g->background);
	g->background_next = mono_add(w->now, 100 * MONO_MS);
}

/* Receiver: as it counts. */
static inline int64_t
go_session_bytes(const struct world *w, int i)
{
	const struct go *g = w->end[i].go;

	return w->end[i].moved +
	       (g->use_blocks ? (int64_t)g->peer_header_len : 0);
}

static inline void
go_run_progress(struct world *w, int i, bool last)
{
	struct go *g = w->end[i].go;
	int64_t ms = (w->now.us - g->first.us) / 1000;
	struct envelope e;

	if (g->first.us == 0 || (!last && mono_before(w->now, g->next)) ||
	    (last && ms < 1))
		return;
	e = talk_progress(go_session_bytes(w, i), ms, ++g->sequence);
	go_send(w, i, &e);
	g->next = mono_add(w->now, 500 * MONO_MS);
}

static void
go_run(struct world *w, int i)
{
	struct go *g = w->end[i].go;
	struct world_end *d = &w->end[i];
	bool late = !mono_before(w->now, g->until);

	go_run_background(w, i);
	switch (g->state) {
	case GO_CLAIM:
		if (!d->issuer && late) {
			go_send_claim(w, i);
			g->state = GO_ACCEPT;
		}
		break;
	case GO_ACCEPT:
		if (d->issuer && late)
			go_send_accept(w, i);
		break;
	case GO_GATHER:
		if (late) {
			g->state = GO_CANDIDATES;
			g->next = w->now;
			g->until = mono_add(w->now, 5 * MONO_SEC);
		}
		break;
	case GO_CANDIDATES:
		go_run_phase(w, i, "candidates");
		break;
	case GO_SELECTION:
		go_run_phase(w, i, "selection");
		break;
	case GO_MOVING:
		if (!d->sender)
			go_run_progress(w, i, false);
		break;
	case GO_CONFIRM:
		if (late)
			go_fail(w, i, "peer disconnected");
		break;
	case GO_FINAL:
		if (late) {
			g->state = GO_DONE;
			world_close(w, i, 0);
		}
		break;
	case GO_QUIC:
	case GO_DONE:
	case GO_FAILED:
		break;
	}
}

static bool
go_plan(const struct world *w, int i, struct transfer_plan *ret)
{
	const struct go *g = w->end[i].go;

	*ret = g->plan;
	return g->state == GO_QUIC;
}

static void
go_connected(struct world *w, int i)
{
	w->end[i].go->state = GO_MOVING;
}

static void
go_moved(struct world *w, int i)
{
	struct go *g = w->end[i].go;

	if (g->first.us == 0) {
		g->first = w->now;
		g->next = mono_add(w->now, 500 * MONO_MS);
	}
}

static void
go_finished(struct world *w, int i)
{
	struct go *g = w->end[i].go;
	struct envelope e;

	if (w->end[i].sender) {
		g->state = GO_CONFIRM;
		/* Flow B waits without a limit. */
		g->until = w->end[i].issuer ? MONO_NEVER
					    : mono_add(w->now, 5 * MONO_SEC);
		return;
	}
	go_run_progress(w, i, true);
	e = talk_complete(go_session_bytes(w, i));
	go_send(w, i, &e);
	g->state = GO_DONE;
	world_close(w, i, 0);
}

static void
go_disconnected(struct world *w, int i, bool orderly)
{
	(void)orderly;
	if (w->end[i].go->state < GO_CONFIRM)
		go_fail(w, i, "Application error");
}

#endif
