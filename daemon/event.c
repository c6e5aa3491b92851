/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/event.h"

#include <string.h>

#include "daemon/ctl.h"
#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/session.h"
#include "lib/err.h"
#include "lib/log.h"

/* Reasons come from relays and workers.  One that is no UTF-8, or was cut in
 * the middle of a character, would make json_pack() fail and the code with it.
 */
#define EVENT_MAX_TEXT 512

static json_t *
begin(const char *name, uint32_t endpoint, uint32_t session, json_t *extra)
{
	json_t *o = json_pack("{s:s}", "event", name);

	if (endpoint != 0)
		(void)json_object_set_new(
		    o, "endpoint", json_integer(endpoint));
	if (session != 0)
		(void)json_object_set_new(o, "session", json_integer(session));
	if (extra != NULL)
		(void)json_object_update(o, extra);
	json_decref(extra);
	return o; /* NULL or short of members when memory is out */
}

void
event_session(const struct session *s, const char *name, json_t *extra)
{
	ctl_event(s->daemon->ctl, s->owner, s->id,
	    begin(name, s->endpoint, s->id, extra));
}

void
event_progress(const struct session *s, const char *name, json_t *extra)
{
	ctl_event_newest(s->daemon->ctl, s->owner, s->id,
	    begin(name, s->endpoint, s->id, extra));
}

void
event_endpoint(const struct endpoint *e, const char *name, json_t *extra)
{
	ctl_event(e->daemon->ctl, e->owner, 0, begin(name, e->id, 0, extra));
}

json_t *
event_ended(int code, const char *reason)
{
	char text[EVENT_MAX_TEXT];

	log_escape(text, sizeof(text), reason, strlen(reason));
	return json_pack("{s:i,s:s,s:s}", "code", code, "name", err_name(code),
	    "reason", text);
}

json_t *
event_gate(const char *state, const char *reason)
{
	return json_pack("{s:s,s:s}", "state", state, "reason", reason);
}

json_t *
event_relay(const struct relay_link_info *info)
{
	char text[EVENT_MAX_TEXT];

	log_escape(text, sizeof(text), info->error, strlen(info->error));
	return json_pack("{s:s,s:s,s:i,s:s}", "state", info->state_name, "host",
	    info->host, "port", (int)info->port, "reason", text);
}
