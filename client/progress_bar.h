/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The line with the bar on a terminal: numbers only, nothing of the peer's
 * text.  Redrawn in place, never waits for the terminal.
 */
#ifndef CLIENT_PROGRESS_BAR_H
#define CLIENT_PROGRESS_BAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "proto/transfer/transfer_progress.h"

enum progress_bar_when {
	PROGRESS_BAR_AUTO, /* on a terminal that we are in front of */
	PROGRESS_BAR_ALWAYS,
	PROGRESS_BAR_NEVER,
};

/* Owner: the embedding struct; plain memory, nothing to free. */
struct progress_bar {
	struct transfer_progress numbers;
	int fd; /* borrowed */
	bool shows;
	bool is_terminal;
	bool is_dirty; /* the cursor is behind a line of ours */
};

/** progress_bar_init(): @fd: usually stderr. */
void progress_bar_init(struct progress_bar *bar, enum progress_bar_when when,
    int fd, int64_t total, struct mono now);

/** progress_bar_set(): bytes done by our own count. */
void progress_bar_set(struct progress_bar *bar, int64_t done, struct mono now);
/** progress_bar_set_peer(): by the receiver's report. */
void progress_bar_set_peer(struct progress_bar *bar, int64_t done,
    int64_t elapsed_ms, struct mono now);

/** progress_bar_next(): when to call progress_bar_tick(), for elapsed time to
 * go on; MONO_NEVER when nothing is shown. */
struct mono progress_bar_next(const struct progress_bar *bar);
void progress_bar_tick(struct progress_bar *bar, struct mono now);

/** progress_bar_pause(): other text follows on the terminal: begin a new line
 * if the cursor stands behind the bar. */
void progress_bar_pause(struct progress_bar *bar);

/** progress_bar_end(): @complete: the last line, as 100 %.  Then, if anything
 * was drawn, a newline.  Nothing is drawn afterwards. */
void progress_bar_end(struct progress_bar *bar, bool complete, struct mono now);

/**
 * progress_bar_fit(): cut a line of transfer_progress_line() to a width: first
 * the bar loses cells, then all of them, then rate and times, then the end.
 * @columns: of the terminal; 0 is unknown and cuts nothing.
 * @out: gets CR, the text, blanks over what the previous line may have left,
 *       and the newline if there was one.
 */
void progress_bar_fit(char out[static TRANSFER_PROGRESS_MAX_LINE],
    const char *line, size_t columns);

#endif
