/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Open addressing with linear probing over a power of two of slots, at most
 * three quarters full; removal shifts later entries back, so there are no
 * tombstones and lookups of absent keys stay short whatever the history.
 * The table doubles as it fills and never shrinks.
 */
#include "lib/keymap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sodium/crypto_shorthash.h>

#include "lib/err.h"

/* Slots of a fresh table. */
#define KEYMAP_MIN_SLOTS ((size_t)16)

/* Empty when value is NULL. */
struct keymap_slot {
	struct key32 key;
	uint64_t hash;
	void *value;
};

/* Invariant: count <= max, count <= slots * 3 / 4, slots = mask + 1. */
struct keymap {
	struct keymap_slot *slot;
	size_t mask;
	size_t count;
	size_t max;
	uint8_t secret[crypto_shorthash_KEYBYTES];
};

struct keymap *
keymap_new(size_t max)
{
	struct keymap *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->slot = calloc(KEYMAP_MIN_SLOTS, sizeof(*m->slot));
	if (m->slot == NULL) {
		free(m);
		return NULL;
	}
	m->mask = KEYMAP_MIN_SLOTS - 1;
	m->max = max;
	secret_random(m->secret, sizeof(m->secret));
	return m;
}

void
keymap_free(struct keymap *m)
{
	if (m == NULL)
		return;
	free(m->slot);
	secret_wipe(m, sizeof(*m));
	free(m);
}

static uint64_t
hash_of(const struct keymap *m, const struct key32 *key)
{
	uint8_t out[crypto_shorthash_BYTES];
	uint64_t hash;

	(void)crypto_shorthash(out, key->b, sizeof(key->b), m->secret);
	_Static_assert(sizeof(hash) == sizeof(out), "SipHash gives 64 bits");
	memcpy(&hash, out, sizeof(hash));
	return hash;
}

/* The slot of key, or the empty one where it would go. */
static size_t
find(const struct keymap *m, const struct key32 *key, uint64_t hash)
{
	size_t i = (size_t)hash & m->mask;

	while (m->slot[i].value != NULL &&
	       (m->slot[i].hash != hash ||
		   memcmp(m->slot[i].key.b, key->b, sizeof(key->b)) != 0))
		i = (i + 1) & m->mask;
	return i;
}

void *
keymap_get(const struct keymap *m, const struct key32 *key)
{
	return m->slot[find(m, key, hash_of(m, key))].value;
}

static int
double_slots(struct keymap *m)
{
	struct keymap_slot *old = m->slot;
	size_t n_old = m->mask + 1;

	m->slot = calloc(n_old * 2, sizeof(*old)); /* checks the product */
	if (m->slot == NULL) {
		m->slot = old;
		return -ENOMEM;
	}
	m->mask = n_old * 2 - 1;
	for (size_t i = 0; i < n_old; i++)
		if (old[i].value != NULL)
			m->slot[find(m, &old[i].key, old[i].hash)] = old[i];
	free(old);
	return 0;
}

int
keymap_put(struct keymap *m, const struct key32 *key, void *value)
{
	uint64_t hash = hash_of(m, key);
	size_t i = find(m, key, hash);
	int r;

	if (m->slot[i].value != NULL) {
		m->slot[i].value = value;
		return 0;
	}
	if (m->count >= m->max)
		return -DT_ERR_FULL;
	if (m->count + 1 > (m->mask + 1) / 4 * 3) {
		r = double_slots(m);
		if (r < 0)
			return r;
		i = find(m, key, hash);
	}
	m->slot[i] = (struct keymap_slot){ *key, hash, value };
	m->count++;
	return 0;
}

void *
keymap_remove(struct keymap *m, const struct key32 *key)
{
	size_t hole = find(m, key, hash_of(m, key));
	void *value = m->slot[hole].value;
	size_t home, i;

	if (value == NULL)
		return NULL;
	/* Move back every follower that may lie in the hole, until a gap. */
	for (i = (hole + 1) & m->mask; m->slot[i].value != NULL;
	     i = (i + 1) & m->mask) {
		home = (size_t)m->slot[i].hash & m->mask;
		if (((i - home) & m->mask) < ((i - hole) & m->mask))
			continue;
		m->slot[hole] = m->slot[i];
		hole = i;
	}
	m->slot[hole] = (struct keymap_slot){ .value = NULL };
	m->count--;
	return value;
}

size_t
keymap_count(const struct keymap *m)
{
	return m->count;
}

void
keymap_each(const struct keymap *m,
    void (*cb)(void *arg, const struct key32 *key, void *value), void *arg)
{
	for (size_t i = 0; i <= m->mask; i++)
		if (m->slot[i].value != NULL)
			cb(arg, &m->slot[i].key, m->slot[i].value);
}
