/* SPDX-License-Identifier: BSD-3-Clause */
/* UPnP's part of the mapper: one piece of work at a time for the igd. */
#include <errno.h>

#include "helpers/portmap/mapper_state.h"
#include "lib/err.h"

/* From the end of the UDP phase: search, description, mapping. */
#define UPNP_PROBE_US (8 * MONO_SEC)
/* A gateway that said no is asked again. */
#define HOLD_S 300u

static void
on_search(void *arg, const void *p, size_t len)
{
	struct mapper *m = arg;

	m->p.search(m->p.arg, p, len);
}

static void
on_http(void *arg, uint16_t port, const void *p, size_t len)
{
	struct mapper *m = arg;

	m->p.http(m->p.arg, port, p, len);
}

static void
on_found(void *arg, bool found, struct mono now)
{
	struct mapper *m = arg;

	if (!found && m->phase == MAPPER_UPNP)
		mapper_unanswered(m, m->probe, now);
}

static void
on_added(struct mapper *m, struct lease *l, const struct igd_result *res,
    struct mono now)
{
	struct addr external = res->address;

	if (res->error != IGD_REFUSED)
		l->request.external_port = res->external_port;
	l->orphan = res->orphan;
	if (l->state == LEASE_REMOVING) { /* meanwhile; remove it next */
		l->may_exist = res->error != IGD_REFUSED;
		if (!l->may_exist)
			mapper_removed(m, l, now);
	} else if (res->error == 0) {
		external.port = res->external_port;
		mapper_granted(m, l, &external, MAPPER_LIFETIME_S, now);
	} else if (res->error == IGD_REFUSED) {
		mapper_refused(m, l, -EACCES, HOLD_S, now);
	} else {
		mapper_unanswered(m, l, now);
		mapper_lost(m, now);
	}
}

static void
on_checked(struct mapper *m, const struct igd_result *res, struct mono now)
{
	if (res->error == IGD_LOST)
		mapper_ask_all(m, now);
	else if (res->error != 0)
		mapper_lost(m, now);
	else
		mapper_moved(m, IPC_PORTMAP_UPNP, &res->address);
}

/* A port that the lease had before it got another. */
static void
on_orphan_removed(struct mapper *m, struct lease *l, struct mono now)
{
	l->orphan = 0;
	if (l->state == LEASE_REMOVING && !l->may_exist)
		mapper_removed(m, l, now);
}

static void
on_done(void *arg, const struct igd_result *res, struct mono now)
{
	struct mapper *m = arg;
	struct lease *l = m->igd_lease;

	m->igd_lease = NULL;
	if (m->protocol == IPC_PORTMAP_UPNP && res->error != IGD_SILENT)
		mapper_heard(m, now);
	if (m->igd_work == IGD_ADDING)
		on_added(m, l, res, now);
	else if (m->igd_work == IGD_FREEING)
		on_orphan_removed(m, l, now);
	else if (m->igd_work == IGD_REMOVING)
		mapper_removed(m, l, now);
	else if (l->state == LEASE_HELD)
		on_checked(m, res, now);
}

void
mapper_upnp_init(struct mapper *m)
{
	struct igd_params p = {
		.gateway = m->p.gateway,
		.local = m->p.local,
		.search = on_search,
		.http = on_http,
		.on_found = on_found,
		.on_done = on_done,
		.arg = m,
	};

	igd_init(&m->igd, &p);
}

void
mapper_upnp_reset(struct mapper *m)
{
	const struct lease *l;

	if (m->igd_lease != NULL)
		return;
	LIST_FOREACH(l, &m->leases, entry)
		if (l->state == LEASE_REMOVING &&
		    l->protocol == IPC_PORTMAP_UPNP)
			return;
	igd_reset(&m->igd);
}

void
mapper_upnp_search(struct mapper *m, struct mono now)
{
	if (m->igd.state == IGD_OFF)
		igd_discover(&m->igd, now);
}

void
mapper_upnp_probe(struct mapper *m, struct mono now)
{
	m->phase = MAPPER_UPNP;
	m->probe->protocol = IPC_PORTMAP_UPNP;
	m->probe->may_exist = m->probe->external.family != 0;
	m->upnp_until = mono_add(now, UPNP_PROBE_US);
	mapper_upnp_search(m, now);
}

static bool
is_for_upnp(const struct mapper *m, const struct lease *l)
{
	if (l->protocol != IPC_PORTMAP_UPNP)
		return false;
	if (l->orphan != 0)
		return true;
	if (l->state == LEASE_REMOVING)
		return true;
	if (l->state == LEASE_ASKING)
		return m->phase == MAPPER_WORKING || l == m->probe;
	return l->state == LEASE_HELD && m->igd_poll;
}

/* Removing comes first: it is what nobody does later. */
static struct lease *
next_lease(const struct mapper *m)
{
	struct lease *l, *best = NULL;

	LIST_FOREACH(l, &m->leases, entry)
		if (is_for_upnp(m, l) &&
		    (best == NULL || l->state == LEASE_REMOVING ||
			(l->state == LEASE_ASKING &&
			    best->state == LEASE_HELD)))
			best = l;
	return best;
}

/* No gateway to tell: the mapping ends with its life. */
static void
give_up_removing(struct mapper *m, struct mono now)
{
	struct lease *l, *next;

	LIST_FOREACH_SAFE(l, &m->leases, entry, next)
		if (l->state == LEASE_REMOVING &&
		    l->protocol == IPC_PORTMAP_UPNP && l != m->igd_lease)
			mapper_removed(m, l, now);
}

static void
work(struct mapper *m, struct lease *l)
{
	m->igd_lease = l;
	if (l->orphan != 0) {
		m->igd_work = IGD_FREEING;
		igd_remove(&m->igd, l->orphan);
	} else if (l->state == LEASE_REMOVING) {
		m->igd_work = IGD_REMOVING;
		igd_remove(&m->igd, l->request.external_port);
	} else if (l->state == LEASE_ASKING) {
		m->igd_work = IGD_ADDING;
		l->may_exist = true;
		igd_add(&m->igd, l->request.port, l->request.external_port,
		    MAPPER_LIFETIME_S);
	} else {
		m->igd_work = IGD_CHECKING;
		m->igd_poll = false;
		igd_check(&m->igd, l->request.port, l->request.external_port);
	}
}

void
mapper_upnp_run(struct mapper *m, struct mono now)
{
	struct lease *l;

	if (m->igd_lease != NULL)
		return;
	if (m->igd.state == IGD_OFF)
		give_up_removing(m, now);
	if (!igd_is_ready(&m->igd))
		return;
	l = next_lease(m);
	if (l != NULL)
		work(m, l);
}
