/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden texts: the layout is that of peer v0.18.2. */
#include <stdlib.h>

#include "client/netcheck_print.h"
#include "test/tap.h"

#define A(last, p)                                                             \
	{                                                                      \
		.family = AF_INET, .port = (p), .ip = { 203, 0, 113, last }    \
	}
#define ANY(p)                                                                 \
	{                                                                      \
		.family = AF_INET, .port = (p)                                 \
	}

struct golden {
	const char *name;
	struct netcheck_row rows[2];
	size_t n_rows;
	struct addr interfaces[3];
	size_t n_interfaces;
	const char *human, *json;
};

static const struct golden goldens[] = {
	{ "direct-friendly",
	    { { "stun.a:1", ANY(1000), A(7, 1000), "" },
		{ "stun.b:2", ANY(1000), A(7, 1000), "" } },
	    2,
	    { { .family = AF_INET, .ip = { 192, 168, 1, 20 } },
		{ .family = AF_INET, .ip = { 100, 64, 10, 20 } },
		{ .family = AF_INET, .ip = { 10, 0, 0, 1 } } },
	    3,
	    "Network check: direct-friendly\n"
	    "\n"
	    "UDP:\n"
	    "  Outbound UDP: yes\n"
	    "  STUN: yes\n"
	    "  Public endpoint: 203.0.113.7:1000\n"
	    "  Mapping: stable across STUN servers\n"
	    "  Port preservation: yes\n"
	    "\n"
	    "Candidates:\n"
	    "  LAN: 10.0.0.1, 192.168.1.20\n"
	    "  Overlay: 100.64.10.20\n"
	    "  Public: 203.0.113.7:1000\n"
	    "\n"
	    "Direct-connect readiness:\n"
	    "  This side looks capable of direct UDP. The peer still needs "
	    "compatible NAT/firewall behavior.\n",
	    "{\n"
	    "  \"verdict\": \"direct-friendly\",\n"
	    "  \"udp\": {\n"
	    "    \"outbound\": true,\n"
	    "    \"stun\": true,\n"
	    "    \"public_endpoints\": [\n"
	    "      \"203.0.113.7:1000\"\n"
	    "    ],\n"
	    "    \"mapping_stable\": true,\n"
	    "    \"port_preserving\": true\n"
	    "  },\n"
	    "  \"candidates\": {\n"
	    "    \"lan\": [\n"
	    "      \"10.0.0.1\",\n"
	    "      \"192.168.1.20\"\n"
	    "    ],\n"
	    "    \"overlay\": [\n"
	    "      \"100.64.10.20\"\n"
	    "    ],\n"
	    "    \"public\": [\n"
	    "      \"203.0.113.7:1000\"\n"
	    "    ]\n"
	    "  },\n"
	    "  \"stun\": {\n"
	    "    \"servers\": [\n"
	    "      {\n"
	    "        \"server\": \"stun.a:1\",\n"
	    "        \"local_endpoint\": \"0.0.0.0:1000\",\n"
	    "        \"mapped_endpoint\": \"203.0.113.7:1000\"\n"
	    "      },\n"
	    "      {\n"
	    "        \"server\": \"stun.b:2\",\n"
	    "        \"local_endpoint\": \"0.0.0.0:1000\",\n"
	    "        \"mapped_endpoint\": \"203.0.113.7:1000\"\n"
	    "      }\n"
	    "    ]\n"
	    "  },\n"
	    "  \"recommendation\": \"This side looks capable of direct UDP. "
	    "The peer still needs compatible NAT/firewall behavior.\"\n"
	    "}" },
	{ "direct-limited",
	    { { "stun.a:1", ANY(1000), A(7, 50001), "" },
		{ "stun.b:2", ANY(1000), A(7, 50000), "" } },
	    2, { { .family = 0 } }, 0,
	    "Network check: direct-limited\n"
	    "\n"
	    "UDP:\n"
	    "  Outbound UDP: yes\n"
	    "  STUN: yes\n"
	    "  Public endpoint: 203.0.113.7:50000, 203.0.113.7:50001\n"
	    "  Mapping: changes by STUN destination\n"
	    "  Port preservation: no\n"
	    "\n"
	    "Candidates:\n"
	    "  LAN: none\n"
	    "  Overlay: none\n"
	    "  Public: 203.0.113.7:50000, 203.0.113.7:50001\n"
	    "\n"
	    "Direct-connect readiness:\n"
	    "  Direct UDP may fail with ordinary hole punching. Use a "
	    "forwarded UDP port, routable overlay address, or relay "
	    "fallback.\n",
	    "{\n"
	    "  \"verdict\": \"direct-limited\",\n"
	    "  \"udp\": {\n"
	    "    \"outbound\": true,\n"
	    "    \"stun\": true,\n"
	    "    \"public_endpoints\": [\n"
	    "      \"203.0.113.7:50000\",\n"
	    "      \"203.0.113.7:50001\"\n"
	    "    ],\n"
	    "    \"mapping_stable\": false,\n"
	    "    \"port_preserving\": false\n"
	    "  },\n"
	    "  \"candidates\": {\n"
	    "    \"public\": [\n"
	    "      \"203.0.113.7:50000\",\n"
	    "      \"203.0.113.7:50001\"\n"
	    "    ]\n"
	    "  },\n"
	    "  \"stun\": {\n"
	    "    \"servers\": [\n"
	    "      {\n"
	    "        \"server\": \"stun.a:1\",\n"
	    "        \"local_endpoint\": \"0.0.0.0:1000\",\n"
	    "        \"mapped_endpoint\": \"203.0.113.7:50001\"\n"
	    "      },\n"
	    "      {\n"
	    "        \"server\": \"stun.b:2\",\n"
	    "        \"local_endpoint\": \"0.0.0.0:1000\",\n"
	    "        \"mapped_endpoint\": \"203.0.113.7:50000\"\n"
	    "      }\n"
	    "    ]\n"
	    "  },\n"
	    "  \"recommendation\": \"Direct UDP may fail with ordinary hole "
	    "punching. Use a forwarded UDP port, routable overlay address, or "
	    "relay fallback.\"\n"
	    "}" },
	{ "relay-only-likely, with what needs escapes",
	    { { "stun.a:1", ANY(1000), { .family = 0 },
		  "write udp4 0.0.0.0:1000->203.0.113.7:1: <&> \"a\"\\\n" },
		{ "local-interfaces", { .family = 0 }, { .family = 0 },
		    "cannot allocate memory" } },
	    2, { { .family = 0 } }, 0,
	    "Network check: relay-only-likely\n"
	    "\n"
	    "UDP:\n"
	    "  Outbound UDP: no\n"
	    "  STUN: no\n"
	    "  Public endpoint: unavailable\n"
	    "  Mapping: unavailable\n"
	    "  Port preservation: no\n"
	    "\n"
	    "Candidates:\n"
	    "  LAN: none\n"
	    "  Overlay: none\n"
	    "  Public: none\n"
	    "\n"
	    "Direct-connect readiness:\n"
	    "  Direct UDP is unlikely from this network. Use relay fallback.\n",
	    "{\n"
	    "  \"verdict\": \"relay-only-likely\",\n"
	    "  \"udp\": {\n"
	    "    \"outbound\": false,\n"
	    "    \"stun\": false,\n"
	    "    \"mapping_stable\": false,\n"
	    "    \"port_preserving\": false\n"
	    "  },\n"
	    "  \"candidates\": {},\n"
	    "  \"stun\": {\n"
	    "    \"servers\": [\n"
	    "      {\n"
	    "        \"server\": \"stun.a:1\",\n"
	    "        \"local_endpoint\": \"0.0.0.0:1000\",\n"
	    "        \"error\": \"write udp4 0.0.0.0:1000-\\u003e203.0.113.7:1:"
	    " \\u003c\\u0026\\u003e \\\"a\\\"\\\\\\n\"\n"
	    "      },\n"
	    "      {\n"
	    "        \"server\": \"local-interfaces\",\n"
	    "        \"error\": \"cannot allocate memory\"\n"
	    "      }\n"
	    "    ]\n"
	    "  },\n"
	    "  \"recommendation\": \"Direct UDP is unlikely from this network. "
	    "Use relay fallback.\"\n"
	    "}" },
};

static void
check_human(const struct netcheck_report *rp, const char *want)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	if (f == NULL)
		abort();
	netcheck_print_human(f, rp);
	(void)fclose(f);
	EQ_STR(text, want, "for people");
	free(text);
}

static void
check_json(const struct netcheck_report *rp, const char *want)
{
	char *text = netcheck_print_json(rp);

	if (OK(text != NULL, "JSON"))
		EQ_STR(text, want, "its text");
	free(text);
}

static void
test_goldens(void)
{
	for (size_t i = 0; i < sizeof(goldens) / sizeof(goldens[0]); i++) {
		const struct golden *g = &goldens[i];
		struct netcheck_report rp;

		EQ_INT(netcheck_report_init(&rp, g->rows, g->n_rows,
			   g->interfaces, g->n_interfaces),
		    0, "%s", g->name);
		check_human(&rp, g->human);
		check_json(&rp, g->json);
		netcheck_report_fini(&rp);
	}
}

/* No answers lead here: what a report that contradicts itself prints. */
static void
test_unknown(void)
{
	struct netcheck_report rp = { .outbound = true };

	rp.verdict = netcheck_report_classify(&rp);
	check_human(&rp,
	    "Network check: unknown\n"
	    "\n"
	    "UDP:\n"
	    "  Outbound UDP: yes\n"
	    "  STUN: no\n"
	    "  Public endpoint: unavailable\n"
	    "  Mapping: unavailable\n"
	    "  Port preservation: no\n"
	    "\n"
	    "Candidates:\n"
	    "  LAN: none\n"
	    "  Overlay: none\n"
	    "  Public: none\n"
	    "\n"
	    "Direct-connect readiness:\n"
	    "  Network capabilities are incomplete or contradictory. Re-run "
	    "netcheck or compare results from both sides.\n");
	check_json(&rp,
	    "{\n"
	    "  \"verdict\": \"unknown\",\n"
	    "  \"udp\": {\n"
	    "    \"outbound\": true,\n"
	    "    \"stun\": false,\n"
	    "    \"mapping_stable\": false,\n"
	    "    \"port_preserving\": false\n"
	    "  },\n"
	    "  \"candidates\": {},\n"
	    "  \"stun\": {},\n"
	    "  \"recommendation\": \"Network capabilities are incomplete or "
	    "contradictory. Re-run netcheck or compare results from both "
	    "sides.\"\n"
	    "}");
}

int
main(void)
{
	test_goldens();
	test_unknown();
	return tap_done();
}
