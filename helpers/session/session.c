/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  A session lives through: booted -> started (claim or
 * decision, nego.c) -> ready (streams) -> ending -> gone.  Whatever wants the
 * end calls session_end(), which only notes it; at turn end
 *
 *   draining  bytes of the peer still wait for slow local sides: give them
 *             DRAIN_IDLE_US without progress, DRAIN_MAX_US in all;
 *   leaving   every connection is closed; a full path has GOODBYE_US to take
 *             that;
 *   gone      ENDED is said, the process exits.
 *
 * STOP before ready is not obeyed at once: a Go listener whose claimer leaves
 * in the middle of the negotiation exits.  So the negotiation is finished and
 * QUIC closed politely, within POLITE_US.
 */
#include "helpers/session/session.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/session/carrier.h"
#include "helpers/session/derptun_client.h"
#include "helpers/session/derptun_server.h"
#include "helpers/session/msgs.h"
#include "helpers/session/session_quic.h"
#include "helpers/session/share.h"
#include "helpers/session/splice.h"
#include "helpers/session/transfer.h"
#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "lib/fd.h"
#include "lib/log.h"
#include "proto/ipc/ipc.h"
#include "proto/quic/quic_conn.h"

#define POLITE_US (900 * MONO_MS) /* STOP leaves a second */
#define DRAIN_IDLE_US (3 * MONO_SEC)
#define DRAIN_MAX_US (30 * MONO_SEC)
/* Time enough for the daemon to take what waits; a peer that hears nothing
 * keeps the session's slot until its idle time is over. */
#define GOODBYE_US (250 * MONO_MS)
/* A path on which nothing was heard for so long may have died: timers that grew
 * meanwhile are not to delay what goes over the next one. */
#define SILENCE_US (300 * MONO_MS)
/* A full path delays the end of a dead connection by no more than this. */
#define EXPIRE_EVERY_US (100 * MONO_MS)
/*
 * Peer v0.18.2 reads two messages at a time, each of what its kernel has
 * joined, and has room for 64 datagrams: if there are more it loses all of them
 * and sleeps for 250 ms.  With one datagram lost between two runs it still
 * fits.
 */
#define PEER_RUN 20
#define MALLOC_KEEPS (4 << 20)
/* Settling may make QUIC output, and that may make events; then another turn
 * goes on. */
#define TURN_ROUNDS 4
/* With its entries' lengths one message for the daemon. */
#define BATCH_BYTES                                                            \
	((size_t)IPC_MAX_BATCH - (size_t)QUIC_BATCH_MAX * IPC_PACKET_OVERHEAD)

static void
on_packet(void *arg, struct mono now, const uint8_t *pkt, size_t len)
{
	struct session *s = arg;

	/* The other paths have taken out what is not QUIC. */
	if (pkt[0] == '{' && nego_input(s, pkt, len))
		return;
	/* QUIC has the fixed or the long-header bit set (RFC 9000 17). */
	if ((pkt[0] & 0xc0) != 0)
		quic_endpoint_input(s->quic, now, pkt, len);
}

static void
on_path_writable(void *arg, struct mono now)
{
	struct session *s = arg;

	s->now = now;
	session_wake(s);
}

static const struct tunnel_ops *
ops_of(const struct ipc_boot_session *b)
{
	if (b->kind == IPC_KIND_SHARE)
		return share_ops();
	if (b->kind == IPC_KIND_TRANSFER)
		return transfer_ops();
	return b->listener ? derptun_server_ops() : derptun_client_ops();
}

static int
check_boot(const struct session *s, size_t n_fds)
{
	const struct ipc_boot_session *b = &s->boot;

	if (n_fds != (b->listener ? 1 : 0))
		return -DT_ERR_IPC;
	if (b->kind == IPC_KIND_TRANSFER)
		return transfer_check_boot(s) ? 0 : -DT_ERR_IPC;
	if (!b->listener)
		return 0;
	return b->claim_len > 0 && b->decision_len > 0 ? 0 : -DT_ERR_IPC;
}

/* Queues of a busy session grow and shrink many times a second: giving their
 * pages back each time costs a tenth of all CPU time. */
static void
keep_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, MALLOC_KEEPS);
	(void)mallopt(M_TRIM_THRESHOLD, 2 * MALLOC_KEEPS);
}

int
session_boot(struct session *s, struct worker *w, struct buf_reader *body,
    int *fds, size_t n_fds)
{
	int r = ipc_get_boot_session(body, &s->boot);

	keep_memory();
	s->worker = w;
	s->signer.fd = -1;
	if (r == 0)
		r = check_boot(s, n_fds);
	if (r != 0)
		return r;
	worker_set_verbose(w, s->boot.verbose);
	if (n_fds == 1) {
		s->signer.fd = fds[0];
		fds[0] = -1; /* transferred */
	}
	LIST_INIT(&s->carriers);
	TAILQ_INIT(&s->splices);
	TAILQ_INIT(&s->dirty);
	lane_table_init(&s->table);
	local_init(&s->local);
	s->stop_deadline = MONO_NEVER;
	s->tunnel = ops_of(&s->boot);
	if (s->boot.kind == IPC_KIND_TRANSFER) {
		s->transfer = transfer_new(s);
		if (s->transfer == NULL)
			return -ENOMEM;
	}
	s->batch_buf = malloc(BATCH_BYTES);
	s->batch = (struct quic_batch){ .buf = s->batch_buf,
		.cap = BATCH_BYTES,
		.max_pkts = QUIC_BATCH_MAX };
	if (s->batch_buf == NULL || path_relay_init(&s->relay, w) != 0)
		return -ENOMEM;
	discovery_init(s);
	raw_init(s);
	return session_quic_new(s);
}

void
session_set_status(struct session *s, enum ipc_status status, const char *text)
{
	if (status == s->status)
		return;
	s->status = status;
	msgs_send_status(s, status, text);
}

void
session_set_ready(struct session *s, struct carrier *anchor)
{
	s->anchor = anchor;
	s->ready = true;
	nego_done(s);
	session_set_status(s, IPC_STATUS_READY, "");
	local_resume(s);
	session_wake(s);
}

void
session_end(struct session *s, int code, const char *text)
{
	if (s->ending.decided)
		return;
	s->ending.decided = true;
	s->ending.code = code;
	(void)snprintf(s->ending.text, sizeof(s->ending.text), "%s", text);
	s->ending.deadline = mono_add(s->now, DRAIN_MAX_US);
	session_wake(s);
}

void
session_end_stream(struct session *s, int result, const char *text)
{
	if (s->ending.decided && mono_is_never(s->stop_deadline)) {
		s->ending.code = result;
		(void)snprintf(
		    s->ending.text, sizeof(s->ending.text), "%s", text);
	}
	session_end(s, result, text);
}

void
session_end_why(struct session *s, const struct quic_close *why)
{
	char words[IPC_MAX_TEXT];
	int r = why->r;

	if (why->kind == QUIC_CLOSE_APP && why->code == TUNNEL_CODE_OK) {
		session_end(s, 0, "peer closed the session");
		return;
	}
	log_escape(words, sizeof(words), why->reason, strlen(why->reason));
	session_end(s, r != 0 ? r : -DT_ERR_CLOSED,
	    words[0] != '\0' ? words : err_str(r));
}

void
session_stop(struct session *s, int code, struct mono now)
{
	s->now = now;
	s->stop_code = code;
	s->stop_deadline = mono_add(now, POLITE_US);
	session_wake(s);
}

void
session_wake(struct session *s)
{
	/* The timer's callback is empty: any turn ends in session_turn(). */
	if (s->awake || s->timer == NULL)
		return;
	s->awake = true;
	loop_timer_at(s->timer, (struct mono){ 0 });
}

/* Send what is left of the batch, then what QUIC has.  Stops when the path is
 * full. */
static void
send_packets(struct session *s)
{
	while (path_mux_can_send(&s->mux)) {
		struct path_batch b;
		size_t sent;

		if (s->batch_pkt == s->batch.n_pkts) {
			s->batch_pkt = 0;
			s->batch_off = 0;
			s->batch.n_pkts = 0;
			if (quic_endpoint_output(s->quic, s->now, &s->batch) ==
			    0)
				return;
		}
		b = (struct path_batch){ s->batch_buf + s->batch_off,
			s->batch.n_pkts - s->batch_pkt,
			s->batch.lens + s->batch_pkt };
		sent = path_mux_send(&s->mux, &b);
		for (size_t i = 0; i < sent; i++)
			s->batch_off += b.lens[i];
		s->batch_pkt += sent;
	}
}

void
session_move(struct session *s, struct path *p, const struct addr *peer,
    const char *reason)
{
	bool was_silent = SILENCE_US <= mono_diff(s->now, s->heard);
	bool moved = path_mux_select(&s->mux, p, s->now) ||
		     (peer != NULL && !addr_equal(peer, &s->report.now.peer));
	/* What is on its way was too large. */
	bool shrank = !moved && p->payload < s->payload;

	s->payload = p->payload;
	/* In the range of what the endpoint was made for: never refused. */
	(void)quic_endpoint_set_payload(s->quic, p->payload);
	quic_endpoint_set_run(s->quic,
	    p->kind == PATH_KIND_MANAGED && !s->nego.is_native ? PEER_RUN : 0);
	if ((moved && was_silent) || shrank)
		quic_endpoint_kick(s->quic, s->now);
	if (moved)
		quic_endpoint_renew(s->quic, s->now);
	path_report_set(s, p->kind, peer, reason);
	session_wake(s);
}

/* Remember when the peer was last heard for certain, whatever the path. */
static void
note_genuine(struct session *s)
{
	uint64_t n = quic_endpoint_genuine(s->quic);

	if (n == s->n_genuine)
		return;
	s->n_genuine = n;
	s->heard = s->now;
}

/* With a full path QUIC cannot speak, but it can still grow old. */
static void
expire_blocked(struct session *s)
{
	if (path_mux_can_send(&s->mux) || mono_before(s->now, s->next_expire))
		return;
	quic_endpoint_expire(s->quic, s->now);
	s->next_expire = mono_add(s->now, EXPIRE_EVERY_US);
}

static void
settle_all(struct session *s)
{
	struct splice *sp;

	while ((sp = TAILQ_FIRST(&s->dirty)) != NULL) {
		TAILQ_REMOVE(&s->dirty, sp, dirty_link);
		sp->dirty = false;
		splice_settle(sp);
	}
}

static void
check_stop(struct session *s)
{
	if (mono_is_never(s->stop_deadline) || s->ending.decided)
		return;
	if (nego_is_polite(s) || !mono_before(s->now, s->stop_deadline))
		session_end(s, 0, "stopped");
}

/* Is there a slow local side that still deserves its bytes? */
static bool
is_draining(struct session *s, struct mono *ret_deadline)
{
	struct mono last = s->ending.deadline;
	const struct splice *sp;
	bool any = false;

	if (!mono_is_never(s->stop_deadline))
		last = mono_min(last, mono_add(s->stop_deadline, -GOODBYE_US));
	TAILQ_FOREACH(sp, &s->splices, link) {
		struct mono at =
		    mono_min(last, mono_add(sp->progress, DRAIN_IDLE_US));

		if (!splice_is_draining(sp) || !mono_before(s->now, at))
			continue;
		*ret_deadline = any ? mono_min(*ret_deadline, at) : at;
		any = true;
	}
	return any;
}

/* The tunnel went from under the one stream before its ends had come. */
static bool
is_stream_lost(const struct session *s)
{
	return s->boot.one_stream && s->ready && s->local.stdio != NULL &&
	       mono_is_never(s->stop_deadline);
}

static void
leave(struct session *s)
{
	struct carrier *c;

	LIST_FOREACH(c, &s->carriers, link)
		carrier_close(c,
		    s->stop_code == 0 ? TUNNEL_CODE_OK : TUNNEL_CODE_ERROR, "");
	s->ending.leaving = true;
	s->ending.deadline =
	    mono_min(mono_add(s->now, GOODBYE_US), s->stop_deadline);
	send_packets(s);
}

/* Drains, then leaves.  Returns whether that has to be waited for. */
static bool
wind_down(struct session *s, struct mono *ret_deadline)
{
	if (!s->ending.leaving) {
		if (is_draining(s, ret_deadline))
			return true;
		leave(s);
	}
	*ret_deadline = s->ending.deadline;
	return !path_mux_can_send(&s->mux) &&
	       mono_before(s->now, s->ending.deadline);
}

static void
finish(struct session *s)
{
	struct session_ending *e = &s->ending;

	if (is_stream_lost(s)) {
		if (e->code == 0)
			(void)snprintf(e->text, sizeof(e->text), "%s",
			    err_str(-DT_ERR_TUNNEL_LOST));
		e->code = -DT_ERR_TUNNEL_LOST;
	}
	worker_end(s->worker, e->code, e->text);
}

static struct mono
next_deadline(const struct session *s)
{
	struct mono at = nego_next_deadline(s), quic;

	at = mono_min(at, msgs_next_deadline(s));
	at = mono_min(at, local_next_deadline(s));
	at = mono_min(at, s->tunnel->next_deadline(s));
	if (!s->ending.decided)
		at = mono_min(at, s->stop_deadline);
	at = mono_min(at, discovery_next_deadline(s));
	at = mono_min(at, path_report_next_deadline(s));
	at = mono_min(at, relay_back_next_deadline(s));
	/* A full path wakes us itself; until then only ends matter. */
	quic = quic_endpoint_next_deadline(s->quic);
	if (!path_mux_can_send(&s->mux) && mono_before(quic, s->next_expire))
		quic = s->next_expire;
	return mono_min(at, quic);
}

static void
session_turn(void *arg, struct mono now)
{
	struct session *s = arg;
	struct mono at;

	s->now = now;
	note_genuine(s);
	nego_run(s);
	discovery_run(s);
	expire_blocked(s);
	relay_back_run(s);
	msgs_run_probes(s);
	s->tunnel->run(s);
	for (int i = 0; i < TURN_ROUNDS; i++) {
		settle_all(s);
		check_stop(s);
		local_run(s);
		send_packets(s);
		if (TAILQ_EMPTY(&s->dirty))
			break;
	}
	discovery_sent(s);
	path_report_run(s);
	at = next_deadline(s);
	if (s->ending.decided) {
		struct mono until;

		if (!wind_down(s, &until)) {
			finish(s);
			return;
		}
		at = mono_min(at, until);
	}
	if (!TAILQ_EMPTY(&s->dirty))
		at = (struct mono){ 0 };
	s->awake = false;
	loop_timer_at(s->timer, at);
}

static void
on_timer(void *arg, struct mono now)
{
	struct session *s = arg;

	s->now = now; /* the work is done at the end of this turn */
}

int
session_start(struct session *s, struct mono now)
{
	int r;

	s->now = now;
	s->loop = worker_loop(s->worker);
	s->timer = loop_timer_new(s->loop, on_timer, s);
	if (s->timer == NULL)
		return -ENOMEM;
	loop_set_turn_end(s->loop, session_turn, s);
	path_mux_init(&s->mux, on_packet, on_path_writable, s);
	path_mux_add(&s->mux, &s->relay.path);
	s->heard = now;
	session_move(s, &s->relay.path, NULL, "start");
	s->started = true;
	r = nego_start(s);
	session_wake(s);
	return r;
}

int
session_packets(struct session *s, struct buf_reader *batch, struct mono now)
{
	const uint8_t *p;
	size_t len;
	int r;

	s->now = now;
	while ((r = ipc_packet_next(batch, 0, NULL, &p, &len)) == 1)
		path_mux_input(&s->mux, &s->relay.path, now, p, len);
	session_wake(s);
	return r;
}

void
session_packets_writable(struct session *s, struct mono now)
{
	s->now = now;
	path_mux_unblocked(&s->mux, &s->relay.path, now);
}
