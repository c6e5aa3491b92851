/* SPDX-License-Identifier: BSD-3-Clause */
/* Sockets of a session, and what is said of its path. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/session_why.h"
#include "daemon/udp_sockets.h"
#include "lib/fd.h"
#include "proto/path/direct.h"
#include "proto/path/path.h"
#include "test/tap.h"

static int
option(int fd, int level, int name)
{
	int v = -1;
	socklen_t n = sizeof(v);

	return getsockopt(fd, level, name, &v, &n) == 0 ? v : -errno;
}

static void
test_sockets(void)
{
	struct udp_sockets u;
	struct ipc_sockets body;
	int fds[IPC_MAX_SOCKETS];
	struct addr a;
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	size_t n;

	udp_sockets_init(&u);
	EQ_INT(udp_sockets_give(&u, &body, fds), 0, "none at first");
	udp_sockets_open(&u, false);
	EQ_INT(u.socket[2].fd, -1, "no raw one unless wanted");
	udp_sockets_open(&u, true);
	n = udp_sockets_give(&u, &body, fds);
	EQ_INT(n, body.n, "as many as told");
	OK(n >= 2, "IPv4 at least");
	EQ_INT(body.socket[0].use, IPC_SOCKET_MANAGED4, "managed first");
	EQ_INT(getsockname(fds[0], (struct sockaddr *)&sa, &len), 0, "bound");
	EQ_INT(addr_from_sockaddr(&a, (const struct sockaddr *)&sa), 0,
	    "to an address");
	OK(addr_is_unspecified(&a), "any");
	EQ_INT(a.port, body.socket[0].port, "and the port told");
	EQ_INT(udp_sockets_port(&u, IPC_SOCKET_MANAGED4), a.port,
	    "which stays known");
	EQ_INT(option(fds[0], IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_PROBE,
	    "DF, and no belief in ICMP");
	EQ_INT(option(fds[0], IPPROTO_UDP, 104), 1, "GRO");
	EQ_INT(option(fds[0], IPPROTO_IP, IP_RECVERR), 0, "no error queue");
	OK(option(fds[0], SOL_SOCKET, SO_RCVBUF) >= 100000, "room");
	OK((fcntl(fds[0], F_GETFL) & O_NONBLOCK) != 0, "never blocks");
	OK((fcntl(fds[0], F_GETFD) & FD_CLOEXEC) != 0, "closed by exec");
	for (size_t i = 0; i < n; i++) {
		if (body.socket[i].use == IPC_SOCKET_MANAGED6)
			EQ_INT(option(fds[i], IPPROTO_IPV6, IPV6_V6ONLY), 1,
			    "IPv6 only");
		fd_close(&fds[i]);
	}
	udp_sockets_open(&u, true);
	udp_sockets_close(&u);
	OK(fcntl(fds[0], F_GETFD) < 0, "closed");
	EQ_INT(udp_sockets_give(&u, &body, fds), 0, "nothing to give");
}

static struct ipc_explanation e;
static struct udp_sockets sockets;

static void
judge(const char *want)
{
	struct session_why_verdict v = session_why_judge(&e, &sockets, false);

	EQ_STR(v.cause, want, "%s", v.text);
}

static void
peer(size_t i, enum direct_try state, uint32_t probes, uint32_t acks)
{
	(void)addr_parse(&e.peer[i].addr, "192.0.2.1:1");
	e.peer[i].state = (uint8_t)state;
	e.peer[i].probes = probes;
	e.peer[i].acks = acks;
	if (e.n_peer <= i)
		e.n_peer = (uint8_t)(i + 1);
}

static void
test_why(void)
{
	struct session_why_verdict v;

	udp_sockets_init(&sockets);
	memset(&e, 0, sizeof(e));
	v = session_why_judge(NULL, &sockets, false);
	EQ_STR(v.cause, "unknown", "the worker is silent");
	v = session_why_judge(NULL, &sockets, true);
	EQ_STR(v.cause, "forced", "forced is known without it");
	judge("no-sockets");
	sockets.socket[0].port = 4;
	judge("claiming");
	e.path.kind = PATH_KIND_RELAY;
	e.forced_relay = true;
	judge("forced");
	e.forced_relay = false;
	judge("no-candidates");
	e.stun_asked = 3;
	e.stun_answered = 3;
	peer(0, DIRECT_TRY_REFUSED, 0, 0);
	judge("no-route");
	peer(1, DIRECT_TRY_PENDING, 1, 0);
	judge("probing");
	e.path_ms = SESSION_WHY_EARLY_MS;
	judge("unanswered");
	peer(1, DIRECT_TRY_SILENT, 4, 0);
	judge("unanswered");
	e.symmetric = true;
	judge("symmetric-nat");
	e.stun_answered = 0;
	judge("udp-blocked");
	peer(1, DIRECT_TRY_SILENT, 4, 1);
	judge("direct-lost");
	e.path.kind = PATH_KIND_MANAGED;
	judge("direct");
	EQ_STR(session_why_path(PATH_KIND_RELAY), "relay", "names of paths");
	EQ_STR(session_why_path(PATH_KIND_MANAGED), "direct", "hole-punched");
	EQ_STR(session_why_path(PATH_KIND_RAW), "raw", "raw");
	EQ_STR(session_why_path(0), "none", "none");
	EQ_STR(session_why_path(9), "none", "unknown");
}

int
main(void)
{
	test_sockets();
	test_why();
	return tap_done();
}
