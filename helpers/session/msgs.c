/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/msgs.h"

#include "helpers/session/carrier.h"
#include "helpers/session/session.h"
#include "helpers/session/splice.h"
#include "helpers/session/transfer_msgs.h"
#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/ipc/ipc.h"
#include "proto/quic/quic_conn.h"

/* Bodies other than a claim. */
#define SMALL_MESSAGE 1100
/* A probe may not ask for longer than a gate would wait. */
#define PROBE_MAX_MS 10000u

static int
post(struct session *s, struct buf_writer *w)
{
	int r = worker_send(s->worker, w, -1);

	if (r < 0)
		log_warn_r(r, "session", "message to the daemon lost");
	return r;
}

void
msgs_send_status(struct session *s, enum ipc_status status, const char *text)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	ipc_begin(&w, IPC_STATUS, worker_session(s->worker), 0);
	ipc_put_status(&w, status, text);
	(void)post(s, &w); /* logged; told again when asked */
}

int
msgs_send_dial(struct session *s, uint32_t connection)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	ipc_begin(&w, IPC_DIAL, worker_session(s->worker), connection);
	ipc_put_u32(&w, connection);
	return post(s, &w);
}

void
msgs_send_claim_back(struct session *s, const uint8_t *claim, size_t len)
{
	uint8_t msg[IPC_HEADER_LEN + IPC_MAX_ENVELOPE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	ipc_begin(&w, IPC_CLAIM_BACK, worker_session(s->worker), 0);
	buf_put_bytes(&w, claim, len);
	(void)post(s, &w); /* logged; told again when asked */
}

static void
send_probed(struct session *s, uint32_t seq, bool alive)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	ipc_begin(&w, IPC_PROBED, worker_session(s->worker), seq);
	ipc_put_bool(&w, alive);
	(void)post(s, &w); /* logged; told again when asked */
}

/* When the peer was last heard for certain: QUIC packets and envelopes are
 * authenticated. */
static struct mono
last_heard(const struct session *s)
{
	struct mono at = s->nego.heard;
	const struct carrier *c;

	LIST_FOREACH(c, &s->carriers, link) {
		struct mono q = { 0 };

		if (c->conn != NULL && c->ready)
			q = quic_conn_last_received(c->conn);
		if (!mono_is_never(q) && mono_before(at, q))
			at = q;
	}
	return at;
}

static int
on_probe(struct session *s, uint32_t seq, struct buf_reader *body)
{
	uint32_t timeout_ms;

	if (ipc_get_u32(body, &timeout_ms) != 0)
		return -DT_ERR_IPC;
	if (timeout_ms > PROBE_MAX_MS)
		timeout_ms = PROBE_MAX_MS;
	for (size_t i = 0; i < SESSION_MAX_PROBES; i++) {
		struct session_probe *p = &s->probes[i];

		if (p->used)
			continue;
		*p = (struct session_probe){ true, seq, s->now,
			mono_add(s->now, (int64_t)timeout_ms * MONO_MS) };
		if (s->anchor != NULL)
			quic_conn_ping(s->anchor->conn);
		return 0;
	}
	return -DT_ERR_IPC; /* asked more often than it listens */
}

void
msgs_run_probes(struct session *s)
{
	for (size_t i = 0; i < SESSION_MAX_PROBES; i++) {
		struct session_probe *p = &s->probes[i];

		if (!p->used)
			continue;
		if (mono_before(p->asked, last_heard(s)))
			send_probed(s, p->seq, true);
		else if (!mono_before(s->now, p->deadline))
			send_probed(s, p->seq, false);
		else
			continue;
		p->used = false;
	}
}

struct mono
msgs_next_deadline(const struct session *s)
{
	struct mono at = MONO_NEVER;

	for (size_t i = 0; i < SESSION_MAX_PROBES; i++)
		if (s->probes[i].used)
			at = mono_min(at, s->probes[i].deadline);
	return at;
}

static int
on_dialed(struct session *s, struct buf_reader *body, int *fds, size_t n_fds)
{
	struct ipc_dialed d;
	struct splice *sp;

	if (ipc_get_dialed(body, &d) != 0)
		return -DT_ERR_IPC;
	if ((d.result == 0) != (n_fds == 1))
		return -DT_ERR_IPC;
	TAILQ_FOREACH(sp, &s->splices, link)
		if (sp->id == d.connection && sp->state == SPLICE_DIALING &&
		    !sp->aborted)
			break;
	if (sp == NULL)
		return 0; /* given up meanwhile; the descriptor is closed */
	if (d.result != 0) {
		s->counts.streams_refused++;
		splice_abort(sp, TUNNEL_CODE_REFUSED, -DT_ERR_BACKEND_REFUSED);
		return 0;
	}
	if (splice_set_fds(sp, fds[0], -1) != 0)
		splice_abort(sp, TUNNEL_CODE_ERROR, -DT_ERR_INTERNAL);
	else
		splice_run(sp);
	fds[0] = -1; /* transferred */
	return 0;
}

static int
on_listener(struct session *s, struct buf_reader *body, int *fds, size_t n_fds)
{
	int fd;

	if (buf_reader_end(body) != 0 || n_fds != 1 || s->boot.listener ||
	    s->transfer != NULL)
		return -DT_ERR_IPC;
	fd = fds[0];
	fds[0] = -1; /* transferred */
	if (local_listen(s, fd) != 0)
		session_end(s, -DT_ERR_INTERNAL, "cannot listen");
	return 0;
}

static int
on_stdio(struct session *s, struct buf_reader *body, int *fds, size_t n_fds)
{
	int r;
	int in;
	int out;

	if (buf_reader_end(body) != 0 || n_fds < 1 || s->boot.listener ||
	    s->transfer != NULL)
		return -DT_ERR_IPC;
	in = fds[0];
	out = n_fds == 2 ? fds[1] : -1;
	fds[0] = -1; /* transferred */
	if (n_fds == 2)
		fds[1] = -1;
	r = local_stdio(s, in, out);
	if (r == -DT_ERR_STATE)
		return -DT_ERR_IPC;
	if (r != 0)
		session_end(s, r, err_str(r));
	return 0;
}

static int
on_describe(struct session *s, uint32_t seq, struct buf_reader *body)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct ipc_description d = s->counts;
	struct quic_stats stats = { 0 };
	int64_t idle_us = mono_diff(s->now, last_heard(s));

	if (buf_reader_end(body) != 0)
		return -DT_ERR_IPC;
	if (s->anchor != NULL)
		quic_conn_stats(s->anchor->conn, &stats);
	d.status = (uint8_t)s->status;
	d.path = s->mux.selected == NULL                    ? 0
		 : s->mux.selected->kind == PATH_KIND_RELAY ? 1
							    : 2;
	d.streams_open = (uint32_t)s->n_splices;
	d.packets_in = s->relay.path.packets_in +
		       s->discovery.path.path.packets_in +
		       s->raw.path.path.packets_in;
	d.packets_out = s->relay.path.packets_out +
			s->discovery.path.path.packets_out +
			s->raw.path.path.packets_out;
	d.rtt_us = stats.rtt_us > 0 ? (uint32_t)stats.rtt_us : 0;
	d.idle_ms = idle_us > 0 ? (uint32_t)(idle_us / MONO_MS) : 0;
	ipc_begin(&w, IPC_DESCRIPTION, worker_session(s->worker), seq);
	ipc_put_description(&w, &d);
	(void)post(s, &w); /* logged; told again when asked */
	return 0;
}

int
msgs_handle(struct session *s, const struct ipc_header *header,
    struct buf_reader *body, int *fds, size_t n_fds)
{
	switch (header->type) {
	case IPC_DIALED:
		return on_dialed(s, body, fds, n_fds);
	case IPC_LISTENER:
		return on_listener(s, body, fds, n_fds);
	case IPC_STDIO:
		return on_stdio(s, body, fds, n_fds);
	case IPC_DESCRIBE:
		return on_describe(s, header->seq, body);
	case IPC_SOCKETS:
		return discovery_on_sockets(s, body, fds, n_fds);
	case IPC_NETWORK:
		return discovery_on_network(s, body);
	case IPC_RELAY_BACK:
		return relay_back_handle(s, body);
	case IPC_EXPLAIN:
		return path_report_explain(s, header->seq, body);
	case IPC_SOURCE:
	case IPC_SINK:
	case IPC_OPENED:
	case IPC_SAVED:
		return transfer_msgs_handle(s, header, body, fds, n_fds);
	case IPC_PROBE:
		return on_probe(s, header->seq, body);
	default:
		return -DT_ERR_IPC;
	}
}
