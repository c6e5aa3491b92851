/* SPDX-License-Identifier: BSD-3-Clause */
/* The mapper with a gateway on virtual time. */
#include <errno.h>

#include "lib/err.h"
#include "lib/secret.h"
#include "test/unit/mapper_sim.h"

static struct sim s;

/* The last report, as text: "PORT EXTERNAL:PORT PROTOCOL" or "PORT gone". */
static const char *
last(void)
{
	static char text[128];
	char external[ADDR_MAX_TEXT];
	const struct ipc_mapped *m;

	if (s.n_reports == 0)
		return "nothing";
	m = &s.reports[s.n_reports - 1];
	addr_format(&m->external, external);
	if (m->protocol == IPC_PORTMAP_NONE)
		(void)snprintf(text, sizeof(text), "%u gone", m->port);
	else
		(void)snprintf(text, sizeof(text), "%u %s %d", m->port,
		    external, (int)m->protocol);
	return text;
}

static void
finish(const char *name)
{
	mapper_stop(s.m, s.now);
	sim_pass(&s, MAPPER_STOP_US);
	OK(mapper_is_empty(s.m), "%s: nothing is left when it stops", name);
	EQ_INT(s.n_table, 0, "%s: nor at the gateway", name);
	OK(!s.spins, "%s: it rests", name);
	sim_fini(&s);
}

static void
test_pcp(void)
{
	unsigned before;

	sim_init(&s);
	s.pcp = s.natpmp = s.upnp = true;
	sim_pass(&s, 3600 * MONO_SEC);
	EQ_INT(s.n_pcp + s.n_search, 0, "nothing is asked for nothing");
	sim_request(&s, 40000);
	sim_pass(&s, 10 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40001 1", "PCP first");
	EQ_INT(s.n_reports, 1, "told once");
	EQ_INT(s.n_search + s.n_natpmp, 0, "nothing else is tried");
	EQ_INT(s.reports[0].lifetime_s, 7200, "its life");
	sim_request(&s, 40010);
	sim_pass(&s, 10 * MONO_MS);
	EQ_STR(last(), "40010 11.0.0.7:40011 1", "another port");
	before = s.n_pcp;
	sim_pass(&s, 59 * MONO_SEC);
	EQ_INT(s.n_pcp, before, "quiet for a minute");
	sim_pass(&s, 2 * MONO_SEC);
	EQ_INT(s.n_pcp, before + 1, "then one is looked after");
	mapper_release(s.m, 40000, s.now);
	sim_pass(&s, 10 * MONO_MS);
	EQ_INT(s.n_table, 1, "released: removed");
	EQ_INT(s.n_reports, 2, "and not reported");
	sim_request(&s, 40000);
	sim_pass(&s, 10 * MONO_MS);
	EQ_INT(s.n_table, 2, "requested again");
	mapper_release(s.m, 40000, s.now);
	sim_request(&s, 40000);
	sim_pass(&s, 10 * MONO_MS);
	OK(sim_find(&s, 40000) != NULL, "and while it is being removed");
	finish("PCP");
}

static void
test_life(void)
{
	unsigned before;

	sim_init(&s);
	s.natpmp = s.says_version = true;
	sim_request(&s, 40000);
	sim_pass(&s, 10 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40001 2", "NAT-PMP, if PCP is refused");
	before = s.n_natpmp;
	sim_pass(&s, 3599 * MONO_SEC);
	EQ_INT(s.n_natpmp, before, "no renewal before half of its life");
	sim_pass(&s, 460 * MONO_SEC);
	EQ_INT(s.n_natpmp, before + 1, "but soon after");
	s.natpmp = false;
	s.says_version = false;
	sim_pass(&s, 6700 * MONO_SEC);
	EQ_INT(s.n_reports, 1, "a silent gateway: it is believed to its end");
	sim_pass(&s, 500 * MONO_SEC);
	EQ_STR(last(), "40000 gone", "and no longer");
	EQ_INT(s.reports[1].reason, -ETIMEDOUT, "for that reason");
	s.natpmp = true;
	s.n_table = 0;
	s.born = s.now;
	sim_pass(&s, 800 * MONO_SEC);
	EQ_STR(last(), "40000 11.0.0.7:40001 2", "and back");
	finish("life");
}

static void
test_silent_pcp(void)
{
	sim_init(&s);
	s.natpmp = true;
	sim_request(&s, 40000);
	sim_pass(&s, 240 * MONO_MS);
	EQ_STR(last(), "nothing", "PCP has a quarter of a second");
	sim_pass(&s, 20 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40001 2", "then it is NAT-PMP");
	s.address[3] = 8;
	sim_pass(&s, 62 * MONO_SEC);
	EQ_STR(last(), "40000 11.0.0.8:40001 2", "another public address");
	memset(s.address, 0, 4);
	sim_pass(&s, 62 * MONO_SEC);
	EQ_INT(s.n_reports, 2, "0.0.0.0 is none");
	finish("silent PCP");
}

static void
test_restart(void)
{
	sim_init(&s);
	s.pcp = true;
	for (uint16_t i = 0; i < 20; i++)
		sim_request(&s, (uint16_t)(40000 + i * 10));
	sim_pass(&s, MONO_SEC);
	EQ_INT(s.n_reports, 20, "many ports");
	sim_pass(&s, 30 * MONO_SEC);
	s.n_table = 0;
	s.born = s.now;
	sim_pass(&s, 62 * MONO_SEC);
	EQ_INT(s.n_table, 20, "a restart is noticed, all are asked for again");
	EQ_INT(s.n_reports, 20, "as before: nothing to tell");
	sim_pass(&s, 10 * MONO_SEC);
	s.n_table = 0;
	s.born = s.now;
	s.address[3] = 9;
	sim_pass(&s, 95 * MONO_SEC);
	EQ_INT(s.n_table, 20, "another one");
	EQ_INT(s.n_reports, 40, "with another address");
	finish("restart");
}

static void
test_silence(void)
{
	unsigned first;

	sim_init(&s);
	for (uint16_t i = 0; i < 20; i++)
		sim_request(&s, (uint16_t)(40000 + i));
	sim_pass(&s, 5 * MONO_SEC);
	first = s.n_pcp;
	EQ_INT(first, 3, "one attempt of three rounds");
	EQ_INT(s.n_search, 6, "and a search of three");
	EQ_INT(s.n_http, 0, "for nothing");
	sim_pass(&s, 3600 * MONO_SEC);
	OK(s.n_pcp >= 3 * 8 && s.n_pcp <= 3 * 16,
	    "growing pauses: %u attempts "
	    "in an hour",
	    s.n_pcp / 3);
	s.pcp = true;
	sim_pass(&s, 760 * MONO_SEC);
	EQ_INT(s.n_table, 20, "and then it answers");
	finish("silence");
}

static void
test_refused_port(void)
{
	sim_init(&s);
	s.upnp = true;
	sim_request(&s, 40000);
	sim_settle(&s);
	mapper_on_refused(s.m, s.now);
	sim_pass(&s, 50 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40000 3", "ICMP hurries to UPnP");
	mapper_on_refused(s.m, s.now);
	sim_pass(&s, 50 * MONO_MS);
	EQ_INT(s.n_reports, 1, "later it means nothing");
	finish("refused port");
}

static void
test_upnp(void)
{
	unsigned before;

	sim_init(&s);
	s.upnp = true;
	sim_request(&s, 40000);
	sim_pass(&s, 990 * MONO_MS);
	EQ_STR(last(), "nothing", "UPnP is last");
	sim_pass(&s, 40 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40000 3", "but prepared for");
	sim_request(&s, 40001);
	sim_pass(&s, 40 * MONO_MS);
	EQ_STR(last(), "40001 11.0.0.7:40001 3", "another port at once");
	before = s.n_http;
	sim_pass(&s, 290 * MONO_SEC);
	EQ_INT(s.n_http, before, "quiet for five minutes");
	s.n_table = 0;
	sim_pass(&s, 20 * MONO_SEC);
	EQ_INT(s.n_table, 2, "lost mappings are made again");
	s.address[3] = 8;
	sim_pass(&s, 310 * MONO_SEC);
	EQ_INT(s.n_reports, 4, "another public address is told");
	EQ_INT(s.reports[3].external.ip[3], 8, "as it is");
	before = s.n_add;
	sim_pass(&s, 4000 * MONO_SEC);
	OK(s.n_add >= before + 2 && s.n_add <= before + 4, "renewed: %u",
	    s.n_add - before);
	finish("UPnP");
}

static void
test_upnp_quirks(void)
{
	sim_init(&s);
	s.upnp = s.only_permanent = true;
	s.n_table = 1; /* somebody else's */
	s.table[0] = (struct sim_entry){ 1, 40000, { 0 } };
	sim_request(&s, 40000);
	sim_pass(&s, 1100 * MONO_MS);
	EQ_INT(s.n_reports, 1, "mapped");
	OK(s.reports[0].external.port != 40000 &&
		s.reports[0].external.port >= 1024,
	    "at another port than somebody else's");
	EQ_INT(s.n_add, 3, "third attempt: permanent, and another port");
	mapper_release(s.m, 40000, s.now);
	sim_pass(&s, 50 * MONO_MS);
	EQ_INT(s.n_table, 1, "only ours is removed");
	s.n_table = 0;
	s.upnp_error = 501;
	sim_request(&s, 40002);
	s.n_add = 0;
	sim_pass(&s, 60 * MONO_SEC);
	EQ_INT(s.n_add, 6, "a gateway that fails is asked six times");
	s.upnp_error = 0;
	sim_pass(&s, 400 * MONO_SEC);
	OK(sim_find(&s, 40002) != NULL, "and again after a while");
	finish("UPnP quirks");
}

/* A gateway that takes our own mapping for somebody else's when it is renewed:
 * whatever it tells, there is one mapping, and none afterwards. */
static void
test_upnp_no_renewal(bool permanent, bool mute)
{
	uint16_t port;

	sim_init(&s);
	s.upnp = s.no_renewal = true;
	s.only_permanent = permanent;
	s.mute = mute;
	sim_request(&s, 40000);
	sim_pass(&s, 1100 * MONO_MS);
	EQ_INT(s.n_table, 1, "mapped");
	port = s.table[0].external;
	sim_pass(&s, 20000 * MONO_SEC);
	EQ_INT(s.n_table, 1, "renewed: still one mapping");
	if (!mute) {
		EQ_INT(s.table[0].external, port, "at the same port");
		EQ_INT(s.n_reports, 1, "nothing to tell");
	}
	EQ_INT(s.table[0].external, s.reports[s.n_reports - 1].external.port,
	    "the one that was told");
	mapper_release(s.m, 40000, s.now);
	sim_pass(&s, 50 * MONO_MS);
	EQ_INT(s.n_table, 0, "none is left");
	finish("UPnP without renewal");
}

/* Ours, of a life that ended without removing it. */
static void
test_upnp_left_over(void)
{
	sim_init(&s);
	s.upnp = s.no_renewal = s.only_permanent = true;
	s.n_table = 1;
	s.table[0] = (struct sim_entry){ 40000, 40000, { 0 } };
	sim_request(&s, 40000);
	sim_pass(&s, 1100 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40000 3", "taken over");
	mapper_release(s.m, 40000, s.now);
	sim_pass(&s, 50 * MONO_MS);
	EQ_INT(s.n_table, 0, "and removed at last");
	finish("UPnP left over");
}

/* The gateway's web server is gone, then another gateway is there. */
static void
test_upnp_lost(void)
{
	sim_init(&s);
	s.upnp = true;
	sim_request(&s, 40000);
	sim_pass(&s, 1100 * MONO_MS);
	s.upnp = false;
	sim_pass(&s, 400 * MONO_SEC);
	EQ_INT(s.n_reports, 1, "a check without answer is no loss yet");
	s.pcp = true;
	s.n_table = 0;
	sim_pass(&s, 700 * MONO_SEC);
	OK(sim_find(&s, 40000) != NULL && s.n_pcp > 0, "it is probed anew");
	EQ_INT(s.n_reports, 1, "the address is the same");
	finish("UPnP lost");
}

static void
test_refusals(void)
{
	sim_init(&s);
	s.pcp = s.natpmp = true;
	s.pcp_result = PCP_NO_RESOURCES;
	s.natpmp_result = NATPMP_REFUSED;
	s.upnp = true;
	sim_request(&s, 40000);
	sim_pass(&s, 50 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40000 3", "refused by both: UPnP");
	finish("refusals");

	sim_init(&s);
	s.pcp = s.natpmp = true;
	s.pcp_result = PCP_NOT_AUTHORIZED;
	sim_request(&s, 40000);
	sim_pass(&s, 50 * MONO_MS);
	EQ_STR(last(), "40000 11.0.0.7:40001 2", "refused by PCP: NAT-PMP");
	s.natpmp_result = NATPMP_OUT_OF_RESOURCES;
	sim_request(&s, 40010);
	sim_pass(&s, 5 * MONO_SEC);
	EQ_INT(s.n_reports, 1, "no room for another");
	s.natpmp_result = 0;
	sim_pass(&s, 400 * MONO_SEC);
	EQ_STR(last(), "40010 11.0.0.7:40011 2", "until there is");
	s.natpmp_result = NATPMP_NETWORK_FAILURE;
	sim_pass(&s, 4100 * MONO_SEC);
	/* In which order, is chance. */
	OK(strcmp(last(), "40010 gone") == 0 ||
		strcmp(last(), "40000 gone") == 0,
	    "a renewal refused");
	s.natpmp_result = 0;
	sim_pass(&s, 400 * MONO_SEC);
	finish("refusals later");
}

/* The gateway has a mapping, though not one that was ever any good, or not any
 * more: it is removed all the same. */
static void
test_useless(void)
{
	sim_init(&s);
	s.pcp = true;
	memset(s.address, 0, sizeof(s.address)); /* no link to the outside */
	sim_request(&s, 40000);
	sim_pass(&s, 50 * MONO_MS);
	EQ_INT(s.n_table, 1, "mapped without an address");
	EQ_INT(s.n_reports, 0, "and not told");
	mapper_release(s.m, 40000, s.now);
	sim_pass(&s, 1 * MONO_SEC);
	finish("without an address");

	sim_init(&s);
	s.pcp = true;
	sim_request(&s, 40000);
	sim_pass(&s, 50 * MONO_MS);
	s.pcp_result = PCP_NO_RESOURCES;
	for (int i = 0; i < 5000 && s.n_reports < 2; i++)
		sim_pass(&s, 1 * MONO_SEC);
	EQ_STR(last(), "40000 gone", "the renewal was refused");
	s.pcp_result = 0;
	mapper_release(s.m, 40000, s.now);
	sim_pass(&s, 1 * MONO_SEC);
	finish("renewal refused");
}

static void
test_limits(void)
{
	struct ipc_map_request r = { .port = 1 };

	sim_init(&s);
	for (unsigned i = 0; i < MAPPER_MAX_LEASES; i++, r.port++)
		if (mapper_request(s.m, &r, s.now) != 0)
			break;
	EQ_INT(r.port, MAPPER_MAX_LEASES + 1, "so many ports");
	EQ_INT(mapper_request(s.m, &r, s.now), -DT_ERR_LIMIT, "not more");
	r.port = 1;
	EQ_INT(mapper_request(s.m, &r, s.now), -EEXIST, "not twice");
	mapper_release(s.m, 999, s.now);
	finish("limits");

	sim_init(&s);
	s.pcp = true;
	s.life_s = 7; /* shorter than is worth it */
	sim_request(&s, 40000);
	sim_pass(&s, 60 * MONO_SEC);
	EQ_INT(s.n_reports, 0, "too short a life is none");
	s.life_s = 8;
	sim_pass(&s, 200 * MONO_SEC);
	EQ_STR(last(), "40000 11.0.0.7:40001 1", "8 s are enough");
	s.n_pcp = 0;
	sim_pass(&s, 60 * MONO_SEC);
	OK(s.n_pcp <= 16, "renewed every 4 s at most: %u", s.n_pcp);
	EQ_INT(s.n_reports, 1, "without a gap");
	finish("short life");
}

/* Gateways that change all the time; in the end an honest one. */
static void
test_chaos(uint32_t seed)
{
	uint32_t x = seed;
	unsigned sent;
	bool wanted[8] = { false };

	sim_init(&s);
	for (int i = 0; i < 400; i++) {
		x = x * 1664525u + 1013904223u;
		s.pcp = x >> 31;
		s.natpmp = (x >> 30) & 1;
		s.upnp = (x >> 29) & 1;
		s.says_version = (x >> 28) & 1;
		s.pcp_result = ((x >> 24) & 15) == 1 ? PCP_NO_RESOURCES : 0;
		s.natpmp_result = ((x >> 20) & 15) == 1 ? NATPMP_REFUSED : 0;
		s.upnp_error = ((x >> 16) & 7) == 1 ? 718 : 0;
		s.life_s = (x >> 12) & 1 ? 7200 : 30;
		if (((x >> 8) & 15) == 0) {
			s.n_table = 0;
			s.born = s.now;
		}
		if ((x & 15) == 1 && s.now.us % 3 == 0)
			mapper_on_refused(s.m, s.now);
		if ((x & 3) == 0 && !wanted[i % 8])
			sim_request(&s, (uint16_t)(40000 + i % 8 * 10));
		else if ((x & 3) == 0)
			mapper_release(
			    s.m, (uint16_t)(40000 + i % 8 * 10), s.now);
		if ((x & 3) == 0)
			wanted[i % 8] = !wanted[i % 8];
		s.n_reports = 0;
		sent = s.n_pcp + s.n_natpmp + s.n_address + s.n_http;
		sim_pass(&s, (int64_t)((x >> 4) % 30000) * MONO_MS);
		sent = s.n_pcp + s.n_natpmp + s.n_address + s.n_http - sent;
		if (sent > 400 || s.spins)
			break;
	}
	OK(!s.spins, "chaos %u: it rests", seed);
	OK(sent <= 400, "chaos %u: it does not chatter", seed);
	s.pcp = s.natpmp = s.upnp = true;
	s.pcp_result = s.natpmp_result = s.upnp_error = 0;
	s.life_s = 7200;
	sim_pass(&s, 3600 * MONO_SEC);
	for (uint16_t i = 0; i < 8; i++)
		if ((sim_find(&s, (uint16_t)(40000 + i * 10)) != NULL) !=
			wanted[i] &&
		    wanted[i])
			OK(false, "chaos %u: port %u is not mapped", seed, i);
	mapper_stop(s.m, s.now);
	sim_pass(&s, MAPPER_STOP_US);
	OK(mapper_is_empty(s.m), "chaos %u: nothing is left", seed);
	sim_fini(&s);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	test_pcp();
	test_life();
	test_silent_pcp();
	test_restart();
	test_silence();
	test_refused_port();
	test_upnp();
	test_upnp_quirks();
	for (int i = 0; i < 4; i++)
		test_upnp_no_renewal((i & 1) != 0, (i & 2) != 0);
	test_upnp_left_over();
	test_upnp_lost();
	test_refusals();
	test_useless();
	test_limits();
	for (uint32_t seed = 1; seed <= 40; seed++)
		test_chaos(seed);
	return tap_done();
}
