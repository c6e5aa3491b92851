/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation: options that every connection needs are set on the
 * listening socket; Linux copies them to accepted ones, so accepting costs one
 * system call.
 *
 * When descriptors or memory are out, accepting pauses for a second instead of
 * spinning on a readable listener; clients wait in the backlog meanwhile.
 */
#include "helpers/relay/relay_accept.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/relay/relay_client.h"
#include "helpers/relay/relay_conn.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

#define PAUSE_US (1 * MONO_SEC)
/* Connections taken in one go, so that a storm does not starve the others. */
#define ACCEPT_BATCH 64
#define BACKLOG 1024
/* First descriptor of the LISTEN_FDS convention. */
#define LISTEN_FDS_START 3

/* The reference server's: a dead peer is noticed by unacknowledged data. */
#define USER_TIMEOUT_MS 15000
#define KEEPALIVE_IDLE_SEC 600
/* Unsent bytes the kernel may hold; more stays in our queues, where the oldest
 * can be dropped.  Enough for a 1 Gb/s path with 1 ms between wake-ups. */
#define NOTSENT_LOWAT (128 * 1024)
/* Bursts of STUN requests after a network comes back. */
#define UDP_BUFFER (256 * 1024)

struct relay_accept {
	struct relay *relay;
	int fd;
	struct loop_io *io;
	struct loop_timer *resume;
};

static int
set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return -errno;
	return 0;
}

/* What accepted sockets inherit.  Old kernels may lack one: not fatal. */
static void
set_tcp_options(int fd)
{
	static const struct {
		int level;
		int name;
		int value;
		const char *text;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY" },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS,
		    "TCP_USER_TIMEOUT" },
		{ SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE" },
		{ IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_SEC,
		    "TCP_KEEPIDLE" },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT,
		    "TCP_NOTSENT_LOWAT" },
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		int r = set_int(
		    fd, options[i].level, options[i].name, options[i].value);

		if (r < 0)
			log_warn_r(r, "relay", "%s", options[i].text);
	}
}

/* A bound socket of @type; both families on the IPv6 wildcard. */
static int
bind_socket(int type, const struct addr *a, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t sa_len = addr_to_sockaddr(a, &sa);
	int fd = socket(a->family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (type == SOCK_STREAM)
		r = set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (r == 0 && a->family == AF_INET6)
		r = set_int(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, !addr_is_unspecified(a));
	if (r == 0 && bind(fd, (struct sockaddr *)&sa, sa_len) < 0)
		r = -errno;
	if (r == 0 && type == SOCK_STREAM && listen(fd, BACKLOG) < 0)
		r = -errno;
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static void
prepare_udp(int fd)
{
	/* Answers leave from the address that was asked; either family's
	 * option fails on the other's sockets. */
	(void)set_int(fd, IPPROTO_IP, IP_PKTINFO, 1);
	(void)set_int(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
	(void)set_int(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
}

int
relay_accept_bind_tcp(struct relay_sockets *s, const struct addr *a)
{
	int r = -DT_ERR_LIMIT;

	if (s->n_tcp < RELAY_ACCEPT_MAX_SOCKETS)
		r = bind_socket(SOCK_STREAM, a, &s->tcp[s->n_tcp]);
	if (r < 0)
		return r;
	set_tcp_options(s->tcp[s->n_tcp++]);
	return 0;
}

int
relay_accept_bind_udp(struct relay_sockets *s, const struct addr *a)
{
	int r = -DT_ERR_LIMIT;

	if (s->n_udp < RELAY_ACCEPT_MAX_SOCKETS)
		r = bind_socket(SOCK_DGRAM, a, &s->udp[s->n_udp]);
	if (r < 0)
		return r;
	prepare_udp(s->udp[s->n_udp++]);
	return 0;
}

/* Sort one inherited descriptor into its list. */
static int
inherit_one(struct relay_sockets *s, int fd)
{
	socklen_t len = sizeof(int);
	int type = 0, r;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -DT_ERR_UNSUPPORTED;
	r = fd_set_nonblock(fd);
	if (r == 0)
		r = fd_set_inherit(fd, 0);
	if (r < 0)
		return r;
	if (type == SOCK_STREAM && s->n_tcp < RELAY_ACCEPT_MAX_SOCKETS) {
		set_tcp_options(fd);
		s->tcp[s->n_tcp++] = fd;
		return 0;
	}
	if (type == SOCK_DGRAM && s->n_udp < RELAY_ACCEPT_MAX_SOCKETS) {
		prepare_udp(fd);
		s->udp[s->n_udp++] = fd;
		return 0;
	}
	return type == SOCK_STREAM || type == SOCK_DGRAM ? -DT_ERR_LIMIT
							 : -DT_ERR_UNSUPPORTED;
}

int
relay_accept_inherit(struct relay_sockets *s)
{
	const char *pid = getenv("LISTEN_PID");
	const char *fds = getenv("LISTEN_FDS");
	long n = fds != NULL ? strtol(fds, NULL, 10) : 0;
	int r = 0;

	if (pid == NULL || strtol(pid, NULL, 10) != (long)getpid())
		n = 0;
	(void)unsetenv("LISTEN_PID");
	(void)unsetenv("LISTEN_FDS");
	(void)unsetenv("LISTEN_FDNAMES"); /* none fails: names are valid */
	if (n > 2L * RELAY_ACCEPT_MAX_SOCKETS)
		return -DT_ERR_LIMIT;
	for (int i = 0; i < (int)n && r == 0; i++)
		r = inherit_one(s, LISTEN_FDS_START + i);
	return r;
}

int
relay_accept_local(int fd, struct addr *ret_addr)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	return addr_from_sockaddr(ret_addr, (struct sockaddr *)&sa);
}

void
relay_accept_close(struct relay_sockets *s)
{
	while (s->n_tcp > 0)
		fd_close(&s->tcp[--s->n_tcp]);
	while (s->n_udp > 0)
		fd_close(&s->udp[--s->n_udp]);
}

/* Serve one accepted connection, or turn it away. */
static void
take(struct relay *relay, int fd, const struct sockaddr *sa, struct mono now)
{
	struct addr remote = { .family = 0 };

	(void)addr_from_sockaddr(&remote, sa); /* else: unknown, as UNIX ones */
	relay->stats.accepts++;
	if (relay->n_conns >= relay->max_clients) {
		relay->stats.accepts_refused_full++;
		fd_close(&fd);
		return;
	}
	if (relay->stats.gauge_current_handshakes >= RELAY_MAX_HANDSHAKES) {
		relay->stats.handshakes_evicted++;
		relay_conn_kill(TAILQ_FIRST(&relay->handshakes));
	}
	if (relay_client_accept(relay, fd, &remote, now) < 0)
		fd_close(&fd);
}

static void
pause_accepting(struct relay_accept *a, int r, struct mono now)
{
	a->relay->stats.accept_pauses++;
	log_warn_r(r, "relay", "cannot accept, pausing for 1 s");
	loop_io_set(a->io, 0);
	loop_timer_at(a->resume, mono_add(now, PAUSE_US));
}

static void
on_acceptable(void *arg, unsigned events, struct mono now)
{
	struct relay_accept *a = arg;

	(void)events; /* only ever LOOP_READ */
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage sa;
		socklen_t len = sizeof(sa);
		int fd;

		memset(&sa, 0, sizeof(sa));
		fd = accept4(a->fd, (struct sockaddr *)&sa, &len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			take(a->relay, fd, (struct sockaddr *)&sa, now);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
		    errno == ENOMEM)
			pause_accepting(a, -errno, now);
		/* Else: nothing left, or one that died while waiting. */
		return;
	}
}

static void
on_resume(void *arg, struct mono now)
{
	struct relay_accept *a = arg;

	(void)now;
	loop_io_set(a->io, LOOP_READ);
}

struct relay_accept *
relay_accept_new(struct relay *relay, int fd)
{
	struct relay_accept *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->relay = relay;
	a->fd = fd;
	a->io = loop_io_new(relay->loop, fd, on_acceptable, a);
	a->resume = loop_timer_new(relay->loop, on_resume, a);
	if (a->io == NULL || a->resume == NULL) {
		relay_accept_free(a);
		return NULL;
	}
	loop_io_set(a->io, LOOP_READ);
	return a;
}

void
relay_accept_free(struct relay_accept *a)
{
	if (a == NULL)
		return;
	if (a->io != NULL)
		loop_io_free(a->io);
	if (a->resume != NULL)
		loop_timer_free(a->resume);
	free(a);
}
