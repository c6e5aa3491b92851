/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream -> stripes or blocks put in order -> header taken off -> sink.  The
 * sink comes before the first byte (no header, or one that came with claim or
 * accept), or when the header is there: then the body waits for it within the
 * credit that the peer has.
 *
 * Credit: what arrived is `received` by the window, what was written, or was
 * framing, is `written`; streams get theirs back for written bytes while less
 * than the window's limit waits.
 *
 * The end: all streams have ended and everything is written -> the descriptor
 * is closed -> SAVE -> SAVED -> the flow may tell the peer.
 */
#include "helpers/session/transfer_rx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/session/session.h"
#include "helpers/session/transfer.h"
#include "helpers/session/transfer_msgs.h"
#include "helpers/session/transfer_quic.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "proto/quic/quic_stream.h"
#include "proto/transfer/blocks_rx.h"
#include "proto/transfer/transfer_name.h"
#include "proto/tunnel/stripe_rx.h"

#define TEXT_MEMORY "out of memory"

void
transfer_rx_init(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;

	*rx = (struct transfer_rx){ .total = -1 };
	transfer_sink_init(&rx->sink);
	transfer_intake_init(&rx->intake, t->s->boot.transfer.verify);
}

void
transfer_rx_fini(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;

	transfer_sink_fini(&rx->sink);
	transfer_intake_fini(&rx->intake);
	stripe_rx_free(rx->stripe);
	blocks_rx_free(rx->blocks);
	rx->stripe = NULL;
	rx->blocks = NULL;
}

static bool
is_structured(const struct transfer *t)
{
	return t->s->boot.transfer.structured;
}

static void
on_writable(void *arg, unsigned events, struct mono now)
{
	struct transfer *t = arg;

	(void)events;
	t->s->now = now;
	t->rx.sink.is_full = false;
	session_wake(t->s);
}

int
transfer_rx_sink(struct transfer *t, const struct ipc_sink *m, int fd,
    bool is_answer, uint32_t seq)
{
	struct transfer_rx *rx = &t->rx;
	bool is_wanted =
	    is_answer ? rx->question == TRANSFER_ASKS_OPEN && rx->seq == seq
		      : !is_structured(t) && !rx->sink.is_there;

	if (!is_answer && m->result < 0)
		return -DT_ERR_STATE;
	if (t->is_stopped || !is_wanted || t->sender) {
		fd_close(&fd);
		return t->is_stopped ? 0 : -DT_ERR_STATE;
	}
	rx->question = TRANSFER_ASKS_NOTHING;
	if (m->result < 0) {
		transfer_fail(t, m->result,
		    m->reason[0] != '\0' ? m->reason : err_str(m->result));
		return 0;
	}
	if (transfer_sink_set(&rx->sink, t->s->loop, fd, m->positioned,
		m->offset, on_writable, t) != 0)
		transfer_fail(t, -ENOMEM, err_str(-ENOMEM));
	rx->sink.sparse = m->sparse;
	return 0;
}

int
transfer_rx_saved(struct transfer *t, const struct ipc_saved *m, uint32_t seq)
{
	struct transfer_rx *rx = &t->rx;

	if (t->is_stopped)
		return 0;
	if (rx->question != TRANSFER_ASKS_SAVE || rx->seq != seq)
		return -DT_ERR_STATE;
	rx->question = TRANSFER_ASKS_NOTHING;
	if (m->result < 0)
		transfer_fail(t, m->result,
		    m->reason[0] != '\0' ? m->reason : err_str(m->result));
	else
		transfer_flow_finished(t->flow, t->s->now);
	return 0;
}

/* The header is known: have its output opened. */
static void
ask_open(struct transfer *t, const struct transfer_header *h, bool blocks)
{
	struct ipc_open m = { .kind = (uint8_t)h->kind,
		.blocks = blocks,
		.files = -1,
		.contents = -1 };
	bool is_directory = h->kind == TRANSFER_KIND_DIRECTORY;
	struct transfer_directory d;
	struct transfer_name name;
	int r;

	t->rx.has_opened = true;
	if (h->kind != TRANSFER_KIND_TEXT && h->kind != TRANSFER_KIND_FILE &&
	    !is_directory) {
		transfer_fail(
		    t, -DT_ERR_PEER_PROTOCOL, "unexpected kind of transfer");
		return;
	}
	if (h->kind != TRANSFER_KIND_TEXT) {
		r = transfer_name_component(&name, h->name, strlen(h->name));
		if (r < 0) {
			transfer_fail(t, -DT_ERR_PEER_PROTOCOL,
			    transfer_name_error(r, is_directory));
			return;
		}
		memcpy(m.name, name.text, strlen(name.text) + 1);
	}
	m.size = h->size;
	memcpy(m.verify, h->verify, strlen(h->verify) + 1);
	if (is_directory && transfer_header_get_directory(h, &d) == 0) {
		m.files = d.file_count;
		m.contents = d.uncompressed_bytes;
	}
	t->rx.question = TRANSFER_ASKS_OPEN;
	t->rx.seq++;
	if (transfer_msgs_send_open(t, &m, t->rx.seq) != 0)
		transfer_fail(t, -DT_ERR_INTERNAL, TEXT_MEMORY);
}

/* Blocks: the header came with the claim or accept. */
static void
open_block_file(struct transfer *t, const uint8_t *p, size_t len)
{
	const char *error = "malformed header";
	struct transfer_header *h = malloc(sizeof(*h));
	const char *verify = t->s->boot.transfer.verify;
	int r = h == NULL ? -ENOMEM : transfer_header_decode(h, p, len, &error);

	t->rx.has_opened = true;
	if (r != 0)
		transfer_fail(t, r, h == NULL ? TEXT_MEMORY : error);
	else if (h->verify[0] != '\0' && verify[0] != '\0' &&
		 strcmp(h->verify, verify) != 0)
		transfer_fail(t, -DT_ERR_PEER_PROTOCOL,
		    "verification strings do not match");
	else
		ask_open(t, h, true);
	free(h);
}

bool
transfer_rx_open_early(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;
	size_t len;
	const uint8_t *header = transfer_flow_peek_header(t->flow, &len);

	if (is_structured(t) && header == NULL)
		return true; /* in the stream, or not at all */
	if (is_structured(t) && !rx->has_opened)
		open_block_file(t, header, len);
	rx->has_opened = true;
	if (!rx->sink.is_there)
		return false;
	if (transfer_flow_offered_size(t->flow) >= 0 && !rx->sink.positioned) {
		transfer_fail(t, -EINVAL, "output cannot be written by offset");
		return false;
	}
	return true;
}

/* Bytes that will not be written: framing, header. */
static void
drop(struct transfer *t, size_t n)
{
	transfer_window_written(&t->rx.window, (int64_t)n, t->s->now);
}

/* The bytes of a stream may come to be used after its connection ended. */
static void
consume(struct transfer_stream *st, size_t n)
{
	if (st->quic != NULL)
		quic_stream_consume(st->quic, n);
}

/* Payload in order, or at its offset in blocks. */
static int
put(struct transfer_stream *st, int64_t offset, const uint8_t *p, size_t len)
{
	struct transfer_rx *rx = &st->t->rx;
	int r;

	if (st->quic != NULL)
		st->owed += len;
	rx->came += (int64_t)len;
	r = transfer_sink_put(&rx->sink,
	    rx->encoding == TRANSFER_BLOCKS ? st->index : 0, offset, p, len,
	    st->t->s->now);
	return r;
}

static void
on_header(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;
	int64_t total = transfer_intake_total(&rx->intake);

	rx->header_len = (int64_t)rx->intake.header_len;
	if (total >= 0) {
		transfer_flow_set_total(t->flow, total);
		rx->total = total - rx->header_len;
	}
	ask_open(t, transfer_intake_peek_header(&rx->intake), false);
}

/* Session bytes in order. */
static int
take(struct transfer_stream *st, const uint8_t *p, size_t len)
{
	struct transfer *t = st->t;
	struct transfer_rx *rx = &t->rx;
	const uint8_t *body;
	size_t used;
	size_t n;
	int r = 0;

	if (!is_structured(t))
		return put(st, rx->came, p, len);
	while (len > 0 && r == 0) {
		body = NULL;
		n = 0;
		r = transfer_intake_input(
		    &rx->intake, p, len, &used, &body, &n);
		if (r != 0)
			break;
		if (used > n) {
			drop(t, used - n);
			consume(st, used - n);
		}
		if (!rx->has_opened &&
		    transfer_intake_peek_header(&rx->intake) != NULL)
			on_header(t);
		if (n > 0)
			r = put(st, rx->came, body, n);
		p += used;
		len -= used;
	}
	return r;
}

static int
deliver_stripe(void *arg, size_t lane, const uint8_t *p, size_t len)
{
	struct transfer *t = arg;
	struct transfer_stream *st = &t->streams[lane];

	if (p != NULL)
		return take(st, p, len);
	drop(t, len);
	consume(st, len);
	return 0;
}

static int
deliver_block(
    void *arg, size_t stream, int64_t offset, const uint8_t *p, size_t len)
{
	struct transfer *t = arg;

	if (p != NULL)
		return put(&t->streams[stream], offset, p, len);
	drop(t, len);
	consume(&t->streams[stream], len);
	return 0;
}

void
transfer_rx_plan(struct transfer *t, const struct transfer_plan *plan)
{
	struct transfer_rx *rx = &t->rx;
	size_t header_len = 0;

	rx->encoding = plan->encoding;
	transfer_window_init(&rx->window, plan->streams);
	if (plan->encoding == TRANSFER_BLOCKS) {
		(void)transfer_flow_peek_header(t->flow, &header_len);
		rx->header_len = (int64_t)header_len;
		rx->total = plan->size;
		transfer_sink_share(&rx->sink, plan->streams);
		rx->blocks = blocks_rx_new(plan->streams, plan->size,
		    plan->chunk_size, deliver_block, t);
	} else if (plan->encoding == TRANSFER_STRIPED) {
		rx->stripe = stripe_rx_new(plan->streams,
		    (size_t)TRANSFER_WINDOW_MAX, deliver_stripe, t);
	}
	if (rx->blocks == NULL && rx->stripe == NULL &&
	    plan->encoding != TRANSFER_PLAIN)
		transfer_fail(t, -ENOMEM, TEXT_MEMORY);
}

/* A reason of the peer's making, or "". */
static const char *
peer_fault(const struct transfer_rx *rx)
{
	const char *reason = transfer_intake_reason(&rx->intake);

	if (reason[0] == '\0' && rx->blocks != NULL)
		reason = blocks_rx_reason(rx->blocks);
	if (reason[0] == '\0' && rx->stripe != NULL)
		reason = stripe_rx_reason(rx->stripe);
	return reason;
}

static void
fail(struct transfer *t, int r)
{
	const char *reason = peer_fault(&t->rx);

	transfer_fail(t, r, reason[0] != '\0' ? reason : err_str(r));
}

void
transfer_rx_input(
    struct transfer_stream *st, const uint8_t *p, size_t len, bool fin)
{
	struct transfer *t = st->t;
	struct transfer_rx *rx = &t->rx;
	int r = 0;

	if (transfer_flow_state(t->flow) == TRANSFER_FAILED) {
		quic_stream_consume(st->quic, len);
		return;
	}
	transfer_window_received(&rx->window, (int64_t)len, t->s->now);
	t->s->counts.bytes_in += len;
	if (rx->encoding == TRANSFER_BLOCKS)
		r = blocks_rx_input(rx->blocks, st->index, p, len, fin);
	else if (rx->encoding == TRANSFER_STRIPED)
		r = stripe_rx_input(rx->stripe, st->index, p, len, fin);
	else
		r = take(st, p, len);
	if (r != 0) {
		fail(t, r);
		return;
	}
	if (rx->encoding == TRANSFER_BLOCKS)
		rx->is_end = blocks_rx_is_end(rx->blocks);
	else if (rx->encoding == TRANSFER_STRIPED)
		rx->is_end = stripe_rx_is_end(rx->stripe);
	else
		rx->is_end = fin;
}

/* What the sink took since: window, credit, the flow's count. */
static void
account(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;
	int64_t n = rx->sink.written - rx->counted;
	int64_t moved = rx->sink.written;

	if (n > 0) {
		rx->counted = rx->sink.written;
		rx->credit += (size_t)n;
		transfer_window_written(&rx->window, n, t->s->now);
	}
	if (rx->encoding != TRANSFER_BLOCKS)
		moved += rx->header_len;
	if (moved > 0)
		transfer_flow_moved(t->flow, moved, t->s->now);
	if (rx->credit > 0 && rx->window.received - rx->window.written <
				  transfer_window_limit(&rx->window)) {
		transfer_quic_credit(t, rx->credit);
		rx->credit = 0;
	}
}

/* Everything came.  Written, too? */
static void
run_end(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;
	struct ipc_save m;
	int r = 0;

	if (is_structured(t) && rx->encoding != TRANSFER_BLOCKS)
		r = transfer_intake_end(&rx->intake);
	if (r != 0) {
		fail(t, r);
		return;
	}
	if (rx->sink.fd < 0 || transfer_sink_held(&rx->sink) > 0)
		return; /* still to be opened, or slow */
	r = transfer_sink_end(&rx->sink);
	if (r != 0) {
		fail(t, r);
		return;
	}
	transfer_sink_fini(&rx->sink);
	m.body = rx->sink.written;
	m.bytes = m.body + rx->header_len;
	rx->question = TRANSFER_ASKS_SAVE;
	rx->seq++;
	if (transfer_msgs_send_save(t, &m, rx->seq) != 0)
		transfer_fail(t, -DT_ERR_INTERNAL, TEXT_MEMORY);
	else
		transfer_flow_received(t->flow);
}

void
transfer_rx_run(struct transfer *t)
{
	struct transfer_rx *rx = &t->rx;
	int r = 0;

	if (!t->has_plan || t->is_stopped ||
	    transfer_flow_state(t->flow) == TRANSFER_FAILED)
		return;
	if (rx->is_end || transfer_sink_is_due(&rx->sink, t->s->now))
		r = rx->sink.is_full ? 0 : transfer_sink_flush(&rx->sink);
	account(t);
	if (r != 0)
		fail(t, r);
	else if (rx->is_end && rx->question == TRANSFER_ASKS_NOTHING)
		run_end(t);
}

struct mono
transfer_rx_next_deadline(const struct transfer *t)
{
	const struct transfer_sink *k = &t->rx.sink;

	if (t->is_stopped || !k->is_there || k->is_full)
		return MONO_NEVER;
	return transfer_sink_next_deadline(k);
}
