/* SPDX-License-Identifier: BSD-3-Clause */
/* A QUIC connection as the session sees it: what it is for. */
#ifndef HELPERS_SESSION_CARRIER_H
#define HELPERS_SESSION_CARRIER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/queue.h"

struct quic_conn;
struct session;
struct splice;

enum carrier_use {
	CARRIER_UNKNOWN, /* accepted, has shown no purpose yet */
	CARRIER_SHARE,   /* the one connection of share/open */
	CARRIER_CONTROL, /* derptun: lives as long as the tunnel */
	CARRIER_IDLE,    /* derptun claimer: for the next TCP connection */
	CARRIER_BUSY,    /* derptun claimer: serves one */
};

/* Owner: its QUIC connection's user pointer; listed by the session. */
struct carrier {
	struct quic_conn *conn;
	enum carrier_use use;
	bool ready;            /* the handshake is done */
	bool closing;          /* we closed it */
	size_t n_lanes;        /* its streams */
	size_t n_doomed;       /* those a splice just gave up */
	struct splice *splice; /* BUSY */
	LIST_ENTRY(carrier) link;
};

/** carrier_new(): listed, or NULL when memory is out. */
struct carrier *carrier_new(
    struct session *s, struct quic_conn *conn, enum carrier_use use);
/** carrier_free(): the connection is closed or never came to be. */
void carrier_free(struct carrier *c);
/** carrier_close(): with an application code, once. */
void carrier_close(struct carrier *c, unsigned code, const char *reason);
/** carrier_connect(): start another connection; NULL when that failed. */
struct carrier *carrier_connect(struct session *s, enum carrier_use use);

#endif
