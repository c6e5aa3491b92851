/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/path_report.h"

#include <stdio.h>

#include "helpers/session/session.h"
#include "helpers/worker/worker.h"
#include "lib/err.h"
#include "lib/log.h"
#include "proto/ipc/ipc.h"
#include "proto/path/direct.h"
#include "proto/stun/stun_gather.h"

/* A path that flaps is told of four times a second. */
#define TELL_EVERY_US (250 * MONO_MS)
#define PATH_MAX_MESSAGE 256
#define MAX_EXPLANATION 4096 /* ipc_messages.def */

_Static_assert((int)IPC_MAX_CANDIDATES >= (int)CANDIDATE_MAX_LIST,
    "our own list is shown whole");

void
path_report_set(struct session *s, enum path_kind kind, const struct addr *peer,
    const char *reason)
{
	struct path_report *p = &s->report;
	struct ipc_path now = { .kind = (uint8_t)kind };

	if (peer != NULL)
		now.peer = *peer;
	(void)snprintf(now.reason, sizeof(now.reason), "%s", reason);
	if (now.kind == p->now.kind && addr_equal(&now.peer, &p->now.peer))
		return;
	/* The relay is where everything begins: no news. */
	p->is_due = p->now.kind != 0 || kind != PATH_KIND_RELAY;
	p->switches += p->now.kind != 0;
	p->now = now;
	p->since = s->now;
	if (p->is_due)
		log_debug("path", "%s: %s",
		    kind == PATH_KIND_RELAY ? "relay" : "direct", reason);
}

void
path_report_run(struct session *s)
{
	struct path_report *p = &s->report;
	uint8_t msg[PATH_MAX_MESSAGE];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	int r;

	if (!p->is_due || mono_before(s->now, p->quiet))
		return;
	ipc_begin(&w, IPC_PATH, worker_session(s->worker), 0);
	ipc_put_path(&w, &p->now);
	r = worker_send(s->worker, &w, -1);
	if (r < 0)
		log_warn_r(r, "path", "message to the daemon lost");
	p->is_due = false;
	p->quiet = mono_add(s->now, TELL_EVERY_US);
}

struct mono
path_report_next_deadline(const struct session *s)
{
	return s->report.is_due ? s->report.quiet : MONO_NEVER;
}

static void
explain_direct(const struct session *s, struct ipc_explanation *e)
{
	const struct direct *direct = s->discovery.direct;
	struct direct_info info;

	while (e->n_peer < IPC_MAX_CANDIDATES &&
	       direct_info(direct, e->n_peer, &info))
		e->peer[e->n_peer++] = (struct ipc_candidate){ .addr =
								   info.addr,
			.state = (uint8_t)info.state,
			.reflexive = info.reflexive,
			.probes = info.probes,
			.acks = info.acks,
			.rtt_us = info.rtt_us > 0 ? (uint32_t)info.rtt_us : 0,
			.error = info.error };
}

static void
explain_stun(const struct stun_gather *g, struct ipc_explanation *e)
{
	size_t asked, answered;

	if (g == NULL)
		return;
	stun_gather_counts(g, &asked, &answered);
	e->stun_asked = (uint8_t)(e->stun_asked + asked);
	e->stun_answered = (uint8_t)(e->stun_answered + answered);
	e->symmetric = e->symmetric || stun_gather_is_symmetric(g);
}

int
path_report_explain(struct session *s, uint32_t seq, struct buf_reader *body)
{
	static uint8_t msg[IPC_HEADER_LEN + MAX_EXPLANATION];
	struct buf_writer w = buf_writer(msg, sizeof(msg));
	struct ipc_explanation e = { .path = s->report.now,
		.switches = s->report.switches,
		.peer_is_native = s->nego.is_native,
		.forced_relay = s->boot.force_relay,
		.raw = (uint8_t)s->raw.outcome };
	int64_t ms = mono_diff(s->now, s->report.since) / MONO_MS;
	struct candidate_list own;
	int r;

	if (buf_reader_end(body) != 0)
		return -DT_ERR_IPC;
	e.path_ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
	e.payload = (uint16_t)s->payload;
	explain_stun(s->discovery.v4.gather, &e);
	explain_stun(s->discovery.v6.gather, &e);
	discovery_list_own(s, &own);
	for (size_t i = 0; i < own.n; i++)
		e.own[e.n_own++] = own.a[i];
	if (s->discovery.direct != NULL)
		explain_direct(s, &e);
	ipc_begin(&w, IPC_EXPLANATION, worker_session(s->worker), seq);
	ipc_put_explanation(&w, &e);
	r = worker_send(s->worker, &w, -1);
	if (r < 0)
		log_warn_r(r, "path", "message to the daemon lost");
	return 0;
}
