/* SPDX-License-Identifier: BSD-3-Clause */
/* What is expected was seen in peer v0.18.2. */
#include <stdlib.h>

#include "client/netcheck_report.h"
#include "test/tap.h"

#define MAX 12
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct addr
addr_of(const char *text)
{
	struct addr a = { 0 };

	if (text != NULL && addr_parse(&a, text) < 0 &&
	    addr_parse_ip(&a, text, 0) < 0)
		abort();
	return a;
}

/* local=mapped, or local alone for an error. */
struct answer {
	const char *local, *mapped;
};

static size_t
fill(struct netcheck_row rows[MAX], const struct answer *answers)
{
	size_t n = 0;

	memset(rows, 0, MAX * sizeof(rows[0]));
	for (; answers[n].local != NULL; n++) {
		rows[n].server = "stun.example:3478";
		rows[n].local = addr_of(answers[n].local);
		rows[n].mapped = addr_of(answers[n].mapped);
		if (answers[n].mapped == NULL)
			memcpy(rows[n].error, "timeout", 8);
	}
	return n;
}

struct row {
	const char *name;
	struct answer answers[MAX];
	bool is_up, is_stable, is_preserving;
	enum netcheck_verdict verdict;
	const char *endpoints;
};

#define P "0.0.0.0:1000"

static const struct row judgements[] = {
	{ "nothing asked", { { NULL, NULL } }, false, false, false,
	    NETCHECK_RELAY_ONLY, "" },
	{ "no answer", { { P, NULL }, { "0.0.0.0:2000", NULL } }, false, false,
	    false, NETCHECK_RELAY_ONLY, "" },
	{ "same mapping, ports kept",
	    { { P, "203.0.113.1:1000" }, { P, "203.0.113.1:1000" },
		{ "0.0.0.0:2000", "203.0.113.1:2000" } },
	    true, true, true, NETCHECK_DIRECT_FRIENDLY,
	    "203.0.113.1:1000 203.0.113.1:2000" },
	{ "a dead server does not count",
	    { { P, NULL }, { P, "203.0.113.1:1000" },
		{ P, "203.0.113.1:1000" } },
	    true, true, true, NETCHECK_DIRECT_FRIENDLY, "203.0.113.1:1000" },
	{ "same mapping, other ports",
	    { { P, "203.0.113.1:55" }, { P, "203.0.113.1:55" } }, true, true,
	    false, NETCHECK_DIRECT_LIMITED, "203.0.113.1:55" },
	{ "one fresh port is not kept",
	    { { P, "203.0.113.1:1000" }, { P, "203.0.113.1:1000" },
		{ "0.0.0.0:2000", "203.0.113.1:2001" } },
	    true, true, false, NETCHECK_DIRECT_LIMITED,
	    "203.0.113.1:1000 203.0.113.1:2001" },
	{ "port changes with the server",
	    { { P, "203.0.113.1:1000" }, { P, "203.0.113.1:1001" } }, true,
	    false, false, NETCHECK_DIRECT_LIMITED,
	    "203.0.113.1:1000 203.0.113.1:1001" },
	{ "only the third server differs",
	    { { P, "203.0.113.1:1000" }, { P, "203.0.113.1:1000" },
		{ P, "203.0.113.1:1001" } },
	    true, false, false, NETCHECK_DIRECT_LIMITED,
	    "203.0.113.1:1000 203.0.113.1:1001" },
	{ "address changes with the server",
	    { { P, "203.0.113.1:1000" }, { P, "203.0.113.2:1000" } }, true,
	    false, true, NETCHECK_DIRECT_LIMITED,
	    "203.0.113.1:1000 203.0.113.2:1000" },
	{ "shared port decides, though others differ",
	    { { "0.0.0.0:2000", "203.0.113.9:2000" }, { P, "203.0.113.1:1000" },
		{ P, "203.0.113.1:1000" } },
	    true, true, true, NETCHECK_DIRECT_FRIENDLY,
	    "203.0.113.1:1000 203.0.113.9:2000" },
	{ "no shared port: all must agree",
	    { { P, "203.0.113.1:1000" },
		{ "0.0.0.0:2000", "203.0.113.1:2000" } },
	    true, false, true, NETCHECK_DIRECT_LIMITED,
	    "203.0.113.1:1000 203.0.113.1:2000" },
	{ "no shared port, and all agree",
	    { { P, "203.0.113.1:1000" },
		{ "0.0.0.0:2000", "203.0.113.1:1000" } },
	    true, true, false, NETCHECK_DIRECT_LIMITED, "203.0.113.1:1000" },
	{ "one answer is stable", { { P, "203.0.113.1:1000" }, { P, NULL } },
	    true, true, true, NETCHECK_DIRECT_FRIENDLY, "203.0.113.1:1000" },
	{ "sorted as text",
	    { { P, "9.0.0.1:1000" }, { P, "10.0.0.1:1000" },
		{ P, "[2001:db8::1]:1000" }, { P, "9.0.0.1:1000" } },
	    true, false, true, NETCHECK_DIRECT_LIMITED,
	    "10.0.0.1:1000 9.0.0.1:1000 [2001:db8::1]:1000" },
};

static void
join(const struct netcheck_list *list, char out[512])
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < list->n; i++)
		n += (size_t)snprintf(
		    out + n, 512 - n, "%s%s", i > 0 ? " " : "", list->texts[i]);
}

static void
test_judgements(void)
{
	for (size_t i = 0; i < COUNT(judgements); i++) {
		const struct row *row = &judgements[i];
		struct netcheck_row rows[MAX];
		struct netcheck_report rp;
		size_t n = fill(rows, row->answers);
		char text[512];

		EQ_INT(netcheck_report_init(&rp, rows, n, NULL, 0), 0, "%s",
		    row->name);
		EQ_INT(rp.verdict, row->verdict, "verdict");
		EQ_INT(rp.outbound, row->is_up, "outbound");
		EQ_INT(rp.stun, row->is_up, "STUN");
		EQ_INT(rp.is_mapping_stable, row->is_stable, "stable");
		EQ_INT(rp.is_port_preserving, row->is_preserving, "preserving");
		join(&rp.endpoints, text);
		EQ_STR(text, row->endpoints, "endpoints");
		netcheck_report_fini(&rp);
		netcheck_report_fini(&rp); /* harmless */
	}
}

static void
test_candidates(void)
{
	static const char *const interfaces[] = { "192.168.1.20",
		"10.255.255.1", "172.16.0.1", "172.31.255.255", "172.32.0.1",
		"172.15.0.1", "100.64.10.20", "100.127.255.255", "100.128.0.1",
		"100.63.0.1", "fd7a:115c:a1e0::1", "fd7a:115c:a1e1::1",
		"fc00::1", "2001:db8::1", "::ffff:192.168.7.7",
		"::ffff:127.0.0.1", "203.0.113.10", "203.0.113.10", "127.0.0.1",
		"127.9.9.9", "::1", "0.0.0.0", "::", "169.254.1.1", "fe80::1",
		"224.0.0.1", "ff02::1", "255.255.255.255" };
	static const struct answer answers[] = { { P, "203.0.113.10:57179" },
		{ P, "100.64.0.1:5" }, { P, "192.168.1.20:6" },
		{ P, "127.0.0.1:7" }, { NULL, NULL } };
	struct addr addrs[COUNT(interfaces)];
	struct netcheck_row rows[MAX];
	struct netcheck_report rp;
	char text[512];

	for (size_t i = 0; i < COUNT(interfaces); i++) {
		addrs[i] = addr_of(interfaces[i]);
		addrs[i].port = 4711; /* does not count */
	}
	EQ_INT(netcheck_report_init(
		   &rp, rows, fill(rows, answers), addrs, COUNT(addrs)),
	    0, "candidates");
	join(&rp.lan, text);
	EQ_STR(text,
	    "10.255.255.1 172.16.0.1 172.31.255.255 192.168.1.20 "
	    "192.168.1.20:6 192.168.7.7 fc00::1 fd7a:115c:a1e1::1",
	    "private");
	join(&rp.overlay, text);
	EQ_STR(text,
	    "100.127.255.255 100.64.0.1:5 100.64.10.20 fd7a:115c:a1e0::1",
	    "overlay");
	join(&rp.public, text);
	EQ_STR(text,
	    "100.128.0.1 100.63.0.1 172.15.0.1 172.32.0.1 2001:db8::1 "
	    "203.0.113.10 203.0.113.10:57179 255.255.255.255",
	    "public");
	join(&rp.endpoints, text);
	EQ_STR(text,
	    "100.64.0.1:5 127.0.0.1:7 192.168.1.20:6 203.0.113.10:57179",
	    "an endpoint need not be a candidate");
	netcheck_report_fini(&rp);
}

/* An address in an error's company does not count. */
static void
test_error_wins(void)
{
	static const struct answer answers[] = { { P, "203.0.113.1:1000" },
		{ NULL, NULL } };
	struct netcheck_row rows[MAX];
	struct netcheck_report rp;
	size_t n = fill(rows, answers);

	memcpy(rows[0].error, "x", 2);
	EQ_INT(netcheck_report_init(&rp, rows, n, NULL, 0), 0, "error");
	EQ_INT(rp.verdict, NETCHECK_RELAY_ONLY, "verdict");
	netcheck_report_fini(&rp);
}

static void
test_contradiction(void)
{
	char texts[1][ADDR_MAX_TEXT] = { "203.0.113.1:1" };
	struct netcheck_report rp = { .outbound = true };

	EQ_INT(netcheck_report_classify(&rp), NETCHECK_UNKNOWN, "no STUN");
	rp.stun = true;
	EQ_INT(netcheck_report_classify(&rp), NETCHECK_UNKNOWN, "no endpoint");
	rp.endpoints.texts = texts;
	rp.endpoints.n = 1;
	EQ_INT(netcheck_report_classify(&rp), NETCHECK_DIRECT_LIMITED,
	    "an endpoint");
	rp.outbound = false;
	EQ_INT(netcheck_report_classify(&rp), NETCHECK_UNKNOWN, "not out");
}

int
main(void)
{
	test_judgements();
	test_candidates();
	test_error_wins();
	test_contradiction();
	return tap_done();
}
