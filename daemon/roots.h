/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sets of trusted roots as TLS contexts.  Reading certificates takes longer
 * than a handshake, a bundle of all public ones a hundred times as long, and
 * the callers of one machine use the same few: a set is kept for a while.
 */
#ifndef DAEMON_ROOTS_H
#define DAEMON_ROOTS_H

#include <stddef.h>

#include "lib/secret.h"
#include "proto/tls/tls_ctx.h"

/* Sets that nobody uses, kept for the next one. */
#define ROOTS_MAX_IDLE 4

/* One set.  Owner: the module; counted. */
struct roots {
	struct key32 digest; /* of its text */
	struct tls_ctx *tls;
	struct roots *next;
	unsigned refs;
};

/**
 * roots_get(): the set with this text, read now if need be.
 *
 * Returns 0, or as tls_ctx_new_client().  Give it back with roots_put().
 */
int roots_get(const char *pem, size_t len, struct roots **ret_roots);
/** roots_put(): NULL is fine. */
void roots_put(struct roots *r);

/**
 * roots_system(): those of the system, read when first needed.
 *
 * Returns 0 or -ENOMEM; *@ret_tls is borrowed.
 */
int roots_system(struct tls_ctx **ret_tls);

/** roots_forget(): the system's, and what nobody uses.  No TLS connection of
 * these may exist any more. */
void roots_forget(void);

#endif
