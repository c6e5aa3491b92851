/* SPDX-License-Identifier: BSD-3-Clause */
/* Which STUN servers a session is told. */
#include <stdlib.h>
#include <string.h>

#include "daemon/stun_servers.h"
#include "lib/err.h"
#include "test/tap.h"

static struct loop *loop;
static unsigned calls;
static struct addr out[IPC_MAX_STUN];

static void
on_change(void *arg)
{
	(void)arg;
	calls++;
	loop_stop(loop);
}

static struct derp_map *
map_of(const char *text)
{
	struct derp_map *m = NULL;
	char detail[DERP_MAP_MAX_DETAIL] = "";
	int r = derp_map_parse(text, strlen(text), &m, detail);

	OK(r == 0, "map is read %s", detail);
	return m;
}

/* The @i-th address is @want. */
static void
is(size_t i, const char *want)
{
	char text[ADDR_MAX_TEXT];

	addr_format(&out[i], text);
	EQ_STR(text, want, "server %zu", i);
}

static const char literals[] =
    "{\"Regions\":{"
    "\"1\":{\"RegionID\":1,\"Nodes\":[{\"Name\":\"1a\",\"HostName\":\"a.x\","
    "\"IPv4\":\"192.0.2.1\",\"IPv6\":\"2001:db8::1\"}]},"
    "\"2\":{\"RegionID\":2,\"Avoid\":true,\"Nodes\":[{\"Name\":\"2a\","
    "\"HostName\":\"b.x\",\"IPv4\":\"192.0.2.2\",\"IPv6\":\"none\"}]},"
    "\"3\":{\"RegionID\":3,\"Nodes\":["
    "{\"Name\":\"3a\",\"HostName\":\"c.x\",\"IPv4\":\"192.0.2.3\","
    "\"IPv6\":\"2001:db8::3\",\"STUNPort\":4000},"
    "{\"Name\":\"3b\",\"HostName\":\"d.x\",\"IPv4\":\"192.0.2.4\","
    "\"IPv6\":\"2001:db8::4\"},"
    "{\"Name\":\"3c\",\"HostName\":\"e.x\",\"IPv4\":\"192.0.2.5\","
    "\"IPv6\":\"none\"}]},"
    "\"4\":{\"RegionID\":4,\"Nodes\":[{\"Name\":\"4a\",\"HostName\":\"f.x\","
    "\"IPv4\":\"192.0.2.6\",\"IPv6\":\"none\",\"STUNPort\":-1}]},"
    "\"5\":{\"RegionID\":5,\"Nodes\":[{\"Name\":\"5a\",\"HostName\":\"g.x\","
    "\"IPv4\":\"192.0.2.7\",\"IPv6\":\"none\","
    "\"STUNTestIP\":\"192.0.2.77\"}]},"
    "\"6\":{\"RegionID\":6,\"Nodes\":[{\"Name\":\"6a\",\"HostName\":\"h.x\","
    "\"IPv4\":\"127.0.0.1\",\"IPv6\":\"none\"}]},"
    "\"7\":{\"RegionID\":7,\"Nodes\":[{\"Name\":\"7a\",\"HostName\":\"i.x\","
    "\"IPv4\":\"none\",\"IPv6\":\"none\"}]}}}";

static void
test_literals(void)
{
	struct stun_servers *s = stun_servers_new(loop, on_change, NULL);
	struct derp_map *m = map_of(literals);

	EQ_INT(stun_servers_get(s, true, out), 0, "none yet");
	stun_servers_from_map(s, m, 3, 5);
	EQ_INT(stun_servers_get(s, true, out), 6, "with IPv6");
	is(0, "192.0.2.3:4000");
	is(1, "[2001:db8::3]:4000");
	is(2, "192.0.2.4:3478");
	is(3, "[2001:db8::4]:3478");
	is(4, "192.0.2.77:3478");
	is(5, "192.0.2.1:3478");
	EQ_INT(stun_servers_get(s, false, out), 4, "without");
	is(1, "192.0.2.4:3478");
	stun_servers_from_map(s, m, 6, 0);
	EQ_INT(stun_servers_get(s, false, out), 4, "a relay on this machine");
	is(0, "127.0.0.1:3478");
	stun_servers_from_map(s, m, 99, 98);
	EQ_INT(stun_servers_get(s, false, out), 3, "regions the map lacks");
	is(0, "192.0.2.1:3478");
	EQ_INT(calls, 0, "nobody was called");
	derp_map_free(m);
	stun_servers_free(s);
}

static void
test_many(void)
{
	struct stun_servers *s = stun_servers_new(loop, on_change, NULL);

	stun_servers_from_map(s, derp_map_builtin(), 7, 0);
	EQ_INT(stun_servers_get(s, false, out), 6, "six of IPv4");
	EQ_INT(stun_servers_get(s, true, out), 8, "and two of IPv6");
	for (size_t i = 0; i < 8; i++)
		for (size_t k = 0; k < i; k++)
			OK(!addr_equal(&out[i], &out[k]), "%zu is not %zu", i,
			    k);
	stun_servers_free(s);
}

static void
test_names(void)
{
	struct stun_servers *s = stun_servers_new(loop, on_change, NULL);
	struct token_route route = { .derp_port = 443, .stun_port = 5000 };
	struct derp_map *m;

	(void)snprintf(route.host, sizeof(route.host), "198.51.100.9");
	stun_servers_from_route(s, &route);
	EQ_INT(stun_servers_get(s, true, out), 1, "a route by address");
	is(0, "198.51.100.9:5000");
	(void)snprintf(route.host, sizeof(route.host), "localhost");
	stun_servers_from_route(s, &route);
	EQ_INT(stun_servers_get(s, true, out), 0, "a name is not known yet");
	(void)loop_run(loop);
	EQ_INT(calls, 1, "called when it is");
	OK(stun_servers_get(s, true, out) >= 1, "and it is there");
	OK(addr_is_loopback(&out[0]) && out[0].port == 5000,
	    "our own relay may be on loopback");
	stun_servers_refresh(s);
	stun_servers_from_route(s, &route);
	stun_servers_free(s); /* with a lookup under way */

	/* Somebody else's name that leads to us is no server. */
	s = stun_servers_new(loop, on_change, NULL);
	m = map_of("{\"Regions\":{\"1\":{\"RegionID\":1,\"Nodes\":[{\"Name\":"
		   "\"1a\",\"HostName\":\"localhost\"}]},\"2\":{\"RegionID\":2,"
		   "\"Nodes\":[{\"Name\":\"2a\",\"HostName\":\"x.x\",\"IPv4\":"
		   "\"192.0.2.2\"}]}}}");
	stun_servers_from_map(s, m, 1, 0);
	calls = 0;
	(void)loop_run(loop);
	OK(stun_servers_get(s, true, out) >= 2, "the own region's may");
	OK(addr_is_loopback(&out[0]), "and is first, though it came later");
	stun_servers_from_map(s, m, 2, 0);
	EQ_INT(stun_servers_get(s, true, out), 1, "a foreign one");
	is(0, "192.0.2.2:3478");
	derp_map_free(m);
	stun_servers_free(s);
}

int
main(void)
{
	loop = loop_new();
	test_literals();
	test_many();
	test_names();
	loop_free(loop);
	return tap_done();
}
