/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * STARTING until born, RUNNING, and STOPPING from portmap_run_stop() on, when
 * its owner has forgotten it; freed when the worker is gone.  CONNECT is
 * answered in all of them: UPnP removes mappings over connections.
 *
 * A worker that was broken into can ask for connections to ports of the gateway
 * and for a UDP socket, at a limited rate, and for nothing else.
 */
#include "daemon/portmap_run.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/portmap/natpmp.h"

/* UPnP Device Architecture 1.1, 1.3.2. */
#define SSDP_TTL 2
/* A worker needs one, and another if something went wrong. */
#define MAX_SSDP 4

static void
close_dial(struct portmap_dial *d)
{
	loop_io_free(d->io);
	d->io = NULL;
	loop_timer_at(d->timer, MONO_NEVER);
	fd_close(&d->fd);
}

static void
run_free(struct portmap_run *r)
{
	for (size_t i = 0; i < PORTMAP_RUN_MAX_DIALS; i++) {
		if (r->dials[i].timer == NULL)
			continue;
		close_dial(&r->dials[i]);
		loop_timer_free(r->dials[i].timer);
	}
	LIST_REMOVE(r, entry);
	free(r);
}

/* @fd moves to the worker. */
static void
answer(struct portmap_run *r, uint32_t seq, int result, int fd)
{
	uint8_t body[4];
	struct buf_writer w = buf_writer(body, sizeof(body));

	ipc_portmap_put_connected(&w, result);
	/* A worker that does not read is killed there. */
	(void)worker_send(r->worker, IPC_CONNECTED, seq, body, w.len, fd);
}

static void
end_dial(struct portmap_dial *d, int result)
{
	int fd = d->fd;

	if (result == 0)
		d->fd = -1; /* transferred */
	else
		fd = -1;
	close_dial(d);
	answer(d->run, d->seq, result, fd);
}

static void
on_dial_timer(void *arg, struct mono now)
{
	(void)now;
	end_dial(arg, -ETIMEDOUT);
}

static void
on_dialed(void *arg, unsigned events, struct mono now)
{
	struct portmap_dial *d = arg;
	int error = 0;
	socklen_t len = sizeof(error);

	(void)events;
	(void)now;
	if (getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	end_dial(d, -error);
}

static int
make_socket(int type, const struct addr *bound, int *ret_fd)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(bound, &sa);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&sa, len) != 0)
		r = -errno;
	if (r < 0)
		fd_close(&fd);
	else
		*ret_fd = fd;
	return r;
}

static int
connect_to(int fd, const struct addr *gateway, uint16_t port)
{
	struct sockaddr_storage sa;
	struct addr to = *gateway;
	socklen_t len;

	to.port = port;
	len = addr_to_sockaddr(&to, &sa);
	return connect(fd, (struct sockaddr *)&sa, len) == 0 ? 0 : -errno;
}

static int
start_dial(struct portmap_run *r, struct portmap_dial *d, uint16_t port)
{
	int res = make_socket(SOCK_STREAM, &r->local, &d->fd);

	if (res == 0)
		res = connect_to(d->fd, &r->p.gateway, port);
	if (res == 0 || res == -EINPROGRESS) {
		d->io = loop_io_new(r->p.loop, d->fd, on_dialed, d);
		res = d->io != NULL ? 0 : -ENOMEM;
	}
	if (res < 0) {
		fd_close(&d->fd);
		return res;
	}
	loop_io_set(d->io, LOOP_WRITE);
	loop_timer_in(d->timer, PORTMAP_RUN_DIAL_US);
	return 0;
}

static void
dial(struct portmap_run *r, uint32_t seq, uint16_t port, struct mono now)
{
	struct portmap_dial *d = NULL;
	int res = -EAGAIN;

	for (size_t i = 0; i < PORTMAP_RUN_MAX_DIALS; i++)
		if (r->dials[i].fd < 0)
			d = &r->dials[i];
	if (d != NULL && ratelimit_take(&r->dials_left, now)) {
		d->seq = seq;
		res = start_dial(r, d, port);
	}
	if (res < 0)
		answer(r, seq, res, -1);
}

static void
give_ssdp(struct portmap_run *r, uint32_t seq)
{
	struct in_addr via;
	int ttl = SSDP_TTL, fd = -1, res = -EAGAIN;

	memcpy(&via, r->local.ip, sizeof(via));
	if (r->n_ssdp < MAX_SSDP) {
		r->n_ssdp++;
		res = make_socket(SOCK_DGRAM, &r->local, &fd);
	}
	if (res == 0 && (setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &via,
			     sizeof(via)) != 0 ||
			    setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &ttl,
				sizeof(ttl)) != 0)) {
		res = -errno;
		fd_close(&fd);
	}
	answer(r, seq, res, fd);
}

static int
on_connect(struct portmap_run *r, uint32_t seq, struct buf_reader *body,
    struct mono now)
{
	struct ipc_connect c;
	int res = ipc_portmap_get_connect(body, &c);

	if (res < 0)
		return res;
	if (c.kind == IPC_CONNECT_SSDP)
		give_ssdp(r, seq);
	else
		dial(r, seq, c.port, now);
	return 0;
}

/* NOLINTBEGIN(readability-non-const-parameter): a callback's type */
static int
on_message(void *arg, const struct ipc_header *h, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct portmap_run *r = arg;
	struct ipc_mapped m;
	int res;

	(void)fds;
	(void)n_fds;
	if (h->type == IPC_CONNECT)
		return on_connect(r, h->seq, body, now);
	if (h->type != IPC_MAPPED)
		return -DT_ERR_IPC; /* nothing else is in the table for it */
	res = ipc_portmap_get_mapped(body, &m);
	if (res == 0 && !r->stopping)
		r->p.mapped(r->p.arg, &m);
	return res;
}

static void
on_packet(void *arg, const struct key32 *key, const uint8_t *p, size_t len)
{
	struct portmap_run *r = arg;

	(void)key;
	(void)p;
	(void)len;
	worker_kill(r->worker, "it has no packets to send");
}

static void
on_born(void *arg, struct mono now)
{
	struct portmap_run *r = arg;

	(void)now;
	if (!r->stopping)
		r->p.born(r->p.arg);
}

static void
on_gone(void *arg, int code, const char *text, struct mono now)
{
	struct portmap_run *r = arg;

	if (!r->stopping)
		r->p.gone(r->p.arg, code, text, now);
	run_free(r);
}

/* A socket for PCP and NAT-PMP; our end of it is our address. */
static int
open_udp(const struct addr *gateway, int *ret_fd, struct addr *ret_local)
{
	static const struct addr any = { .family = AF_INET };
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = -1;
	int r = make_socket(SOCK_DGRAM, &any, &fd);

	if (r == 0)
		r = connect_to(fd, gateway, NATPMP_PORT);
	if (r == 0 && getsockname(fd, (struct sockaddr *)&sa, &len) != 0)
		r = -errno;
	if (r == 0)
		r = addr_from_sockaddr(ret_local, (struct sockaddr *)&sa);
	if (r < 0) {
		fd_close(&fd);
		return r;
	}
	ret_local->port = 0;
	*ret_fd = fd;
	return 0;
}

int
portmap_run_find_local(const struct addr *gateway, struct addr *ret_local)
{
	int fd = -1;
	int r = open_udp(gateway, &fd, ret_local);

	fd_close(&fd);
	return r;
}

static int
boot(struct portmap_run *r)
{
	uint8_t msg[IPC_HEADER_LEN + 16];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct ipc_boot_portmap b = { .gateway = r->p.gateway,
		.verbose = log_level_max() >= LOG_LEVEL_DEBUG };
	struct worker_params p = {
		.role = IPC_ROLE_PORTMAP,
		.boot = msg,
		.boot_fd = -1,
		.born = on_born,
		.message = on_message,
		.packet = on_packet,
		.gone = on_gone,
		.arg = r,
	};
	int res = open_udp(&r->p.gateway, &p.boot_fd, &r->local);

	if (res < 0)
		return res;
	b.local = r->local;
	ipc_begin(&w, IPC_BOOT_PORTMAP, p.id, 0);
	ipc_portmap_put_boot(&w, &b);
	p.boot_len = w.len;
	res = w.err != 0 ? w.err : worker_new(r->p.workers, &p, &r->worker);
	if (res < 0)
		fd_close(&p.boot_fd);
	return res;
}

int
portmap_run_new(
    const struct portmap_run_params *p, struct portmap_run **ret_run)
{
	struct portmap_run *r = calloc(1, sizeof(*r));
	struct portmap_dial *d;
	int res = 0;

	if (r == NULL)
		return -ENOMEM;
	r->p = *p;
	LIST_INSERT_HEAD(p->runs, r, entry);
	ratelimit_init(&r->dials_left, PORTMAP_RUN_DIAL_RATE,
	    PORTMAP_RUN_DIAL_BURST, loop_now(p->loop));
	for (size_t i = 0; i < PORTMAP_RUN_MAX_DIALS; i++) {
		d = &r->dials[i];
		d->run = r;
		d->fd = -1;
		d->timer = loop_timer_new(p->loop, on_dial_timer, d);
		if (d->timer == NULL)
			res = -ENOMEM;
	}
	if (res == 0)
		res = boot(r);
	if (res < 0) {
		run_free(r);
		return res;
	}
	*ret_run = r;
	return 0;
}

const struct addr *
portmap_run_local(const struct portmap_run *r)
{
	return &r->local;
}

bool
portmap_run_is_born(const struct portmap_run *r)
{
	return worker_is_born(r->worker) && !r->stopping;
}

void
portmap_run_request(struct portmap_run *r, const struct ipc_map_request *m)
{
	uint8_t body[32];
	struct buf_writer w = buf_writer(body, sizeof(body));

	ipc_portmap_put_request(&w, m);
	(void)worker_send(r->worker, IPC_MAP_REQUEST,
	    worker_next_seq(r->worker), body, w.len, -1);
}

void
portmap_run_release(struct portmap_run *r, uint16_t port)
{
	uint8_t body[16];
	struct buf_writer w = buf_writer(body, sizeof(body));

	ipc_portmap_put_release(&w, port);
	(void)worker_send(r->worker, IPC_MAP_RELEASE,
	    worker_next_seq(r->worker), body, w.len, -1);
}

void
portmap_run_stop(struct portmap_run *r)
{
	r->stopping = true;
	worker_stop(r->worker, 0, "not needed");
}

void
portmap_run_discard(struct portmap_run *r)
{
	worker_abandon(r->worker);
	run_free(r);
}
