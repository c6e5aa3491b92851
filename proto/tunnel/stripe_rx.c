/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  Each lane is a small parser: HEAD (collecting the 12
 * bytes of a frame), then one of
 *   STREAM  the chunk is the wanted one: its bytes are delivered as they come;
 *   AHEAD   it is a later one: its bytes are collected in a struct ahead;
 *   SKIP    a warm-up: its bytes are dropped.
 * A lane whose next frame cannot be admitted is parked: the frame stays in
 * head[], what follows it in the lane's fifo.  Whenever the wanted number
 * moves, later chunks are delivered and parked lanes tried again.
 *
 * Invariants: at most one lane is in STREAM, and it carries number `next`;
 * the ahead list is sorted, holds each number once, all above `next` or (while
 * nothing streams) not `next`; ahead_bytes <= STRIPE_RX_MAX_AHEAD.  Those are
 * announced bytes, room that is kept for them; memory is taken for what came.
 */
#include "proto/tunnel/stripe_rx.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/fifo.h"
#include "lib/queue.h"
#include "proto/tunnel/stripe_tx.h"

#define NO_LANE SIZE_MAX
/* Of a chunk's memory; then it grows with what comes, by this factor. */
#define FIRST_BYTES 16384u
#define GROWTH 4u
#define PARK 1 /* admit(): not now */

enum lane_state { HEAD, STREAM, AHEAD, SKIP };

/* A chunk whose turn has not come; owner: the list. */
struct ahead {
	TAILQ_ENTRY(ahead) link;
	uint64_t sequence;
	size_t lane;
	uint32_t len;
	uint32_t have; /* below len while its lane is in AHEAD */
	uint32_t cap;
	uint8_t *data; /* owned; NULL until something came */
};

struct lane {
	enum lane_state state;
	bool parked;
	bool fin;
	bool done; /* fin, and everything before it was handled */
	uint8_t head[STRIPE_FRAME_LEN];
	uint8_t head_len;
	uint32_t left;       /* bytes of the chunk still to come */
	struct ahead *ahead; /* AHEAD only; owned by the list */
	struct fifo unparsed;
};

struct stripe_rx {
	stripe_rx_deliver_fn *deliver;
	void *arg;
	uint64_t next;
	size_t streaming; /* lane, or NO_LANE */
	TAILQ_HEAD(ahead_list, ahead) ahead;
	size_t ahead_bytes;
	size_t ahead_memory;
	size_t unparsed_bytes;
	size_t n_parked;
	size_t n_done;
	bool moved; /* since parked lanes were last tried */
	const char *reason;
	size_t n_lanes;
	struct lane lanes[];
};

static void
remove_ahead(struct stripe_rx *rx, struct ahead *a)
{
	rx->ahead_bytes -= a->len;
	rx->ahead_memory -= a->cap;
	TAILQ_REMOVE(&rx->ahead, a, link);
	free(a->data);
	free(a);
}

struct stripe_rx *
stripe_rx_new(
    size_t n_lanes, size_t max_parked, stripe_rx_deliver_fn *deliver, void *arg)
{
	struct stripe_rx *rx;

	assert(n_lanes > 0 && n_lanes <= STRIPE_RX_MAX_LANES);
	rx = calloc(1, sizeof(*rx) + n_lanes * sizeof(rx->lanes[0]));
	if (rx == NULL)
		return NULL;
	rx->deliver = deliver;
	rx->arg = arg;
	rx->streaming = NO_LANE;
	rx->reason = "";
	TAILQ_INIT(&rx->ahead);
	rx->n_lanes = n_lanes;
	for (size_t i = 0; i < n_lanes; i++)
		fifo_init(&rx->lanes[i].unparsed, max_parked);
	return rx;
}

void
stripe_rx_free(struct stripe_rx *rx)
{
	struct ahead *a, *next;

	if (rx == NULL)
		return;
	TAILQ_FOREACH_SAFE(a, &rx->ahead, link, next) {
		free(a->data);
		free(a);
	}
	for (size_t i = 0; i < rx->n_lanes; i++)
		fifo_fini(&rx->lanes[i].unparsed);
	free(rx);
}

/* The peer broke a rule.  Words of peer v0.18.2 where it has any. */
static int
violation(struct stripe_rx *rx, const char *reason)
{
	rx->reason = reason;
	return -DT_ERR_PEER_PROTOCOL;
}

static const char duplicate[] = "duplicate striped chunk sequence";
static const char truncated[] = "unexpected EOF";

/* Deliver the chunks whose turn has come. */
static int
advance(struct stripe_rx *rx)
{
	struct ahead *a;
	int r = 0;

	while (rx->streaming == NO_LANE && r == 0 &&
	       (a = TAILQ_FIRST(&rx->ahead)) != NULL &&
	       /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): left the list */
	       a->sequence == rx->next) {
		struct lane *l = &rx->lanes[a->lane];

		if (a->have > 0)
			r = rx->deliver(rx->arg, a->lane, a->data, a->have);
		if (a->have < a->len) { /* the rest goes straight through */
			l->state = STREAM;
			l->ahead = NULL;
			rx->streaming = a->lane;
		} else {
			rx->next++;
		}
		rx->moved = true;
		remove_ahead(rx, a);
	}
	return r;
}

static int
chunk_end(struct stripe_rx *rx, struct lane *l)
{
	enum lane_state was = l->state;

	l->state = HEAD;
	l->head_len = 0;
	l->ahead = NULL;
	if (was != STREAM)
		return 0;
	rx->streaming = NO_LANE;
	rx->next++;
	rx->moved = true;
	return advance(rx);
}

/*
 * Keep a chunk ahead of its turn, sorted in from the end, where chunks of an
 * honest sender belong.
 */
static int
keep_ahead(struct stripe_rx *rx, size_t lane, uint64_t sequence, uint32_t len)
{
	struct lane *l = &rx->lanes[lane];
	struct ahead *after = TAILQ_LAST(&rx->ahead, ahead_list);
	struct ahead *a;

	while (after != NULL && after->sequence > sequence)
		after = TAILQ_PREV(after, ahead_list, link);
	if (after != NULL && after->sequence == sequence)
		return violation(rx, duplicate);
	if (sequence - rx->next >= STRIPE_RX_MAX_CHUNKS ||
	    len > STRIPE_RX_MAX_AHEAD - rx->ahead_bytes)
		return PARK;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return -ENOMEM;
	a->sequence = sequence;
	a->lane = lane;
	a->len = len;
	if (after != NULL)
		TAILQ_INSERT_AFTER(&rx->ahead, after, a, link);
	else
		TAILQ_INSERT_HEAD(&rx->ahead, a, link);
	rx->ahead_bytes += len;
	l->state = AHEAD;
	l->ahead = a;
	return 0;
}

/* Judge the frame in head[].  Returns 0, PARK or an error. */
static int
admit(struct stripe_rx *rx, size_t lane)
{
	struct lane *l = &rx->lanes[lane];
	uint64_t sequence = buf_u64_at(l->head);
	uint32_t len = buf_u32_at(l->head + 8);
	int r = 0;

	if (len > STRIPE_MAX_CHUNK)
		return violation(rx, "striped chunk is too long");
	if (sequence == STRIPE_WARM_UP) {
		l->state = SKIP;
	} else if (sequence < rx->next ||
		   (sequence == rx->next && rx->streaming != NO_LANE)) {
		return violation(rx, duplicate); /* came before */
	} else if (sequence == rx->next) {
		l->state = STREAM;
		rx->streaming = lane;
	} else {
		r = keep_ahead(rx, lane, sequence, len);
		if (r != 0)
			return r;
	}
	l->left = len;
	return len == 0 ? chunk_end(rx, l) : 0;
}

static size_t
take_head(struct lane *l, const uint8_t *p, size_t len)
{
	size_t n = STRIPE_FRAME_LEN - (size_t)l->head_len;

	if (n > len)
		n = len;
	memcpy(l->head + l->head_len, p, n);
	l->head_len = (uint8_t)(l->head_len + n);
	return n;
}

/* A length may be a lie: room for @n more bytes, and not much more than came.
 */
static int
make_room(struct stripe_rx *rx, struct ahead *a, uint32_t n)
{
	uint32_t cap = a->cap > 0 ? a->cap : FIRST_BYTES;
	uint8_t *data;

	if (n <= a->cap - a->have)
		return 0;
	while (cap < a->have + n)
		cap *= GROWTH;
	if (cap > a->len)
		cap = a->len;
	data = realloc(a->data, cap);
	if (data == NULL)
		return -ENOMEM;
	rx->ahead_memory += cap - a->cap;
	a->data = data;
	a->cap = cap;
	return 0;
}

/* Some bytes of the chunk that a lane is in. */
static int
take_payload(struct stripe_rx *rx, size_t lane, const uint8_t *p, uint32_t n)
{
	struct lane *l = &rx->lanes[lane];
	int r = 0;

	if (l->state == AHEAD) {
		r = make_room(rx, l->ahead, n);
		if (r != 0)
			return r;
		memcpy(l->ahead->data + l->ahead->have, p, n);
		l->ahead->have += n;
	} else {
		r = rx->deliver(
		    rx->arg, lane, l->state == STREAM ? p : NULL, n);
	}
	l->left -= n;
	if (r == 0 && l->left == 0)
		r = chunk_end(rx, l);
	return r;
}

/* Parse until the bytes end or the lane is parked. */
static int
parse(struct stripe_rx *rx, size_t lane, const uint8_t *p, size_t len,
    size_t *ret_used)
{
	struct lane *l = &rx->lanes[lane];
	size_t off = 0;
	int r = 0;

	while (off < len && !l->parked && r == 0) {
		if (l->state != HEAD) {
			size_t n = len - off < l->left ? len - off : l->left;

			r = take_payload(rx, lane, p + off, (uint32_t)n);
			off += n;
			continue;
		}
		off += take_head(l, p + off, len - off);
		if (l->head_len < STRIPE_FRAME_LEN)
			break;
		r = rx->deliver(rx->arg, lane, NULL, STRIPE_FRAME_LEN);
		if (r == 0)
			r = admit(rx, lane);
		if (r == PARK) {
			l->parked = true;
			rx->n_parked++;
			r = 0;
		}
	}
	*ret_used = off;
	return r;
}

/* Try a parked lane again. */
static int
unpark(struct stripe_rx *rx, size_t lane)
{
	struct lane *l = &rx->lanes[lane];
	size_t used;
	int r = admit(rx, lane);

	if (r == PARK)
		return 0;
	l->parked = false;
	rx->n_parked--;
	rx->moved = true;
	if (r != 0 || fifo_len(&l->unparsed) == 0)
		return r;
	r = parse(
	    rx, lane, fifo_peek(&l->unparsed), fifo_len(&l->unparsed), &used);
	fifo_drop(&l->unparsed, used);
	rx->unparsed_bytes -= used;
	return r;
}

/* A FIN behind everything parsed: the lane is done, or was cut. */
static int
check_fin(struct stripe_rx *rx, struct lane *l)
{
	if (!l->fin || l->done || l->parked)
		return 0;
	if (l->state != HEAD || l->head_len > 0)
		return violation(rx, truncated);
	l->done = true;
	rx->n_done++;
	return 0;
}

static int
settle(struct stripe_rx *rx)
{
	int r = 0;

	while (rx->moved && rx->n_parked > 0 && r == 0) {
		rx->moved = false;
		for (size_t i = 0; i < rx->n_lanes && r == 0; i++) {
			if (!rx->lanes[i].parked)
				continue;
			r = unpark(rx, i);
			if (r == 0)
				r = check_fin(rx, &rx->lanes[i]);
		}
	}
	/* No lane is left that could bring the wanted chunk. */
	if (r == 0 && rx->n_parked + rx->n_done == rx->n_lanes &&
	    !stripe_rx_is_end(rx))
		r = violation(rx, "missing striped chunk sequence");
	return r;
}

int
stripe_rx_input(
    struct stripe_rx *rx, size_t lane, const uint8_t *p, size_t len, bool fin)
{
	struct lane *l = &rx->lanes[lane];
	size_t used = 0;
	int r = 0;

	assert(lane < rx->n_lanes);
	if (l->fin)
		return violation(rx, "data after end");
	rx->moved = false;
	if (!l->parked)
		r = parse(rx, lane, p, len, &used);
	if (r == 0 && used < len) {
		r = fifo_put(&l->unparsed, p + used, len - used);
		rx->unparsed_bytes += r == 0 ? len - used : 0;
	}
	if (r != 0)
		return r;
	l->fin = fin;
	r = check_fin(rx, l);
	return r == 0 ? settle(rx) : r;
}

bool
stripe_rx_is_end(const struct stripe_rx *rx)
{
	return rx->n_done == rx->n_lanes && TAILQ_EMPTY(&rx->ahead);
}

size_t
stripe_rx_held(const struct stripe_rx *rx)
{
	return rx->ahead_memory + rx->unparsed_bytes;
}

const char *
stripe_rx_reason(const struct stripe_rx *rx)
{
	return rx->reason;
}
