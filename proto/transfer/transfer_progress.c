/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Arithmetic of peer v0.18.2's bar.  A rate sample is taken whenever a line is
 * drawn and bytes have come since the last one.  Once the receiver's clock is
 * known, its overall rate is shown instead.
 */
#include "proto/transfer/transfer_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"

#define WEIGHT 0.3
#define CELLS 20
#define MAX_DURATION 24 /* "MM:SS", minutes of 2^63 us included */
#define MAX_TEXT 200    /* of a line; padding adds none, as no line is longer */
#define TEXT_UNKNOWN "--:--"
/* A peer's clock that says more lies; half of what fits leaves room to round.
 */
#define MAX_ELAPSED_MS (INT64_MAX / MONO_MS / 2)

static void
average_init(struct transfer_average *a)
{
	a->sum = 0;
	a->missing = 1;
}

static void
average_add(struct transfer_average *a, double value)
{
	a->sum = WEIGHT * value + (1 - WEIGHT) * a->sum;
	a->missing *= 1 - WEIGHT;
}

static double
average_value(const struct transfer_average *a)
{
	return a->missing < 1 ? a->sum / (1 - a->missing) : 0;
}

void
transfer_progress_init(
    struct transfer_progress *p, int64_t total, struct mono now)
{
	*p = (struct transfer_progress){ .total = total > 0 ? total : 0,
		.start = now,
		.drawn = now,
		.sampled = now };
	average_init(&p->bytes);
	average_init(&p->seconds);
}

void
transfer_progress_set(struct transfer_progress *p, int64_t done)
{
	if (done > p->total)
		done = p->total;
	if (done > p->done)
		p->done = done;
}

void
transfer_progress_set_peer(
    struct transfer_progress *p, int64_t done, int64_t elapsed_ms)
{
	transfer_progress_set(p, done);
	if (elapsed_ms > 0 && elapsed_ms <= MAX_ELAPSED_MS)
		p->peer_elapsed_us = elapsed_ms * MONO_MS;
}

bool
transfer_progress_is_due(const struct transfer_progress *p, struct mono now)
{
	return mono_diff(now, p->drawn) >= TRANSFER_PROGRESS_REDRAW_US;
}

static double
seconds_of(int64_t us)
{
	return (double)us / (double)MONO_SEC;
}

static int64_t
elapsed_us(const struct transfer_progress *p, struct mono now)
{
	int64_t us = mono_diff(now, p->start);

	return us > 0 ? us : MONO_MS;
}

double
transfer_progress_rate(const struct transfer_progress *p, struct mono now)
{
	double seconds = average_value(&p->seconds);

	if (p->peer_elapsed_us > 0)
		return (double)p->done / seconds_of(p->peer_elapsed_us);
	if (seconds > 0)
		return average_value(&p->bytes) / seconds;
	return (double)p->done / seconds_of(elapsed_us(p, now));
}

/* Exact enough for any duration that a double can hold. */
static int64_t
whole(double v)
{
	return v < 9.0e18 ? (int64_t)v : INT64_MAX;
}

int64_t
transfer_progress_eta_s(const struct transfer_progress *p, double rate)
{
	if (p->total == 0)
		return -1;
	if (p->done >= p->total)
		return 0;
	if (p->done == 0 || !(rate > 0))
		return -1;
	return whole((double)(p->total - p->done) / rate + 0.5);
}

void
transfer_progress_size(
    char out[static TRANSFER_PROGRESS_MAX_SIZE], int64_t bytes)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	double value = (double)bytes;
	size_t unit = 0;

	while (unit + 1 < sizeof(units) / sizeof(units[0]) && value >= 1024) {
		value /= 1024;
		unit++;
	}
	if (unit == 0)
		(void)snprintf(
		    out, TRANSFER_PROGRESS_MAX_SIZE, "%" PRId64 "B", bytes);
	else
		(void)snprintf(out, TRANSFER_PROGRESS_MAX_SIZE, "%.1f%s", value,
		    units[unit]);
}

static void
put_duration(char out[static MAX_DURATION], int64_t s)
{
	(void)snprintf(
	    out, MAX_DURATION, "%02" PRId64 ":%02" PRId64, s / 60, s % 60);
}

/* The share that is done, 0 .. 1. */
static double
fraction(const struct transfer_progress *p)
{
	return p->total > 0 ? (double)p->done / (double)p->total : 1;
}

static void
sample(struct transfer_progress *p, struct mono now)
{
	int64_t bytes = p->done - p->sampled_bytes;
	int64_t us = mono_diff(now, p->sampled);

	if (bytes <= 0 || us <= 0)
		return;
	average_add(&p->bytes, (double)bytes);
	average_add(&p->seconds, seconds_of(us));
	p->sampled_bytes = p->done;
	p->sampled = now;
}

/* Return, text, blanks over what was longer, newline at the end. */
static void
put_line(struct transfer_progress *p, const char *line, bool final,
    char out[static TRANSFER_PROGRESS_MAX_LINE])
{
	struct buf_writer w = buf_writer(out, TRANSFER_PROGRESS_MAX_LINE - 2);
	size_t n = strlen(line);

	buf_put_u8(&w, '\r');
	buf_put_bytes(&w, line, n);
	while (w.len < p->line_len + 1 && w.err == 0)
		buf_put_u8(&w, ' ');
	out[w.len] = final ? '\n' : '\0';
	out[w.len + 1] = '\0';
	p->line_len = final ? 0 : n;
}

void
transfer_progress_line(struct transfer_progress *p, struct mono now, bool final,
    char out[static TRANSFER_PROGRESS_MAX_LINE])
{
	char done[TRANSFER_PROGRESS_MAX_SIZE], total[sizeof(done)];
	char speed[sizeof(done)], elapsed[MAX_DURATION], eta[MAX_DURATION];
	char bar[CELLS + 1], line[MAX_TEXT];
	int64_t us = elapsed_us(p, now), eta_s;
	size_t n;
	double rate;

	if (final)
		p->done = p->total;
	else
		sample(p, now);
	if (p->peer_elapsed_us > 0 && p->done == p->total)
		us = p->peer_elapsed_us;
	rate = final && p->peer_elapsed_us == 0
		   ? (double)p->done / seconds_of(us)
		   : transfer_progress_rate(p, now);
	n = (size_t)(fraction(p) * CELLS);
	memset(bar, '.', CELLS);
	memset(bar, '#', n);
	bar[CELLS] = '\0';
	transfer_progress_size(done, p->done);
	transfer_progress_size(total, p->total);
	transfer_progress_size(speed, whole(rate));
	put_duration(elapsed, (us + MONO_SEC / 2) / MONO_SEC);
	eta_s = transfer_progress_eta_s(p, rate);
	if (eta_s < 0)
		memcpy(eta, TEXT_UNKNOWN, sizeof(TEXT_UNKNOWN));
	else
		put_duration(eta, eta_s);
	(void)snprintf(line, sizeof(line), "%3.0f%%|%s| %s/%s [%s<%s, %s/s]",
	    fraction(p) * 100, bar, done, total, elapsed, eta, speed);
	put_line(p, line, final, out);
	p->drawn = now;
	p->has_drawn = true;
}
