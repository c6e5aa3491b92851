/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * The mapper decides; this is its way to the world.  Two datagram sockets, the
 * second one asked for when UPnP is tried; one HTTP request at a time, each on
 * a connection the daemon makes.  After every event the mapper does what is due
 * and says when it wants to be called next.
 *
 * STOP makes the mapper remove everything; we end when that is done, or at
 * MAPPER_STOP_US.
 */
#include "helpers/portmap/portmap_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/portmap/http_call.h"
#include "helpers/portmap/igd.h"
#include "helpers/portmap/mapper.h"
#include "helpers/portmap/sandbox_portmap.h"
#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/ipc/ipc_portmap.h"
#include "proto/portmap/pcp.h"
#include "proto/portmap/ssdp.h"

/* Datagrams read in one turn; a flood must leave room for the rest. */
#define READS 32
/* SSDP answers of real gateways have 300 to 500 bytes. */
#define MAX_DATAGRAM 2048
_Static_assert(MAX_DATAGRAM > PCP_MAX_LEN, "too long ones are seen as such");

/* A question that waits for its socket. */
struct question {
	size_t len;
	uint8_t bytes[SSDP_MAX_QUESTION];
};

struct portmap_worker {
	struct worker *w;
	struct ipc_boot_portmap boot;
	struct mapper *mapper;
	struct loop_timer *timer;
	struct loop_timer *stop_timer;
	int udp; /* connected to the gateway's port 5351 */
	struct loop_io *udp_io;
	int ssdp; /* -1: not there yet */
	struct loop_io *ssdp_io;
	size_t n_questions;
	struct question questions[SSDP_QUESTIONS];
	struct http_call *http;
	uint32_t seq;
	uint32_t ssdp_seq; /* of the request under way, 0: none */
	uint32_t http_seq;
	bool refused; /* ICMP told so */
	bool stopping;
};

static void
settle(struct portmap_worker *s, struct mono now)
{
	if (s->refused) {
		s->refused = false;
		mapper_on_refused(s->mapper, now);
	}
	mapper_run(s->mapper, now);
	loop_timer_at(s->timer, s->refused ? now : mapper_deadline(s->mapper));
	if (s->stopping && mapper_is_empty(s->mapper))
		worker_end(s->w, 0, "asked to");
}

static void
on_timer(void *arg, struct mono now)
{
	settle(arg, now);
}

static void
on_stop_timer(void *arg, struct mono now)
{
	struct portmap_worker *s = arg;

	(void)now;
	log_info("portmap", "gateway does not confirm that mappings are gone");
	worker_end(s->w, 0, "asked to");
}

static void
on_send(void *arg, const void *p, size_t len)
{
	struct portmap_worker *s = arg;

	/* What gets lost is repeated, whatever the reason. */
	if (write(s->udp, p, len) < 0 && errno == ECONNREFUSED)
		s->refused = true;
}

static void
on_udp(void *arg, unsigned events, struct mono now)
{
	struct portmap_worker *s = arg;
	uint8_t buf[MAX_DATAGRAM];
	ssize_t n;

	(void)events;
	for (int i = 0; i < READS; i++) {
		n = read(s->udp, buf, sizeof(buf));
		if (n < 0 && errno == ECONNREFUSED)
			s->refused = true;
		else if (n < 0)
			break;
		else
			mapper_on_datagram(s->mapper, buf, (size_t)n, now);
	}
	settle(s, now);
}

static void
on_ssdp(void *arg, unsigned events, struct mono now)
{
	struct portmap_worker *s = arg;
	uint8_t buf[MAX_DATAGRAM];
	struct sockaddr_storage sa;
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr m = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };
	struct addr from;
	ssize_t n;

	(void)events;
	for (int i = 0; i < READS; i++) {
		m.msg_namelen = sizeof(sa);
		n = recvmsg(s->ssdp, &m, 0);
		if (n < 0)
			break;
		if (addr_from_sockaddr(&from, (struct sockaddr *)&sa) == 0)
			mapper_on_answer(s->mapper, &from, buf, (size_t)n, now);
	}
	settle(s, now);
}

static void
send_to(struct portmap_worker *s, const struct addr *to, uint8_t *p, size_t len)
{
	struct sockaddr_storage sa;
	struct iovec iov = { p, len };
	struct msghdr m = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };

	m.msg_namelen = addr_to_sockaddr(to, &sa);
	(void)sendmsg(s->ssdp, &m, 0); /* repeated if lost */
}

static void
send_questions(struct portmap_worker *s)
{
	struct addr group, gateway = s->boot.gateway;

	(void)addr_parse_ip(&group, SSDP_GROUP, SSDP_PORT); /* a constant */
	gateway.port = SSDP_PORT;
	for (size_t i = 0; i < s->n_questions && s->ssdp >= 0; i++) {
		send_to(s, &group, s->questions[i].bytes, s->questions[i].len);
		/* A firewall here lets its answer in, then. */
		send_to(
		    s, &gateway, s->questions[i].bytes, s->questions[i].len);
	}
	s->n_questions = 0;
}

static uint32_t
ask_socket(struct portmap_worker *s, enum ipc_connect_kind kind, uint16_t port)
{
	uint8_t msg[IPC_HEADER_LEN + 16];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct ipc_connect c = { kind, port };

	if (++s->seq == 0)
		s->seq = 1;
	ipc_begin(&w, IPC_CONNECT, worker_session(s->w), s->seq);
	ipc_portmap_put_connect(&w, &c);
	(void)worker_send(s->w, &w, -1); /* else it times out */
	return s->seq;
}

static void
on_search(void *arg, const void *p, size_t len)
{
	struct portmap_worker *s = arg;
	struct question *q = &s->questions[s->n_questions % SSDP_QUESTIONS];

	memcpy(q->bytes, p, len);
	q->len = len;
	if (s->n_questions < SSDP_QUESTIONS)
		s->n_questions++;
	if (s->ssdp >= 0)
		send_questions(s);
	else if (s->ssdp_seq == 0)
		s->ssdp_seq = ask_socket(s, IPC_CONNECT_SSDP, 0);
}

static void
on_http(void *arg, uint16_t port, const void *p, size_t len)
{
	struct portmap_worker *s = arg;

	http_call_begin(s->http, p, len);
	s->http_seq = ask_socket(s, IPC_CONNECT_HTTP, port);
}

static void
on_http_done(
    void *arg, int r, int status, const void *body, size_t len, struct mono now)
{
	struct portmap_worker *s = arg;

	if (r < 0)
		log_debug_r(r, "portmap", "no answer from UPnP");
	s->http_seq = 0;
	mapper_on_reply(s->mapper, r, status, body, len, now);
	settle(s, now);
}

static const char *
protocol_name(enum ipc_portmap_protocol p)
{
	static const char *const names[] = { "none", "pcp", "pmp", "upnp" };

	return names[p];
}

static void
on_report(void *arg, const struct ipc_mapped *m)
{
	struct portmap_worker *s = arg;
	uint8_t msg[IPC_HEADER_LEN + 32];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	char text[ADDR_MAX_TEXT];

	if (m->protocol != IPC_PORTMAP_NONE) {
		addr_format(&m->external, text);
		log_info("portmap",
		    "mapped port=%u external=%s protocol=%s lifetime=%u",
		    m->port, text, protocol_name(m->protocol), m->lifetime_s);
	} else {
		log_info_r(
		    m->reason, "portmap", "mapping gone port=%u", m->port);
	}
	ipc_begin(&w, IPC_MAPPED, worker_session(s->w), 0);
	ipc_portmap_put_mapped(&w, m);
	if (worker_send(s->w, &w, -1) != 0) /* it would believe a wrong state */
		worker_end(s->w, -DT_ERR_FULL, "the daemon does not read");
}

static int
on_boot(void *arg, struct worker *w, uint32_t session, struct buf_reader *body,
    int *fds, size_t n_fds)
{
	struct portmap_worker *s = arg;
	int r = ipc_portmap_get_boot(body, &s->boot);

	(void)session;
	if (r == 0 && n_fds != 1)
		r = -DT_ERR_IPC;
	if (r == 0)
		r = fd_set_nonblock(fds[0]);
	if (r < 0)
		return r;
	s->udp = fds[0];
	fds[0] = -1; /* ours now */
	s->w = w;
	worker_set_verbose(w, s->boot.verbose);
	return 0;
}

static int
on_start(void *arg, struct mono now)
{
	struct portmap_worker *s = arg;
	struct loop *loop = worker_loop(s->w);
	struct mapper_params p = {
		.gateway = s->boot.gateway,
		.local = s->boot.local,
		.send = on_send,
		.search = on_search,
		.http = on_http,
		.report = on_report,
		.arg = s,
	};

	(void)now;
	s->mapper = mapper_new(&p);
	s->timer = loop_timer_new(loop, on_timer, s);
	s->stop_timer = loop_timer_new(loop, on_stop_timer, s);
	s->http = http_call_new(loop, IGD_MAX_REPLY, on_http_done, s);
	s->udp_io = loop_io_new(loop, s->udp, on_udp, s);
	if (s->mapper == NULL || s->timer == NULL || s->stop_timer == NULL ||
	    s->http == NULL || s->udp_io == NULL)
		return -ENOMEM;
	loop_io_set(s->udp_io, LOOP_READ);
	return 0;
}

static int
on_request(struct portmap_worker *s, struct buf_reader *body, struct mono now)
{
	struct ipc_map_request req;
	struct ipc_mapped gone;
	int r = ipc_portmap_get_request(body, &req);

	if (r < 0)
		return r;
	r = mapper_request(s->mapper, &req, now);
	if (r == -EEXIST)
		return r;
	if (r < 0) {
		memset(&gone, 0, sizeof(gone));
		gone.port = req.port;
		gone.reason = r;
		on_report(s, &gone);
	}
	return 0;
}

static int
on_release(struct portmap_worker *s, struct buf_reader *body, struct mono now)
{
	uint16_t port;
	int r = ipc_portmap_get_release(body, &port);

	if (r == 0)
		mapper_release(s->mapper, port, now);
	return r;
}

static void
take_ssdp(struct portmap_worker *s, int *fd)
{
	s->ssdp_io = loop_io_new(worker_loop(s->w), *fd, on_ssdp, s);
	if (s->ssdp_io == NULL)
		return; /* as if there were none; asked again */
	s->ssdp = *fd;
	*fd = -1; /* transferred */
	loop_io_set(s->ssdp_io, LOOP_READ);
	send_questions(s);
}

static int
on_connected(struct portmap_worker *s, uint32_t seq, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
{
	int result, fd, r = ipc_portmap_get_connected(body, &result);

	if (r == 0 && n_fds != (result == 0 ? 1 : 0))
		r = -DT_ERR_IPC;
	if (r < 0)
		return r;
	if (seq == s->ssdp_seq) {
		s->ssdp_seq = 0;
		if (result == 0 && s->ssdp < 0)
			take_ssdp(s, &fds[0]);
	} else if (seq == s->http_seq && http_call_is_waiting(s->http)) {
		fd = result == 0 ? fds[0] : -1;
		if (result == 0)
			fds[0] = -1; /* transferred */
		http_call_connected(s->http, result, fd, now);
	} /* else it came too late */
	return 0;
}

static int
on_message(void *arg, const struct ipc_header *h, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
{
	struct portmap_worker *s = arg;
	int r = -DT_ERR_IPC;

	if (h->type == IPC_MAP_REQUEST)
		r = on_request(s, body, now);
	else if (h->type == IPC_MAP_RELEASE)
		r = on_release(s, body, now);
	else if (h->type == IPC_CONNECTED)
		r = on_connected(s, h->seq, body, fds, n_fds, now);
	if (r == 0)
		settle(s, now);
	return r;
}

static int
on_packets(void *arg, struct buf_reader *batch, struct mono now)
{
	(void)arg;
	(void)batch;
	(void)now;
	return -DT_ERR_IPC; /* there are none for us */
}

static void
on_stop(void *arg, int code, const char *text, struct mono now)
{
	struct portmap_worker *s = arg;

	(void)code;
	(void)text;
	s->stopping = true;
	loop_timer_in(s->stop_timer, MAPPER_STOP_US);
	mapper_stop(s->mapper, now);
	settle(s, now);
}

int
portmap_worker_main(void)
{
	static struct portmap_worker s; /* what it holds at exit is no leak */
	struct worker_params p = {
		.name = "portmap",
		.role = IPC_ROLE_PORTMAP,
		.boot_type = IPC_BOOT_PORTMAP,
		.profile = &sandbox_portmap,
		.boot = on_boot,
		.start = on_start,
		.message = on_message,
		.packets = on_packets,
		.stop = on_stop,
		.arg = &s,
	};

	s.udp = -1;
	s.ssdp = -1;
	return worker_main(&p);
}
