/* SPDX-License-Identifier: BSD-3-Clause */
/* What becomes of leases and of the gateway; the theory is in mapper.c. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "helpers/portmap/mapper_state.h"
#include "lib/secret.h"

/* Pauses between probes double up to this. */
#define MAX_PAUSE_US (600 * MONO_SEC)
/* Before one that was not answered while others were is asked for again. */
#define BUSY_US (2 * MONO_SEC)
/* Between renewals of one lease, RFC 6887 11.2.1. */
#define MIN_RENEW_US (4 * MONO_SEC)
/* A restart of the gateway is noticed after so long. */
#define POLL_UDP_US (60 * MONO_SEC)
#define POLL_UPNP_US (300 * MONO_SEC)
/* Between two times that everything is asked for again. */
#define ASK_ALL_US (30 * MONO_SEC)
/* Longer lives are not believed; shorter ones are not worth the chatter. */
#define MAX_LIFETIME_S 86400u
#define MIN_LIFETIME_S 8u

void
mapper_set_state(struct mapper *m, struct lease *l, enum lease_state state)
{
	if (l->state == LEASE_ASKING)
		m->n_asking--;
	if (state == LEASE_ASKING)
		m->n_asking++;
	l->state = state;
}

void
mapper_wait(struct mapper *m, struct lease *l, struct mono at)
{
	mapper_set_state(m, l, LEASE_WAITING);
	l->not_before = at;
}

void
mapper_forget(struct mapper *m, struct lease *l)
{
	assert(l != m->probe && l != m->igd_lease);
	LIST_REMOVE(l, entry);
	m->n_leases--;
	if (l->state == LEASE_ASKING)
		m->n_asking--;
	free(l);
}

static void
report(struct mapper *m, const struct lease *l, uint32_t lifetime_s)
{
	struct ipc_mapped v = { l->request.port, l->protocol, l->external,
		lifetime_s, 0 };

	m->p.report(m->p.arg, &v);
}

void
mapper_report_gone(struct mapper *m, struct lease *l, int reason)
{
	struct ipc_mapped v = { .port = l->request.port, .reason = reason };

	if (l->external.family == 0)
		return;
	memset(&l->external, 0, sizeof(l->external));
	m->p.report(m->p.arg, &v);
}

/* Later by up to a quarter: not all hosts of a network at once. */
static int64_t
jittered(int64_t us)
{
	return us + us / 4 * (int64_t)secret_random_below(1001) / 1000;
}

/* The probe ended, one way or the other. */
void
mapper_end_probe(struct mapper *m)
{
	m->probe = NULL;
	m->phase = MAPPER_IDLE;
}

static void
probe_failed(struct mapper *m, struct mono now)
{
	mapper_end_probe(m);
	m->retry_at = mono_add(now, jittered(m->pause_us));
	m->pause_us =
	    m->pause_us < MAX_PAUSE_US / 2 ? m->pause_us * 2 : MAX_PAUSE_US;
}

void
mapper_lost(struct mapper *m, struct mono now)
{
	struct lease *l;

	if (m->phase != MAPPER_WORKING)
		return;
	m->phase = MAPPER_IDLE;
	m->retry_at = mono_add(now, jittered(m->pause_us));
	LIST_FOREACH(l, &m->leases, entry) {
		if (l->state != LEASE_ASKING || mapper_is_udp(l) ||
		    l == m->igd_lease)
			continue;
		mapper_set_state(
		    m, l, l->external.family != 0 ? LEASE_HELD : LEASE_WAITING);
		l->not_before = now;
	}
	mapper_ask_all(m, now);
}

void
mapper_set_poll(struct mapper *m, struct mono now)
{
	m->poll_at = mono_add(
	    now, m->protocol == IPC_PORTMAP_UPNP ? POLL_UPNP_US : POLL_UDP_US);
}

void
mapper_heard(struct mapper *m, struct mono now)
{
	m->heard = now;
	mapper_set_poll(m, now);
}

void
mapper_ask_all(struct mapper *m, struct mono now)
{
	struct mono at = mono_add(m->asked_all, ASK_ALL_US);

	m->ask_all_at = m->asked_all.us == 0 || mono_before(at, now) ? now : at;
}

bool
mapper_is_usable(const struct addr *a)
{
	return a->family == AF_INET && a->port != 0 &&
	       !addr_is_unspecified(a) && !addr_is_loopback(a) &&
	       !addr_is_multicast(a) && !addr_is_broadcast(a);
}

static void
start_working(struct mapper *m, const struct lease *l, struct mono now)
{
	m->probe = NULL;
	m->phase = MAPPER_WORKING;
	m->protocol = l->protocol;
	m->pause_us = MAPPER_FIRST_PAUSE_US;
	if (l->protocol != IPC_PORTMAP_UPNP)
		mapper_upnp_reset(m);
	mapper_heard(m, now);
}

void
mapper_granted(struct mapper *m, struct lease *l, const struct addr *external,
    uint32_t lifetime_s, struct mono now)
{
	int64_t life_us, renew_us;
	bool changed = !addr_equal(&l->external, external);

	assert(l->state == LEASE_ASKING);
	if (!mapper_is_usable(external) || lifetime_s < MIN_LIFETIME_S) {
		mapper_refused(m, l, -EADDRNOTAVAIL, 0, now);
		l->may_exist = true; /* useless, and to be removed */
		return;
	}
	if (lifetime_s > MAX_LIFETIME_S)
		lifetime_s = MAX_LIFETIME_S;
	life_us = lifetime_s * MONO_SEC;
	/* From half of it on, spread over a sixteenth: RFC 6887 11.2.1. */
	renew_us = life_us / 2 +
		   life_us / 16 * (int64_t)secret_random_below(1001) / 1000;
	mapper_set_state(m, l, LEASE_HELD);
	l->may_exist = true;
	l->external = *external;
	l->request.external_port = external->port;
	l->expires_at = mono_add(now, life_us);
	l->renew_at =
	    mono_add(now, renew_us > MIN_RENEW_US ? renew_us : MIN_RENEW_US);
	if (m->probe == l || m->phase == MAPPER_IDLE)
		start_working(m, l, now);
	if (changed)
		report(m, l, lifetime_s);
}

void
mapper_refused(struct mapper *m, struct lease *l, int reason, uint32_t hold_s,
    struct mono now)
{
	static const uint32_t min_s = 30, max_s = 1800;

	assert(l->state == LEASE_ASKING);
	if (hold_s < min_s)
		hold_s = min_s;
	if (hold_s > max_s)
		hold_s = max_s;
	/* What was refused may be a renewal. */
	l->may_exist = l->external.family != 0;
	mapper_wait(m, l, mono_add(now, jittered(hold_s * MONO_SEC)));
	if (m->probe == l)
		probe_failed(m, now);
	mapper_report_gone(m, l, reason);
}

void
mapper_unanswered(struct mapper *m, struct lease *l, struct mono now)
{
	int64_t rest_us;

	assert(l->state == LEASE_ASKING);
	if (l->external.family != 0) {
		rest_us = mono_diff(l->expires_at, now) / 2;
		mapper_set_state(m, l, LEASE_HELD);
		l->renew_at = mono_add(
		    now, rest_us > MIN_RENEW_US ? rest_us : MIN_RENEW_US);
	} else {
		mapper_wait(m, l, now);
	}
	if (m->probe == l)
		probe_failed(m, now);
	else if (!mono_before(m->heard, l->asked_at))
		l->not_before = mono_add(now, BUSY_US); /* not lost */
	else if (l->external.family == 0)
		mapper_lost(m, now);
}

void
mapper_moved(
    struct mapper *m, enum ipc_portmap_protocol protocol, const struct addr *ip)
{
	struct lease *l;
	struct addr a;

	LIST_FOREACH(l, &m->leases, entry) {
		a = *ip;
		a.port = l->external.port;
		if (l->external.family == 0 || l->protocol != protocol ||
		    addr_equal(&a, &l->external) || !mapper_is_usable(&a))
			continue;
		l->external = a;
		report(m, l, MAPPER_LIFETIME_S);
	}
}

void
mapper_removed(struct mapper *m, struct lease *l, struct mono now)
{
	assert(l->state == LEASE_REMOVING);
	if (!l->again) {
		mapper_forget(m, l);
		return;
	}
	l->again = false;
	l->may_exist = false;
	l->pcp_late = false;
	l->request = l->next;
	mapper_wait(m, l, now);
}
