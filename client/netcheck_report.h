/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the answers of STUN servers say about this network.  Pure.  The verdicts
 * and how they are reached are those of peer v0.18.2, as scripts compare them.
 */
#ifndef CLIENT_NETCHECK_REPORT_H
#define CLIENT_NETCHECK_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/addr.h"

/* A sentence of ours around two addresses and a reason of the system's. */
#define NETCHECK_MAX_ERROR 256

/* One question to one server, or something that could not be found out. */
struct netcheck_row {
	const char *server; /* HOST:PORT as the user wrote it; borrowed */
	struct addr local;  /* asked from here; family 0: it never came to it */
	struct addr mapped; /* what the server saw; family 0: no answer */
	char error[NETCHECK_MAX_ERROR]; /* "" with an answer */
};

enum netcheck_verdict {
	NETCHECK_DIRECT_FRIENDLY,
	NETCHECK_DIRECT_LIMITED,
	NETCHECK_RELAY_ONLY,
	NETCHECK_UNKNOWN,
};

/* Sorted bytewise, no text twice. */
struct netcheck_list {
	char (*texts)[ADDR_MAX_TEXT];
	size_t n;
};

/* Owns its lists; borrows the rows. */
struct netcheck_report {
	enum netcheck_verdict verdict;
	bool outbound;
	bool stun;
	bool is_mapping_stable;  /* one local port, one mapping, every server */
	bool is_port_preserving; /* every mapping keeps the local port */
	struct netcheck_list endpoints; /* mapped addresses, with ports */
	struct netcheck_list lan;       /* candidates: private addresses */
	struct netcheck_list overlay;   /* those of a Tailscale network */
	struct netcheck_list public;    /* the rest */
	const struct netcheck_row *rows;
	size_t n_rows;
};

/**
 * netcheck_report_init(): judge.
 * @rows: kept (borrowed) by the report.
 * @interfaces: addresses of this machine; ports do not count.
 *
 * Returns 0 or -ENOMEM.
 */
int netcheck_report_init(struct netcheck_report *ret_report,
    const struct netcheck_row *rows, size_t n_rows,
    const struct addr *interfaces, size_t n_interfaces);
void netcheck_report_fini(struct netcheck_report *report);

/** netcheck_report_classify(): the verdict for what else @report says. */
enum netcheck_verdict netcheck_report_classify(
    const struct netcheck_report *report);

/** netcheck_report_verdict(): the word scripts know. */
const char *netcheck_report_verdict(enum netcheck_verdict verdict);

/** netcheck_report_advice(): one or two sentences for people. */
const char *netcheck_report_advice(enum netcheck_verdict verdict);

#endif
