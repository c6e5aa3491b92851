/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/relay/relay_stun.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "lib/addr.h"
#include "proto/stun/stun.h"

/* Requests answered in one go, so that a flood does not starve the relay. */
#define BATCH 64

struct relay_stun {
	struct relay *relay;
	int fd;
	struct loop_io *io;
};

/* One datagram with its sender and the local address it was sent to. */
struct datagram {
	struct sockaddr_storage from;
	uint8_t bytes[STUN_MAX_REQUEST_LEN + 1]; /* one more shows excess */
	_Alignas(struct cmsghdr)
	    uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo)) +
			    CMSG_SPACE(sizeof(struct in_pktinfo))];
};

/*
 * Keep of the control data only what a reply can carry: which address it
 * leaves from.  The interface is left to routing, except for link-local peers.
 */
static void
keep_source(struct msghdr *msg)
{
	struct cmsghdr *c;

	for (c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			info.ipi_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else if (c->cmsg_level == IPPROTO_IPV6 &&
			   c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				info.ipi6_ifindex = 0;
			memcpy(CMSG_DATA(c), &info, sizeof(info));
		} else {
			msg->msg_controllen = 0;
			return;
		}
	}
}

/* Answer the request in @d of @len bytes, if it is one. */
static void
answer(struct relay_stun *s, struct datagram *d, const struct msghdr *request,
    size_t len)
{
	struct relay_stats *stats = &s->relay->stats;
	uint8_t out[STUN_MAX_RESPONSE_LEN];
	struct iovec iov = { .iov_base = out };
	struct msghdr reply = *request; /* same peer, same local address */
	struct addr from;
	struct stun_tx tx;

	if (stun_parse_request(d->bytes, len, &tx) < 0 ||
	    addr_from_sockaddr(&from, (struct sockaddr *)&d->from) < 0) {
		stats->stun[RELAY_STATS_STUN_NOT_STUN]++;
		return;
	}
	from = addr_unmap(&from);
	if (from.family == AF_INET)
		stats->stun_ipv4++;
	else
		stats->stun_ipv6++;
	iov.iov_len = stun_write_response(out, &tx, &from);
	reply.msg_iov = &iov;
	reply.msg_flags = 0;
	keep_source(&reply);
	if (sendmsg(s->fd, &reply, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		stats->stun[RELAY_STATS_STUN_WRITE_ERROR]++;
	else
		stats->stun[RELAY_STATS_STUN_SUCCESS]++;
}

static void
on_readable(void *arg, unsigned events, struct mono now)
{
	struct relay_stun *s = arg;

	(void)events; /* only ever LOOP_READ */
	(void)now;    /* answers do not depend on it */
	for (int i = 0; i < BATCH; i++) {
		struct datagram d;
		struct iovec iov = { d.bytes, sizeof(d.bytes) };
		struct msghdr msg = {
			.msg_name = &d.from,
			.msg_namelen = sizeof(d.from),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = d.control,
			.msg_controllen = sizeof(d.control),
		};
		ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT);

		if (n < 0) {
			if (errno != EAGAIN && errno != EINTR)
				s->relay->stats
				    .stun[RELAY_STATS_STUN_READ_ERROR]++;
			return;
		}
		answer(s, &d, &msg, (size_t)n);
	}
}

struct relay_stun *
relay_stun_new(struct relay *relay, int fd)
{
	struct relay_stun *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->relay = relay;
	s->fd = fd;
	s->io = loop_io_new(relay->loop, fd, on_readable, s);
	if (s->io == NULL) {
		free(s);
		return NULL;
	}
	loop_io_set(s->io, LOOP_READ);
	return s;
}

void
relay_stun_free(struct relay_stun *s)
{
	if (s == NULL)
		return;
	loop_io_free(s->io);
	free(s);
}
