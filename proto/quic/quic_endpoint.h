/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC connections over one pipe of datagrams, without sockets: datagrams and
 * the time go in, datagrams and events come out.
 *
 *	datagram came:  quic_endpoint_input(ep, now, p, len);
 *	turn end:       while (quic_endpoint_output(ep, now, &batch) > 0)
 *	                        send batch.buf, cut as batch.lens says;
 *	                arm a timer for quic_endpoint_next_deadline(ep), which
 *	                only leads to another turn end.
 *
 * Events are called from inside quic_endpoint_input() and _output().  They may
 * call any quic_conn_*() and quic_stream_*() function, but of this header only
 * quic_endpoint_connect() and the read-only ones.
 *
 * Addresses do not exist here: moving the pipe from a relay to UDP and back is
 * invisible to QUIC, apart from quic_endpoint_kick() and _set_payload().
 */
#ifndef PROTO_QUIC_QUIC_ENDPOINT_H
#define PROTO_QUIC_QUIC_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "proto/quic/quic_params.h"

struct quic_endpoint; /* owner: whoever made it */
struct quic_conn;     /* owner: its endpoint; see quic_conn.h */

/* Handshakes at a time: what a stranger can make us spend, with its 10 s. */
#define QUIC_ENDPOINT_MAX_HANDSHAKES 64
#define QUIC_ENDPOINT_HANDSHAKE_US (10 * MONO_SEC)

#define QUIC_BATCH_MAX 64 /* UDP_SEGMENT's limit on older kernels */

/* A batch for one message or one segmented send.  The caller sets the first
 * three once. */
struct quic_batch {
	uint8_t *buf;    /* at least one payload, better 54 of them */
	size_t cap;      /* bytes at buf */
	size_t max_pkts; /* 1 .. QUIC_BATCH_MAX */
	size_t n_pkts;   /* datagrams given, back to back in buf */
	size_t len;      /* sum of lens */
	uint16_t lens[QUIC_BATCH_MAX];
};

/**
 * quic_endpoint_new(): nothing is sent before quic_endpoint_connect().
 *
 * Returns 0, -ENOMEM, -DT_ERR_KEY for an unusable certificate or missing key,
 * -ERANGE for sizes outside what the fields say.
 */
int quic_endpoint_new(
    struct quic_endpoint **ret_ep, const struct quic_params *p);

/** quic_endpoint_free(): drops everything without a word to peers or a
 * callback.  Not from inside an event.  NULL is fine. */
void quic_endpoint_free(struct quic_endpoint *ep);

/**
 * quic_endpoint_connect(): a client starts another connection.
 * @user: see quic_conn_user().
 *
 * Returns 0, -DT_ERR_LIMIT, -DT_ERR_STATE on a server, -ENOMEM.
 */
int quic_endpoint_connect(struct quic_endpoint *ep, struct mono now, void *user,
    struct quic_conn **ret_conn);

/**
 * quic_endpoint_input(): one datagram.  Anything that is not QUIC for one of
 * our connections, or the start of one a server has room for, is ignored.
 */
void quic_endpoint_input(
    struct quic_endpoint *ep, struct mono now, const uint8_t *pkt, size_t len);

/**
 * quic_endpoint_output(): run expired timers and fill @b with datagrams.
 *
 * Returns their number; 0 when there is nothing to send now.
 */
size_t quic_endpoint_output(
    struct quic_endpoint *ep, struct mono now, struct quic_batch *b);

/**
 * quic_endpoint_expire(): run expired timers only, while nothing can be sent:
 * connections still end when the peer is gone.  Events as in output().  Some
 * deadlines stay in the past until output(): call it now and then.
 */
void quic_endpoint_expire(struct quic_endpoint *ep, struct mono now);

/** quic_endpoint_next_deadline(): when output() is due at the latest. */
struct mono quic_endpoint_next_deadline(const struct quic_endpoint *ep);

/**
 * quic_endpoint_kick(): the pipe has just moved to a path that works, or what
 * was sent was too large for it.  Pending probe timers, grown meanwhile, fire
 * now, unless they are further away than the idle timeout.
 */
void quic_endpoint_kick(struct quic_endpoint *ep, struct mono now);

/**
 * quic_endpoint_revive(): the pipe may carry again what it lost for a while, or
 * not yet: peers are asked for a sign of life.  A probe timer that has doubled
 * meanwhile fires now, unless that brought the idle timeout too near; once the
 * peer is heard, it does in any case.
 */
void quic_endpoint_revive(struct quic_endpoint *ep, struct mono now);

/**
 * quic_endpoint_renew(): the pipe has just moved to a path of another kind: the
 * connections of both ends forget what they learned about rate and delay.  On a
 * client only, and for connections of which both ends are renewable; others go
 * on with what they know.
 */
void quic_endpoint_renew(struct quic_endpoint *ep, struct mono now);
/** quic_endpoint_set_renewable(): the peer is one of ours: connections made
 * from now on can be renewed. */
void quic_endpoint_set_renewable(struct quic_endpoint *ep);

/**
 * quic_endpoint_set_payload(): datagram payload from now on, lost data
 * included.  The peer's limit caps it silently.
 *
 * Returns 0, or -ERANGE outside MIN_PAYLOAD .. the larger of PAYLOAD and what
 * quic_endpoint_new() was given.
 */
int quic_endpoint_set_payload(struct quic_endpoint *ep, size_t payload);

/**
 * quic_endpoint_set_run(): no more than @most full datagrams follow each other
 * from now on, then there is one that is shorter by an octet.  It ends what a
 * kernel joins, for peers that cannot take apart as much as it can join.
 * @most: 0 for any number.
 */
void quic_endpoint_set_run(struct quic_endpoint *ep, size_t most);

/**
 * quic_endpoint_set_discovery(): connections made from now on find out by
 * themselves how large datagrams may be, up to QUIC_ENDPOINT_PAYLOAD, whatever
 * quic_endpoint_set_payload() says: for sockets of their own that do not
 * fragment.
 */
void quic_endpoint_set_discovery(struct quic_endpoint *ep, bool on);

/** quic_endpoint_genuine(): datagrams so far that the peer of an established
 * connection must have made: they decrypted with its keys. */
uint64_t quic_endpoint_genuine(const struct quic_endpoint *ep);

/**
 * quic_endpoint_stop_accepting(): a server ignores new connections from now on,
 * or not any more.
 */
void quic_endpoint_stop_accepting(struct quic_endpoint *ep, bool stop);

/** quic_endpoint_count(): connections, handshakes included; closed ones that
 * still answer late packets are not. */
size_t quic_endpoint_count(const struct quic_endpoint *ep);

/** quic_endpoint_is_drained(): no connection is left and every close was given
 * to output(), so that a process may end. */
bool quic_endpoint_is_drained(const struct quic_endpoint *ep);

#endif
