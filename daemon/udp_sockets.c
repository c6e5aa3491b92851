/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/udp_sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

/* Of linux/udp.h, which libc headers do not agree with. */
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

static int
set_int(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0
								       : -errno;
}

static uint32_t
get_size(int fd, int name)
{
	int v = 0;
	socklen_t len = sizeof(v);

	return getsockopt(fd, SOL_SOCKET, name, &v, &len) == 0 && v > 0
		   ? (uint32_t)v
		   : 0;
}

/*
 * DF on every packet, or path MTU discovery would be told lies by fragments.
 * PROBE rather than DO: with DO, an ICMP message that anybody may have forged
 * makes the kernel refuse sizes that pass; with PROBE only the MTU of our own
 * interface does.  For the same reason nobody reads ICMP errors (no IP_RECVERR,
 * and sockets that are not connected are told none).
 */
static int
set_df(int fd, int family)
{
	if (family == AF_INET)
		return set_int(
		    fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	return set_int(
	    fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

static int
bind_any(int fd, int family, uint16_t *ret_port)
{
	struct addr any = { .family = (sa_family_t)family };
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&any, &sa);

	if (bind(fd, (const struct sockaddr *)&sa, len) != 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return -errno;
	if (addr_from_sockaddr(&any, (const struct sockaddr *)&sa) < 0)
		return -EAFNOSUPPORT;
	*ret_port = any.port;
	return 0;
}

/* What works worse without, but works. */
static void
tune(struct udp_socket *s)
{
	s->has_gro = set_int(s->fd, IPPROTO_UDP, UDP_GRO, 1) == 0;
	(void)set_int(s->fd, SOL_SOCKET, SO_RCVBUF, UDP_SOCKETS_BUFFER_BYTES);
	(void)set_int(s->fd, SOL_SOCKET, SO_SNDBUF, UDP_SOCKETS_BUFFER_BYTES);
	s->rcvbuf_bytes = get_size(s->fd, SO_RCVBUF);
	s->sndbuf_bytes = get_size(s->fd, SO_SNDBUF);
}

static void
open_one(struct udp_socket *s)
{
	int family = s->use == IPC_SOCKET_MANAGED6 ? AF_INET6 : AF_INET;
	int r = 0;

	s->fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0) {
		s->fd = -1;
		s->error = -errno;
		return;
	}
	if (family == AF_INET6)
		r = set_int(s->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (r == 0)
		r = set_df(s->fd, family);
	if (r == 0)
		r = bind_any(s->fd, family, &s->port);
	s->error = r;
	if (r < 0)
		fd_close(&s->fd);
	else
		tune(s);
}

void
udp_sockets_init(struct udp_sockets *u)
{
	static const enum ipc_socket_use uses[UDP_SOCKETS_N] = {
		IPC_SOCKET_MANAGED4, IPC_SOCKET_MANAGED6, IPC_SOCKET_RAW4
	};

	memset(u, 0, sizeof(*u));
	for (size_t i = 0; i < UDP_SOCKETS_N; i++) {
		u->socket[i].use = uses[i];
		u->socket[i].fd = -1;
	}
}

void
udp_sockets_open(struct udp_sockets *u, bool with_raw)
{
	udp_sockets_close(u);
	udp_sockets_init(u);
	for (size_t i = 0; i < UDP_SOCKETS_N; i++) {
		struct udp_socket *s = &u->socket[i];

		if (s->use == IPC_SOCKET_RAW4 && !with_raw)
			continue;
		open_one(s);
		if (s->error < 0)
			log_debug("udp", "no socket use=%d code=%s",
			    (int)s->use, err_name(s->error));
	}
}

void
udp_sockets_close(struct udp_sockets *u)
{
	for (size_t i = 0; i < UDP_SOCKETS_N; i++)
		fd_close(&u->socket[i].fd);
}

size_t
udp_sockets_give(
    struct udp_sockets *u, struct ipc_sockets *ret_body, int *ret_fds)
{
	size_t n = 0;

	memset(ret_body, 0, sizeof(*ret_body));
	for (size_t i = 0; i < UDP_SOCKETS_N; i++) {
		struct udp_socket *s = &u->socket[i];

		if (s->fd < 0)
			continue;
		ret_body->socket[n].use = (uint8_t)s->use;
		ret_body->socket[n].port = s->port;
		ret_fds[n++] = s->fd;
		s->fd = -1; /* transferred */
	}
	ret_body->n = (uint8_t)n;
	return n;
}

uint16_t
udp_sockets_port(const struct udp_sockets *u, enum ipc_socket_use use)
{
	for (size_t i = 0; i < UDP_SOCKETS_N; i++)
		if (u->socket[i].use == use)
			return u->socket[i].port;
	return 0;
}
