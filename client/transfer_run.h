/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One transfer as a job of the daemon's: the request, the bar, the count.
 *
 *	transfer_run_init()	the loop is there: open source or sink
 *	transfer_run_go()	until the end
 *	transfer_run_fini()
 */
#ifndef CLIENT_TRANSFER_RUN_H
#define CLIENT_TRANSFER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/job.h"
#include "client/progress_bar.h"
#include "proto/transfer/transfer_header.h"

/* Owner: the command.  Filled by it before transfer_run_init(), or later where
 * that is said. */
struct transfer_run {
	const struct cli_call *call;
	enum job_kind kind;
	const char *token; /* of a claimant; NULL: one is minted */
	bool structured;
	/* Before transfer_run_go(): */
	bool blocks;
	unsigned streams; /* sender; 0: default */
	int64_t size;     /* sender; -1: unknown */
	int fd;           /* taken; -1: none */
	bool positioned;
	int64_t offset;
	uint8_t header[TRANSFER_HEADER_MAX_OWN];
	size_t header_len;
	/* A token was minted; may be NULL. */
	void (*on_token)(void *arg, const char *token);
	/* See job.h. */
	void (*on_open)(
	    void *arg, struct job *j, json_t *id, const json_t *params);
	void (*on_save)(
	    void *arg, struct job *j, json_t *id, const json_t *params);
	/* See job.h; may be NULL. */
	int (*judge_end)(void *arg, int code);
	void (*on_stop)(void *arg);
	/* So many bytes by our own count; may be NULL. */
	void (*on_moved)(void *arg, int64_t bytes);
	void *arg;
	/* Ours. */
	struct cli_out out;
	struct job *job;
	int64_t moved; /* payload bytes of our side */
	bool has_bar;
	struct progress_bar bar;
	struct loop_timer *bar_timer;
};

/** transfer_run_init(): returns an exit code. */
int transfer_run_init(struct transfer_run *t);
/** transfer_run_go(): returns the exit code; everything is said. */
int transfer_run_go(struct transfer_run *t);
void transfer_run_fini(struct transfer_run *t);

/** transfer_run_fail(): it cannot go on: say why, here and to the peer. */
void transfer_run_fail(struct transfer_run *t, int r, const char *text);
/** transfer_run_show(): progress is worth a bar from now on, if the options
 * want one.  @total: payload bytes. */
void transfer_run_show(struct transfer_run *t, int64_t total);

/* Options of commands with a bar. */
#define TRANSFER_RUN_BAR_OPTIONS                                               \
	{ "hide-progress", '\0', CLI_BOOL, "No progress bar" },                \
	{                                                                      \
		"show-progress", '\0', CLI_BOOL,                               \
		    "A progress bar although stderr is no terminal"            \
	}

#endif
