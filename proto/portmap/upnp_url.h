/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The URLs a gateway gives for itself.  Only http with an IPv4 literal is one:
 * nothing is looked up, and whoever uses it compares the address.
 */
#ifndef PROTO_PORTMAP_UPNP_URL_H
#define PROTO_PORTMAP_UPNP_URL_H

#include <stddef.h>

#include "lib/addr.h"

/* Longer paths are none; miniupnpc keeps 128. */
#define UPNP_URL_MAX_PATH 256u

struct upnp_url {
	struct addr host;             /* IPv4 and port */
	char path[UPNP_URL_MAX_PATH]; /* from the first slash on, NUL at the end
				       */
};

/**
 * upnp_url_parse(): "http://a.b.c.d[:port][/path]".  No user, no name, no
 * bytes outside printable ASCII, no fragment.
 * @len: bytes at @text, which needs no terminator.
 *
 * Returns 0, -DT_ERR_SYNTAX, or -DT_ERR_TOO_LONG.
 */
int upnp_url_parse(struct upnp_url *ret_url, const char *text, size_t len);

/**
 * upnp_url_resolve(): @text as a browser at @base would read it: a whole URL, a
 * path from the root, or one beside the base's.
 *
 * Returns as upnp_url_parse().
 */
int upnp_url_resolve(struct upnp_url *ret_url, const struct upnp_url *base,
    const char *text, size_t len);

#endif
