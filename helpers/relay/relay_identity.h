/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What clients know this relay by: its DERP key and its certificate, given by
 * the operator, kept in a state directory, or made for this run.
 */
#ifndef HELPERS_RELAY_RELAY_IDENTITY_H
#define HELPERS_RELAY_RELAY_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

#include "helpers/relay/relay_opt.h"
#include "lib/secret.h"
#include "proto/tls/tls_ctx.h"

#define RELAY_IDENTITY_MAX_PATH 4096
#define RELAY_IDENTITY_MAX_ERROR 512

/* Owner: main; relay_identity_fini() wipes it. */
struct relay_identity {
	struct key32 private_key;
	struct key32 public_key;
	bool has_key;
	struct tls_ctx *tls;                   /* NULL: plain HTTP */
	char pin[TLS_CTX_PIN_LEN];             /* "" without TLS */
	char ca_path[RELAY_IDENTITY_MAX_PATH]; /* "" unless self-signed */
	char *state_path; /* absolute, of state_dir; NULL without */
	int state_dir;    /* descriptor or -1 */
	int guard;        /* of the published file, or -1 */
	bool was_root;
	char error[RELAY_IDENTITY_MAX_ERROR]; /* what went wrong, for people */
};

/**
 * relay_identity_init(): read what the operator named, while still root: the
 * certificate and key files; make and open the state directory, for @user.
 *
 * Returns 0 or a negative error with ->error set; _fini() in either case.
 */
int relay_identity_init(
    struct relay_identity *id, const struct relay_opt *opt, const char *user);

/**
 * relay_identity_complete(): after dropping root: load or make the rest.
 * @hostname: for a self-signed certificate.
 *
 * Returns as relay_identity_init().
 */
int relay_identity_complete(struct relay_identity *id,
    const struct relay_opt *opt, const char *hostname);

void relay_identity_fini(struct relay_identity *id);

#endif
