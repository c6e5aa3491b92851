/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How one caller wants relays to be found and trusted: the object "relay" of
 * the control socket.  Immutable once made, shared by reference count, part of
 * the key under which relay links are shared.
 */
#ifndef DAEMON_RELAY_PARAMS_H
#define DAEMON_RELAY_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/roots.h"
#include "lib/secret.h"
#include "proto/tls/tls_ctx.h"
#include "proto/token/token_route.h"

/* Text of a map in the params: it travels in one 64 KiB line. */
#define RELAY_PARAMS_MAX_MAP ((size_t)48 * 1024)
#define RELAY_PARAMS_MAX_URL 512
#define RELAY_PARAMS_MAX_WHY 192

struct relay_params {
	unsigned refs;
	bool has_server; /* only matters when a token is minted */
	struct token_route server;
	char pin[TLS_CTX_PIN_LEN];          /* "" for none */
	char *map_text;                     /* or NULL */
	char map_url[RELAY_PARAMS_MAX_URL]; /* or "" */
	struct roots *roots; /* of the caller, or NULL: the system's */
	struct key32 digest; /* over all of the above */
};

/**
 * relay_params_parse(): from JSON.
 * @o: the object, or NULL for all defaults.
 * @fds, @n_fds: of the request; the one that ca_fd names, a sealed memfd, is
 *               read here and closed, its entry set to -1.
 * @ret_why: on failure a text for the caller, RELAY_PARAMS_MAX_WHY bytes.
 *
 * Returns 0 with one reference, -DT_ERR_SYNTAX (unknown member, bad value, no
 * certificate in the file), -DT_ERR_TOO_LONG, -ENOMEM, or -errno of reading.
 */
int relay_params_parse(const json_t *o, int *fds, size_t n_fds,
    struct relay_params **ret_params, char *ret_why);

struct relay_params *relay_params_ref(struct relay_params *p);
/** relay_params_unref(): NULL is fine. */
void relay_params_unref(struct relay_params *p);

/** relay_params_tls(): the context to use; as roots_system(). */
int relay_params_tls(const struct relay_params *p, struct tls_ctx **ret_ctx);

#endif
