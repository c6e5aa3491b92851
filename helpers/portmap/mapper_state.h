/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the mapper share; see mapper.c. */
#ifndef HELPERS_PORTMAP_MAPPER_STATE_H
#define HELPERS_PORTMAP_MAPPER_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "helpers/portmap/igd.h"
#include "helpers/portmap/mapper.h"
#include "lib/queue.h"
#include "proto/portmap/epoch.h"

enum lease_state {
	LEASE_WAITING, /* for its turn, or until not_before */
	LEASE_ASKING,  /* for a mapping, or for it to be renewed */
	LEASE_HELD,
	LEASE_REMOVING, /* not wanted any more */
};

/* One local port.  Owner: the mapper. */
struct lease {
	LIST_ENTRY(lease) entry;
	struct ipc_map_request request;
	enum lease_state state;
	/* By which it was asked last. */
	enum ipc_portmap_protocol protocol;
	struct addr external; /* as reported; family 0: none stands */
	bool may_exist;       /* the gateway may have a mapping for it */
	bool pcp_late;        /* PCP granted when it was given up */
	uint16_t orphan;      /* external port that UPnP may still map, or 0 */
	bool again;           /* REMOVING: requested anew meanwhile, */
	struct ipc_map_request next; /* like this */
	unsigned sends;              /* ASKING, REMOVING: so far */
	struct mono asked_at;        /* ASKING: since */
	struct mono next_send;       /* UDP only */
	struct mono not_before;      /* WAITING */
	struct mono renew_at;        /* HELD */
	struct mono expires_at;      /* while external stands */
};

enum mapper_phase {
	MAPPER_IDLE,    /* nothing known to work; until retry_at */
	MAPPER_UDP,     /* the probing lease tries PCP and NAT-PMP */
	MAPPER_UPNP,    /* it tries UPnP */
	MAPPER_WORKING, /* `protocol` grants mappings */
};

LIST_HEAD(mapper_leases, lease);

struct mapper {
	struct mapper_params p;
	enum mapper_phase phase;
	enum ipc_portmap_protocol protocol; /* while WORKING */
	struct mapper_leases leases;
	size_t n_leases;
	size_t n_asking;
	bool stopping;
	struct mono retry_at; /* IDLE */
	int64_t pause_us;     /* before the next probe */
	/* Probing: */
	struct lease *probe;
	bool pcp_refused;
	bool natpmp_refused;
	bool natpmp_seen;
	struct mono upnp_until; /* UPNP: then it is given up */
	/* What the gateway is like: */
	struct addr natpmp_address; /* public; family 0: unknown */
	struct epoch pcp_epoch;
	struct epoch natpmp_epoch;
	bool natpmp_address_asked;
	struct mono heard;      /* the last answer of any kind */
	struct mono poll_at;    /* WORKING */
	struct mono ask_all_at; /* NEVER: no need */
	struct mono asked_all;  /* last */
	struct igd igd;
	struct lease *igd_lease; /* of the igd's present work */
	enum igd_state igd_work; /* ADDING, REMOVING, CHECKING, FREEING */
	bool igd_poll;           /* a CHECKING is due */
};

/* The pause after the first probe without success. */
#define MAPPER_FIRST_PAUSE_US (5 * MONO_SEC)

static inline bool
mapper_is_udp(const struct lease *l)
{
	return l->protocol != IPC_PORTMAP_UPNP;
}

/* mapper_lease.c */

void mapper_set_state(
    struct mapper *m, struct lease *l, enum lease_state state);
/** mapper_wait(): WAITING until @at. */
void mapper_wait(struct mapper *m, struct lease *l, struct mono at);
/** mapper_forget(): frees @l, of which nothing is left. */
void mapper_forget(struct mapper *m, struct lease *l);
/** mapper_report_gone(): if it was reported. */
void mapper_report_gone(struct mapper *m, struct lease *l, int reason);
/** mapper_end_probe(): whatever came of it. */
void mapper_end_probe(struct mapper *m);
/** mapper_set_poll(): look after the gateway a while from now. */
void mapper_set_poll(struct mapper *m, struct mono now);

/** mapper_granted(): the gateway maps @l to @external. */
void mapper_granted(struct mapper *m, struct lease *l,
    const struct addr *external, uint32_t lifetime_s, struct mono now);
/** mapper_refused(): it will not, for now.
 * @hold_s: ask again after so long. */
void mapper_refused(struct mapper *m, struct lease *l, int reason,
    uint32_t hold_s, struct mono now);
/** mapper_unanswered(): it says nothing. */
void mapper_unanswered(struct mapper *m, struct lease *l, struct mono now);
/** mapper_removed(): @l has no mapping any more; may free @l. */
void mapper_removed(struct mapper *m, struct lease *l, struct mono now);
/** mapper_ask_all(): every mapping may be lost: ask for them again. */
void mapper_ask_all(struct mapper *m, struct mono now);
/** mapper_moved(): the public address of all mappings is another. */
void mapper_moved(struct mapper *m, enum ipc_portmap_protocol protocol,
    const struct addr *ip);
/** mapper_heard(): the gateway answered: no need to poll it for a while. */
void mapper_heard(struct mapper *m, struct mono now);
/** mapper_lost(): what worked does so no more; probe again. */
void mapper_lost(struct mapper *m, struct mono now);
/** mapper_is_usable(): can this be told to a peer? */
bool mapper_is_usable(const struct addr *external);

/* mapper_udp.c: PCP and NAT-PMP */

/** mapper_udp_probe(): begin or go on; m->probe is ASKING. */
void mapper_udp_probe(struct mapper *m, struct mono now);
/** mapper_udp_ask(): the next datagram of a lease that is ASKING. */
void mapper_udp_ask(struct mapper *m, struct lease *l, struct mono now);
/** mapper_udp_remove(): the next datagram of one that is REMOVING. */
void mapper_udp_remove(struct mapper *m, struct lease *l, struct mono now);
/** mapper_udp_remove_late(): what PCP granted when it was given up; once. */
void mapper_udp_remove_late(struct mapper *m, struct lease *l);
/** mapper_udp_poll(): is the gateway the one it was? */
void mapper_udp_poll(struct mapper *m, struct mono now);

/* mapper_upnp.c */

/** mapper_upnp_init(): the igd, once. */
void mapper_upnp_init(struct mapper *m);
/** mapper_upnp_reset(): forget the gateway, unless it still has work to do. */
void mapper_upnp_reset(struct mapper *m);
/** mapper_upnp_search(): have the gateway found, unless it is being. */
void mapper_upnp_search(struct mapper *m, struct mono now);
/** mapper_upnp_probe(): from here on m->probe is mapped by UPnP or not at all.
 */
void mapper_upnp_probe(struct mapper *m, struct mono now);
/** mapper_upnp_run(): the next piece of work, if there is any. */
void mapper_upnp_run(struct mapper *m, struct mono now);

#endif
