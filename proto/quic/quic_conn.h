/* SPDX-License-Identifier: BSD-3-Clause */
/* One QUIC connection of an endpoint; see quic_endpoint.h for its life. */
#ifndef PROTO_QUIC_QUIC_CONN_H
#define PROTO_QUIC_QUIC_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"

struct quic_conn;
struct quic_stream;
struct quic_endpoint;

/* Application close codes (peer v0.18.2). */
#define QUIC_CONN_CODE_OK 0
#define QUIC_CONN_CODE_ERROR 1
/* Reasons longer than this are cut, in both directions. */
#define QUIC_CONN_MAX_REASON 128

enum quic_close_kind {
	QUIC_CLOSE_LOCAL,     /* quic_conn_close() */
	QUIC_CLOSE_APP,       /* the peer's application; code is its code */
	QUIC_CLOSE_TRANSPORT, /* QUIC error, RFC 9000 20.1 */
	QUIC_CLOSE_TLS,       /* TLS alert; code is the alert, e.g. 42 */
	QUIC_CLOSE_IDLE,      /* nothing heard for the idle timeout */
	QUIC_CLOSE_HANDSHAKE, /* handshake took too long */
	QUIC_CLOSE_VERSION,   /* no QUIC version in common */
	QUIC_CLOSE_INTERNAL,  /* memory or a library failed us */
};

/* Why a connection ended. */
struct quic_close {
	enum quic_close_kind kind;
	bool by_peer; /* the peer said so; else we found out */
	uint64_t code;
	/*
	 * 0 for LOCAL, -DT_ERR_CLOSED for APP 0, -DT_ERR_PEER_ABORTED for other
	 * APP codes, -DT_ERR_AUTH for TLS alerts about keys and certificates,
	 * -DT_ERR_TLS for others, -DT_ERR_PEER_GONE for IDLE, -DT_ERR_TIMEOUT,
	 * -DT_ERR_VERSION, -DT_ERR_PEER_PROTOCOL for TRANSPORT (PEER_ABORTED
	 * when the peer said so), -DT_ERR_INTERNAL.
	 */
	int r;
	/* The peer's words: escape before showing; never act on them. */
	char reason[QUIC_CONN_MAX_REASON + 1];
};

struct quic_stats {
	uint64_t bytes_sent; /* datagram payloads */
	uint64_t bytes_received;
	uint64_t pkts_sent;     /* datagrams */
	uint64_t pkts_received; /* datagrams */
	int64_t rtt_us;         /* smoothed; 0 before the first sample */
	int64_t min_rtt_us;
	uint64_t cwnd;         /* bytes */
	uint64_t in_flight;    /* bytes */
	uint64_t streams_lost; /* times a live stream saw its data lost */
};

/** quic_conn_user(): the caller's own pointer, NULL at first on a server. */
void *quic_conn_user(const struct quic_conn *c);
void quic_conn_set_user(struct quic_conn *c, void *user);

/** quic_conn_endpoint_arg(): the arg of the endpoint's parameters. */
void *quic_conn_endpoint_arg(const struct quic_conn *c);

/** quic_conn_is_ready(): has conn_ready been reported? */
bool quic_conn_is_ready(const struct quic_conn *c);

/** quic_conn_alpn(): what was agreed on; "" before conn_ready. */
const char *quic_conn_alpn(const struct quic_conn *c);

/**
 * quic_conn_close(): end it with an application code.  Data that is not yet
 * acknowledged is lost: wait for stream_closed before.  The CONNECTION_CLOSE
 * goes out with the next quic_endpoint_output(), which also gives conn_closed.
 * @reason: text for the peer, may be "".
 */
void quic_conn_close(struct quic_conn *c, uint64_t code, const char *reason);

/**
 * quic_conn_open_bidi(), quic_conn_open_uni(): a new stream of ours.
 * @user: see quic_stream_user().
 *
 * Returns 0, -EAGAIN when the peer's limit is reached (conn_streams tells when
 * that changes), -DT_ERR_STATE before conn_ready or while closing, -ENOMEM.
 */
int quic_conn_open_bidi(
    struct quic_conn *c, void *user, struct quic_stream **ret_stream);
int quic_conn_open_uni(
    struct quic_conn *c, void *user, struct quic_stream **ret_stream);

/** quic_conn_ping(): make the peer answer something soon, to learn whether it
 * lives; see quic_conn_last_received(). */
void quic_conn_ping(struct quic_conn *c);

/** quic_conn_last_received(): when the last genuine packet came. */
struct mono quic_conn_last_received(const struct quic_conn *c);

/** quic_conn_stats(): counters and path state. */
void quic_conn_stats(struct quic_conn *c, struct quic_stats *ret_stats);

#endif
