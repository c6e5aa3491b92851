/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * The probe sends PCP's MAP and, beside it, NAT-PMP's question for the public
 * address, which changes nothing.  PCP's grant ends it.  A gateway that refuses
 * PCP or keeps silent about it for one round, but answers the other, is asked
 * for a mapping by NAT-PMP; never by both, as gateways keep one table for both
 * and removing one would remove the other's.  Who refuses both, or says
 * nothing, is left to UPnP.
 *
 * Answers are believed when they answer something: the port and the nonce (PCP)
 * or a lease that is waiting (NAT-PMP has no more than that).
 */
#include <errno.h>
#include <string.h>

#include "helpers/portmap/mapper_state.h"
#include "lib/err.h"
#include "proto/portmap/natpmp.h"
#include "proto/portmap/pcp.h"

_Static_assert(PCP_NONCE_LEN == IPC_PORTMAP_NONCE_LEN, "one nonce");

/* Until the next datagram; the last one until giving up.  RFC 6886 3.1 doubles
 * from 250 ms up to nine times, RFC 6887 8.1.1 from 3 s.  The probe is quick,
 * as there is UPnP; the others know that the gateway answers, in its own time.
 */
static const int64_t ask_waits_us[] = { 1000 * MONO_MS, 2000 * MONO_MS,
	4000 * MONO_MS };
static const int64_t probe_waits_us[] = { 250 * MONO_MS, 500 * MONO_MS,
	250 * MONO_MS };
static const int64_t remove_waits_us[] = { 350 * MONO_MS, 350 * MONO_MS };

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Without a reason to think otherwise, a refusal lasts. */
#define HOLD_S 300u

static void
send_pcp(struct mapper *m, struct lease *l, uint32_t lifetime_s)
{
	uint8_t out[PCP_MAP_LEN];
	struct pcp_map map;

	memset(&map, 0, sizeof(map));
	memcpy(map.nonce, l->request.nonce, sizeof(map.nonce));
	map.internal_port = l->request.port;
	map.lifetime_s = lifetime_s;
	if (l->external.family != 0)
		map.external = l->external;
	map.external.port = l->request.external_port;
	pcp_write_map(out, &m->p.local, &map);
	m->p.send(m->p.arg, out, sizeof(out));
	l->may_exist = true;
}

static void
send_natpmp(struct mapper *m, struct lease *l, uint32_t lifetime_s)
{
	uint8_t out[NATPMP_MAP_REQUEST_LEN];

	natpmp_write_map_request(out, l->request.port,
	    lifetime_s != 0 ? l->request.external_port : 0, lifetime_s);
	m->p.send(m->p.arg, out, sizeof(out));
	l->may_exist = true;
}

static void
ask_address(struct mapper *m)
{
	uint8_t out[NATPMP_ADDRESS_REQUEST_LEN];

	natpmp_write_address_request(out);
	m->p.send(m->p.arg, out, sizeof(out));
	m->natpmp_address_asked = true;
}

void
mapper_udp_poll(struct mapper *m, struct mono now)
{
	(void)now;
	ask_address(m);
}

void
mapper_udp_ask(struct mapper *m, struct lease *l, struct mono now)
{
	if (l->sends == COUNT(ask_waits_us)) {
		mapper_unanswered(m, l, now);
		return;
	}
	l->next_send = mono_add(now, ask_waits_us[l->sends++]);
	if (l->protocol == IPC_PORTMAP_PCP) {
		send_pcp(m, l, MAPPER_LIFETIME_S);
		return;
	}
	if (m->natpmp_address.family == 0)
		ask_address(m);
	send_natpmp(m, l, MAPPER_LIFETIME_S);
}

void
mapper_udp_remove(struct mapper *m, struct lease *l, struct mono now)
{
	if (l->sends == COUNT(remove_waits_us)) {
		mapper_removed(m, l, now);
		return;
	}
	l->next_send = mono_add(now, remove_waits_us[l->sends++]);
	if (l->protocol == IPC_PORTMAP_PCP)
		send_pcp(m, l, 0);
	else
		send_natpmp(m, l, 0);
}

void
mapper_udp_remove_late(struct mapper *m, struct lease *l)
{
	bool may_exist = l->may_exist;

	send_pcp(m, l, 0);
	l->may_exist = may_exist;
}

static void
probe_natpmp(struct mapper *m, struct mono now)
{
	struct lease *l = m->probe;

	l->protocol = IPC_PORTMAP_NATPMP;
	l->sends = 0;
	l->next_send = now;
	mapper_udp_probe(m, now);
}

/* Has what was heard decided something? */
static void
probe_decide(struct mapper *m, struct mono now)
{
	if (m->phase != MAPPER_UDP || m->probe->protocol != IPC_PORTMAP_PCP)
		return;
	if (m->pcp_refused && m->natpmp_seen)
		probe_natpmp(m, now);
	else if (m->pcp_refused && m->natpmp_refused)
		mapper_upnp_probe(m, now);
}

void
mapper_udp_probe(struct mapper *m, struct mono now)
{
	struct lease *l = m->probe;

	if (l->sends == COUNT(probe_waits_us)) {
		mapper_upnp_probe(m, now);
		return;
	}
	if (l->protocol == IPC_PORTMAP_PCP && l->sends > 0 && m->natpmp_seen) {
		probe_natpmp(m, now);
		return;
	}
	if (l->sends > 0) /* beside it, as it takes longest */
		mapper_upnp_search(m, now);
	l->next_send = mono_add(now, probe_waits_us[l->sends++]);
	if (l->protocol == IPC_PORTMAP_NATPMP) {
		send_natpmp(m, l, MAPPER_LIFETIME_S);
		return;
	}
	if (!m->pcp_refused)
		send_pcp(m, l, MAPPER_LIFETIME_S);
	if (!m->natpmp_seen && !m->natpmp_refused)
		ask_address(m);
}

void
mapper_on_refused(struct mapper *m, struct mono now)
{
	/* Elsewhere the service may be restarting: patience. */
	if (m->phase == MAPPER_UDP)
		mapper_upnp_probe(m, now);
}

static int
pcp_reason(uint8_t result)
{
	switch (result) {
	case PCP_NOT_AUTHORIZED:
		return -EACCES;
	case PCP_NETWORK_FAILURE:
		return -ENETDOWN;
	case PCP_NO_RESOURCES:
	case PCP_USER_EX_QUOTA:
		return -ENOSPC;
	default:
		return -EPROTO;
	}
}

static int
natpmp_reason(uint16_t result)
{
	switch (result) {
	case NATPMP_REFUSED:
		return -EACCES;
	case NATPMP_NETWORK_FAILURE:
		return -ENETDOWN;
	case NATPMP_OUT_OF_RESOURCES:
		return -ENOSPC;
	default:
		return -EPROTO;
	}
}

static struct lease *
find_pcp(const struct mapper *m, const struct pcp_map *map)
{
	struct lease *l;

	LIST_FOREACH(l, &m->leases, entry)
		if (l->request.port == map->internal_port &&
		    memcmp(l->request.nonce, map->nonce, sizeof(map->nonce)) ==
			0)
			return l;
	/* A refusal may leave out what it refuses. */
	return map->internal_port == 0 && m->phase == MAPPER_UDP ? m->probe
								 : NULL;
}

static void
on_pcp_asking(struct mapper *m, struct lease *l, const struct pcp_response *v,
    struct mono now)
{
	if (v->result == PCP_OK && v->map.lifetime_s != 0) {
		mapper_granted(m, l, &v->map.external, v->map.lifetime_s, now);
	} else if (v->result != PCP_OK && l == m->probe) {
		m->pcp_refused = true;
		l->may_exist = false;
		probe_decide(m, now);
	} else if (v->result != PCP_OK) {
		mapper_refused(
		    m, l, pcp_reason(v->result), v->map.lifetime_s, now);
	}
}

static void
on_pcp(struct mapper *m, const struct pcp_response *v, struct mono now)
{
	struct lease *l = find_pcp(m, &v->map);

	if (l == NULL)
		return;
	if (l->protocol != IPC_PORTMAP_PCP) {
		if (v->result == PCP_OK && v->map.lifetime_s != 0)
			l->pcp_late = true;
		return;
	}
	mapper_heard(m, now);
	if (!epoch_update(&m->pcp_epoch, v->epoch_s, now))
		mapper_ask_all(m, now);
	if (l->state == LEASE_ASKING)
		on_pcp_asking(m, l, v, now);
	else if (l->state == LEASE_REMOVING && l->sends > 0 &&
		 (v->result != PCP_OK || v->map.lifetime_s == 0))
		mapper_removed(m, l, now);
}

static void
on_address(struct mapper *m, const struct natpmp_response *v, struct mono now)
{
	struct addr probe = v->address;
	bool usable;

	if (!m->natpmp_address_asked)
		return;
	m->natpmp_address_asked = false;
	mapper_heard(m, now);
	probe.port = 1; /* any */
	usable = v->result == NATPMP_OK && mapper_is_usable(&probe);
	if (usable) {
		m->natpmp_address = v->address;
		mapper_moved(m, IPC_PORTMAP_NATPMP, &v->address);
	}
	m->natpmp_seen = usable;
	m->natpmp_refused = !usable;
	probe_decide(m, now);
}

static struct lease *
find_natpmp(const struct mapper *m, uint16_t port)
{
	struct lease *l;

	LIST_FOREACH(l, &m->leases, entry)
		if (l->request.port == port &&
		    l->protocol == IPC_PORTMAP_NATPMP)
			return l;
	if (port == 0 && m->phase == MAPPER_UDP &&
	    m->probe->protocol == IPC_PORTMAP_NATPMP)
		return m->probe;
	return NULL;
}

static void
on_natpmp_asking(struct mapper *m, struct lease *l,
    const struct natpmp_response *v, struct mono now)
{
	struct addr external = m->natpmp_address;

	external.port = v->external_port;
	if (v->result == NATPMP_OK && v->lifetime_s != 0) {
		/* Without an address the next round asks for both. */
		if (m->natpmp_address.family != 0)
			mapper_granted(m, l, &external, v->lifetime_s, now);
	} else if (v->result != NATPMP_OK && l == m->probe) {
		mapper_upnp_probe(m, now);
	} else if (v->result != NATPMP_OK) {
		mapper_refused(m, l, natpmp_reason(v->result), HOLD_S, now);
	}
}

static void
on_mapping(struct mapper *m, const struct natpmp_response *v, struct mono now)
{
	struct lease *l = find_natpmp(m, v->internal_port);

	if (l == NULL)
		return;
	mapper_heard(m, now);
	if (l->state == LEASE_ASKING)
		on_natpmp_asking(m, l, v, now);
	else if (l->state == LEASE_REMOVING && l->sends > 0 &&
		 (v->result != NATPMP_OK || v->lifetime_s == 0))
		mapper_removed(m, l, now);
}

static void
on_natpmp(struct mapper *m, const struct natpmp_response *v, struct mono now)
{
	/* This is how a gateway that only knows NAT-PMP answers PCP; there may
	 * be one for each question. */
	if (v->result == NATPMP_VERSION_UNSUPPORTED) {
		m->pcp_refused = true;
		probe_decide(m, now);
		return;
	}
	if (v->epoch_s != 0 &&
	    (v->kind == NATPMP_MAP_UDP || m->natpmp_address_asked) &&
	    !epoch_update(&m->natpmp_epoch, v->epoch_s, now))
		mapper_ask_all(m, now);
	if (v->kind == NATPMP_ADDRESS)
		on_address(m, v, now);
	else
		on_mapping(m, v, now);
}

void
mapper_on_datagram(struct mapper *m, const void *p, size_t len, struct mono now)
{
	struct natpmp_response n;
	struct pcp_response v;

	if (natpmp_parse_response(p, len, &n) == 0)
		on_natpmp(m, &n, now);
	else if (pcp_parse_response(p, len, &v) == 0)
		on_pcp(m, &v, now);
}
