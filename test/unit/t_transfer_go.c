/* SPDX-License-Identifier: BSD-3-Clause */
/* Our ends against a model of peer v0.18.2, all four roles. */
#include "test/unit/transfer_go.h"
#include "test/unit/transfer_world.h"

#ifdef VALGRIND
#define ROUNDS 60
#else
#define ROUNDS 300
#endif
#define MOST_OF_A_KIND 64 /* its queue holds 80 */

static uint8_t file_header[TRANSFER_HEADER_MAX_OWN];
static size_t file_header_len;

static void
make_header(int64_t size)
{
	static struct transfer_header h = { .kind = TRANSFER_KIND_FILE,
		.name = "file" };
	struct buf_writer w = buf_writer(file_header, sizeof(file_header));

	h.size = size;
	if (transfer_header_encode(&w, &h) < 0)
		abort();
	file_header_len = w.len;
}

/* What is drawn for one round. */
struct draw {
	bool flow_a;
	bool we_send;
	bool structured;
	bool our_blocks;
	bool our_relay;
};

static void
make_ours(struct world *w, int i, const struct draw *d)
{
	struct transfer_params p = {
		.envelope_key = talk_key,
		.peer_derp = talk_issuer,
		.own_quic_public = talk_quic,
		.size = -1,
		.force_relay = d->our_relay,
		.blocks = d->our_blocks,
		.structured = d->structured,
	};
	bool issuer = i == 0;

	if (d->we_send)
		p.role = issuer ? TRANSFER_SEND_ISSUER : TRANSFER_SEND_CLAIMANT;
	else
		p.role = issuer ? TRANSFER_RECEIVE_ISSUER
				: TRANSFER_RECEIVE_CLAIMANT;
	p.offer_raw = world_random(w, 2) == 0;
	p.is_open = world_random(w, 2) == 0;
	if (d->we_send && world_random(w, 2) == 0)
		p.streams = world_random(w, 16) + 1;
	if (d->we_send && d->our_blocks)
		p.size = w->source;
	if (d->we_send && d->structured) {
		p.header = file_header;
		p.header_len = file_header_len;
	}
	w->end[i].flow = transfer_flow_new(&p, NULL, w->now);
	if (w->end[i].flow == NULL)
		abort();
}

static void
make_go(struct world *w, int i, struct go *g, const struct draw *d)
{
	memset(g, 0, sizeof(*g));
	g->force_relay = world_random(w, 4) == 0;
	g->raw = world_random(w, 2) == 0;
	g->blocks = d->structured || world_random(w, 2) == 0;
	g->streams = 8;
	g->slow_us = world_random(w, 5000000);
	g->until = mono_add(w->now, world_random(w, 5000000));
	if (!d->we_send && d->structured) {
		g->header = file_header;
		g->header_len = file_header_len;
	}
	w->end[i].go = g;
}

static void
make_world(struct world *w, uint64_t seed, struct go *g, struct draw *d)
{
	int ours;

	world_init(w, seed);
	w->delay_us = world_random(w, 150000);
	w->source = world_random(w, 4) == 0 ? 0 : world_random(w, 4000000);
	make_header(w->source);
	d->flow_a = world_random(w, 2) == 0;
	d->we_send = world_random(w, 2) == 0;
	d->structured = !d->flow_a;
	d->our_blocks = world_random(w, 2) == 0;
	d->our_relay = world_random(w, 4) == 0;
	/* Flow A: the issuer receives. */
	ours = d->flow_a == d->we_send ? 1 : 0;
	w->end[ours].sender = d->we_send;
	w->end[1 - ours].sender = !d->we_send;
	make_ours(w, ours, d);
	make_go(w, 1 - ours, g, d);
	for (int i = 0; i < 2; i++)
		w->end[i].rate = 500 + (int64_t)world_random(w, 20000);
}

static struct transfer_flow *
ours_of(const struct world *w)
{
	return w->end[0].flow != NULL ? w->end[0].flow : w->end[1].flow;
}

static void
run(struct world *w, const struct go *g, int64_t most_ms)
{
	struct transfer_flow *f = ours_of(w);

	for (int64_t ms = 0; ms < most_ms; ms += WORLD_TICK_US / 1000) {
		world_step(w);
		if (g->state >= GO_DONE && transfer_flow_is_quiet(f))
			return;
	}
}

static int
judge(const struct world *w, const struct go *g, uint64_t seed)
{
	struct transfer_flow *f = ours_of(w);
	int bad = w->faults;

	if (g->state != GO_DONE || transfer_flow_state(f) != TRANSFER_DONE ||
	    w->end[0].moved != w->source || w->end[1].moved != w->source) {
		printf("# seed %" PRIu64 ": go %d (%s), ours %d %s\n", seed,
		    g->state, g->why != NULL ? g->why : "",
		    transfer_flow_state(f), transfer_flow_reason(f));
		bad++;
	}
	for (int k = 0; k <= ENVELOPE_BULK_CONTROL; k++)
		for (int i = 0; i < 2; i++)
			if (w->end[i].go != NULL && k != ENVELOPE_PROGRESS &&
			    w->end[i].heard[k] > MOST_OF_A_KIND)
				bad++;
	return bad;
}

static void
test_all_roles(void)
{
	int bad = 0, blocks = 0, striped = 0, plain = 0;

	for (uint64_t seed = 0; seed < ROUNDS; seed++) {
		const struct transfer_plan *plan;
		struct draw d;
		struct world w;
		struct go g;

		make_world(&w, seed, &g, &d);
		run(&w, &g, 60000);
		bad += judge(&w, &g, seed);
		plan = transfer_flow_peek_plan(ours_of(&w));
		if (plan != NULL) {
			blocks += plan->encoding == TRANSFER_BLOCKS;
			striped += plan->encoding == TRANSFER_STRIPED;
			plain += plan->encoding == TRANSFER_PLAIN;
		}
		world_fini(&w);
	}
	EQ_INT(bad, 0, "%d rounds, all roles, both done", ROUNDS);
	OK(blocks > ROUNDS / 15 && striped > ROUNDS / 15 && plain > ROUNDS / 15,
	    "blocks %d, striped %d, plain %d", blocks, striped, plain);
}

/* Its sender drops a slow reader 5 s after its last byte; not ours. */
static void
slow_reader(int64_t rate, int64_t size)
{
	struct draw d = { .flow_a = true };
	struct world w;
	struct go g;

	world_init(&w, 7);
	w.source = size;
	w.end[1].sender = true;
	make_ours(&w, 0, &d);
	memset(&g, 0, sizeof(g));
	g.streams = 8;
	g.until = w.now;
	w.end[1].go = &g;
	w.end[0].rate = rate;
	w.end[1].rate = 1 << 20;
	run(&w, &g, 300000);
	EQ_INT(judge(&w, &g, 0), 0, "a reader of %" PRId64 " kB/s", rate);
	OK(w.end[0].window.received - w.end[0].window.written == 0,
	    "everything was written");
	world_fini(&w);
}

static void
test_slow_reader(void)
{
	slow_reader(1000, 64 << 20);
	slow_reader(500, 16 << 20);
	slow_reader(200, 8 << 20);
	slow_reader(200, 3 << 19);
	slow_reader(200, 1 << 20);
	slow_reader(150, 3 << 18);
	slow_reader(20000, 256 << 20);
}

/* A listener that fails while it accepts: its sender must hear something. */
static void
test_refusal_is_heard(void)
{
	struct draw d = { .flow_a = true };
	struct world w;
	struct go g;

	world_init(&w, 9);
	w.end[1].sender = true;
	w.source = 10;
	make_ours(&w, 0, &d);
	memset(&g, 0, sizeof(g));
	g.streams = 8;
	g.until = w.now;
	w.end[1].go = &g;
	for (int i = 0;
	     i < 100 && transfer_flow_state(w.end[0].flow) != TRANSFER_OPENING;
	     i++)
		world_step(&w);
	transfer_flow_fail(w.end[0].flow, -EACCES, "read-only", w.now);
	run(&w, &g, 3000);
	EQ_INT(g.state, GO_FAILED, "its sender ends");
	EQ_STR(g.why != NULL ? g.why : "", "external v2 transfer rejected",
	    "because it was told");
	world_fini(&w);
}

int
main(void)
{
	test_all_roles();
	test_slow_reader();
	test_refusal_is_heard();
	return tap_done();
}
