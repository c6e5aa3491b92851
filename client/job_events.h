/* SPDX-License-Identifier: BSD-3-Clause */
/* What people and scripts read about the events of a job. */
#ifndef CLIENT_JOB_EVENTS_H
#define CLIENT_JOB_EVENTS_H

#include <jansson.h>
#include <stdbool.h>

#include "client/cli_out.h"
#include "client/job.h"
#include "lib/addr.h"

/* What the job itself acts on. */
enum job_event { JOB_EVENT_OTHER, JOB_EVENT_READY, JOB_EVENT_ENDED };

/* Owner: the job. */
struct job_events {
	const struct cli_out *out;
	enum job_kind kind;
	bool was_waiting; /* the word is printed once per process */
	bool is_claimed;  /* a tunnel stands, or is being made */
	bool is_direct;
	bool is_trying; /* a transfer said so */
	bool is_raw;
	char address[ADDR_MAX_TEXT]; /* of the last direct path, or "" */
	char told[ADDR_MAX_TEXT];    /* as printed last */
	bool reconnecting;
	/* The last problems told, cut reasons being fine for people. */
	char relay_said[512]; /* without its relay */
	char gate_said[128];
};

void job_events_init(
    struct job_events *e, const struct cli_out *out, enum job_kind kind);

/**
 * job_events_take(): report one event.
 * @params: borrowed.
 * @id_member: the member that names the job's object; `ended` of something
 *             below it is not its end.
 * @is_wanted: false: say nothing.
 */
enum job_event job_events_take(struct job_events *e, const json_t *params,
    const char *id_member, bool is_wanted);

#endif
