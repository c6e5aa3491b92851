/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages of NETLINK_ROUTE: requests and what the kernel answers.  Bytes only;
 * netif has the sockets.  Integers are in host order and aligned to 4 octets.
 */
#ifndef DAEMON_NETLINK_H
#define DAEMON_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

/* Addresses remembered; a machine with more has the rest left out. */
#define NETLINK_MAX_ADDRS 256
/* Largest request below. */
#define NETLINK_MAX_REQUEST 64
/* The kernel fills what it is offered, at most this much. */
#define NETLINK_MAX_ANSWER ((size_t)32768)

struct netlink_addr {
	struct addr addr;
	uint32_t link;  /* index of its interface */
	uint32_t flags; /* IFA_F_* */
	bool is_up;     /* its interface is, and has a carrier */
};

/* Where packets to the Internet go. */
struct netlink_route {
	bool exists;
	uint32_t link;
	struct addr gateway; /* family 0: none, the link is the way */
	struct addr source;  /* preferred; family 0: not told */
};

/* Filled in this order: addresses, links, routes. */
struct netlink_table {
	size_t n_addrs;
	struct netlink_addr addrs[NETLINK_MAX_ADDRS];
	struct netlink_route route4;
	struct netlink_route route6;
};

enum netlink_request {
	NETLINK_ADDRS,
	NETLINK_LINKS, /* marks addresses whose link is up */
	NETLINK_ROUTE4,
	NETLINK_ROUTE6,
};

/** netlink_far(): somewhere in the Internet that is nobody's; routes are asked
 * for by it, and nothing is ever sent there. */
struct addr netlink_far(sa_family_t family);

/** netlink_write(): a request.  Returns its length. */
size_t netlink_write(uint8_t out[static NETLINK_MAX_REQUEST],
    enum netlink_request what, uint32_t seq);

/**
 * netlink_read(): one datagram of answers.
 * @p, @len: the datagram.  Messages with another number than @seq are skipped.
 * @t: what is understood is added; unknown messages and attributes are not.
 *
 * Returns 1 at the end of the answer, 0 when more datagrams follow, -errno as
 * the kernel refused, -DT_ERR_SYNTAX for what cannot be.
 */
int netlink_read(
    struct netlink_table *t, uint32_t seq, const uint8_t *p, size_t len);

enum netlink_presence { NETLINK_GONE, NETLINK_DOWN, NETLINK_UP };

/** netlink_presence(): is @a (port ignored) an address of ours, in whatever
 * condition, and is its interface up? */
enum netlink_presence netlink_presence(
    const struct netlink_table *t, const struct addr *a);

/**
 * netlink_choose(): the addresses worth telling, port 0, the best first (see
 * netif_addrs()).
 * @out: @max entries.  Returns how many.
 */
size_t netlink_choose(
    const struct netlink_table *t, struct addr *out, size_t max);

#endif
