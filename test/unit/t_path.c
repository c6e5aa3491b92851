/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Two fake paths with small queues.  Numbered datagrams are pushed through
 * while the selection moves between them, and while either is full: whatever
 * the sender was told is taken must arrive, exactly once.
 */
#include "proto/path/path.h"

#include "lib/buf.h"
#include "test/tap.h"

#define N_DATAGRAMS 1000u
#define BATCH 7u

struct fake {
	struct path path;
	size_t room; /* datagrams until it is full */
	size_t capacity;
	struct path_mux *far; /* the mux of the other end */
	struct path *far_path;
};

struct world {
	struct path_mux near;
	struct path_mux far;
	struct fake a;
	struct fake b;
	struct path far_a;
	struct path far_b;
	uint32_t writable;
	uint32_t seen[N_DATAGRAMS];
	uint32_t n_in;
};

static const struct mono T0 = { 1000 };

static size_t
fake_send(struct path *p, const struct path_batch *batch)
{
	struct fake *f = (struct fake *)p;
	const uint8_t *pkt = batch->buf;
	size_t i;

	for (i = 0; i < batch->n_pkts && f->room > 0; i++, f->room--) {
		path_mux_input(f->far, f->far_path, T0, pkt, batch->lens[i]);
		pkt += batch->lens[i];
	}
	if (i < batch->n_pkts)
		p->state = PATH_STATE_BLOCKED;
	return i;
}

static const struct path_ops fake_ops = { fake_send };

static void
on_input(void *arg, struct mono now, const uint8_t *pkt, size_t len)
{
	struct world *w = arg;
	uint32_t i = buf_u32_at(pkt);

	(void)now; /* nothing here depends on time */
	if (len == 4 && i < N_DATAGRAMS)
		w->seen[i]++;
	w->n_in++;
}

static void
on_writable(void *arg, struct mono now)
{
	struct world *w = arg;

	(void)now; /* likewise */
	w->writable++;
}

static void
fake_init(struct fake *f, struct path_mux *far, struct path *far_path,
    enum path_kind kind, size_t capacity)
{
	*f = (struct fake){ .path = { .ops = &fake_ops,
				.kind = kind,
				.state = PATH_STATE_UP,
				.payload = 1200 },
		.room = capacity,
		.capacity = capacity,
		.far = far,
		.far_path = far_path };
}

static void
world_init(struct world *w)
{
	memset(w, 0, sizeof(*w));
	path_mux_init(&w->near, on_input, on_writable, w);
	path_mux_init(&w->far, on_input, on_writable, w);
	fake_init(&w->a, &w->far, &w->far_a, PATH_KIND_RELAY, 11);
	fake_init(&w->b, &w->far, &w->far_b, PATH_KIND_MANAGED, 5);
	w->far_a.kind = PATH_KIND_RELAY;
	w->far_b.kind = PATH_KIND_MANAGED;
	path_mux_add(&w->near, &w->a.path);
	path_mux_add(&w->near, &w->b.path);
	path_mux_add(&w->far, &w->far_a);
	path_mux_add(&w->far, &w->far_b);
}

static void
fake_drain(struct world *w, struct fake *f)
{
	f->room = f->capacity;
	if (f->path.state == PATH_STATE_BLOCKED)
		path_mux_unblocked(&w->near, &f->path, T0);
}

static void
test_switching_loses_nothing(void)
{
	static struct world w;
	uint32_t next = 0;
	uint32_t bad = 0;
	unsigned int turn;

	world_init(&w);
	path_mux_select(&w.near, &w.a.path, T0);
	for (turn = 0; next < N_DATAGRAMS && turn < 10000; turn++) {
		uint8_t bytes[BATCH * 4];
		uint16_t lens[BATCH];
		struct buf_writer out = buf_writer(bytes, sizeof(bytes));
		struct path_batch batch = { bytes, 0, lens };

		while (
		    batch.n_pkts < BATCH && next + batch.n_pkts < N_DATAGRAMS) {
			buf_put_u32(&out, next + (uint32_t)batch.n_pkts);
			lens[batch.n_pkts++] = 4;
		}
		next += (uint32_t)path_mux_send(&w.near, &batch);
		if (turn % 3 == 0)
			path_mux_select(
			    &w.near, turn % 2 == 0 ? &w.b.path : &w.a.path, T0);
		if (turn % 4 == 1)
			fake_drain(&w, &w.a);
		if (turn % 5 == 1)
			fake_drain(&w, &w.b);
	}
	for (uint32_t i = 0; i < N_DATAGRAMS; i++)
		bad += w.seen[i] != 1;
	EQ_INT(next, N_DATAGRAMS, "every datagram was taken");
	EQ_INT(bad, 0, "each arrived exactly once");
	OK(w.far_a.packets_in > 100 && w.far_b.packets_in > 100,
	    "both paths carried some");
	EQ_INT(w.far_a.packets_in + w.far_b.packets_in, N_DATAGRAMS,
	    "input of both was merged");
	EQ_INT(w.a.path.packets_out + w.b.path.packets_out, N_DATAGRAMS,
	    "output was counted");
	OK(w.writable > 0, "room was reported");
}

static void
test_selection(void)
{
	static struct world w;
	uint16_t len = 4;
	struct path_batch one = { (const uint8_t *)"\0\0\0\1", 1, &len };
	uint32_t before;

	world_init(&w);
	OK(!path_mux_can_send(&w.near), "nothing selected: cannot send");
	EQ_INT(path_mux_send(&w.near, &one), 0, "nothing is taken");
	OK(path_mux_select(&w.near, &w.a.path, T0), "a selection is a change");
	OK(!path_mux_select(&w.near, &w.a.path, T0), "the same is none");
	OK(path_mux_can_send(&w.near), "an up path can send");
	w.a.path.state = PATH_STATE_BLOCKED;
	OK(!path_mux_can_send(&w.near), "a full one cannot");
	before = w.writable;
	path_mux_unblocked(&w.near, &w.b.path, T0);
	EQ_INT(w.writable, before, "room in another path is not news");
	path_mux_unblocked(&w.near, &w.a.path, T0);
	EQ_INT(w.writable, before + 1, "room in the selected one is");
	path_mux_remove(&w.near, &w.a.path);
	OK(!path_mux_can_send(&w.near), "removing unselects");
	path_mux_remove(&w.near, &w.a.path);
	path_mux_input(&w.near, &w.a.path, T0, (const uint8_t *)"x", 1);
	EQ_INT(w.n_in, 0, "input of a removed path is ignored");
	path_mux_input(&w.near, &w.b.path, T0, (const uint8_t *)"", 0);
	EQ_INT(w.n_in, 0, "empty datagrams are ignored");
	path_mux_input(&w.near, &w.b.path, T0, (const uint8_t *)"\0\0\0\2", 4);
	EQ_INT(w.seen[2], 1, "input of an unselected path is taken");
}

int
main(void)
{
	test_switching_loses_nothing();
	test_selection();
	return tap_done();
}
