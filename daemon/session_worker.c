/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/session_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

#include "daemon/closer.h"
#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/event.h"
#include "daemon/session_claim.h"
#include "daemon/session_transfer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

/* A packet of the peer. */
static void
peer_sink(void *arg, const struct key32 *src, const uint8_t *p, size_t len)
{
	struct session *s = arg;

	(void)src;
	if (s->worker != NULL)
		worker_packet(s->worker, NULL, p, len);
}

static void
on_packet(void *arg, const struct key32 *key, const uint8_t *p, size_t len)
{
	struct session *s = arg;

	(void)key;
	if (s->link != NULL)
		relay_link_send(s->link, &s->peer_derp, p, len);
}

static struct endpoint *
endpoint_of(struct session *s)
{
	return s->endpoint != 0 ? endpoint_find(s->daemon, s->endpoint) : NULL;
}

static void
on_born(void *arg, struct mono now)
{
	struct session *s = arg;
	struct endpoint *e = endpoint_of(s);

	(void)now;
	worker_pause(s->worker, relay_link_is_high(s->link));
	if (e != NULL && s->accept_seq != 0)
		endpoint_session_born(e, s);
	if (s->kind == IPC_KIND_TRANSFER)
		session_transfer_born(s);
}

static int
on_ready(struct session *s)
{
	if (s->said_ready)
		return -DT_ERR_IPC;
	s->said_ready = true;
	s->was_ready = true;
	session_set_state(s, SESSION_READY);
	event_session(s, "ready", NULL);
	if (s->role != SESSION_LISTENER)
		session_claim_ready(s);
	return 0;
}

static int
on_status(struct session *s, struct buf_reader *body)
{
	struct ipc_status_body b;
	int r = ipc_get_status(body, &b);

	if (r < 0)
		return r;
	if (!ratelimit_take(&s->statuses, loop_now(s->daemon->loop)))
		return -DT_ERR_IPC;
	log_debug("session", "status session=%u status=%u text=\"%s\"", s->id,
	    b.status, b.text);
	if (b.status == IPC_STATUS_CLAIMED) {
		session_set_state(s, SESSION_CLAIMED);
		event_session(s, "claimed", NULL);
	} else if (b.status == IPC_STATUS_RELAY)
		session_net_use(s, false, b.text);
	else if (b.status == IPC_STATUS_DIRECT)
		session_net_use(s, true, b.text);
	else if (b.status == IPC_STATUS_READY)
		return on_ready(s);
	else if (b.status == IPC_STATUS_STREAM_END)
		event_session(s, "stream-end", NULL);
	return 0;
}

static void
send_dialed(struct session *s, uint32_t connection, int r, int fd)
{
	uint8_t body[8];
	struct buf_writer w = buf_writer(body, sizeof(body));

	ipc_put_dialed(&w, connection, r);
	/* On failure the worker is killed and the descriptor closed. */
	(void)worker_send(
	    s->worker, IPC_DIALED, worker_next_seq(s->worker), body, w.len, fd);
}

static int
on_dial(struct session *s, struct buf_reader *body)
{
	uint32_t connection;
	int r = ipc_get_u32(body, &connection);

	if (r < 0)
		return r;
	/* Only listeners have a backend. */
	r = s->role == SESSION_LISTENER ? -DT_ERR_LIMIT
					: -DT_ERR_BACKEND_REFUSED;
	if (r == -DT_ERR_LIMIT && s->dials < CTL_MAX_DIALS)
		r = ctl_dial(
		    s->daemon->ctl, s->owner, s->endpoint, s->id, connection);
	if (r < 0)
		send_dialed(s, connection, r, -1);
	else
		s->dials++;
	return 0;
}

void
session_worker_dialed(
    struct daemon *d, uint32_t session, uint32_t connection, int r, int fd)
{
	struct session *s = session_find(d, session);

	if (s == NULL || s->worker == NULL) {
		fd_close(&fd);
		return;
	}
	if (s->dials > 0)
		s->dials--;
	if (r < 0)
		log_info("session",
		    "dial failed session=%u connection=%u code=%s", s->id,
		    connection, err_name(r));
	send_dialed(s, connection, r, fd);
}

static void
probed(struct session *s, bool alive)
{
	struct endpoint *e = endpoint_of(s);

	if (!s->probing)
		return; /* too late */
	s->probing = false;
	if (s->probe_timer != NULL)
		loop_timer_at(s->probe_timer, MONO_NEVER);
	if (e != NULL)
		endpoint_session_checked(e, s, alive);
}

static void
on_probe_timer(void *arg, struct mono now)
{
	(void)now;
	probed(arg, false); /* a worker that does not answer serves nobody */
}

void
session_worker_probe(struct session *s, uint32_t check_seq)
{
	uint8_t body[4];
	struct buf_writer w = buf_writer(body, sizeof(body));

	s->probing = true;
	s->check_seq = check_seq;
	if (s->probe_timer == NULL)
		s->probe_timer =
		    loop_timer_new(s->daemon->loop, on_probe_timer, s);
	if (s->probe_timer == NULL) {
		probed(s, true);
		return;
	}
	loop_timer_in(s->probe_timer, SESSION_PROBE_US);
	ipc_put_u32(&w, SESSION_PROBE_MS);
	(void)worker_send(s->worker, IPC_PROBE, worker_next_seq(s->worker),
	    body, w.len, -1); /* if that fails, the timer tells */
}

static int
on_claim_back(struct session *s, struct buf_reader *body)
{
	struct endpoint *e = endpoint_of(s);
	size_t n = buf_remaining(body);
	const uint8_t *p = buf_peek_bytes(body, n);

	if (e == NULL || n == 0)
		return -DT_ERR_IPC; /* a claimer has no gate */
	endpoint_claim_back(e, &s->peer_derp, p, n);
	return 0;
}

static int
on_probed(struct session *s, struct buf_reader *body)
{
	bool alive;
	int r = ipc_get_bool(body, &alive);

	if (r == 0)
		probed(s, alive);
	return r;
}

static int
on_description(struct session *s, struct buf_reader *body)
{
	struct ipc_description d;
	int r = ipc_get_description(body, &d);

	if (r == 0)
		session_described(s, &d);
	return r;
}

/* NOLINTBEGIN(readability-non-const-parameter): a callback's type */
static int
on_message(void *arg, const struct ipc_header *h, struct buf_reader *body,
    int *fds, size_t n_fds, struct mono now)
/* NOLINTEND(readability-non-const-parameter) */
{
	struct session *s = arg;

	(void)fds;
	(void)n_fds;
	(void)now;
	/* Others have crossed our STOP. */
	if (s->stopping && h->type != IPC_DESCRIPTION &&
	    h->type != IPC_PROGRESS)
		return 0;
	switch (h->type) {
	case IPC_STATUS:
		return on_status(s, body);
	case IPC_DIAL:
		return on_dial(s, body);
	case IPC_DESCRIPTION:
		return on_description(s, body);
	case IPC_PROBED:
		return on_probed(s, body);
	case IPC_CLAIM_BACK:
		return on_claim_back(s, body);
	case IPC_PATH:
		return session_net_on_path(s, body);
	case IPC_EXPLANATION:
		return session_net_on_explanation(s, body);
	case IPC_OPEN:
		return session_transfer_on_open(s, h->seq, body);
	case IPC_SAVE:
		return session_transfer_on_save(s, h->seq, body);
	case IPC_PROGRESS:
		return session_transfer_on_progress(s, body);
	default:
		return -DT_ERR_IPC;
	}
}

static void
on_gone(void *arg, int code, const char *text, struct mono now)
{
	struct session *s = arg;

	(void)now;
	s->worker = NULL;
	s->dials = 0;
	session_net_stop(s);
	if (s->is_complete) /* whatever came then */
		session_finish(s, 0, "");
	else if (s->stopping)
		session_finish(s, s->stop_code, s->stop_text);
	else if (s->role == SESSION_LISTENER)
		session_finish(s, code, text);
	else
		session_claim_lost(s, code, text);
}

int
session_worker_boot(
    struct session *s, const struct ipc_boot_session *boot, int fd)
{
	const size_t cap = IPC_HEADER_LEN + 40960; /* as the table says */
	struct worker_params p = {
		.role = IPC_ROLE_SESSION,
		.id = s->id,
		.boot_fd = fd,
		.born = on_born,
		.message = on_message,
		.packet = on_packet,
		.gone = on_gone,
		.arg = s,
	};
	uint8_t *msg = malloc(cap);
	struct buf_writer w = buf_writer(msg, cap);
	int r;

	if (msg == NULL)
		return -ENOMEM;
	s->said_ready = false;
	ratelimit_init(&s->statuses, SESSION_STATUS_RATE, SESSION_STATUS_BURST,
	    loop_now(s->daemon->loop));
	ipc_begin(&w, IPC_BOOT_SESSION, s->id, 0);
	ipc_put_boot_session(&w, boot);
	p.boot = msg;
	p.boot_len = w.len;
	r = w.err;
	if (r == 0)
		r = router_add(
		    relay_link_router(s->link), &s->peer_derp, peer_sink, s);
	if (r == 0)
		r = worker_new(s->daemon->workers, &p, &s->worker);
	if (r == 0)
		session_net_start(s);
	secret_wipe(msg, cap);
	free(msg);
	return r;
}

void
session_worker_give_listener(struct session *s)
{
	int fd;

	if (s->listen_fd < 0 || s->worker == NULL || s->state != SESSION_READY)
		return;
	fd = fcntl(s->listen_fd, F_DUPFD_CLOEXEC, 0);
	if (fd >= 0)
		(void)closer_adopt(fd, s->uid, CLOSER_GIVEN);
	else {
		log_err_r(-errno, "session",
		    "cannot hand over the listener session=%u", s->id);
		return;
	}
	(void)worker_send(
	    s->worker, IPC_LISTENER, worker_next_seq(s->worker), NULL, 0, fd);
}

void
session_worker_relay_state(struct session *s)
{
	if (s->worker == NULL || s->stopping ||
	    !relay_link_is_connected(s->link))
		return;
	/* A worker that does not read is killed, and that is told. */
	(void)worker_send(
	    s->worker, IPC_RELAY_BACK, worker_next_seq(s->worker), NULL, 0, -1);
}

json_t *
session_worker_counters(
    const struct session *s, const struct ipc_description *d)
{
	return json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
	    "pid", s->worker != NULL ? (int)worker_pid(s->worker) : 0,
	    "streams_open", (json_int_t)d->streams_open, "streams_total",
	    (json_int_t)d->streams_total, "streams_refused",
	    (json_int_t)d->streams_refused, "bytes_in", (json_int_t)d->bytes_in,
	    "bytes_out", (json_int_t)d->bytes_out, "packets_in",
	    (json_int_t)d->packets_in, "packets_out",
	    (json_int_t)d->packets_out, "packets_dropped",
	    (json_int_t)d->packets_dropped, "packets_lost_here",
	    (json_int_t)(s->worker != NULL ? worker_dropped(s->worker) : 0),
	    "rtt_us", (json_int_t)d->rtt_us, "idle_ms", (json_int_t)d->idle_ms);
}
