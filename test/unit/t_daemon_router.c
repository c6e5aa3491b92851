/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/router.h"
#include "lib/err.h"
#include "test/tap.h"

/* A destination that counts. */
struct sink {
	unsigned n;
	size_t last_len;
};

static void
count(void *arg, const struct key32 *src, const uint8_t *p, size_t len)
{
	struct sink *s = arg;

	(void)src;
	(void)p;
	s->n++;
	s->last_len = len;
}

static struct key32
key(unsigned n)
{
	struct key32 k = { { 0 } };

	k.b[0] = (uint8_t)n;
	k.b[1] = (uint8_t)(n >> 8);
	k.b[31] = 1;
	return k;
}

static void
put(struct router *r, unsigned from, const char *text, struct mono now)
{
	struct key32 k = key(from);

	router_input(r, &k, (const uint8_t *)text, strlen(text), now);
}

static void
test_routes(void)
{
	struct mono now = { 1000000 };
	struct router *r = router_new(now);
	struct sink gate = { 0, 0 }, a = { 0, 0 }, b = { 0, 0 };
	struct key32 one = key(1);

	put(r, 1, "{claim}", now);
	EQ_INT(router_counters(r)->unwanted, 1, "no gate: lost");
	router_set_gate(r, count, &gate);
	put(r, 1, "{claim}", now);
	EQ_INT(gate.n, 1, "a stranger meets the gate");
	put(r, 1, "quic", now);
	EQ_INT(gate.n, 1, "what is no envelope does not");
	EQ_INT(router_add(r, &one, count, &a), 0, "add");
	put(r, 1, "quic", now);
	put(r, 1, "{claim}", now);
	EQ_INT(a.n, 2, "a known peer reaches its session, always");
	EQ_INT(gate.n, 1, "and not the gate");
	EQ_INT(router_add(r, &one, count, &b), 0, "replace");
	router_remove(r, &one, &a);
	put(r, 1, "x", now);
	EQ_INT(b.n, 1, "the replaced one cannot remove its successor");
	router_remove(r, &one, &b);
	put(r, 1, "{claim}", now);
	EQ_INT(gate.n, 2, "removed: a stranger again");
	router_set_gate(r, NULL, NULL);
	put(r, 1, "{claim}", now);
	EQ_INT(gate.n, 2, "gate removed");
	router_free(r);
	router_free(NULL);
}

static void
test_sizes(void)
{
	static uint8_t big[ROUTER_MAX_CLAIM + 1];
	struct mono now = { 1000000 };
	struct router *r = router_new(now);
	struct sink gate = { 0, 0 };
	struct key32 k = key(7);

	memset(big, '{', sizeof(big));
	router_set_gate(r, count, &gate);
	router_input(r, &k, big, ROUTER_MAX_CLAIM, now);
	EQ_INT(gate.last_len, ROUTER_MAX_CLAIM, "largest claim");
	router_input(r, &k, big, ROUTER_MAX_CLAIM + 1, now);
	router_input(r, &k, big, 1, now);
	router_input(r, &k, big, 0, now);
	EQ_INT(gate.n, 1, "larger, tiny and empty ones are lost");
	router_free(r);
}

static void
test_limits(void)
{
	struct mono now = { 1000000 };
	struct router *r = router_new(now);
	struct sink gate = { 0, 0 };
	unsigned before;

	router_set_gate(r, count, &gate);
	for (unsigned i = 0; i < 10000; i++)
		put(r, 1, "{forged}", now);
	EQ_INT(gate.n, ROUTER_STRANGER_BURST, "one flooding key");
	EQ_INT(router_counters(r)->limited, 10000 - ROUTER_STRANGER_BURST,
	    "the rest is counted");
	/* The other 255 buckets are full; almost every key has one of them. */
	before = gate.n;
	for (unsigned i = 2; i < 12; i++)
		put(r, i, "{honest}", now);
	OK(gate.n >= before + 9, "others get through: %u", gate.n - before);
	now = mono_add(now, MONO_SEC);
	before = gate.n;
	for (unsigned i = 0; i < 100; i++)
		put(r, 1, "{forged}", now);
	EQ_INT(gate.n - before, ROUTER_STRANGER_RATE, "a second later");
	now = mono_add(now, 60 * MONO_SEC);
	before = gate.n;
	for (unsigned i = 0; i < 60000; i++)
		put(r, i, "{forged}", now);
	OK(gate.n - before <= ROUTER_TOTAL_BURST,
	    "many flooding keys: %u at most", ROUTER_TOTAL_BURST);
	router_free(r);
}

static void
test_full(void)
{
	struct mono now = { 1000000 };
	struct router *r = router_new(now);
	struct sink s = { 0, 0 };
	int r1 = 0;
	struct key32 k;

	for (unsigned i = 0; i < ROUTER_MAX_PEERS && r1 == 0; i++) {
		k = key(i);
		r1 = router_add(r, &k, count, &s);
	}
	EQ_INT(r1, 0, "as many peers as promised");
	k = key(ROUTER_MAX_PEERS);
	EQ_INT(router_add(r, &k, count, &s), -DT_ERR_FULL, "not one more");
	k = key(3);
	EQ_INT(router_add(r, &k, count, &s), 0, "replacing still works");
	router_free(r);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_routes();
	test_sizes();
	test_limits();
	test_full();
	return tap_done();
}
