/* SPDX-License-Identifier: BSD-3-Clause */
/* What the daemon of a world tells its workers. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "test/system/session_world.h"

void
world_begin(struct buf_writer *w, enum ipc_type type, uint32_t seq)
{
	ipc_begin(w, type, WORLD_SESSION_ID, seq);
}

void
world_post(
    struct end *e, const struct buf_writer *w, const int *fds, size_t n_fds)
{
	world_need(chan_send(e->control, w->p, w->len, fds, n_fds) == 0,
	    "message to a worker");
}

unsigned short
world_listen(struct world *w)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1;
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));

	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	world_need(bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0 &&
		       listen(fd, 1024) == 0 &&
		       getsockname(fd, (struct sockaddr *)&sin, &len) == 0,
	    "listener");
	ipc_begin(&out, IPC_LISTENER, WORLD_SESSION_ID, 2);
	world_post(&w->claimer, &out, &fd, 1);
	return ntohs(sin.sin_port);
}

void
world_stdio(struct world *w, int in, int out_fd)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));
	int fds[2] = { in, out_fd };

	ipc_begin(&out, IPC_STDIO, WORLD_SESSION_ID, 4);
	world_post(&w->claimer, &out, fds, out_fd < 0 ? 1 : 2);
}

void
world_stop(struct end *e)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));

	ipc_begin(&out, IPC_STOP, WORLD_SESSION_ID, 6);
	ipc_put_reason(&out, 0, "asked");
	world_post(e, &out, NULL, 0);
}

void
world_probe(struct end *e, uint32_t timeout_ms)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));

	e->probed = -1;
	ipc_begin(&out, IPC_PROBE, WORLD_SESSION_ID, 8);
	ipc_put_u32(&out, timeout_ms);
	world_post(e, &out, NULL, 0);
}

void
world_describe(struct end *e)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));

	e->described = false;
	ipc_begin(&out, IPC_DESCRIBE, WORLD_SESSION_ID, 10);
	world_post(e, &out, NULL, 0);
}

void
world_explain(struct end *e)
{
	uint8_t msg[64];
	struct buf_writer out = buf_writer(msg, sizeof(msg));

	e->explained = false;
	world_begin(&out, IPC_EXPLAIN, 12);
	world_post(e, &out, NULL, 0);
}

void
world_inject(struct end *e, const void *p, size_t len)
{
	static uint8_t out[IPC_MAX_BATCH];
	struct buf_writer w = buf_writer(out, sizeof(out));

	world_need(ipc_packet_put(&w, NULL, p, len) == 0 &&
		       chan_send(e->packets, w.p, w.len, NULL, 0) == 0,
	    "inject");
}
