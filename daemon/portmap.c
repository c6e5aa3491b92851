/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Theory of operation
 *
 * A run (one worker) exists while there are wants, a gateway that may be asked,
 * and for LINGER_US after the last want; or after a pause when the last one
 * died.  Another gateway, or another address of ours, is another run: the old
 * one is stopped and removes its mappings beside the new one.
 *
 * Wants are told what changed from a list of what is to be told: callbacks may
 * add and remove wants.
 */
#include "daemon/portmap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/backoff.h"
#include "daemon/portmap_run.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/queue.h"
#include "lib/secret.h"

/* Sessions come in bursts. */
#define LINGER_US (3 * MONO_SEC)
/* Between a worker's death and the next one. */
#define RETRY_FIRST_US (1 * MONO_SEC)
#define RETRY_MAX_US (300 * MONO_SEC)
/* A run that lived this long was a good one. */
#define GOOD_US (60 * MONO_SEC)

/* Owner: whoever made it, until portmap_free(). */
struct portmap_want {
	LIST_ENTRY(portmap_want) entry;
	struct portmap *p;
	void (*cb)(void *arg, const struct portmap_mapping *mapping);
	void *arg;
	struct ipc_map_request request;
	bool mapped;
	bool tell; /* what it was told is not so any more */
	struct portmap_mapping mapping;
};

struct portmap {
	struct loop *loop;
	struct worker_pool *workers;
	bool enabled;
	bool stopped;
	struct addr gateway; /* family 0: none that may be asked */
	LIST_HEAD(portmap_wants, portmap_want) wants;
	size_t n_wants;
	struct portmap_runs runs; /* those that are ending too */
	struct portmap_run *run;  /* of these, or NULL */
	struct mono run_since;
	struct loop_timer *timer; /* run: linger; no run: retry */
	struct backoff backoff;
	bool retrying; /* the timer runs for a retry */
	enum ipc_portmap_protocol protocol;
};

static void
tell(struct portmap *p)
{
	struct portmap_want *w;

	do {
		LIST_FOREACH(w, &p->wants, entry)
			if (w->tell)
				break;
		if (w == NULL)
			return;
		w->tell = false;
		w->cb(w->arg, portmap_current(w));
	} while (true);
}

static void
withdraw_all(struct portmap *p)
{
	struct portmap_want *w;

	p->protocol = IPC_PORTMAP_NONE;
	LIST_FOREACH(w, &p->wants, entry) {
		w->tell = w->mapped;
		w->mapped = false;
	}
	tell(p);
}

static void
on_born(void *arg)
{
	struct portmap *p = arg;
	struct portmap_want *w;

	LIST_FOREACH(w, &p->wants, entry)
		portmap_run_request(p->run, &w->request);
}

static struct portmap_want *
find(const struct portmap *p, uint16_t port)
{
	struct portmap_want *w;

	LIST_FOREACH(w, &p->wants, entry)
		if (w->request.port == port)
			return w;
	return NULL;
}

static void
on_mapped(void *arg, const struct ipc_mapped *m)
{
	struct portmap *p = arg;
	struct portmap_want *w = find(p, m->port);
	bool stands = m->protocol != IPC_PORTMAP_NONE;

	if (w == NULL)
		return; /* withdrawn meanwhile */
	if (stands) {
		p->protocol = m->protocol;
		w->request.external_port = m->external.port;
	}
	if (stands == w->mapped &&
	    (!stands || addr_equal(&w->mapping.external, &m->external))) {
		w->mapping.protocol = m->protocol;
		return;
	}
	w->mapped = stands;
	w->mapping.external = m->external;
	w->mapping.protocol = m->protocol;
	w->tell = true;
	tell(p);
}

static void
on_gone(void *arg, int code, const char *text, struct mono now)
{
	struct portmap *p = arg;

	if (mono_diff(now, p->run_since) >= GOOD_US)
		backoff_reset(&p->backoff);
	log_warn("portmap", "worker ended, starting another: %s code=%s", text,
	    err_name(code));
	p->run = NULL; /* frees itself */
	p->retrying = true;
	loop_timer_in(p->timer, backoff_next(&p->backoff));
	withdraw_all(p);
}

/* Starts what is needed and not there. */
static void
start(struct portmap *p)
{
	struct portmap_run_params params = {
		.loop = p->loop,
		.workers = p->workers,
		.runs = &p->runs,
		.gateway = p->gateway,
		.born = on_born,
		.mapped = on_mapped,
		.gone = on_gone,
		.arg = p,
	};
	int r;

	if (!p->enabled || p->stopped || p->run != NULL || p->retrying ||
	    p->n_wants == 0 || p->gateway.family == 0)
		return;
	p->run_since = loop_now(p->loop);
	r = portmap_run_new(&params, &p->run);
	if (r == 0) {
		loop_timer_at(p->timer, MONO_NEVER);
		return;
	}
	p->run = NULL;
	log_warn_r(r, "portmap", "cannot start a worker");
	p->retrying = true;
	loop_timer_in(p->timer, backoff_next(&p->backoff));
}

static void
stop_run(struct portmap *p)
{
	loop_timer_at(p->timer, MONO_NEVER);
	p->retrying = false;
	if (p->run != NULL)
		portmap_run_stop(p->run);
	p->run = NULL; /* frees itself */
}

static void
on_timer(void *arg, struct mono now)
{
	struct portmap *p = arg;

	(void)now;
	if (p->run != NULL) { /* nobody wanted anything for a while */
		stop_run(p);
		return;
	}
	p->retrying = false;
	start(p);
}

struct portmap *
portmap_new(struct loop *loop, struct worker_pool *workers, bool enabled)
{
	struct portmap *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->loop = loop;
	p->workers = workers;
	p->enabled = enabled;
	LIST_INIT(&p->wants);
	LIST_INIT(&p->runs);
	backoff_init(&p->backoff, RETRY_FIRST_US, RETRY_MAX_US, false);
	p->timer = loop_timer_new(loop, on_timer, p);
	if (p->timer == NULL) {
		free(p);
		return NULL;
	}
	return p;
}

void
portmap_free(struct portmap *p)
{
	struct portmap_want *w, *next;
	struct portmap_run *r, *next_run;

	if (p == NULL)
		return;
	LIST_FOREACH_SAFE(r, &p->runs, entry, next_run)
		portmap_run_discard(r);
	LIST_FOREACH_SAFE(w, &p->wants, entry, next)
		free(w);
	loop_timer_free(p->timer);
	free(p);
}

void
portmap_stop(struct portmap *p)
{
	p->stopped = true;
	stop_run(p);
}

void
portmap_set_gateway(struct portmap *p, const struct addr *gateway)
{
	struct addr g = *gateway, local;

	g.port = 0;
	if (g.family != AF_INET || !addr_is_private(&g))
		memset(&g, 0, sizeof(g));
	if (addr_equal(&g, &p->gateway) &&
	    (p->run == NULL ||
		(portmap_run_find_local(&g, &local) == 0 &&
		    addr_equal(&local, portmap_run_local(p->run)))))
		return;
	p->gateway = g;
	stop_run(p);
	backoff_reset(&p->backoff);
	start(p);
	withdraw_all(p);
}

int
portmap_want(struct portmap *p, uint16_t port,
    void (*cb)(void *arg, const struct portmap_mapping *mapping), void *arg,
    struct portmap_want **ret_want)
{
	struct portmap_want *w;

	if (find(p, port) != NULL)
		return -EEXIST;
	if (p->n_wants >= PORTMAP_MAX_WANTS)
		return -DT_ERR_LIMIT;
	w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->p = p;
	w->cb = cb;
	w->arg = arg;
	w->request.port = port;
	secret_random(w->request.nonce, sizeof(w->request.nonce));
	LIST_INSERT_HEAD(&p->wants, w, entry);
	p->n_wants++;
	if (p->run != NULL) {
		loop_timer_at(p->timer, MONO_NEVER); /* no lingering */
		if (portmap_run_is_born(p->run))
			portmap_run_request(p->run, &w->request);
	} else {
		start(p);
	}
	*ret_want = w;
	return 0;
}

void
portmap_unwant(struct portmap_want *w)
{
	struct portmap *p;

	if (w == NULL)
		return;
	p = w->p;
	LIST_REMOVE(w, entry);
	p->n_wants--;
	if (p->run != NULL && portmap_run_is_born(p->run))
		portmap_run_release(p->run, w->request.port);
	if (p->run != NULL && p->n_wants == 0)
		loop_timer_in(p->timer, LINGER_US);
	free(w);
}

const struct portmap_mapping *
portmap_current(const struct portmap_want *w)
{
	return w->mapped ? &w->mapping : NULL;
}

void
portmap_get_status(const struct portmap *p, struct portmap_status *ret)
{
	const struct portmap_want *w;

	memset(ret, 0, sizeof(*ret));
	ret->enabled = p->enabled;
	ret->running = p->run != NULL;
	ret->gateway = p->gateway;
	ret->protocol = p->protocol;
	ret->wants = p->n_wants;
	LIST_FOREACH(w, &p->wants, entry)
		if (w->mapped)
			ret->mapped++;
}
