/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * MOVING to the end.  The receiver's word ends a transfer: v2_complete, which
 * it repeats until the sender closed QUIC.  A sender also believes an orderly
 * close (code 0) after all of its bytes, because nobody else closes so, and,
 * when QUIC merely died, a progress report that covers everything.  Nothing
 * here limits how slowly bytes may move.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "proto/transfer/transfer_flow_state.h"

#define TEXT_GONE "peer disconnected"
#define TEXT_ABORTED "peer aborted transfer"

bool
transfer_flow_is_over(const struct transfer_flow *f)
{
	return f->state == TRANSFER_DONE || f->state == TRANSFER_FAILED;
}

int64_t
transfer_flow_session_bytes(const struct transfer_flow *f)
{
	size_t header = f->sender ? f->params.header_len : f->peer_header_len;

	if (!f->has_plan || f->plan.encoding != TRANSFER_BLOCKS)
		return f->moved;
	return f->moved + (int64_t)header;
}

static struct message_text
text_of(const char *s)
{
	return (struct message_text){ s, strlen(s) };
}

/* Farewell of a failure. */
static void
tell(struct transfer_flow *f, struct mono now)
{
	/* A flow A claimant of v0.18.2 hears nothing else than an accept. */
	bool refuse = f->params.role == TRANSFER_RECEIVE_ISSUER && !f->has_plan;

	f->announce.next = MONO_NEVER;
	f->abort.next = MONO_NEVER;
	f->quiet_by = mono_add(now, FLOW_ABORT_LINGER_US);
	if (refuse && transfer_flow_build_refusal(f) == 0) {
		f->announce.next = now;
		f->announce.left = 1;
		f->quiet_by = mono_add(now, FLOW_ABORT_LONG_LINGER_US);
		return;
	}
	f->announce_len = 0;
	f->abort.next = now;
	f->abort.left = f->quic_up ? 1 : 2;
	if (!f->quic_up)
		f->quiet_by = mono_add(now, FLOW_ABORT_LONG_LINGER_US);
}

void
transfer_flow_break(struct transfer_flow *f, int r, bool tell_peer,
    const char *reason, struct mono now)
{
	/* A claim of ours that is not out yet was heard by nobody. */
	bool known = f->has_peer && (f->issuer || f->announce_len > 0);

	if (transfer_flow_is_over(f))
		return;
	assert(r < 0);
	f->result = r;
	envelope_text_sanitise(text_of(reason), f->reason, sizeof(f->reason));
	f->announce.next = MONO_NEVER;
	if (tell_peer && known)
		tell(f, now);
	else
		f->quiet = true;
	f->state = TRANSFER_FAILED;
}

static void
succeed(struct transfer_flow *f, struct mono now)
{
	f->state = TRANSFER_DONE;
	if (f->sender) {
		f->reported = f->total;
		f->quiet = true;
		return;
	}
	f->final_progress =
	    !mono_is_never(f->first) && mono_diff(now, f->first) >= MONO_MS;
	f->complete.next = now;
	f->complete.left = FLOW_COMPLETE_REPEATS;
	f->quiet_by =
	    mono_add(now, FLOW_COMPLETE_REPEATS * FLOW_COMPLETE_REPEAT_US);
}

void
transfer_flow_moved(struct transfer_flow *f, int64_t bytes, struct mono now)
{
	if (!f->has_plan || transfer_flow_is_over(f) || bytes <= f->moved)
		return;
	f->moved = bytes;
	if (!f->sender && mono_is_never(f->first)) {
		f->first = now;
		f->progress.next = mono_add(now, FLOW_PROGRESS_US);
	}
}

void
transfer_flow_set_total(struct transfer_flow *f, int64_t bytes)
{
	if (!f->sender && bytes >= 0)
		f->total = bytes;
}

static void
finish_sending(struct transfer_flow *f, struct mono now)
{
	f->total = transfer_flow_session_bytes(f);
	f->state = TRANSFER_CONFIRMING;
	if (f->reported >= f->total)
		f->confirm_by = mono_add(now, FLOW_CONFIRM_US);
}

static void
finish_receiving(struct transfer_flow *f, struct mono now)
{
	char text[96];

	if (f->plan.encoding == TRANSFER_BLOCKS)
		f->total = f->plan.size + (int64_t)f->peer_header_len;
	if (f->total >= 0 && f->total != transfer_flow_session_bytes(f)) {
		(void)snprintf(text, sizeof(text),
		    "received %" PRId64 " of %" PRId64 " bytes",
		    transfer_flow_session_bytes(f), f->total);
		transfer_flow_break(f, -DT_ERR_TRUNCATED, true, text, now);
	} else if (f->total >= 0 || f->native) {
		/* A sender of ours ends its streams only when all is sent. */
		succeed(f, now);
	} else {
		f->state = TRANSFER_CONFIRMING;
		f->confirm_by = mono_add(now, FLOW_TRUNCATION_US);
	}
}

void
transfer_flow_received(struct transfer_flow *f)
{
	f->received = !f->sender;
}

void
transfer_flow_finished(struct transfer_flow *f, struct mono now)
{
	f->finished = f->has_plan;
	if (f->state != TRANSFER_MOVING)
		return;
	if (f->sender)
		finish_sending(f, now);
	/* Told that the sender failed: what looks complete may be cut. */
	else if (mono_is_never(f->grace_by) ||
		 f->grace_result != -DT_ERR_PEER_ABORTED)
		finish_receiving(f, now);
}

void
transfer_flow_on_progress(struct transfer_flow *f,
    const struct message_progress *body, struct mono now)
{
	int64_t most = transfer_flow_session_bytes(f);
	int64_t bytes = body->bytes_received;

	if (!f->sender || !f->has_plan ||
	    (body->sequence != 0 && body->sequence <= f->sequence))
		return;
	if (body->sequence != 0)
		f->sequence = body->sequence;
	/* It cannot have more than we took from the source. */
	if (bytes < 0 || bytes > most)
		return;
	if (bytes > f->reported) {
		f->reported = bytes;
		f->grew = now;
	}
	if (body->transfer_elapsed_ms > f->elapsed_ms)
		f->elapsed_ms = body->transfer_elapsed_ms;
	/* Each time: a disk may take longer, and the receiver says so. */
	if (f->state == TRANSFER_CONFIRMING && f->reported >= f->total)
		f->confirm_by = mono_add(now, FLOW_CONFIRM_US);
}

void
transfer_flow_on_complete(struct transfer_flow *f,
    const struct message_v2_complete *body, struct mono now)
{
	int64_t total = transfer_flow_session_bytes(f);
	char text[96];

	if (!f->sender || !f->has_plan)
		return;
	if (body->bytes_received < 0) {
		(void)snprintf(text, sizeof(text),
		    "invalid v2 complete bytes %" PRId64, body->bytes_received);
	} else if (f->state != TRANSFER_CONFIRMING) {
		(void)snprintf(text, sizeof(text),
		    "peer completed early, with %" PRId64 " bytes",
		    body->bytes_received);
	} else if (body->bytes_received != total) {
		(void)snprintf(text, sizeof(text),
		    "peer received %" PRId64 " of %" PRId64 " bytes",
		    body->bytes_received, total);
	} else {
		succeed(f, now);
		return;
	}
	transfer_flow_break(f, -DT_ERR_PEER_PROTOCOL, true, text, now);
}

void
transfer_flow_on_abort(
    struct transfer_flow *f, const struct message_abort *body, struct mono now)
{
	char reason[TRANSFER_FLOW_MAX_REASON - 32];
	char text[TRANSFER_FLOW_MAX_REASON];

	envelope_text_sanitise(body->reason, reason, sizeof(reason));
	(void)snprintf(text, sizeof(text), TEXT_ABORTED "%s%s",
	    reason[0] != '\0' ? ": " : "", reason);
	transfer_flow_break(f, -DT_ERR_PEER_ABORTED, false, text, now);
}

void
transfer_flow_disconnected(struct transfer_flow *f, bool orderly, int r,
    const char *reason, struct mono now)
{
	if (f->state == TRANSFER_DONE)
		f->quiet = true; /* a sender that heard us closes */
	if (!f->has_plan || transfer_flow_is_over(f) ||
	    !mono_is_never(f->grace_by))
		return;
	f->grace_by = mono_add(now, FLOW_GRACE_US);
	f->grace_orderly = orderly;
	f->grace_result = r < 0 && !orderly ? r : -DT_ERR_PEER_GONE;
	if (orderly || reason[0] == '\0')
		reason = f->grace_result == -DT_ERR_PEER_ABORTED ? TEXT_ABORTED
								 : TEXT_GONE;
	envelope_text_sanitise(
	    text_of(reason), f->grace_reason, sizeof(f->grace_reason));
}

/* QUIC is gone, and no envelope explained it. */
static void
judge_disconnect(struct transfer_flow *f, struct mono now)
{
	bool refused = f->grace_result == -DT_ERR_PEER_ABORTED;
	bool confirming = f->state == TRANSFER_CONFIRMING;

	if (mono_before(now, f->grace_by))
		return;
	f->grace_by = MONO_NEVER;
	if (f->received && !f->finished && !refused)
		return; /* its disk decides */
	/* Sender: see above; but what a receiver of ours has only written, and
	 * reported, may not be safe yet: it says so several times, or closes.
	 * Receiver: everything came and is safe. */
	if (confirming && !refused &&
	    (!f->sender || f->grace_orderly ||
		(!f->native && f->reported >= f->total))) {
		succeed(f, now);
		f->quiet = true;
		return;
	}
	transfer_flow_break(f, f->grace_result, !refused, f->grace_reason, now);
}

static void
judge_confirmation(struct transfer_flow *f, struct mono now)
{
	if (f->state != TRANSFER_CONFIRMING || mono_before(now, f->confirm_by))
		return;
	if (!f->sender && mono_is_never(f->grace_by))
		succeed(f, now);
	else if (f->sender)
		transfer_flow_break(f, -DT_ERR_TIMEOUT, true,
		    "the other side did not confirm the transfer", now);
	f->confirm_by = MONO_NEVER;
}

void
transfer_flow_step_end(struct transfer_flow *f, struct mono now)
{
	if (!transfer_flow_is_over(f)) {
		judge_confirmation(f, now);
		judge_disconnect(f, now);
	}
	if (transfer_flow_is_over(f) && !mono_before(now, f->quiet_by))
		f->quiet = true;
}

void
transfer_flow_fail(
    struct transfer_flow *f, int r, const char *reason, struct mono now)
{
	transfer_flow_break(f, r, true, reason, now);
}

void
transfer_flow_cancel(struct transfer_flow *f, struct mono now)
{
	/* Words of peer v0.18.2. */
	transfer_flow_break(f, -ECANCELED, true,
	    f->params.role == TRANSFER_SEND_CLAIMANT ? "canceled"
						     : "context canceled",
	    now);
}

void
transfer_flow_report(const struct transfer_flow *f, struct mono now,
    struct transfer_report *ret_report)
{
	int64_t header = (int64_t)f->params.header_len;
	bool moving =
	    f->state == TRANSFER_MOVING || f->state == TRANSFER_CONFIRMING;

	*ret_report = (struct transfer_report){ 0 };
	if (!f->sender)
		return;
	ret_report->payload = f->reported > header ? f->reported - header : 0;
	ret_report->elapsed_ms = f->elapsed_ms;
	ret_report->final = f->state == TRANSFER_DONE;
	ret_report->stalled = moving &&
			      f->reported < transfer_flow_session_bytes(f) &&
			      mono_diff(now, f->grew) >= FLOW_STALL_US;
}
