/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Paths: ways on which datagrams reach the peer.  A session owns one path_mux;
 * every datagram leaves through the selected path, and input of any path is
 * merged into one stream.  QUIC above sees no addresses, so that selecting
 * another path is invisible to it but for a new payload size and a kick.
 *
 * The relay is one path; UDP sockets (hole-punched, raw) are others.  A path
 * never drops what it accepted: when it cannot take more it says so, and the
 * datagrams stay with the caller.
 */
#ifndef PROTO_PATH_PATH_H
#define PROTO_PATH_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/queue.h"

enum path_kind {
	PATH_KIND_RELAY = 1,
	PATH_KIND_MANAGED, /* hole-punched UDP beside the relay */
	PATH_KIND_RAW,     /* UDP that QUIC has for itself */
};

enum path_state {
	PATH_STATE_DOWN,    /* nothing gets through */
	PATH_STATE_BLOCKED, /* up, but full; path_mux_unblocked() follows */
	PATH_STATE_UP,
};

/* Datagrams back to back; borrowed for the call. */
struct path_batch {
	const uint8_t *buf;
	size_t n_pkts;
	const uint16_t *lens; /* bytes of each */
};

struct path;

struct path_ops {
	/*
	 * Send, in order.  Returns how many datagrams were taken, 0 ..
	 * batch->n_pkts; fewer than all only together with a state other than
	 * UP.  A datagram the medium refuses (too long, unreachable) counts as
	 * taken and lost.
	 */
	size_t (*send)(struct path *p, const struct path_batch *batch);
};

/* Embedded by its implementation, which owns it. */
struct path {
	const struct path_ops *ops;
	enum path_kind kind;
	enum path_state state; /* kept by the implementation */
	size_t payload;        /* largest QUIC datagram it carries, bytes */
	struct mono heard;     /* when something last came in on it */
	uint64_t packets_in;
	uint64_t packets_out;
	TAILQ_ENTRY(path) link;
	bool added; /* in a mux */
};

/* Owner: the session.  Invariant: selected is NULL or one of paths. */
struct path_mux {
	TAILQ_HEAD(path_list, path) paths;
	struct path *selected;
	/* A datagram of the peer, from whichever path. */
	void (*on_input)(
	    void *arg, struct mono now, const uint8_t *pkt, size_t len);
	/* Sending makes sense again: room in the selected path, or another. */
	void (*on_writable)(void *arg, struct mono now);
	void *arg;
};

void path_mux_init(struct path_mux *m,
    void (*on_input)(
	void *arg, struct mono now, const uint8_t *pkt, size_t len),
    void (*on_writable)(void *arg, struct mono now), void *arg);

/** path_mux_add(): input of @p is accepted from now on.  @p stays owned by the
 * caller, who removes it before its end. */
void path_mux_add(struct path_mux *m, struct path *p);

/** path_mux_remove(): also unselects it; nothing is sent then until another
 * one is selected. */
void path_mux_remove(struct path_mux *m, struct path *p);

/**
 * path_mux_select(): datagrams leave through @p from now on.
 * @p: one that was added.
 *
 * Returns true when this changed something: the caller then sets QUIC's payload
 * to p->payload and kicks its timers.  Reports on_writable when @p is up.
 */
bool path_mux_select(struct path_mux *m, struct path *p, struct mono now);

/** path_mux_can_send(): is there a selected path that takes something now? */
bool path_mux_can_send(const struct path_mux *m);

/** path_mux_send(): through the selected path; returns what path_ops.send()
 * returns, 0 when nothing is selected. */
size_t path_mux_send(struct path_mux *m, const struct path_batch *batch);

/** path_mux_input(): called by paths for each datagram that came. */
void path_mux_input(struct path_mux *m, struct path *p, struct mono now,
    const uint8_t *pkt, size_t len);

/** path_mux_unblocked(): called by a path that has room again; sets its state
 * to UP. */
void path_mux_unblocked(struct path_mux *m, struct path *p, struct mono now);

#endif
