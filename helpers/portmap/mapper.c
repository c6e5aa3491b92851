/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A lease is one local port: WAITING -> ASKING -> HELD -> ASKING (renewal) ...
 * -> REMOVING -> gone.  It keeps the address that was reported until that
 * expires, is refused, or changes, whatever happens between.
 *
 * The gateway is IDLE until a lease wants it.  One lease, the probe, then finds
 * out what the gateway speaks: UDP (PCP, and NAT-PMP beside it), then UPNP.
 * What grants the probe's mapping is WORKING and serves all other leases, some
 * at a time.  A probe without success makes the gateway IDLE for a pause that
 * grows: silence costs one attempt at a time.
 *
 * A gateway that restarted says so by its epoch (mapper_udp_poll()) or by not
 * knowing our mapping (CHECKING): every lease is asked for again.  That happens
 * once in a while at most, so that no answer can make us chatter.
 */
#include "helpers/portmap/mapper.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/portmap/mapper_state.h"
#include "lib/err.h"

/* Leases asked for at the same time: home gateways are slow. */
#define MAX_ASKING 4u

struct mapper *
mapper_new(const struct mapper_params *p)
{
	struct mapper *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->p = *p;
	LIST_INIT(&m->leases);
	m->pause_us = MAPPER_FIRST_PAUSE_US;
	m->ask_all_at = MONO_NEVER;
	m->poll_at = MONO_NEVER;
	mapper_upnp_init(m);
	return m;
}

void
mapper_free(struct mapper *m)
{
	struct lease *l, *next;

	if (m == NULL)
		return;
	LIST_FOREACH_SAFE(l, &m->leases, entry, next)
		free(l);
	free(m);
}

static struct lease *
find(const struct mapper *m, uint16_t port)
{
	struct lease *l;

	LIST_FOREACH(l, &m->leases, entry)
		if (l->request.port == port)
			return l;
	return NULL;
}

static void
ask_all_now(struct mapper *m, struct mono now)
{
	struct lease *l;

	m->ask_all_at = MONO_NEVER;
	m->asked_all = now;
	LIST_FOREACH(l, &m->leases, entry)
		l->renew_at = now; /* matters only where it is held */
}

int
mapper_request(
    struct mapper *m, const struct ipc_map_request *r, struct mono now)
{
	struct lease *l = find(m, r->port);

	if (l != NULL && (l->state != LEASE_REMOVING || l->again))
		return -EEXIST;
	if (m->stopping)
		return -DT_ERR_CLOSED;
	if (l != NULL) {
		l->again = true;
		l->next = *r;
		return 0;
	}
	if (m->n_leases >= MAPPER_MAX_LEASES)
		return -DT_ERR_LIMIT;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->request = *r;
	l->not_before = now;
	LIST_INSERT_HEAD(&m->leases, l, entry);
	m->n_leases++;
	return 0;
}

static void
release(struct mapper *m, struct lease *l, struct mono now)
{
	if (l->state == LEASE_REMOVING) {
		l->again = false;
		return;
	}
	memset(&l->external, 0, sizeof(l->external));
	if (m->probe == l) {
		mapper_end_probe(m);
		m->retry_at = now; /* another one may try */
	}
	mapper_set_state(m, l, LEASE_REMOVING);
	l->sends = 0;
	l->next_send = now;
	if (l->pcp_late)
		mapper_udp_remove_late(m, l);
	if (!l->may_exist && l->orphan == 0 && m->igd_lease != l)
		mapper_forget(m, l);
}

void
mapper_release(struct mapper *m, uint16_t port, struct mono now)
{
	struct lease *l = find(m, port);

	if (l != NULL)
		release(m, l, now);
}

void
mapper_stop(struct mapper *m, struct mono now)
{
	struct lease *l, *next;

	m->stopping = true;
	LIST_FOREACH_SAFE(l, &m->leases, entry, next)
		release(m, l, now);
}

bool
mapper_is_empty(const struct mapper *m)
{
	return m->n_leases == 0;
}

static struct mono
later(struct mono a, struct mono b)
{
	return mono_before(a, b) ? b : a;
}

static struct mono
renewal_due(const struct mapper *m, const struct lease *l)
{
	if (mapper_is_udp(l))
		return m->n_asking < MAX_ASKING ? l->renew_at : MONO_NEVER;
	if (m->phase == MAPPER_IDLE) /* as the probe */
		return m->retry_at;
	if (m->phase == MAPPER_WORKING && m->n_asking < MAX_ASKING)
		return l->renew_at;
	return MONO_NEVER;
}

/* When there is something to do for @l; NEVER: others will see to it. */
static struct mono
due(const struct mapper *m, const struct lease *l)
{
	struct mono t = MONO_NEVER;

	if (l->state == LEASE_WAITING && m->phase == MAPPER_IDLE)
		t = later(l->not_before, m->retry_at);
	else if (l->state == LEASE_WAITING && m->phase == MAPPER_WORKING &&
		 m->n_asking < MAX_ASKING)
		t = l->not_before;
	else if (l == m->probe)
		t = m->phase == MAPPER_UDP ? l->next_send : m->upnp_until;
	else if (l->state == LEASE_HELD)
		t = renewal_due(m, l);
	else if (l->state != LEASE_WAITING && mapper_is_udp(l))
		t = l->next_send;
	return l->external.family != 0 ? mono_min(t, l->expires_at) : t;
}

static void
ask(struct mapper *m, struct lease *l, struct mono now)
{
	mapper_set_state(m, l, LEASE_ASKING);
	if (m->phase == MAPPER_WORKING)
		l->protocol = m->protocol;
	l->asked_at = now;
	l->sends = 0;
	l->next_send = now;
	if (mapper_is_udp(l))
		mapper_udp_ask(m, l, now);
}

static void
start_probe(struct mapper *m, struct lease *l, struct mono now)
{
	mapper_set_state(m, l, LEASE_ASKING);
	m->probe = l;
	m->phase = MAPPER_UDP;
	m->pcp_refused = false;
	m->natpmp_refused = false;
	m->natpmp_seen = false;
	mapper_upnp_reset(m);
	l->protocol = IPC_PORTMAP_PCP;
	l->sends = 0;
	l->next_send = now;
	mapper_udp_probe(m, now);
}

static void
run_asking(struct mapper *m, struct lease *l, struct mono now)
{
	if (l != m->probe) {
		mapper_udp_ask(m, l, now);
	} else if (m->phase == MAPPER_UDP) {
		mapper_udp_probe(m, now);
	} else if (m->igd_lease != l) {
		mapper_upnp_reset(m);
		mapper_unanswered(m, l, now);
	} else { /* its mapping is being made: a few seconds more */
		m->upnp_until = mono_add(now, MONO_SEC);
	}
}

/* The reported mapping came to its end without being renewed. */
static void
expire(struct mapper *m, struct lease *l, struct mono now)
{
	if (l->state == LEASE_HELD)
		mapper_wait(m, l, now);
	mapper_report_gone(m, l, -ETIMEDOUT);
}

static void
run_lease(struct mapper *m, struct lease *l, struct mono now)
{
	if (mono_before(now, due(m, l)))
		return;
	if (l->external.family != 0 && !mono_before(now, l->expires_at)) {
		expire(m, l, now);
		return;
	}
	switch (l->state) {
	case LEASE_WAITING:
	case LEASE_HELD:
		if (m->phase == MAPPER_IDLE &&
		    (l->state == LEASE_WAITING || !mapper_is_udp(l)))
			start_probe(m, l, now);
		else
			ask(m, l, now);
		break;
	case LEASE_ASKING:
		run_asking(m, l, now);
		break;
	case LEASE_REMOVING:
		mapper_udp_remove(m, l, now);
		break;
	}
}

static void
poll_gateway(struct mapper *m, struct mono now)
{
	struct lease *l, *oldest = NULL;

	mapper_set_poll(m, now);
	LIST_FOREACH(l, &m->leases, entry)
		if (l->state == LEASE_HELD &&
		    (oldest == NULL ||
			mono_before(l->renew_at, oldest->renew_at)))
			oldest = l;
	if (oldest == NULL)
		return;
	if (m->protocol == IPC_PORTMAP_PCP)
		oldest->renew_at = now; /* tells all that we want to know */
	else if (m->protocol == IPC_PORTMAP_NATPMP)
		mapper_udp_poll(m, now);
	else
		m->igd_poll = true;
}

void
mapper_run(struct mapper *m, struct mono now)
{
	struct lease *l, *next;

	igd_run(&m->igd, now);
	if (!mono_before(now, m->ask_all_at))
		ask_all_now(m, now);
	if (m->phase == MAPPER_WORKING && !mono_before(now, m->poll_at))
		poll_gateway(m, now);
	LIST_FOREACH_SAFE(l, &m->leases, entry, next)
		run_lease(m, l, now);
	mapper_upnp_run(m, now);
}

struct mono
mapper_deadline(const struct mapper *m)
{
	struct mono t = mono_min(igd_deadline(&m->igd), m->ask_all_at);
	const struct lease *l;

	if (m->phase == MAPPER_WORKING)
		t = mono_min(t, m->poll_at);
	LIST_FOREACH(l, &m->leases, entry)
		t = mono_min(t, due(m, l));
	return t;
}

void
mapper_on_answer(struct mapper *m, const struct addr *from, const void *p,
    size_t len, struct mono now)
{
	igd_on_answer(&m->igd, from, p, len, now);
}

void
mapper_on_reply(struct mapper *m, int r, int status, const void *body,
    size_t len, struct mono now)
{
	igd_on_reply(&m->igd, r, status, body, len, now);
}
