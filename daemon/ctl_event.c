/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation.  Events are lines like any others.  Of progress only the
 * newest matters, and a caller that is stopped for minutes would be dropped for
 * what it did not read of it; so while lines wait for a connection, one more of
 * them is kept beside the queue at most, where the next one replaces it.  It
 * leaves when the queue is empty, or before the next event of its session, so
 * that a session's events stay in order.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl_state.h"

static bool
wants(const struct ctl_conn *k, uint32_t owner, uint32_t session)
{
	if (k->closing)
		return false;
	if (k->id == owner)
		return true;
	return k->subscribed &&
	       (k->subscribed_to == 0 || k->subscribed_to == session);
}

static void
put(struct ctl_conn *k, const char *line, size_t len)
{
	if (!k->closing && linechan_send(k->line, line, len, NULL, 0) < 0)
		ctl_give_up(k, "it does not read its events");
}

void
ctl_event_forget(struct ctl_conn *k)
{
	free(k->newest);
	k->newest = NULL;
}

static void
put_newest(struct ctl_conn *k)
{
	char *line = k->newest;

	if (line == NULL)
		return;
	k->newest = NULL;
	put(k, line, k->newest_len);
	free(line);
}

void
ctl_event_sent(struct ctl_conn *k)
{
	if (linechan_queued(k->line) == 0)
		put_newest(k);
}

/* A copy, or nothing when memory is out: another one will come. */
static void
keep(struct ctl_conn *k, uint32_t session, const char *line, size_t len)
{
	ctl_event_forget(k);
	k->newest = strndup(line, len);
	k->newest_len = len;
	k->newest_of = session;
}

static void
tell(struct ctl_conn *k, uint32_t session, bool is_newest, const char *line,
    size_t len)
{
	if (is_newest && linechan_queued(k->line) > 0) {
		keep(k, session, line, len);
		return;
	}
	if (k->newest != NULL && k->newest_of == session)
		put_newest(k);
	put(k, line, len);
	ctl_event_sent(k);
}

static void
tell_all(struct ctl *c, uint32_t owner, uint32_t session, bool is_newest,
    json_t *params)
{
	struct ctl_conn *k, *next;
	size_t len = 0;
	char *line = NULL;

	LIST_FOREACH_SAFE(k, &c->conns, entry, next) {
		if (!wants(k, owner, session))
			continue;
		if (line == NULL)
			line = rpc_notification(
			    "event", json_incref(params), &len);
		if (line == NULL)
			break; /* no memory: nobody hears of it */
		tell(k, session, is_newest, line, len);
	}
	free(line);
	json_decref(params);
}

void
ctl_event(struct ctl *c, uint32_t owner, uint32_t session, json_t *params)
{
	tell_all(c, owner, session, false, params);
}

void
ctl_event_newest(
    struct ctl *c, uint32_t owner, uint32_t session, json_t *params)
{
	tell_all(c, owner, session, true, params);
}
