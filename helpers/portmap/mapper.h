/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mappings on one gateway: which protocol it speaks, who asks next, when to
 * renew, what was lost.  Bytes and the time go in, bytes and reports come out.
 */
#ifndef HELPERS_PORTMAP_MAPPER_H
#define HELPERS_PORTMAP_MAPPER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/mono.h"
#include "proto/ipc/ipc_portmap.h"

/* Asked of every gateway; renewed from half of it on. */
#define MAPPER_LIFETIME_S 7200u
/* Ports at the same time; more than the daemon asks for, as those being removed
 * count. */
#define MAPPER_MAX_LEASES 320u
/* After mapper_stop(): two attempts at removing, no longer. */
#define MAPPER_STOP_US (750 * MONO_MS)

struct mapper;

struct mapper_params {
	struct addr gateway; /* IPv4, port 0 */
	struct addr local;   /* ours towards it, port 0 */
	/* A datagram to the gateway's port 5351. */
	void (*send)(void *arg, const void *p, size_t len);
	/* A datagram to SSDP's group and to the gateway's SSDP port. */
	void (*search)(void *arg, const void *p, size_t len);
	/* An HTTP request to this port of the gateway, one at a time;
	 * mapper_on_reply() exactly once afterwards, never before this
	 * returns. */
	void (*http)(void *arg, uint16_t port, const void *p, size_t len);
	/* A mapping stands, changed its address, or is gone. */
	void (*report)(void *arg, const struct ipc_mapped *m);
	void *arg;
};

/** mapper_new(): NULL when memory is out. */
struct mapper *mapper_new(const struct mapper_params *p);
void mapper_free(struct mapper *m);

/**
 * mapper_request(): have a port mapped until mapper_release().
 * Returns 0, -EEXIST, -DT_ERR_LIMIT, -ENOMEM.
 */
int mapper_request(
    struct mapper *m, const struct ipc_map_request *r, struct mono now);
/** mapper_release(): remove its mapping, and report no more.  A port that was
 * not requested is fine. */
void mapper_release(struct mapper *m, uint16_t port, struct mono now);

/** mapper_stop(): release all, for good. */
void mapper_stop(struct mapper *m, struct mono now);
/** mapper_is_empty(): no mapping is left that has to be removed. */
bool mapper_is_empty(const struct mapper *m);

/** mapper_on_datagram(): from port 5351 of the gateway. */
void mapper_on_datagram(
    struct mapper *m, const void *p, size_t len, struct mono now);
/** mapper_on_refused(): nobody listens on that port (ICMP). */
void mapper_on_refused(struct mapper *m, struct mono now);
/** mapper_on_answer(): a datagram on the SSDP socket. */
void mapper_on_answer(struct mapper *m, const struct addr *from, const void *p,
    size_t len, struct mono now);
/** mapper_on_reply(): the HTTP answer, or @r < 0. */
void mapper_on_reply(struct mapper *m, int r, int status, const void *body,
    size_t len, struct mono now);

/** mapper_run(): do what is due: at mapper_deadline(), and after every call
 * above. */
void mapper_run(struct mapper *m, struct mono now);
struct mono mapper_deadline(const struct mapper *m);

#endif
