/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Name lookups over evdns.  Three ways to an answer: address literals are read
 * here; names in the hosts file and names from DNS come from evdns, which is
 * started by the first name (workers never get there) and started anew when
 * resolv.conf or the hosts file changed and it is idle.
 *
 * A lookup (the caller's handle) and a query (what evdns calls back with) have
 * separate lives, because evdns answers a cancelled request later.  A query
 * without owner is only waiting for that.  Whatever the result, it is delivered
 * by the lookup's timer, so never from within loop_lookup().
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <event2/dns.h>
#include <event2/event.h>
#include <event2/util.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/loop_internal.h"

/* What loop.h promises. */
#define LOOKUP_TIMEOUT_US (5 * MONO_SEC)
/* Turns given to evdns for answering cancelled requests at the end. */
#define LOOKUP_MAX_DRAIN 64

struct loop_query {
	LIST_ENTRY(loop_query) link;
	struct loop_lookup *owner; /* NULL: cancelled */
	struct evdns_getaddrinfo_request *req;
};

struct loop_lookup {
	struct loop *l;
	struct loop_timer *timer;
	struct loop_query *query; /* NULL: answered */
	uint16_t port;
	int r;
	struct addr addrs[LOOP_MAX_ADDRS];
	size_t n;
	void (*cb)(void *arg, int r, const struct addr *addrs, size_t n);
	void *arg;
};

void
loop_lookup_setup(struct loop *l)
{
	LIST_INIT(&l->dns.queries);
	loop_lookup_set_files(l, "/etc/resolv.conf", "/etc/hosts");
}

void
loop_lookup_set_files(
    struct loop *l, const char *resolv_conf, const char *hosts)
{
	l->dns.resolv_conf = resolv_conf;
	l->dns.hosts = hosts;
}

void
loop_lookup_teardown(struct loop *l)
{
	for (int i = 0; i < LOOKUP_MAX_DRAIN && !LIST_EMPTY(&l->dns.queries);
	     i++)
		(void)event_base_loop(l->base, EVLOOP_NONBLOCK);
	if (l->dns.dns != NULL)
		evdns_base_free(l->dns.dns, 0);
	l->dns.dns = NULL;
}

/* The state of a file; all zero if it is not there. */
static struct stat
stat_of(const char *path)
{
	struct stat st;

	if (stat(path, &st) != 0)
		memset(&st, 0, sizeof(st));
	return st;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void
configure(struct loop_dns *d)
{
	int r;

	/* Its own failure default, localhost, is what we would want. */
	(void)evdns_base_load_hosts(d->dns, d->hosts);
	r = evdns_base_resolv_conf_parse(d->dns,
	    DNS_OPTION_SEARCH | DNS_OPTION_NAMESERVERS | DNS_OPTION_MISC |
		DNS_OPTION_NAMESERVERS_NO_DEFAULT,
	    d->resolv_conf);
	if (r != 0) {
		/* Some failures still add 127.0.0.1, which nobody chose. */
		(void)evdns_base_clear_nameservers_and_suspend(d->dns);
		(void)evdns_base_resume(d->dns);
	}
	d->has_servers = evdns_base_count_nameservers(d->dns) > 0;
	if (!d->has_servers)
		log_debug("loop", "no name server in %s", d->resolv_conf);
	/* Two tries within our 5 s; half an answer waits 1 s for the other;
	 * a server that was down is tried again soon.  These exist. */
	(void)evdns_base_set_option(d->dns, "timeout:", "2");
	(void)evdns_base_set_option(d->dns, "getaddrinfo-allow-skew:", "1");
	(void)evdns_base_set_option(d->dns, "max-probe-timeout:", "30");
}

/* Starts evdns, or starts it anew when its files changed and it is idle. */
static bool
start(struct loop *l)
{
	struct loop_dns *d = &l->dns;
	struct stat resolv_conf = stat_of(d->resolv_conf);
	struct stat hosts = stat_of(d->hosts);

	if (d->dns != NULL) {
		if (!LIST_EMPTY(&d->queries) ||
		    (same_file(&resolv_conf, &d->resolv_conf_stat) &&
			same_file(&hosts, &d->hosts_stat)))
			return true;
		evdns_base_free(d->dns, 0);
	}
	d->dns = evdns_base_new(l->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	if (d->dns == NULL)
		return false;
	d->resolv_conf_stat = resolv_conf;
	d->hosts_stat = hosts;
	configure(d);
	return true;
}

static void
destroy(struct loop_lookup *q)
{
	loop_timer_free(q->timer);
	free(q);
}

/* The result is known: let the timer deliver it. */
static void
finish(struct loop_lookup *q, int r)
{
	q->r = r;
	loop_timer_at(q->timer, (struct mono){ 0 });
}

static void
abandon(struct loop_lookup *q)
{
	struct loop_query *query = q->query;

	if (query == NULL)
		return;
	q->query = NULL;
	query->owner = NULL;
	evdns_getaddrinfo_cancel(query->req); /* calls on_answer() later */
}

static void
on_timer(void *arg, struct mono now)
{
	struct loop_lookup *q = arg;
	struct loop_lookup copy = *q;

	(void)now;
	if (q->query != NULL) {
		abandon(q);
		copy.r = -DT_ERR_TIMEOUT;
	}
	destroy(q);
	copy.cb(copy.arg, copy.r, copy.addrs, copy.n);
}

static void
collect(struct loop_lookup *q, const struct evutil_addrinfo *ai)
{
	for (; ai != NULL && q->n < LOOP_MAX_ADDRS; ai = ai->ai_next) {
		if (addr_from_sockaddr(&q->addrs[q->n], ai->ai_addr) < 0)
			continue;
		q->addrs[q->n++].port = q->port;
	}
}

static void
on_answer(int result, struct evutil_addrinfo *res, void *arg)
{
	struct loop_query *query = arg;
	struct loop_lookup *q = query->owner;

	LIST_REMOVE(query, link);
	free(query);
	if (q != NULL) {
		q->query = NULL;
		if (result == 0)
			collect(q, res);
		finish(q, q->n > 0 ? 0 : -DT_ERR_RESOLVE);
	}
	if (res != NULL)
		evutil_freeaddrinfo(res);
}

/* Letters, digits, '-', '_' and '.', as DNS and hosts names have them. */
static bool
is_name(const char *host)
{
	size_t len = strlen(host);

	if (len == 0 || len >= ADDR_MAX_HOST)
		return false;
	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)host[i]) &&
		    strchr("-_.", host[i]) == NULL)
			return false;
	return true;
}

/* Returns 0 when the answer will come, or came, through on_answer(). */
static int
ask(struct loop_lookup *q, const char *host)
{
	const struct evutil_addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
	};
	struct evdns_getaddrinfo_request *req;
	struct loop_query *query;

	if (!is_name(host) || !start(q->l))
		return -DT_ERR_RESOLVE;
	query = calloc(1, sizeof(*query));
	if (query == NULL)
		return -DT_ERR_RESOLVE;
	query->owner = q;
	q->query = query;
	LIST_INSERT_HEAD(&q->l->dns.queries, query, link);
	req = evdns_getaddrinfo(
	    q->l->dns.dns, host, NULL, &hints, on_answer, query);
	if (q->query == NULL)
		return 0; /* the hosts file knew it; query is gone */
	query->req = req;
	if (q->l->dns.has_servers) {
		loop_timer_in(q->timer, LOOKUP_TIMEOUT_US);
		return 0;
	}
	abandon(q); /* it would wait for a server that never comes */
	return -DT_ERR_RESOLVE;
}

struct loop_lookup *
loop_lookup(struct loop *l, const char *host, uint16_t port,
    void (*cb)(void *arg, int r, const struct addr *addrs, size_t n), void *arg)
{
	struct loop_lookup *q = calloc(1, sizeof(*q));
	int r;

	if (q == NULL)
		return NULL;
	q->timer = loop_timer_new(l, on_timer, q);
	if (q->timer == NULL) {
		free(q);
		return NULL;
	}
	q->l = l;
	q->port = port;
	q->cb = cb;
	q->arg = arg;
	if (addr_parse_ip(&q->addrs[0], host, port) == 0) {
		q->n = 1;
		finish(q, 0);
		return q;
	}
	r = ask(q, host);
	if (r < 0)
		finish(q, r);
	return q;
}

void
loop_lookup_cancel(struct loop_lookup *q)
{
	if (q == NULL)
		return;
	abandon(q);
	destroy(q);
}
