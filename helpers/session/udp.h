/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One UDP socket that the daemon bound and prepared: datagrams come in bursts
 * that the kernel has joined (GRO) and leave in runs that it cuts (GSO).
 */
#ifndef HELPERS_SESSION_UDP_H
#define HELPERS_SESSION_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/mono.h"
#include "proto/path/path.h"

struct loop;
struct loop_io;
struct loop_timer;
struct udp;
struct udp_buffers;

/* UDP over IPv4 carries no more; IPv6 could, but need not. */
#define UDP_MAX_SEND 65507
/* Older kernels cut into no more. */
#define UDP_MAX_SEGMENTS 64

/* Datagrams of one sender, back to back, each @segment octets long but for the
 * last, which may be shorter.  Borrowed for the call. */
struct udp_input {
	struct addr from; /* IPv4 as IPv4 */
	const uint8_t *p;
	size_t len;
	size_t segment; /* at least 1, at most len */
};

/* Owner: whoever embeds it.  Zeroed means closed. */
struct udp {
	int fd; /* -1: closed */
	sa_family_t family;
	uint16_t port; /* local, host order */
	struct loop_io *io;
	struct udp_buffers *buffers; /* shared by the sockets of a session */
	unsigned interest;
	struct loop_timer *rest; /* armed: input is read when it fires */
	struct mono since;       /* full datagrams are counted from here */
	int n_full;
	bool may_rest;
	bool is_watched; /* udp_watch() */
	bool is_full;    /* the kernel took no more; on_writable follows */
	bool no_gso;     /* the device cannot */
	void (*on_input)(
	    struct udp *u, const struct udp_input *in, struct mono now);
	/* After a send that found the socket full. */
	void (*on_writable)(struct udp *u, struct mono now);
	void *arg; /* of the owner */
};

/** udp_buffers_new(): room for one burst; NULL when memory is out. */
struct udp_buffers *udp_buffers_new(void);
void udp_buffers_free(struct udp_buffers *b);

/** udp_init(): closed; callbacks and arg are set by the caller. */
void udp_init(struct udp *u);

/**
 * udp_open(): watch @fd.
 * @fd: bound, non-blocking; owned from now on, also on failure.
 * @b: must live as long.
 *
 * Returns 0 or -ENOMEM.
 */
int udp_open(struct udp *u, struct loop *loop, struct udp_buffers *b, int fd,
    sa_family_t family, uint16_t port);
void udp_close(struct udp *u);
bool udp_is_open(const struct udp *u);

/** udp_watch(): whether input is read; on after udp_open().  What comes
 * meanwhile waits in the kernel. */
void udp_watch(struct udp *u, bool on);

/** udp_set_rest(): whether a bulk of single datagrams may wait up to a
 * millisecond: cheaper for both ends, but a rate that its sender derives from
 * the least round-trip time suffers.  Off after udp_open(). */
void udp_set_rest(struct udp *u, bool on);

/* What a send did. */
struct udp_sent {
	size_t n;   /* datagrams taken: sent, or refused and lost */
	int error;  /* of the last one refused: -EMSGSIZE, -ENETUNREACH ... */
	size_t len; /* its length */
};

/**
 * udp_send(): datagrams to one address, in order.  Fewer than all are taken
 * only when the socket is full (is_full).
 */
struct udp_sent udp_send(
    struct udp *u, const struct addr *to, const struct path_batch *b);

/** udp_send_one(): 0, -EAGAIN (lost), or why the system refused. */
int udp_send_one(
    struct udp *u, const struct addr *to, const uint8_t *p, size_t len);

#endif
