/* SPDX-License-Identifier: BSD-3-Clause */
/* A path over one UDP socket to one address, which may change. */
#ifndef HELPERS_SESSION_PATH_UDP_H
#define HELPERS_SESSION_PATH_UDP_H

#include "helpers/session/udp.h"
#include "proto/path/path.h"

/* Owner: whoever embeds it; the socket must live as long. */
struct path_udp {
	struct path path;
	struct udp *socket; /* NULL: nowhere to send */
	struct addr to;
	/* The system refused a datagram that the path should carry: -EMSGSIZE,
	 * -ENETUNREACH ... */
	void (*on_refused)(
	    void *arg, const struct addr *to, int error, size_t len);
	void *arg;
};

void path_udp_init(struct path_udp *p, enum path_kind kind);

/** path_udp_set(): datagrams go to @to through @socket from now on. */
void path_udp_set(struct path_udp *p, struct udp *socket, const struct addr *to,
    size_t payload);

#endif
