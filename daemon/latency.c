/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * Requests go out from one socket per family when the first address of a region
 * is known (literals at once, names after their lookup).  Round-trip times are
 * multiplied by the region's score.  It ends with LATENCY_ENOUGH answers, with
 * an answer from every region, or at the limit.
 */
#include "daemon/latency.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/secret.h"
#include "proto/stun/stun.h"

/* Each region is asked at once and by on_resend(); either may be answered. */
#define MAX_ASKED 2

struct latency_request {
	struct stun_tx tx;
	struct mono sent;
};

struct latency_probe {
	struct latency *owner;
	int64_t region;
	double score;
	struct addr to; /* family 0: not known yet */
	struct latency_request asked[MAX_ASKED];
	size_t n_asked;
	bool answered;
	double weight; /* microseconds times score */
	struct loop_lookup *lookup;
};

struct latency {
	struct loop *loop;
	void (*cb)(void *arg, int64_t region);
	void *arg;
	int fd[2]; /* IPv4, IPv6; -1: not available */
	struct loop_io *io[2];
	struct loop_timer *limit;
	struct loop_timer *resend;
	size_t n;
	size_t answers;
	struct latency_probe probe[LATENCY_MAX_REGIONS];
};

bool
latency_is_candidate(
    const struct derp_map *map, const struct derp_map_region *region)
{
	if (region->n_nodes == 0 || region->id > DERP_MAP_MAX_TOKEN_REGION)
		return false;
	if (region->id <= LATENCY_MAX_PUBLIC)
		return true;
	for (size_t i = 0; i < map->n_regions; i++)
		if (map->regions[i].n_nodes > 0 &&
		    map->regions[i].id <= LATENCY_MAX_PUBLIC)
			return false;
	return true;
}

void
latency_cancel(struct latency *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n; i++)
		loop_lookup_cancel(l->probe[i].lookup);
	for (size_t i = 0; i < 2; i++) {
		loop_io_free(l->io[i]);
		fd_close(&l->fd[i]);
	}
	loop_timer_free(l->limit);
	loop_timer_free(l->resend);
	free(l);
}

/* Regions ascend, so the first probe is the lowest. */
static int64_t
pick(const struct latency *l)
{
	const struct latency_probe *best = NULL;

	if (l->n == 0)
		return 0;
	for (size_t i = 0; i < l->n; i++)
		if (l->probe[i].answered &&
		    (best == NULL || l->probe[i].weight < best->weight))
			best = &l->probe[i];
	return best != NULL ? best->region : l->probe[0].region;
}

static void
finish(struct latency *l)
{
	void (*cb)(void *arg, int64_t region) = l->cb;
	void *arg = l->arg;
	int64_t region = pick(l);

	latency_cancel(l);
	cb(arg, region);
}

static void
on_limit(void *arg, struct mono now)
{
	(void)now;
	finish(arg);
}

static void
ask(struct latency *l, struct latency_probe *p, struct mono now)
{
	struct latency_request *q = &p->asked[p->n_asked];
	uint8_t request[STUN_REQUEST_LEN];
	struct sockaddr_storage sa;
	socklen_t len;
	int fd = l->fd[p->to.family == AF_INET6 ? 1 : 0];

	if (p->to.family == 0 || p->answered || fd < 0 ||
	    p->n_asked == MAX_ASKED)
		return;
	p->n_asked++;
	secret_random(q->tx.b, sizeof(q->tx.b));
	q->sent = now;
	stun_write_request(request, &q->tx);
	len = addr_to_sockaddr(&p->to, &sa);
	/* A family without a route fails here; others will answer. */
	(void)sendto(fd, request, sizeof(request), MSG_DONTWAIT,
	    (const struct sockaddr *)&sa, len);
}

static void
on_resend(void *arg, struct mono now)
{
	struct latency *l = arg;

	for (size_t i = 0; i < l->n; i++)
		ask(l, &l->probe[i], now);
}

/* The request of @p that this answers, or NULL. */
static const struct latency_request *
find_asked(const struct latency_probe *p, const struct stun_tx *tx)
{
	for (size_t i = 0; i < p->n_asked; i++)
		if (stun_tx_equal(&p->asked[i].tx, tx))
			return &p->asked[i];
	return NULL;
}

static void
on_answer(struct latency *l, const struct stun_tx *tx, struct mono now)
{
	for (size_t i = 0; i < l->n; i++) {
		struct latency_probe *p = &l->probe[i];
		const struct latency_request *q = find_asked(p, tx);

		if (q == NULL || p->answered)
			continue;
		p->answered = true;
		p->weight = (double)mono_diff(now, q->sent) * p->score;
		l->answers++;
		return;
	}
}

static void
on_io(void *arg, unsigned events, struct mono now)
{
	struct latency *l = arg;
	uint8_t buf[256];
	struct stun_tx tx;
	struct addr mapped;
	ssize_t n;

	(void)events;
	for (size_t i = 0; i < 2; i++) {
		if (l->fd[i] < 0)
			continue;
		for (size_t k = 0; k < LATENCY_MAX_BURST; k++) {
			n = recv(l->fd[i], buf, sizeof(buf), MSG_DONTWAIT);
			if (n < 0)
				break;
			if (stun_parse_response(buf, (size_t)n, &tx, &mapped) ==
			    0)
				on_answer(l, &tx, now);
		}
	}
	if (l->answers >= LATENCY_ENOUGH || l->answers == l->n)
		finish(l);
}

static void
on_lookup(void *arg, int r, const struct addr *addrs, size_t n)
{
	struct latency_probe *p = arg;

	p->lookup = NULL;
	if (r < 0 || n == 0)
		return;
	p->to = addrs[0];
	ask(p->owner, p, loop_now(p->owner->loop));
}

static void
add_region(struct latency *l, const struct derp_map_region *region)
{
	const struct derp_map_node *node = &region->nodes[0];
	struct latency_probe *p;
	uint16_t port = (uint16_t)node->stun_port;

	if (l->n == LATENCY_MAX_REGIONS)
		return;
	p = &l->probe[l->n++];
	p->owner = l;
	p->region = region->id;
	p->score = region->score;
	if (region->no_measure_no_home || node->stun_port <= 0)
		return;
	if (addr_parse_ip(&p->to, node->ipv4, port) < 0 &&
	    addr_parse_ip(&p->to, node->ipv6, port) < 0)
		p->lookup =
		    loop_lookup(l->loop, node->host_name, port, on_lookup, p);
}

static void
open_sockets(struct latency *l)
{
	const int family[2] = { AF_INET, AF_INET6 };

	for (size_t i = 0; i < 2; i++) {
		l->fd[i] = socket(
		    family[i], SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (l->fd[i] < 0)
			continue; /* no such family here */
		l->io[i] = loop_io_new(l->loop, l->fd[i], on_io, l);
		if (l->io[i] == NULL)
			fd_close(&l->fd[i]);
		else
			loop_io_set(l->io[i], LOOP_READ);
	}
}

struct latency *
latency_new(struct loop *loop, const struct derp_map *map,
    void (*cb)(void *arg, int64_t region), void *arg)
{
	struct latency *l = calloc(1, sizeof(*l));
	struct mono now = loop_now(loop);

	if (l == NULL)
		return NULL;
	l->loop = loop;
	l->cb = cb;
	l->arg = arg;
	l->fd[0] = l->fd[1] = -1;
	l->limit = loop_timer_new(loop, on_limit, l);
	l->resend = loop_timer_new(loop, on_resend, l);
	if (l->limit == NULL || l->resend == NULL) {
		latency_cancel(l);
		return NULL;
	}
	for (size_t i = 0; i < map->n_regions; i++)
		if (latency_is_candidate(map, &map->regions[i]))
			add_region(l, &map->regions[i]);
	if (l->n <= 1) { /* no choice */
		loop_timer_in(l->limit, 0);
		return l;
	}
	open_sockets(l);
	for (size_t i = 0; i < l->n; i++)
		ask(l, &l->probe[i], now);
	loop_timer_in(l->limit, LATENCY_LIMIT_US);
	loop_timer_in(l->resend, LATENCY_RESEND_US);
	return l;
}
