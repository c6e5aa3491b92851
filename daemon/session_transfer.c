/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * The worker moves bytes between the peer and a descriptor of the caller's.  A
 * sender has its source, and a receiver of bare bytes its sink, from birth; no
 * copy stays here, or a pipe would not end.  Other receivers learn from the
 * peer what comes: OPEN is passed on as a `transfer.open` request to the
 * caller, whose answer carries the descriptor.  When all is written, SAVE
 * becomes `transfer.save`, and only the caller's answer lets the worker tell
 * the peer of success.
 *
 * Both questions have no limit of their own: they end with the caller's
 * connection, which ends the session.  Each is asked once.
 */
#include "daemon/session_transfer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/event.h"
#include "daemon/transfer.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"

struct transfer *
session_transfer_of(struct session *s)
{
	struct endpoint *e;

	if (s->kind != IPC_KIND_TRANSFER)
		return NULL;
	if (s->transfer != NULL)
		return s->transfer;
	e = s->endpoint != 0 ? endpoint_find(s->daemon, s->endpoint) : NULL;
	return e != NULL ? e->transfer : NULL;
}

void
session_transfer_fill(const struct transfer *t, struct ipc_boot_session *b)
{
	if (t != NULL)
		b->transfer = t->boot;
}

static void
send_sink(struct session *s, enum ipc_type type, uint32_t seq,
    const struct ipc_sink *m, int fd)
{
	uint8_t body[WORKER_MAX_SENT];
	struct buf_writer w = buf_writer(body, sizeof(body));

	ipc_transfer_put_sink(&w, m);
	/* On failure the worker is killed and the descriptor closed. */
	(void)worker_send(s->worker, type,
	    seq != 0 ? seq : worker_next_seq(s->worker), body, w.len, fd);
}

static void
send_source(struct session *s, const struct transfer *t, int fd)
{
	uint8_t body[64];
	struct buf_writer w = buf_writer(body, sizeof(body));
	struct ipc_source m = { t->positioned, t->offset, t->boot.size };

	ipc_transfer_put_source(&w, &m);
	(void)worker_send(
	    s->worker, IPC_SOURCE, worker_next_seq(s->worker), body, w.len, fd);
}

void
session_transfer_born(struct session *s)
{
	struct transfer *t = session_transfer_of(s);
	struct ipc_sink sink = { 0 };
	int fd;

	ratelimit_init(&s->progresses, SESSION_PROGRESS_RATE,
	    SESSION_PROGRESS_BURST, loop_now(s->daemon->loop));
	if (t == NULL || t->fd < 0)
		return;
	fd = t->fd;
	t->fd = -1; /* transferred */
	if (transfer_is_sender(t)) {
		send_source(s, t, fd);
		return;
	}
	sink.positioned = t->positioned;
	sink.offset = t->offset;
	send_sink(s, IPC_SINK, 0, &sink, fd);
}

/* Ask the caller.  Takes @params, NULL when they cannot be said. */
static int
ask(struct session *s, enum ctl_ask_kind kind, json_t *params)
{
	static const struct session_transfer_answer lost = {
		.r = -DT_ERR_CLOSED, .reason = "the receiving program is gone"
	};
	int r;

	if (params == NULL)
		return -DT_ERR_IPC; /* a name that is no UTF-8 */
	r = ctl_ask_transfer(s->daemon->ctl, s->owner, s->id, kind, params);
	if (r < 0)
		session_transfer_answered(s->daemon, s->id, kind, &lost, -1);
	return 0;
}

int
session_transfer_on_open(
    struct session *s, uint32_t seq, struct buf_reader *body)
{
	const struct transfer *t = session_transfer_of(s);
	struct ipc_open m;
	const char *kind;
	json_t *params;
	int r = ipc_transfer_get_open(body, &m);

	if (r < 0)
		return r;
	kind = transfer_kind_name(m.kind);
	if (t == NULL || kind == NULL || transfer_is_sender(t) ||
	    !t->boot.structured || s->said_open)
		return -DT_ERR_IPC;
	s->said_open = true;
	s->open_seq = seq;
	params = json_pack("{s:I,s:s,s:s,s:I,s:b,s:s}", "session",
	    (json_int_t)s->id, "kind", kind, "name", m.name, "size",
	    (json_int_t)m.size, "blocks", (int)m.blocks, "verify", m.verify);
	if (params != NULL && m.files >= 0 && m.contents >= 0) {
		(void)json_object_set_new(
		    params, "files", json_integer(m.files));
		(void)json_object_set_new(
		    params, "contents", json_integer(m.contents));
	}
	return ask(s, CTL_ASK_OPEN, params);
}

int
session_transfer_on_save(
    struct session *s, uint32_t seq, struct buf_reader *body)
{
	const struct transfer *t = session_transfer_of(s);
	struct ipc_save m;
	int r = ipc_transfer_get_save(body, &m);

	if (r < 0)
		return r;
	if (t == NULL || transfer_is_sender(t) || s->said_save ||
	    (t->boot.structured && !s->said_open))
		return -DT_ERR_IPC;
	s->said_save = true;
	s->save_seq = seq;
	return ask(s, CTL_ASK_SAVE,
	    json_pack("{s:I,s:I,s:I}", "session", (json_int_t)s->id, "bytes",
		(json_int_t)m.bytes, "body", (json_int_t)m.body));
}

int
session_transfer_on_progress(struct session *s, struct buf_reader *body)
{
	struct ipc_progress m;
	json_t *said;
	int r = ipc_transfer_get_progress(body, &m);

	if (r < 0)
		return r;
	if (s->kind != IPC_KIND_TRANSFER ||
	    !ratelimit_take(&s->progresses, loop_now(s->daemon->loop)))
		return -DT_ERR_IPC;
	said = json_pack("{s:I,s:I,s:I,s:I,s:b,s:b}", "moved",
	    (json_int_t)m.moved, "total", (json_int_t)m.total, "peer_written",
	    (json_int_t)m.peer_written, "peer_elapsed_ms",
	    (json_int_t)m.peer_elapsed_ms, "final", (int)m.final, "stalled",
	    (int)m.stalled);
	s->is_complete = s->is_complete || m.final;
	if (m.final)
		event_session(s, "progress", said);
	else
		event_progress(s, "progress", said);
	return 0;
}

/* What the worker may write to; 0 or why not.  What it is, the worker finds
 * out: asking a file system may take for ever. */
static int
check_sink(const struct session_transfer_answer *a, int fd)
{
	if (fd < 0)
		return -EBADF;
	return a->offset < 0 ? -EINVAL : 0;
}

static void
send_opened(struct session *s, const struct session_transfer_answer *a, int fd)
{
	struct ipc_sink m = { .result = a->r,
		.positioned = a->positioned,
		.sparse = a->positioned && a->sparse,
		.offset = a->offset };

	if (a->r == 0)
		m.result = check_sink(a, fd);
	if (m.result < 0) {
		fd_close(&fd);
		m.positioned = m.sparse = false;
		m.offset = 0;
		log_escape(
		    m.reason, sizeof(m.reason), a->reason, strlen(a->reason));
	}
	send_sink(s, IPC_OPENED, s->open_seq, &m, fd);
}

static void
send_saved(struct session *s, const struct session_transfer_answer *a)
{
	uint8_t body[WORKER_MAX_SENT];
	struct buf_writer w = buf_writer(body, sizeof(body));
	struct ipc_saved m = { .result = a->r };

	if (a->r < 0)
		log_escape(
		    m.reason, sizeof(m.reason), a->reason, strlen(a->reason));
	ipc_transfer_put_saved(&w, &m);
	(void)worker_send(s->worker, IPC_SAVED, s->save_seq, body, w.len, -1);
}

void
session_transfer_answered(struct daemon *d, uint32_t session,
    enum ctl_ask_kind kind, const struct session_transfer_answer *answer,
    int fd)
{
	struct session *s = session_find(d, session);

	if (s == NULL || s->worker == NULL || s->stopping) {
		fd_close(&fd);
		return;
	}
	if (answer->r < 0)
		log_info("session", "%s failed session=%u code=%s",
		    kind == CTL_ASK_OPEN ? "open" : "save", s->id,
		    err_name(answer->r));
	if (kind == CTL_ASK_OPEN) {
		send_opened(s, answer, fd);
		return;
	}
	fd_close(&fd);
	send_saved(s, answer);
}
