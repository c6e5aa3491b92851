/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/job_events.h"

#include <stdio.h>
#include <string.h>

#include "lib/addr.h"

static const char *
member(const json_t *params, const char *name)
{
	const char *text = json_string_value(json_object_get(params, name));

	return text != NULL ? text : "";
}

static bool
is_listening_side(const struct job_events *e)
{
	return e->kind == JOB_SHARE || e->kind == JOB_SERVE ||
	       e->kind == JOB_LISTEN || e->kind == JOB_SEND ||
	       e->kind == JOB_INVITE;
}

static bool
is_transfer(const struct job_events *e)
{
	return e->kind >= JOB_LISTEN && e->kind <= JOB_RECEIVE;
}

/* peer v0.18.2 says nothing of where these stand. */
static bool
is_ssh(const struct job_events *e)
{
	return e->kind == JOB_INVITE || e->kind == JOB_ACCEPT;
}

static void
on_waiting(struct job_events *e, const json_t *params)
{
	(void)params;
	if (!e->was_waiting && !is_ssh(e))
		cli_out_status(e->out, "waiting-for-claim");
	e->was_waiting = true;
}

static void
on_claimed(struct job_events *e, const json_t *params)
{
	(void)params;
	e->is_direct = e->is_raw = false;
	e->is_claimed = true;
	if (is_ssh(e) || e->kind == JOB_LISTEN)
		return;
	if (is_listening_side(e) || e->kind == JOB_PIPE)
		cli_out_status(e->out, "claimed");
	if (e->kind == JOB_RECEIVE || (e->kind != JOB_SHARE && !is_transfer(e)))
		cli_out_status(e->out, "probing-direct");
}

static void
on_relay(struct job_events *e, const json_t *params)
{
	(void)params;
	if (is_ssh(e))
		return;
	cli_out_status(
	    e->out, e->is_direct ? "direct-fallback-relay" : "connected-relay");
	if (is_transfer(e) && !e->is_trying && !e->is_direct)
		cli_out_status(e->out, "trying-direct");
	e->is_trying = true;
	e->is_direct = false;
}

/* The siblings' words for what kind of address it is. */
static const char *
class_of(const char *text)
{
	static const uint8_t tailscale6[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1,
		0xe0 };
	struct addr a;

	if (addr_parse(&a, text) < 0)
		return "unknown";
	if ((a.family == AF_INET6 &&
		memcmp(a.ip, tailscale6, sizeof(tailscale6)) == 0) ||
	    (a.family == AF_INET && a.ip[0] == 100 && a.ip[1] >> 6 == 1))
		return "tailscale";
	return addr_is_private(&a) || addr_is_link_local(&a) ||
		       addr_is_loopback(&a)
		   ? "private"
		   : "public";
}

static void
tell_address(struct job_events *e)
{
	if (*e->address == '\0' || strcmp(e->address, e->told) == 0)
		return;
	memcpy(e->told, e->address, sizeof(e->told));
	cli_out_status(e->out, "transport-direct-path=%s", e->address);
	cli_out_status(
	    e->out, "transport-direct-path-class=%s", class_of(e->address));
}

/* Comes before `direct`, and alone when only the address is another. */
static void
on_path(struct job_events *e, const json_t *params)
{
	bool is_raw = strcmp(member(params, "kind"), "raw") == 0;

	(void)snprintf(
	    e->address, sizeof(e->address), "%s", member(params, "address"));
	if (is_raw && !e->is_raw)
		cli_out_status(e->out, "v2-data-plane=raw-direct");
	e->is_raw = is_raw;
	if (e->is_direct)
		tell_address(e);
}

static void
on_direct(struct job_events *e, const json_t *params)
{
	e->is_direct = true;
	(void)snprintf(
	    e->address, sizeof(e->address), "%s", member(params, "address"));
	cli_out_status(e->out, "connected-direct");
	e->told[0] = '\0'; /* once more, for this time */
	tell_address(e);
}

static void
on_ready(struct job_events *e, const json_t *params)
{
	(void)params;
	if (e->reconnecting)
		cli_out_note(e->out, "reconnected");
	e->reconnecting = false;
}

/* derptun says this at the end of each tunnel, share and open never. */
static void
tell_tunnel_end(struct job_events *e)
{
	bool is_derptun = strcmp(e->out->program, "derptun") == 0;

	if (e->is_claimed &&
	    (e->kind == JOB_SERVE || (e->kind == JOB_OPEN && is_derptun)))
		cli_out_status(e->out, "stream-complete");
	e->is_claimed = false;
}

static void
on_ended(struct job_events *e, const json_t *params)
{
	bool is_below =
	    is_listening_side(e) && json_object_get(params, "session") != NULL;

	if (is_transfer(e) && !is_below &&
	    json_integer_value(json_object_get(params, "code")) == 0)
		cli_out_status(e->out, "stream-complete");
	tell_tunnel_end(e);
}

static void
on_reconnecting(struct job_events *e, const json_t *params)
{
	json_int_t delay_ms =
	    json_integer_value(json_object_get(params, "delay_ms"));
	const char *reason = member(params, "reason");

	tell_tunnel_end(e);
	e->reconnecting = true;
	e->is_direct = false;
	cli_out_note(e->out, "reconnecting: %s (retry in %lld s)",
	    *reason != '\0' ? reason : "tunnel lost",
	    (long long)((delay_ms + 999) / 1000));
}

static void
on_unanswered(struct job_events *e, const json_t *params)
{
	cli_out_note(e->out, "%s", member(params, "reason"));
}

static void
on_stream_end(struct job_events *e, const json_t *params)
{
	(void)params;
	if (e->kind != JOB_SHARE && e->kind != JOB_OPEN)
		cli_out_status(e->out, "stream-complete");
}

/* Most reasons begin with "relay HOST:PORT: ".  The relays of a region take
 * turns; that alone is no news. */
static const char *
without_relay(const char *reason)
{
	const char *end = strstr(reason, ": ");

	if (strncmp(reason, "relay ", strlen("relay ")) != 0 || end == NULL)
		return reason;
	return end + 2;
}

/* What may keep a listening side waiting for ever is told once per change, and
 * then its end.  Claiming sides end with it as their reason. */
static void
on_relay_state(struct job_events *e, const json_t *params)
{
	const char *state = member(params, "state");
	const char *host = member(params, "host");
	const char *reason = member(params, "reason");
	long long port = json_integer_value(json_object_get(params, "port"));
	const char *why;

	cli_out_status(
	    e->out, "relay-state=%s host=%s port=%lld", state, host, port);
	if (!is_listening_side(e))
		return;
	if (strcmp(state, "waiting") == 0) {
		why = without_relay(reason);
		if (strcmp(why, e->relay_said) == 0)
			return;
		if (why != reason)
			cli_out_note(e->out, "%s", reason);
		else
			cli_out_note(
			    e->out, "relay %s:%lld: %s", host, port, reason);
		(void)snprintf(e->relay_said, sizeof(e->relay_said), "%s", why);
	} else if (strcmp(state, "connected") == 0 && *e->relay_said != '\0') {
		cli_out_note(e->out, "relay %s:%lld: connected", host, port);
		e->relay_said[0] = '\0';
	}
}

/* Likewise: without a gate nobody is let in. */
static void
on_gate_state(struct job_events *e, const json_t *params)
{
	const char *reason = member(params, "reason");
	bool is_lost = strcmp(member(params, "state"), "lost") == 0;
	char said[sizeof(e->gate_said)] = "";

	if (is_lost)
		(void)snprintf(said, sizeof(said), "%s", reason);
	if (strcmp(said, e->gate_said) == 0)
		return;
	if (is_lost)
		cli_out_note(
		    e->out, "cannot be reached, starting a gate: %s", reason);
	else
		cli_out_note(e->out, "can be reached again");
	memcpy(e->gate_said, said, sizeof(said));
}

struct event_row {
	const char *name;
	void (*report)(struct job_events *e, const json_t *params);
	enum job_event event;
};

static const struct event_row rows[] = {
	{ "waiting", on_waiting, JOB_EVENT_OTHER },
	{ "claimed", on_claimed, JOB_EVENT_OTHER },
	{ "relay", on_relay, JOB_EVENT_OTHER },
	{ "path", on_path, JOB_EVENT_OTHER },
	{ "direct", on_direct, JOB_EVENT_OTHER },
	{ "ready", on_ready, JOB_EVENT_READY },
	{ "reconnecting", on_reconnecting, JOB_EVENT_OTHER },
	{ "unanswered", on_unanswered, JOB_EVENT_OTHER },
	{ "stream-end", on_stream_end, JOB_EVENT_OTHER },
	{ "relay-state", on_relay_state, JOB_EVENT_OTHER },
	{ "gate-state", on_gate_state, JOB_EVENT_OTHER },
	{ "ended", on_ended, JOB_EVENT_ENDED },
};

void
job_events_init(
    struct job_events *e, const struct cli_out *out, enum job_kind kind)
{
	memset(e, 0, sizeof(*e));
	e->out = out;
	e->kind = kind;
}

/* An endpoint outlives its sessions. */
static bool
is_below(const json_t *params, const char *id_member)
{
	return strcmp(id_member, "endpoint") == 0 &&
	       json_integer_value(json_object_get(params, "session")) != 0;
}

enum job_event
job_events_take(struct job_events *e, const json_t *params,
    const char *id_member, bool is_wanted)
{
	const char *name = member(params, "event");
	const struct event_row *row = NULL;

	if (is_wanted)
		cli_out_event(e->out, json_deep_copy(params));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].name, name) == 0)
			row = &rows[i];
	if (row == NULL)
		return JOB_EVENT_OTHER; /* of a newer daemon */
	if (is_wanted && row->report != NULL)
		row->report(e, params);
	if (row->event == JOB_EVENT_ENDED && is_below(params, id_member)) {
		e->is_direct = false;
		return JOB_EVENT_OTHER;
	}
	return row->event;
}
