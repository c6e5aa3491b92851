/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/transfer_msgs.h"

#include "helpers/session/session.h"
#include "helpers/session/transfer.h"
#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/ipc/ipc.h"

#define SMALL_MESSAGE 1100
#define PROGRESS_US (200 * MONO_MS) /* five a second */

static void
begin(
    struct transfer *t, struct buf_writer *w, enum ipc_type type, uint32_t seq)
{
	ipc_begin(w, type, worker_session(t->s->worker), seq);
}

static int
post(struct transfer *t, struct buf_writer *w)
{
	int r = worker_send(t->s->worker, w, -1);

	if (r < 0)
		log_warn_r(r, "transfer", "message to the daemon lost");
	return r;
}

int
transfer_msgs_send_open(
    struct transfer *t, const struct ipc_open *m, uint32_t seq)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	begin(t, &w, IPC_OPEN, seq);
	ipc_transfer_put_open(&w, m);
	return post(t, &w);
}

int
transfer_msgs_send_save(
    struct transfer *t, const struct ipc_save *m, uint32_t seq)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));

	begin(t, &w, IPC_SAVE, seq);
	ipc_transfer_put_save(&w, m);
	return post(t, &w);
}

static int
on_source(struct transfer *t, struct buf_reader *body, int *fds, size_t n_fds)
{
	struct ipc_source m;
	int fd;

	if (ipc_transfer_get_source(body, &m) != 0 || n_fds != 1 || !t->sender)
		return -DT_ERR_IPC;
	fd = fds[0];
	fds[0] = -1; /* transferred */
	return transfer_tx_source(t, &m, fd) == 0 ? 0 : -DT_ERR_IPC;
}

static int
on_sink(struct transfer *t, const struct ipc_header *h, struct buf_reader *body,
    int *fds, size_t n_fds)
{
	struct ipc_sink m;
	int fd = -1;

	if (ipc_transfer_get_sink(body, &m) != 0 ||
	    (m.result == 0) != (n_fds == 1))
		return -DT_ERR_IPC;
	if (n_fds == 1) {
		fd = fds[0];
		fds[0] = -1; /* transferred */
	}
	return transfer_rx_sink(t, &m, fd, h->type == IPC_OPENED, h->seq) == 0
		   ? 0
		   : -DT_ERR_IPC;
}

static int
on_saved(
    struct transfer *t, const struct ipc_header *h, struct buf_reader *body)
{
	struct ipc_saved m;

	if (ipc_transfer_get_saved(body, &m) != 0)
		return -DT_ERR_IPC;
	return transfer_rx_saved(t, &m, h->seq) == 0 ? 0 : -DT_ERR_IPC;
}

int
transfer_msgs_handle(struct session *s, const struct ipc_header *header,
    struct buf_reader *body, int *fds, size_t n_fds)
{
	struct transfer *t = s->transfer;

	if (t == NULL)
		return -DT_ERR_IPC;
	switch (header->type) {
	case IPC_SOURCE:
		return on_source(t, body, fds, n_fds);
	case IPC_SINK:
	case IPC_OPENED:
		return on_sink(t, header, body, fds, n_fds);
	case IPC_SAVED:
		return on_saved(t, header, body);
	default:
		return -DT_ERR_IPC;
	}
}

static struct ipc_progress
progress_of(const struct transfer *t)
{
	struct transfer_report report;
	struct ipc_progress m = { .total = -1 };
	enum transfer_state state = transfer_flow_state(t->flow);

	transfer_flow_report(t->flow, t->s->now, &report);
	m.final = state == TRANSFER_DONE;
	m.moved = t->sender ? t->tx.taken : t->rx.sink.written;
	m.peer_written = report.payload;
	m.peer_elapsed_ms = report.elapsed_ms;
	m.stalled = report.stalled;
	if (!t->sender)
		m.total = t->rx.total;
	else
		m.total = m.final ? t->tx.taken : t->s->boot.transfer.size;
	/* That of a folder is a guess. */
	if (m.total < m.moved && (m.final || m.total >= 0))
		m.total = m.moved;
	return m;
}

/* Changes with every number that is shown. */
static int64_t
sum_of(const struct ipc_progress *m)
{
	return m->moved + m->peer_written + m->stalled;
}

void
transfer_msgs_run(struct transfer *t)
{
	uint8_t msg[SMALL_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	enum transfer_state state = transfer_flow_state(t->flow);
	bool is_over = state == TRANSFER_DONE || state == TRANSFER_FAILED;
	struct ipc_progress m;

	if (t->final_told ||
	    (!is_over && mono_before(t->s->now, t->progress_after)))
		return;
	m = progress_of(t);
	if (!is_over && sum_of(&m) == t->progress_told)
		return;
	t->final_told = is_over;
	t->progress_told = sum_of(&m);
	t->progress_after = mono_add(t->s->now, PROGRESS_US);
	begin(t, &w, IPC_PROGRESS, 0);
	ipc_transfer_put_progress(&w, &m);
	(void)post(t, &w); /* logged; the next one tells more */
}

struct mono
transfer_msgs_next_deadline(const struct transfer *t)
{
	struct ipc_progress m;

	if (t->flow == NULL || t->final_told)
		return MONO_NEVER;
	m = progress_of(t);
	return sum_of(&m) != t->progress_told ? t->progress_after : MONO_NEVER;
}
