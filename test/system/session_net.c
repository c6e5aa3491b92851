/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/system/session_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"

#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#define BUFFER (4 << 20)
#define BURST 256

static struct net *current; /* of the world being booted */

bool
net_enter(void)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0)
		return false;
	return system("ip link set lo up && ip addr add " NET_HOST
		      "/32 dev lo") == 0;
}

static struct addr
host(uint16_t port)
{
	struct addr a;

	world_need(addr_parse_ip(&a, NET_HOST, port) == 0, "address");
	return a;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	world_need(
	    getsockname(fd, (struct sockaddr *)&sin, &len) == 0, "getsockname");
	return ntohs(sin.sin_port);
}

static void
set_int(int fd, int level, int name, int value)
{
	world_need(setsockopt(fd, level, name, &value, sizeof(value)) == 0,
	    "setsockopt");
}

static int
open_udp(bool any)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (!any)
		sin.sin_addr.s_addr = inet_addr(NET_HOST);
	world_need(
	    fd >= 0 && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0,
	    "UDP socket");
	set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, BUFFER);
	set_int(fd, SOL_SOCKET, SO_SNDBUFFORCE, BUFFER);
	return fd;
}

/* As the daemon prepares it. */
static int
open_worker_udp(void)
{
	int fd = open_udp(true);

	set_int(fd, IPPROTO_UDP, UDP_GRO, 1);
	set_int(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	return fd;
}

static void
give_sockets(struct net *n, struct end *e, int who)
{
	struct ipc_sockets s = { .n = 2 };
	uint8_t msg[256];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	int fds[2] = { open_worker_udp(), open_worker_udp() };

	s.socket[0].use = IPC_SOCKET_MANAGED4;
	s.socket[0].port = port_of(fds[0]);
	s.socket[1].use = IPC_SOCKET_RAW4;
	s.socket[1].port = port_of(fds[1]);
	n->to[who].worker = host(s.socket[0].port);
	world_begin(&w, IPC_SOCKETS, 20);
	ipc_put_sockets(&w, &s);
	world_post(e, &w, fds, 2);
}

static void
give_network(struct net *n, struct end *e, int who, bool changed)
{
	static struct ipc_network net;
	uint8_t msg[2100];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	memset(&net, 0, sizeof(net));
	net.changed = changed;
	if (n->proxied) {
		net.has_mapping = true;
		net.mapping = n->to[who].addr;
	} else {
		net.n_own = 1;
		net.own[0] = host(0);
	}
	if (n->stun.family != 0) {
		net.n_stun = 1;
		net.stun[0] = n->stun;
	}
	world_begin(&w, IPC_NETWORK, 22);
	ipc_put_network(&w, &net);
	world_post(e, &w, NULL, 0);
}

static void
on_boot(struct end *e)
{
	int who = e == &e->w->listener;

	if (e->w->force_relay[who])
		return;
	give_sockets(current, e, who);
	give_network(current, e, who, false);
}

static bool
is_dropped(struct net *n, int who, size_t len)
{
	n->random = n->random * 6364136223846793005u + 1442695040888963407u;
	return n->hole || n->hole_to[who] ||
	       (n->max_len > 0 && len > n->max_len) ||
	       (n->random >> 33) % 1000 < n->loss_permille;
}

/* Something for the worker behind @way: passed on from the proxy's socket that
 * stands for its sender. */
static void
on_proxy(void *arg, unsigned events, struct mono now)
{
	static uint8_t pkt[65536];
	struct net_way *way = arg;
	struct net *n = way->net;
	int who = way == &n->to[1];
	struct sockaddr_storage sa;
	socklen_t salen = addr_to_sockaddr(&way->worker, &sa);

	(void)events;
	(void)now;
	for (int i = 0; i < BURST; i++) {
		ssize_t len = recv(way->fd, pkt, sizeof(pkt), MSG_DONTWAIT);

		if (len < 0)
			return;
		if (is_dropped(n, who, (size_t)len)) {
			way->dropped++;
			continue;
		}
		way->passed++;
		(void)sendto(n->to[1 - who].fd, pkt, (size_t)len, MSG_DONTWAIT,
		    (struct sockaddr *)&sa, salen);
	}
}

static void
open_way(struct net *n, int who)
{
	struct net_way *way = &n->to[who];

	way->net = n;
	way->fd = open_udp(false);
	way->addr = host(port_of(way->fd));
	way->io = loop_io_new(n->w->loop, way->fd, on_proxy, way);
	loop_io_set(way->io, LOOP_READ);
}

static void
close_way(struct net_way *way)
{
	loop_io_free(way->io);
	fd_close(&way->fd);
}

/* The loop exists only once the world does: the first boot opens the proxy. */
void
net_boot(struct end *e)
{
	struct net *n = current;

	n->w = e->w;
	for (int i = 0; i < 2 && n->to[i].io == NULL; i++)
		open_way(n, i);
	on_boot(e);
}

void
net_init(struct net *n, struct world *w, enum ipc_kind kind, bool proxied,
    const bool force_relay[2])
{
	static const bool no[2];

	memset(n, 0, sizeof(*n));
	n->w = w;
	n->proxied = proxied;
	n->random = 7;
	current = n;
	world_init_net(
	    w, kind, net_boot, force_relay != NULL ? force_relay : no);
}

void
net_init_transfer(struct net *n, struct world *w, bool proxied)
{
	memset(n, 0, sizeof(*n));
	n->w = w;
	n->proxied = proxied;
	n->random = 7;
	current = n;
	world_init_transfer(w);
}

void
net_fini(struct net *n)
{
	close_way(&n->to[0]);
	close_way(&n->to[1]);
}

void
net_roam(struct net *n, int who)
{
	close_way(&n->to[who]);
	open_way(n, who);
}

void
net_tell(struct net *n, int who)
{
	give_network(n, who == 0 ? &n->w->claimer : &n->w->listener, who, true);
}

int
net_stranger(void)
{
	return open_udp(false);
}

void
net_send(struct net *n, int who, int fd, const void *p, size_t len)
{
	struct sockaddr_storage sa;
	socklen_t salen = addr_to_sockaddr(&n->to[who].worker, &sa);

	(void)sendto(fd, p, len, MSG_DONTWAIT, (struct sockaddr *)&sa, salen);
}

bool
net_is_direct(const struct end *e)
{
	return e->path.kind == PATH_KIND_MANAGED;
}

bool
net_both_direct(struct world *w)
{
	return net_is_direct(&w->claimer) && net_is_direct(&w->listener);
}

bool
net_both_relayed(struct world *w)
{
	return w->claimer.path.kind == PATH_KIND_RELAY &&
	       w->listener.path.kind == PATH_KIND_RELAY;
}
