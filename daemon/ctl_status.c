/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/ctl_status.h"

#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/endpoint.h"
#include "daemon/relay_link.h"
#include "daemon/session.h"
#include "daemon/worker.h"
#include "lib/sandbox.h"

static void
add_worker(void *arg, enum ipc_role role, uint32_t id, pid_t pid)
{
	json_t *o = json_pack(
	    "{s:i,s:s}", "pid", (int)pid, "role", worker_role_name(role));

	if (o != NULL && role != IPC_ROLE_PORTMAP) /* which is for all */
		(void)json_object_set_new(o,
		    role == IPC_ROLE_GATE ? "endpoint" : "session",
		    json_integer((json_int_t)id));
	(void)json_array_append_new(arg, o);
}

static void
add_relay(void *arg, const struct relay_link_info *i)
{
	json_t *o = json_pack("{s:s,s:i,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}",
	    "host", i->host, "port", (int)i->port, "state", i->state_name,
	    "error", i->error, "since_ms", (json_int_t)i->since_ms,
	    "packets_in", (json_int_t)i->packets_in, "packets_out",
	    (json_int_t)i->packets_out, "packets_lost",
	    (json_int_t)i->packets_lost, "bytes_in", (json_int_t)i->bytes_in,
	    "bytes_out", (json_int_t)i->bytes_out, "queued",
	    (json_int_t)i->queued);

	if (o != NULL && i->state == RELAY_LINK_WAITING)
		(void)json_object_set_new(
		    o, "retry_ms", json_integer(i->retry_ms));
	(void)json_array_append_new(arg, o);
}

static const char *
sandbox_name(void)
{
	switch (sandbox_mode_compiled()) {
	case SANDBOX_OFF:
		return "off";
	case SANDBOX_AUDIT:
		return "audit";
	case SANDBOX_ENFORCE:
	default:
		return "enforce";
	}
}

json_t *
ctl_status_daemon(struct daemon *d)
{
	json_t *workers = json_array();
	json_t *relays = json_array();

	worker_pool_each(d->workers, add_worker, workers);
	relay_pool_each(d->relays, add_relay, relays);
	return json_pack("{s:s,s:i,s:I,s:I,s:s,s:I,s:I,s:o,s:o}", "version",
	    DERPTUND_VERSION, "pid", (int)getpid(), "uid", (json_int_t)d->uid,
	    "uptime_ms",
	    (json_int_t)(mono_diff(loop_now(d->loop), d->started) / MONO_MS),
	    "sandbox", sandbox_name(), "endpoints",
	    (json_int_t)daemon_count_endpoints(d), "sessions",
	    (json_int_t)daemon_count_sessions(d), "workers", workers, "relays",
	    relays);
}

json_t *
ctl_status_endpoints(struct daemon *d)
{
	json_t *list = json_array();
	const struct endpoint *e;

	LIST_FOREACH(e, &d->endpoints, entry)
		(void)json_array_append_new(list, endpoint_status(e));
	return json_pack("{s:o}", "endpoints", list);
}

json_t *
ctl_status_sessions(struct daemon *d)
{
	json_t *list = json_array();
	const struct session *s;

	LIST_FOREACH(s, &d->sessions, entry)
		(void)json_array_append_new(list, session_status(s));
	return json_pack("{s:o}", "sessions", list);
}
