/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/fd.h"

/* Connections that wait while the tunnel is made again. */
#define BACKLOG 128

static int
bind_one(const struct addrinfo *ai, bool is_any)
{
	const int on = 1, off = 0;
	int fd, r;

	fd = socket(
	    ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	/* A restart must not wait for old connections to be forgotten. */
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (is_any && ai->ai_family == AF_INET6)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0)
		return fd;
	r = -errno;
	fd_close(&fd);
	return r;
}

/* Tries the addresses of one family, IPv4 names first as the siblings do. */
static int
bind_family(const struct addrinfo *list, int family, bool is_any)
{
	int r = -EADDRNOTAVAIL;

	for (const struct addrinfo *ai = list; ai != NULL; ai = ai->ai_next) {
		if (ai->ai_family != family)
			continue;
		r = bind_one(ai, is_any);
		if (r >= 0)
			break;
	}
	return r;
}

static int
bound_to(int fd, struct addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		return -errno;
	return addr_from_sockaddr(ret_addr, (struct sockaddr *)&sa);
}

static bool
has_no_family(int r)
{
	return r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT;
}

int
listener_bind(const struct cli_target *at, int *ret_fd, struct addr *ret_addr)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
		.ai_socktype = SOCK_STREAM };
	bool is_any = at->host[0] == '\0' || strcmp(at->host, "::") == 0;
	struct addrinfo *list;
	char port[8];
	int fd, r;

	(void)snprintf(port, sizeof(port), "%u", (unsigned)at->port);
	if (getaddrinfo(at->host[0] == '\0' ? NULL : at->host, port, &hints,
		&list) != 0)
		return -DT_ERR_RESOLVE;
	/* One IPv6 socket serves both families when all are wanted. */
	fd = bind_family(list, is_any ? AF_INET6 : AF_INET, is_any);
	if (has_no_family(fd))
		fd = bind_family(list, is_any ? AF_INET : AF_INET6, is_any);
	freeaddrinfo(list);
	if (fd < 0)
		return fd;
	r = bound_to(fd, ret_addr);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int
listener_start(int fd)
{
	return listen(fd, BACKLOG) == 0 ? 0 : -errno;
}
