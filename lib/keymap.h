/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hash table from 32-byte keys to pointers, keyed with a random secret so that
 * strangers who choose keys cannot choose collisions.
 */
#ifndef LIB_KEYMAP_H
#define LIB_KEYMAP_H

#include <stddef.h>

#include "lib/secret.h"

struct keymap;

/** keymap_new(): at most @max entries; NULL when memory is out. */
struct keymap *keymap_new(size_t max);
/** keymap_free(): values are not touched.  NULL is fine. */
void keymap_free(struct keymap *m);

/** keymap_get(): the value, or NULL. */
void *keymap_get(const struct keymap *m, const struct key32 *key);

/**
 * keymap_put(): insert or replace.
 * @value: not NULL; stays owned by the caller.
 *
 * Returns 0, -DT_ERR_FULL at the maximum, -ENOMEM.
 */
int keymap_put(struct keymap *m, const struct key32 *key, void *value);

/** keymap_remove(): returns the value that was there, or NULL. */
void *keymap_remove(struct keymap *m, const struct key32 *key);

/** keymap_count(): entries. */
size_t keymap_count(const struct keymap *m);

/** keymap_each(): visit all; @cb must not change the table. */
void keymap_each(const struct keymap *m,
    void (*cb)(void *arg, const struct key32 *key, void *value), void *arg);

#endif
