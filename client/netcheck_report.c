/* SPDX-License-Identifier: BSD-3-Clause */
#include "client/netcheck_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct verdict_text {
	const char *word;
	const char *advice;
};

static const struct verdict_text texts[] = {
	[NETCHECK_DIRECT_FRIENDLY] = { "direct-friendly",
	    "This side looks capable of direct UDP. The peer still needs "
	    "compatible NAT/firewall behavior." },
	[NETCHECK_DIRECT_LIMITED] = { "direct-limited",
	    "Direct UDP may fail with ordinary hole punching. Use a forwarded "
	    "UDP port, routable overlay address, or relay fallback." },
	[NETCHECK_RELAY_ONLY] = { "relay-only-likely",
	    "Direct UDP is unlikely from this network. Use relay fallback." },
	[NETCHECK_UNKNOWN] = { "unknown",
	    "Network capabilities are incomplete or contradictory. Re-run "
	    "netcheck or compare results from both sides." },
};

static bool
is_answered(const struct netcheck_row *row)
{
	return row->mapped.family != 0 && row->error[0] == '\0';
}

/* Do all answers to @local, or to any port if it is NULL, agree?
 * @ret_n: how many there are. */
static bool
agree(const struct netcheck_report *rp, const struct addr *local, size_t *ret_n)
{
	const struct addr *first = NULL;
	bool same = true;

	*ret_n = 0;
	for (size_t i = 0; i < rp->n_rows; i++) {
		const struct netcheck_row *row = &rp->rows[i];

		if (!is_answered(row) ||
		    (local != NULL && !addr_equal(local, &row->local)))
			continue;
		if (first == NULL)
			first = &row->mapped;
		same = same && addr_equal(first, &row->mapped);
		(*ret_n)++;
	}
	return same;
}

/* A local port with several answers tells; without one, all together do. */
static bool
is_mapping_stable(const struct netcheck_report *rp)
{
	bool same;
	size_t n;

	for (size_t i = 0; i < rp->n_rows; i++) {
		if (!is_answered(&rp->rows[i]))
			continue;
		same = agree(rp, &rp->rows[i].local, &n);
		if (n >= 2)
			return same;
	}
	same = agree(rp, NULL, &n);
	return n > 0 && same;
}

static bool
is_port_preserving(const struct netcheck_report *rp)
{
	for (size_t i = 0; i < rp->n_rows; i++)
		if (is_answered(&rp->rows[i]) &&
		    rp->rows[i].mapped.port != rp->rows[i].local.port)
			return false;
	return rp->stun;
}

static int
compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
sort(struct netcheck_list *list)
{
	size_t n = 0;

	if (list->n == 0)
		return;
	qsort(list->texts, list->n, sizeof(list->texts[0]), compare);
	for (size_t i = 1; i < list->n; i++)
		if (strcmp(list->texts[n], list->texts[i]) != 0)
			memmove(list->texts[++n], list->texts[i],
			    sizeof(list->texts[0]));
	list->n = n + 1;
}

/* fd7a:115c:a1e0::/48 and 100.64.0.0/10, which Tailscale gives out. */
static bool
is_overlay(const struct addr *a)
{
	static const uint8_t prefix[] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };

	if (a->family == AF_INET6)
		return memcmp(a->ip, prefix, sizeof(prefix)) == 0;
	return a->ip[0] == 100 && (a->ip[1] & 0xc0) == 64;
}

/* The list where @a belongs as a candidate; NULL if it is none. */
static struct netcheck_list *
list_of(struct netcheck_report *rp, const struct addr *a)
{
	if (a->family == 0 || addr_is_loopback(a) || addr_is_unspecified(a) ||
	    addr_is_multicast(a) || addr_is_link_local(a))
		return NULL;
	if (is_overlay(a))
		return &rp->overlay;
	return addr_is_private(a) ? &rp->lan : &rp->public;
}

static void
add_interface(struct netcheck_report *rp, const struct addr *interface)
{
	struct addr a = addr_unmap(interface);
	struct netcheck_list *list = list_of(rp, &a);

	if (list != NULL)
		addr_format_ip(&a, list->texts[list->n++]);
}

static void
add_endpoint(struct netcheck_report *rp, const struct addr *mapped)
{
	struct netcheck_list *list = list_of(rp, mapped);

	addr_format(mapped, rp->endpoints.texts[rp->endpoints.n++]);
	if (list != NULL)
		addr_format(mapped, list->texts[list->n++]);
}

int
netcheck_report_init(struct netcheck_report *ret_report,
    const struct netcheck_row *rows, size_t n_rows,
    const struct addr *interfaces, size_t n_interfaces)
{
	struct netcheck_report rp = { .rows = rows, .n_rows = n_rows };
	struct netcheck_list *lists[] = { &rp.endpoints, &rp.lan, &rp.overlay,
		&rp.public };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		/* One more, as calloc() of nothing may give nothing. */
		lists[i]->texts = calloc(
		    n_rows + n_interfaces + 1, sizeof(lists[i]->texts[0]));
		if (lists[i]->texts == NULL) {
			netcheck_report_fini(&rp);
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < n_interfaces; i++)
		add_interface(&rp, &interfaces[i]);
	for (size_t i = 0; i < n_rows; i++)
		if (is_answered(&rows[i]))
			add_endpoint(&rp, &rows[i].mapped);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		sort(lists[i]);
	/* Only answers show that UDP goes out. */
	rp.outbound = rp.stun = rp.endpoints.n > 0;
	rp.is_mapping_stable = is_mapping_stable(&rp);
	rp.is_port_preserving = is_port_preserving(&rp);
	rp.verdict = netcheck_report_classify(&rp);
	*ret_report = rp;
	return 0;
}

void
netcheck_report_fini(struct netcheck_report *report)
{
	free(report->endpoints.texts);
	free(report->lan.texts);
	free(report->overlay.texts);
	free(report->public.texts);
	memset(report, 0, sizeof(*report));
}

enum netcheck_verdict
netcheck_report_classify(const struct netcheck_report *report)
{
	if (!report->outbound && !report->stun)
		return NETCHECK_RELAY_ONLY;
	if (!report->outbound || !report->stun || report->endpoints.n == 0)
		return NETCHECK_UNKNOWN;
	return report->is_mapping_stable && report->is_port_preserving
		   ? NETCHECK_DIRECT_FRIENDLY
		   : NETCHECK_DIRECT_LIMITED;
}

const char *
netcheck_report_verdict(enum netcheck_verdict verdict)
{
	return texts[verdict].word;
}

const char *
netcheck_report_advice(enum netcheck_verdict verdict)
{
	return texts[verdict].advice;
}
