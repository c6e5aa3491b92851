/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Numbers of a progress display: sizes, rates, remaining time, and the line
 * that peer v0.18.2 draws.  No clock, no output.
 */
#ifndef PROTO_TRANSFER_TRANSFER_PROGRESS_H
#define PROTO_TRANSFER_TRANSFER_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"

#define TRANSFER_PROGRESS_MAX_SIZE 32  /* "1023.9TiB", and 2^63 in TiB */
#define TRANSFER_PROGRESS_MAX_LINE 256 /* padding included */
#define TRANSFER_PROGRESS_REDRAW_US (100 * MONO_MS) /* peer v0.18.2 */

/* A moving average with weight 0.3, corrected for its start. */
struct transfer_average {
	double sum;
	double missing; /* weight that no sample has yet: 0.7^n */
};

/* Owner: the embedding struct. */
struct transfer_progress {
	int64_t total; /* bytes, at least 0 */
	int64_t done;  /* 0 .. total */
	struct mono start;
	struct mono drawn;   /* last line */
	struct mono sampled; /* last rate sample */
	int64_t sampled_bytes;
	struct transfer_average bytes;
	struct transfer_average seconds;
	int64_t peer_elapsed_us; /* > 0: the receiver's own clock counts */
	size_t line_len;         /* of the last line, for padding */
	bool has_drawn;
};

void transfer_progress_init(
    struct transfer_progress *p, int64_t total, struct mono now);

/** transfer_progress_set(): so many bytes are done, by our own clock.  Never
 * falls, never exceeds the total. */
void transfer_progress_set(struct transfer_progress *p, int64_t done);

/** transfer_progress_set_peer(): by the receiver's report. */
void transfer_progress_set_peer(
    struct transfer_progress *p, int64_t done, int64_t elapsed_ms);

/** transfer_progress_is_due(): may a line be drawn now? */
bool transfer_progress_is_due(
    const struct transfer_progress *p, struct mono now);

/**
 * transfer_progress_line(): the line with its leading CR, padded to wipe the
 * last one; counts as drawn.
 * @final: the end was reached: counts as complete, overall rate, newline.
 *         After a failure print a newline instead, if has_drawn.
 */
void transfer_progress_line(struct transfer_progress *p, struct mono now,
    bool final, char out[static TRANSFER_PROGRESS_MAX_LINE]);

/** transfer_progress_rate(): bytes per second now. */
double transfer_progress_rate(
    const struct transfer_progress *p, struct mono now);
/** transfer_progress_eta_s(): seconds left, or -1 for unknown. */
int64_t transfer_progress_eta_s(const struct transfer_progress *p, double rate);

/** transfer_progress_size(): "1023B", "1.0KiB", ... "5.0TiB". */
void transfer_progress_size(
    char out[static TRANSFER_PROGRESS_MAX_SIZE], int64_t bytes);

#endif
