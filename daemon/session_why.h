/* SPDX-License-Identifier: BSD-3-Clause */
/* session.why: why the path of a session is what it is, in words. */
#ifndef DAEMON_SESSION_WHY_H
#define DAEMON_SESSION_WHY_H

#include <jansson.h>
#include <stdbool.h>

#include "daemon/udp_sockets.h"
#include "proto/ipc/ipc_network.h"

struct session;

/* So long on the relay, silence of what is being probed says nothing yet. */
#define SESSION_WHY_EARLY_MS 3000u

/** session_why_path(): "relay", "direct", "raw"; "none" for what else. */
const char *session_why_path(unsigned kind);

/** session_why_answer(): the result.  @e: NULL when the worker did not answer,
 * what the daemon knows is left then.  NULL when memory is out. */
json_t *session_why_answer(
    const struct session *s, const struct ipc_explanation *e);

/* The cause in one word, for scripts, and in some, for people; static. */
struct session_why_verdict {
	const char *cause;
	const char *text;
};

/**
 * session_why_judge(): what keeps packets on the relay, or that nothing does.
 * @e: NULL when the worker did not answer.
 * @forced: the relay is forced on our side.
 */
struct session_why_verdict session_why_judge(const struct ipc_explanation *e,
    const struct udp_sockets *sockets, bool forced);

#endif
