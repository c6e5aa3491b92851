/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a program says.  stdout carries payload only: tokens asked for, versions
 * and JSON.  Everything for people goes to stderr.  Text that may come from a
 * peer is escaped.  With --json, events and results are one JSON object per
 * line, and words for people other than errors are left out.
 */
#ifndef CLIENT_CLI_OUT_H
#define CLIENT_CLI_OUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "client/cli_exit.h"

struct cli_out {
	const char *program;
	bool verbose;
	bool json;
	FILE *events; /* where JSON lines of events go */
};

/* The longest text of err_str(). */
#define CLI_OUT_MAX_REASON 128

/** cli_out_reason(): err_str(@r), beginning in lower case as scripts know it.
 * Returns @buf. */
const char *cli_out_reason(int r, char buf[static CLI_OUT_MAX_REASON]);

/** cli_out_error(): one line on stderr, whatever the flags say. */
void cli_out_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** cli_out_note(): one line on stderr for people; not with --json. */
void cli_out_note(const struct cli_out *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** cli_out_status(): a status word or key=value on stderr, with -v only. */
void cli_out_status(const struct cli_out *o, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/**
 * cli_out_payload(): one line on stdout, at once.
 *
 * Returns CLI_EXIT_OK, or the code for a failed write (said on stderr).
 */
int cli_out_payload(const char *text);

/** cli_out_event(): one line of JSON where events go; nothing without --json.
 * Takes the reference of @event. */
void cli_out_event(const struct cli_out *o, json_t *event);

/**
 * cli_out_answer(): as cli_out_event(), for what the command was started for.
 *
 * Returns CLI_EXIT_OK, or the code for a failed write (said on stderr).
 */
int cli_out_answer(const struct cli_out *o, json_t *event);

/** cli_out_result(): as cli_out_payload(), for a JSON object (borrowed). */
int cli_out_result(const json_t *result);

#endif
