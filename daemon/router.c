/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A table leads from sender to destination.  Strangers pass two token buckets:
 * one of 256, picked by a keyed hash of the sender so that one flooding key
 * cannot aim at another's bucket, and one for all of them.  The order matters:
 * what the first refuses does not use up the second.
 */
#include "daemon/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/keymap.h"
#include "lib/ratelimit.h"

#define ROUTER_BUCKETS 256

/* Owner: the table of its router. */
struct router_entry {
	router_sink *sink;
	void *arg;
};

struct router {
	struct keymap *peers;
	router_sink *gate;
	void *gate_arg;
	struct key32 salt;
	struct ratelimit total;
	struct ratelimit bucket[ROUTER_BUCKETS];
	struct router_counters counters;
};

struct router *
router_new(struct mono now)
{
	struct router *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->peers = keymap_new(ROUTER_MAX_PEERS);
	if (r->peers == NULL) {
		free(r);
		return NULL;
	}
	secret_random(r->salt.b, sizeof(r->salt.b));
	ratelimit_init(&r->total, ROUTER_TOTAL_RATE, ROUTER_TOTAL_BURST, now);
	for (size_t i = 0; i < ROUTER_BUCKETS; i++)
		ratelimit_init(&r->bucket[i], ROUTER_STRANGER_RATE,
		    ROUTER_STRANGER_BURST, now);
	return r;
}

static void
free_entry(void *arg, const struct key32 *key, void *value)
{
	(void)arg;
	(void)key;
	free(value);
}

void
router_free(struct router *r)
{
	if (r == NULL)
		return;
	keymap_each(r->peers, free_entry, NULL);
	keymap_free(r->peers);
	free(r);
}

int
router_add(
    struct router *r, const struct key32 *peer, router_sink *sink, void *arg)
{
	struct router_entry *e = keymap_get(r->peers, peer);
	int res;

	if (e == NULL) {
		e = calloc(1, sizeof(*e));
		if (e == NULL)
			return -ENOMEM;
		res = keymap_put(r->peers, peer, e);
		if (res < 0) {
			free(e);
			return res;
		}
	}
	e->sink = sink;
	e->arg = arg;
	return 0;
}

void
router_remove(struct router *r, const struct key32 *peer, const void *arg)
{
	struct router_entry *e = keymap_get(r->peers, peer);

	if (e != NULL && e->arg == arg)
		free(keymap_remove(r->peers, peer));
}

void
router_set_gate(struct router *r, router_sink *sink, void *arg)
{
	r->gate = sink;
	r->gate_arg = arg;
}

static struct ratelimit *
bucket_of(struct router *r, const struct key32 *src)
{
	struct key32 digest;

	secret_hmac_sha256(&digest, &r->salt, src->b, sizeof(src->b));
	return &r->bucket[digest.b[0]];
}

static void
to_gate(struct router *r, const struct key32 *src, const uint8_t *p, size_t len,
    struct mono now)
{
	/* Cheap and first: late QUIC packets of ended sessions are many. */
	if (r->gate == NULL || len < 2 || len > ROUTER_MAX_CLAIM ||
	    p[0] != '{') {
		r->counters.unwanted++;
		return;
	}
	if (!ratelimit_take(bucket_of(r, src), now) ||
	    !ratelimit_take(&r->total, now)) {
		r->counters.limited++;
		return;
	}
	r->counters.to_gate++;
	r->gate(r->gate_arg, src, p, len);
}

void
router_input(struct router *r, const struct key32 *src, const uint8_t *p,
    size_t len, struct mono now)
{
	const struct router_entry *e = keymap_get(r->peers, src);

	if (e == NULL) {
		to_gate(r, src, p, len, now);
		return;
	}
	r->counters.to_sessions++;
	e->sink(e->arg, src, p, len);
}

const struct router_counters *
router_counters(const struct router *r)
{
	return &r->counters;
}
