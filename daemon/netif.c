/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * One netlink socket hears that something changed; what it was does not matter,
 * as NETIF_SETTLE_US later everything is asked for anew on a second socket, and
 * compared.  So a lost or unknown notification does no harm, and a burst costs
 * one look.  Answers are there when the request returns: the kernel writes them
 * in our own system call, so asking needs no state.
 *
 * The way out is a route lookup, not a walk through the table: one answer
 * however large the table is, and policy routing is respected.
 */
#include "daemon/netif.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/damper.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

/* Datagrams of one answer: a link takes at most about 2 KiB. */
#define MAX_DATAGRAMS 1024
/* Notifications taken in one turn. */
#define MAX_NOTICES 64

/* What callers see. */
struct view {
	size_t n;
	struct addr addrs[NETIF_MAX_ADDRS];
	struct netlink_route route4, route6;
};

/* Invariant: ask_fd or notice_fd is -1 only while polling. */
struct netif {
	struct loop *loop;
	void (*cb)(void *arg, struct mono now);
	void *arg;
	int notice_fd;
	int ask_fd;
	struct loop_io *io;
	struct loop_timer *timer; /* settle, or poll */
	bool is_settling;
	struct damper damper;
	uint32_t seq;
	struct view view;
	bool is_table_good;                 /* as of the last look */
	struct netlink_table table;         /* likewise */
	uint8_t answer[NETLINK_MAX_ANSWER]; /* while looking */
};

static bool
is_polling(const struct netif *n)
{
	return n->notice_fd < 0 || n->ask_fd < 0;
}

static int
open_netlink(uint32_t groups, int *ret_fd)
{
	struct sockaddr_nl sa = { .nl_family = AF_NETLINK,
		.nl_groups = groups };
	int fd = socket(
	    AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int r;

	if (fd < 0)
		return -errno;
	if (bind(fd, (const struct sockaddr *)&sa, sizeof(sa)) == 0) {
		*ret_fd = fd;
		return 0;
	}
	r = -errno;
	fd_close(&fd);
	return r;
}

/* One datagram of the kernel's.  Returns its length, 0 for somebody else's, or
 * -errno. */
static ssize_t
receive(int fd, void *buf, size_t room)
{
	struct sockaddr_nl from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(fd, buf, room, MSG_DONTWAIT | MSG_TRUNC,
	    (struct sockaddr *)&from, &from_len);

	if (n < 0)
		return -errno;
	if (from_len != sizeof(from) || from.nl_pid != 0)
		return 0;
	return (size_t)n <= room ? n : -EMSGSIZE;
}

static int
ask(struct netif *n, enum netlink_request what)
{
	uint8_t request[NETLINK_MAX_REQUEST];
	size_t len = netlink_write(request, what, ++n->seq);
	const struct sockaddr_nl to = { .nl_family = AF_NETLINK };
	int r = 0;

	if (sendto(n->ask_fd, request, len, MSG_DONTWAIT,
		(const struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	for (size_t i = 0; i < MAX_DATAGRAMS && r == 0; i++) {
		ssize_t got = receive(n->ask_fd, n->answer, sizeof(n->answer));

		if (got < 0)
			return (int)got;
		r = netlink_read(&n->table, n->seq, n->answer, (size_t)got);
	}
	if (r == 0)
		return -DT_ERR_TOO_LONG;
	return r < 0 ? r : 0;
}

/* What the kernel would send from, for want of better knowledge. */
static void
add_source(struct view *v, sa_family_t family)
{
	struct addr to = netlink_far(family), own;
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&to, &sa);
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)&sa, len) == 0) {
		len = sizeof(sa);
		if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
		    addr_from_sockaddr(&own, (const struct sockaddr *)&sa) ==
			0 &&
		    !addr_is_loopback(&own) &&
		    (family == AF_INET || !addr_is_link_local(&own))) {
			own.port = 0;
			v->addrs[v->n++] = own;
		}
	}
	fd_close(&fd);
}

static void
look(struct netif *n, struct view *ret_view)
{
	int r = n->ask_fd < 0 ? -ENOTSUP : 0;

	n->is_table_good = false;
	memset(ret_view, 0, sizeof(*ret_view));
	memset(&n->table, 0, sizeof(n->table));
	if (r == 0)
		r = ask(n, NETLINK_ADDRS);
	if (r == 0)
		r = ask(n, NETLINK_LINKS);
	if (r < 0) {
		if (n->ask_fd >= 0)
			log_debug("netif", "cannot list addresses code=%s",
			    err_name(r));
		add_source(ret_view, AF_INET);
		add_source(ret_view, AF_INET6);
		return;
	}
	n->is_table_good = true;
	/* No route is an answer too. */
	(void)ask(n, NETLINK_ROUTE4);
	(void)ask(n, NETLINK_ROUTE6);
	ret_view->n =
	    netlink_choose(&n->table, ret_view->addrs, NETIF_MAX_ADDRS);
	ret_view->route4 = n->table.route4;
	ret_view->route6 = n->table.route6;
}

static bool
same_route(const struct netlink_route *a, const struct netlink_route *b)
{
	return a->exists == b->exists && a->link == b->link &&
	       addr_equal(&a->gateway, &b->gateway) &&
	       addr_equal(&a->source, &b->source);
}

static bool
same_view(const struct view *a, const struct view *b)
{
	if (a->n != b->n || !same_route(&a->route4, &b->route4) ||
	    !same_route(&a->route6, &b->route6))
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!addr_equal(&a->addrs[i], &b->addrs[i]))
			return false;
	return true;
}

static void
on_timer(void *arg, struct mono now)
{
	struct netif *n = arg;
	struct view v;

	n->is_settling = false;
	if (is_polling(n))
		loop_timer_in(n->timer, NETIF_POLL_US);
	look(n, &v);
	if (same_view(&v, &n->view))
		return;
	if (mono_before(now, damper_next(&n->damper))) {
		n->is_settling = true; /* until then notices are no news */
		loop_timer_at(n->timer, damper_next(&n->damper));
		return;
	}
	damper_served(&n->damper, now);
	n->view = v;
	log_info("netif", "the network changed addresses=%zu", v.n);
	n->cb(n->arg, now);
}

static void
give_up_notices(struct netif *n, int r)
{
	log_warn("netif", "no notice of changes any more code=%s", err_name(r));
	loop_io_free(n->io);
	n->io = NULL;
	fd_close(&n->notice_fd);
	loop_timer_in(n->timer, NETIF_SETTLE_US);
}

/* EMSGSIZE: longer than there was room; ENOBUFS: some were lost. */
static bool
is_notice(ssize_t got)
{
	return got >= 0 || got == -EMSGSIZE || got == -ENOBUFS || got == -EINTR;
}

static void
on_notice(void *arg, unsigned events, struct mono now)
{
	struct netif *n = arg;
	uint8_t start[64]; /* nothing in it is looked at */
	ssize_t got = 0;

	(void)events;
	(void)now;
	for (int i = 0; i < MAX_NOTICES && is_notice(got); i++)
		got = receive(n->notice_fd, start, sizeof(start));
	if (!is_notice(got) && got != -EAGAIN) {
		give_up_notices(n, (int)got);
		return;
	}
	if (!n->is_settling) {
		n->is_settling = true;
		loop_timer_in(n->timer, NETIF_SETTLE_US);
	}
}

static int
start(struct netif *n)
{
	const uint32_t groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR |
				RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE |
				RTMGRP_IPV6_ROUTE;
	int r = open_netlink(0, &n->ask_fd);

	if (r == 0)
		r = open_netlink(groups, &n->notice_fd);
	n->timer = loop_timer_new(n->loop, on_timer, n);
	if (n->timer == NULL)
		return -ENOMEM;
	if (is_polling(n)) {
		log_info("netif", "no netlink: looking every %lld s code=%s",
		    (long long)(NETIF_POLL_US / MONO_SEC), err_name(r));
		loop_timer_in(n->timer, NETIF_POLL_US);
	}
	if (n->notice_fd < 0)
		return 0;
	n->io = loop_io_new(n->loop, n->notice_fd, on_notice, n);
	if (n->io == NULL)
		return -ENOMEM;
	loop_io_set(n->io, LOOP_READ);
	return 0;
}

struct netif *
netif_new(struct loop *loop, void (*cb)(void *arg, struct mono now), void *arg)
{
	struct netif *n = calloc(1, sizeof(*n)); /* 40 KiB */

	if (n == NULL)
		return NULL;
	n->loop = loop;
	n->cb = cb;
	n->arg = arg;
	n->notice_fd = n->ask_fd = -1;
	damper_init(&n->damper, NETIF_BURST, NETIF_REST_US);
	if (start(n) < 0) {
		netif_free(n);
		return NULL;
	}
	/* Notices come from before the first look on. */
	look(n, &n->view);
	return n;
}

void
netif_free(struct netif *n)
{
	if (n == NULL)
		return;
	loop_timer_free(n->timer);
	loop_io_free(n->io);
	fd_close(&n->notice_fd);
	fd_close(&n->ask_fd);
	free(n);
}

size_t
netif_addrs(const struct netif *n, const struct addr **ret_addrs)
{
	*ret_addrs = n->view.addrs;
	return n->view.n;
}

enum netlink_presence
netif_presence(const struct netif *n, const struct addr *a)
{
	return n->is_table_good ? netlink_presence(&n->table, a) : NETLINK_UP;
}

bool
netif_gateway4(const struct netif *n, struct addr *ret_gateway)
{
	if (!n->view.route4.exists || n->view.route4.gateway.family != AF_INET)
		return false;
	*ret_gateway = n->view.route4.gateway;
	return true;
}
