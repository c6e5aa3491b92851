/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Receiving: up to BURST_CALLS system calls a turn, each for RECV_MSGS messages
 * of up to 64 KiB, so that a flood cannot keep the other descriptors waiting.
 *
 * Where the kernel does not join, each datagram wakes us, which costs sender
 * and receiver more than the datagram itself.  When many full ones have come so
 * in a millisecond, we rest: the socket is not looked at for a while, and what
 * came meanwhile is read at once.  That goes on for as long as it is worth it.
 *
 * Sending: a run is what one UDP_SEGMENT send can carry: datagrams of one
 * length, and perhaps a shorter last one.  Where the kernel refuses a run, its
 * datagrams are tried one by one: each gets its own verdict then, and when all
 * of them pass it was the joining that failed, and is not tried again.
 *
 * Only sendmsg(2) and recvmmsg(2): the sandbox allows no others, and whoever
 * made the socket has set its options.
 */
#include "helpers/session/udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/fd.h"
#include "lib/loop.h"
#include "proto/quic/quic_params.h"

/* Debian 12's libc may lack them; the numbers are the kernel's. */
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

#define RECV_MSGS 4 /* per call: 256 KiB stay in the second-level cache */
#define RECV_LEN ((size_t)65536)
/* 1 MiB a turn when the kernel joins, 64 small datagrams when it does not. */
#define BURST_CALLS 16
#define BURST_MSGS (BURST_CALLS * RECV_MSGS)

/* More full datagrams than that in a millisecond are a bulk. */
#define BULK_MSGS 16
#define BULK_US MONO_MS
#define FULL_LEN 1000
/* As long as the least buffer of a socket (180 datagrams) can bear. */
#define REST_US MONO_MS
/* Fewer are not worth the time that they wait. */
#define REST_LEAST (BULK_MSGS / 2)

struct udp_buffers {
	struct mmsghdr msg[RECV_MSGS];
	struct iovec iov[RECV_MSGS];
	struct sockaddr_storage from[RECV_MSGS];
	_Alignas(
	    struct cmsghdr) uint8_t control[RECV_MSGS][CMSG_SPACE(sizeof(int))];
	uint8_t data[RECV_MSGS][RECV_LEN];
};

struct udp_buffers *
udp_buffers_new(void)
{
	/* Pages that are never used are never there. */
	return malloc(sizeof(struct udp_buffers));
}

void
udp_buffers_free(struct udp_buffers *b)
{
	free(b);
}

static void
prepare(struct udp_buffers *b)
{
	for (size_t i = 0; i < RECV_MSGS; i++) {
		struct msghdr *h = &b->msg[i].msg_hdr;

		b->iov[i] = (struct iovec){ b->data[i], RECV_LEN };
		*h = (struct msghdr){ .msg_name = &b->from[i],
			.msg_namelen = sizeof(b->from[i]),
			.msg_iov = &b->iov[i],
			.msg_iovlen = 1,
			.msg_control = b->control[i],
			.msg_controllen = sizeof(b->control[i]) };
	}
}

/* The length at which the kernel joined datagrams; 0: it did not. */
static size_t
segment_of(struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c != NULL;
	     c = CMSG_NXTHDR(h, c)) {
		int size;

		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO ||
		    c->cmsg_len < CMSG_LEN(sizeof(size)))
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		return size > 0 ? (size_t)size : 0;
	}
	return 0;
}

static void
deliver(struct udp *u, size_t i, struct mono now)
{
	struct udp_buffers *b = u->buffers;
	struct mmsghdr *m = &b->msg[i];
	struct udp_input in = { .p = b->data[i], .len = m->msg_len };
	struct addr from;

	if (in.len == 0 || (m->msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
	    addr_from_sockaddr(&from, (struct sockaddr *)&b->from[i]) != 0)
		return;
	in.from = addr_unmap(&from);
	in.segment = segment_of(&m->msg_hdr);
	if (in.segment == 0 || in.segment > in.len)
		in.segment = in.len;
	u->on_input(u, &in, now);
}

/* How many messages there were, and their octets. */
static int
read_burst(struct udp *u, struct mono now, size_t *ret_len)
{
	int total = 0;

	*ret_len = 0;
	for (int call = 0; call < BURST_CALLS; call++) {
		int n;

		prepare(u->buffers);
		n = recvmmsg(
		    u->fd, u->buffers->msg, RECV_MSGS, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++) {
			*ret_len += u->buffers->msg[i].msg_len;
			total++;
			deliver(u, (size_t)i, now);
			/* The callback may have had enough. */
			if (u->fd < 0 || !u->is_watched)
				return total;
		}
		if (n < RECV_MSGS)
			return total;
	}
	return total;
}

static void
set_interest(struct udp *u, unsigned events)
{
	u->interest = events;
	loop_io_set(u->io, events);
}

/* Look at the socket whenever it has something, or not for now. */
static void
watch(struct udp *u, bool on)
{
	set_interest(
	    u, on ? u->interest | LOOP_READ : u->interest & ~LOOP_READ);
	loop_timer_at(u->rest, MONO_NEVER);
	u->n_full = 0;
}

static void
rest(struct udp *u)
{
	watch(u, false);
	loop_timer_in(u->rest, REST_US);
}

/* @n messages came, of @len octets in all. */
static void
count(struct udp *u, int n, size_t len, struct mono now)
{
	size_t each = n > 0 ? len / (size_t)n : 0;

	if (each < FULL_LEN || each > QUIC_ENDPOINT_PAYLOAD)
		return;
	if (mono_diff(now, u->since) >= BULK_US) {
		u->since = now;
		u->n_full = 0;
	}
	u->n_full += n;
	if (u->n_full > BULK_MSGS)
		rest(u);
}

static void
on_rested(void *arg, struct mono now)
{
	struct udp *u = arg;
	size_t len;
	int n = read_burst(u, now, &len);

	if (u->fd < 0 || !u->is_watched)
		return;
	if (n == BURST_MSGS)
		loop_timer_at(u->rest, now); /* there may be more */
	else if (n >= REST_LEAST)
		loop_timer_in(u->rest, REST_US);
	else
		watch(u, true);
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct udp *u = arg;

	if ((events & LOOP_WRITE) != 0 && u->is_full) {
		u->is_full = false;
		set_interest(u, u->interest & ~LOOP_WRITE);
		u->on_writable(u, now);
	}
	if ((events & LOOP_READ) != 0 && u->fd >= 0) {
		size_t len;
		int n = read_burst(u, now, &len);

		if (u->may_rest && u->fd >= 0 && u->is_watched)
			count(u, n, len, now);
	}
}

void
udp_init(struct udp *u)
{
	*u = (struct udp){ .fd = -1 };
}

int
udp_open(struct udp *u, struct loop *loop, struct udp_buffers *b, int fd,
    sa_family_t family, uint16_t port)
{
	u->io = loop_io_new(loop, fd, on_io, u);
	u->rest = loop_timer_new(loop, on_rested, u);
	if (u->io == NULL || u->rest == NULL) {
		udp_close(u);
		fd_close(&fd);
		return -ENOMEM;
	}
	u->fd = fd;
	u->family = family;
	u->port = port;
	u->buffers = b;
	u->is_full = false;
	u->is_watched = true;
	u->may_rest = false;
	set_interest(u, LOOP_READ);
	return 0;
}

void
udp_close(struct udp *u)
{
	loop_io_free(u->io);
	loop_timer_free(u->rest);
	u->io = NULL;
	u->rest = NULL;
	fd_close(&u->fd);
}

bool
udp_is_open(const struct udp *u)
{
	return u->fd >= 0;
}

void
udp_watch(struct udp *u, bool on)
{
	if (u->fd < 0)
		return;
	u->is_watched = on;
	watch(u, on);
}

void
udp_set_rest(struct udp *u, bool on)
{
	u->may_rest = on;
	if (!on && u->fd >= 0 && u->is_watched)
		watch(u, true);
}

/* One system call.  @segment: 0, or the length to cut at.  0 or -errno. */
static int
send_once(struct udp *u, const struct msghdr *to, const uint8_t *p, size_t len,
    size_t segment)
{
	_Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(uint16_t))];
	union {
		const uint8_t *from;
		void *iov;
	} base = { .from = p };
	struct iovec iov = { base.iov, len };
	struct msghdr h = *to;
	uint16_t size = (uint16_t)segment;

	h.msg_iov = &iov;
	h.msg_iovlen = 1;
	if (segment > 0) {
		struct cmsghdr *c;

		memset(control, 0, sizeof(control));
		h.msg_control = control;
		h.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = IPPROTO_UDP;
		c->cmsg_type = UDP_SEGMENT;
		c->cmsg_len = CMSG_LEN(sizeof(size));
		memcpy(CMSG_DATA(c), &size, sizeof(size));
	}
	/* An ICMP message that lies about an earlier one costs one try. */
	for (int i = 0; i < 2; i++) {
		if (sendmsg(u->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != ECONNREFUSED && errno != EINTR)
			break;
	}
	if (errno == EWOULDBLOCK)
		return -EAGAIN;
	/* Memory is short for a moment: a loss like any other. */
	return errno == ENOBUFS || errno == ENOMEM ? 0 : -errno;
}

static void
wait_for_room(struct udp *u)
{
	u->is_full = true;
	set_interest(u, u->interest | LOOP_WRITE);
}

/* How many datagrams from @first on one send can carry, and their octets. */
static size_t
find_run(const struct path_batch *b, size_t first, size_t *ret_len)
{
	size_t segment = b->lens[first], len = segment, n = 1;

	while (first + n < b->n_pkts && n < UDP_MAX_SEGMENTS) {
		size_t next = b->lens[first + n];

		if (next > segment || len + next > UDP_MAX_SEND)
			break;
		len += next;
		n++;
		if (next < segment)
			break;
	}
	*ret_len = len;
	return n;
}

/* @n datagrams from @first on, each by itself. */
static size_t
send_singly(struct udp *u, const struct msghdr *to, const struct path_batch *b,
    size_t first, size_t n, const uint8_t *p, struct udp_sent *sent)
{
	size_t refused = 0;

	for (size_t i = 0; i < n; i++) {
		size_t len = b->lens[first + i];
		int r = send_once(u, to, p, len, 0);

		if (r == -EAGAIN) {
			wait_for_room(u);
			return refused;
		}
		if (r != 0) {
			sent->error = r;
			sent->len = len;
			refused++;
		}
		sent->n++;
		p += len;
	}
	return refused;
}

static void
set_destination(
    struct msghdr *h, struct sockaddr_storage *sa, const struct addr *to)
{
	*h = (struct msghdr){ .msg_name = sa,
		.msg_namelen = addr_to_sockaddr(to, sa) };
}

struct udp_sent
udp_send(struct udp *u, const struct addr *to, const struct path_batch *b)
{
	struct udp_sent sent = { 0 };
	struct sockaddr_storage sa;
	const uint8_t *p = b->buf;
	struct msghdr h;

	set_destination(&h, &sa, to);
	while (sent.n < b->n_pkts && !u->is_full) {
		size_t len, first = sent.n, n = find_run(b, first, &len);
		int r = -EINVAL;

		if (n > 1 && !u->no_gso)
			r = send_once(u, &h, p, len, b->lens[first]);
		if (r == 0) {
			sent.n += n;
		} else if (r == -EAGAIN) {
			wait_for_room(u);
		} else if (send_singly(u, &h, b, first, n, p, &sent) == 0 &&
			   n > 1 && !u->is_full) {
			u->no_gso = true;
		}
		p += len;
	}
	return sent;
}

int
udp_send_one(struct udp *u, const struct addr *to, const uint8_t *p, size_t len)
{
	struct sockaddr_storage sa;
	struct msghdr h;

	set_destination(&h, &sa, to);
	return send_once(u, &h, p, len, 0);
}
