/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The output's rate is measured only while something waits for it, in samples
 * of SAMPLE_US of such time; an output that is never waited for shows no rate
 * and the limit grows with what passed.  It follows a slower rate at once and a
 * faster one by doubling, because a kernel buffer swallows the first bytes of
 * the slowest reader in no time.
 */
#include "proto/transfer/transfer_window.h"

#include <assert.h>

/* Long enough for a reader that sleeps between reads. */
#define SAMPLE_US (250 * MONO_MS)
/* Room of one striped chunk; STRIPE_MAX_CHUNK, and frames of some more. */
#define STREAM_ROOM ((int64_t)288 << 10)

void
transfer_window_init(struct transfer_window *w, unsigned streams)
{
	*w = (struct transfer_window){ .busy_since = MONO_NEVER,
		.least = TRANSFER_WINDOW_LEAST,
		.limit = TRANSFER_WINDOW_FIRST };
	if (streams > 1)
		w->least = (int64_t)streams * STREAM_ROOM;
	if (w->limit < w->least)
		w->limit = w->least;
}

static void
set_limit(struct transfer_window *w, int64_t wanted)
{
	if (wanted > 2 * w->limit)
		wanted = 2 * w->limit;
	if (wanted > TRANSFER_WINDOW_MAX)
		wanted = TRANSFER_WINDOW_MAX;
	w->limit = wanted < w->least ? w->least : wanted;
}

/* Time with a backlog, up to @now, counts. */
static void
account(struct transfer_window *w, struct mono now)
{
	int64_t us;

	if (mono_is_never(w->busy_since))
		return;
	us = mono_diff(now, w->busy_since);
	w->busy_us += us > 0 ? us : 0;
	w->busy_since = now;
}

/* A sample ends when it saw enough waiting, or enough bytes. */
static void
judge(struct transfer_window *w)
{
	bool long_enough = w->busy_us >= SAMPLE_US;
	int64_t rate_limit;

	if (!long_enough && w->busy_bytes < w->limit)
		return;
	/* Bytes in TRANSFER_WINDOW_US at this rate. */
	rate_limit = w->busy_us > 0 ? (int64_t)((double)w->busy_bytes *
						(double)TRANSFER_WINDOW_US /
						(double)w->busy_us)
				    : TRANSFER_WINDOW_MAX;
	set_limit(w, rate_limit);
	w->busy_us = 0;
	w->busy_bytes = 0;
}

void
transfer_window_received(struct transfer_window *w, int64_t n, struct mono now)
{
	account(w, now);
	w->received += n;
	if (n > 0 && mono_is_never(w->busy_since))
		w->busy_since = now;
}

void
transfer_window_written(struct transfer_window *w, int64_t n, struct mono now)
{
	assert(n <= w->received - w->written);
	account(w, now);
	w->written += n;
	w->busy_bytes += n;
	if (w->written == w->received)
		w->busy_since = MONO_NEVER;
	judge(w);
}

int64_t
transfer_window_limit(const struct transfer_window *w)
{
	return w->limit;
}
