/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "proto/derp/derp_map.h"
#include "test/tap.h"

static char detail[DERP_MAP_MAX_DETAIL];

static struct derp_map *
parse(const char *text)
{
	struct derp_map *m = NULL;

	EQ_INT(derp_map_parse(text, strlen(text), &m, detail), 0,
	    "map of %zu bytes", strlen(text));
	if (m == NULL) {
		printf("Bail out! %s\n", detail);
		exit(1);
	}
	return m;
}

static int
parse_error(const char *text)
{
	struct derp_map *m = NULL;
	int r = derp_map_parse(text, strlen(text), &m, detail);

	derp_map_free(m);
	return r;
}

static void
test_full(void)
{
	struct derp_map *m = parse("{\"omitDefaultRegions\":true,"
				   "\"HomeParams\":{\"RegionScore\":"
				   "{\"7\":0.5,\"900\":0,\"8\":2}},"
				   "\"Regions\":{\"900\":{\"RegionID\":900,"
				   "\"RegionCode\":\"lab\",\"RegionName\":"
				   "\"Local lab\",\"Nodes\":[{\"Name\":"
				   "\"900a\",\"RegionID\":900,\"HostName\":"
				   "\"127.0.0.1\",\"IPv4\":\"127.0.0.1\","
				   "\"IPv6\":\"none\",\"DERPPort\":8443,"
				   "\"STUNPort\":-1,\"STUNOnly\":true,"
				   "\"CertName\":\"sha256-raw:00\","
				   "\"InsecureForTests\":true,"
				   "\"STUNTestIP\":\"127.0.0.2\"},null,"
				   "{\"HostName\":\"b.example\",\"CanPort80\":"
				   "true}]},\"7\":{\"Avoid\":true,"
				   "\"NoMeasureNoHome\":true,\"Latitude\":1.5,"
				   "\"Longitude\":-2,\"Nodes\":[]}}}");
	const struct derp_map_region *region = derp_map_region(m, 900);
	const struct derp_map_node *n = &region->nodes[0];

	EQ_INT(m->n_regions, 2, "regions");
	OK(m->omit_default_regions, "omitDefaultRegions");
	EQ_INT(m->regions[0].id, 7, "regions are in order");
	EQ_INT(region->n_nodes, 2, "null node is absent");
	EQ_STR(region->code, "lab", "code");
	EQ_STR(region->name, "Local lab", "name");
	EQ_STR(n->name, "900a", "node name");
	EQ_STR(n->host_name, "127.0.0.1", "host");
	EQ_STR(n->cert_name, "sha256-raw:00", "pin");
	EQ_STR(n->ipv6, "none", "IPv6");
	EQ_STR(n->stun_test_ip, "127.0.0.2", "STUNTestIP");
	OK(n->derp_port == 8443 && n->stun_port == -1 && n->stun_only &&
		n->insecure_for_tests && !n->can_port80,
	    "ports and flags");
	n++;
	OK(n->derp_port == 443 && n->stun_port == 3478 && n->can_port80 &&
		n->name[0] == '\0' && n->ipv4[0] == '\0' && n->region_id == 900,
	    "defaults");
	region = derp_map_region(m, 7);
	OK(region->avoid && region->no_measure_no_home &&
		region->n_nodes == 0 && region->latitude > 1.4 &&
		region->longitude < -1.9,
	    "region flags");
	OK(region->score > 0.49 && region->score < 0.51, "score");
	OK(derp_map_region(m, 900)->score > 0.99, "score 0 is ignored");
	OK(derp_map_region(m, 8) == NULL, "unknown region");
	derp_map_free(m);
}

static void
test_tolerance(void)
{
	struct derp_map *m = parse("{\"OmitDefaultRegions\":true,\"x\":[{}],"
				   "\"regions\":{\"1\":null,\"70000\":{\"Y\":1,"
				   "\"nodes\":[{\"HOSTNAME\":\"h\",\"Z\":{},"
				   "\"stunport\":-7}]}}}");

	OK(m->omit_default_regions, "casing");
	EQ_INT(m->n_regions, 1, "null region is absent");
	EQ_INT(m->regions[0].id, 70000, "id above 16 bits");
	EQ_INT(m->regions[0].nodes[0].stun_port, -1, "any negative port");
	derp_map_free(m);
	m = parse("{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"h\","
		  "\"STUNPort\":65536}]}}}");
	EQ_INT(m->regions[0].nodes[0].stun_port, -1, "STUN port 65536");
	derp_map_free(m);
	m = parse("{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\"}],"
		  "\"nodes\":[{\"HostName\":\"b\"}]}}}");
	EQ_STR(m->regions[0].nodes[0].host_name, "b", "last one counts");
	derp_map_free(m);
	m = parse("{}");
	EQ_INT(m->n_regions, 0, "empty map");
	OK(derp_map_pick(m, 0) == NULL, "nothing to pick");
	derp_map_free(m);
	m = parse("{\"Regions\":null,\"HomeParams\":null}");
	derp_map_free(m);
	m = parse("{\"Regions\":{\"9007199254740991\":{}}}");
	derp_map_free(m);
}

static void
test_errors(void)
{
	static const char *const bad[] = { "", "[]", "null", "7", "{", "{} {}",
		"{\"Regions\":[]}", "{\"Regions\":{\"x\":{}}}",
		"{\"Regions\":{\"\":{}}}", "{\"Regions\":{\"0\":{}}}",
		"{\"Regions\":{\"-1\":{}}}", "{\"Regions\":{\"01\":{}}}",
		"{\"Regions\":{\"9007199254740992\":{}}}",
		"{\"Regions\":{\"99999999999999999999999\":{}}}",
		"{\"Regions\":{\"1\":7}}",
		"{\"Regions\":{\"1\":{\"Nodes\":{}}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[7]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{}]}}}",
		"{\"Regions\":{\"1\":{\"RegionID\":\"1\"}}}",
		"{\"Regions\":{\"1\":{\"RegionCode\":1}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":7}]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a b\"}]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\\n\"}]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\","
		"\"DERPPort\":65536}]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\","
		"\"DERPPort\":-1}]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\","
		"\"DERPPort\":44.3}]}}}",
		"{\"Regions\":{\"1\":{\"Nodes\":[{\"HostName\":\"a\","
		"\"STUNPort\":\"1\"}]}}}",
		"{\"Regions\":{\"1\":{}},\"omitDefaultRegions\":1}",
		"{\"HomeParams\":{\"RegionScore\":{\"1\":\"x\"}}}",
		"{\"HomeParams\":{\"RegionScore\":{\"x\":1}}}" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EQ_INT(parse_error(bad[i]), -DT_ERR_SYNTAX, "%.70s", bad[i]);
		OK(detail[0] != '\0', "reason: %s", detail);
	}
}

/* Text of a map with that many regions, or nodes in region 1, plus spaces. */
static char *
make_text(size_t regions, size_t nodes, size_t pad)
{
	size_t cap = (regions + nodes) * 64 + pad + 64, n;
	char *text = malloc(cap);

	if (text == NULL)
		abort();
	n = (size_t)snprintf(text, cap, "{\"Regions\":{\"1\":{\"Nodes\":[");
	for (size_t i = 0; i < nodes; i++)
		n += (size_t)sprintf(
		    text + n, "%s{\"HostName\":\"h\"}", i > 0 ? "," : "");
	n += (size_t)snprintf(text + n, cap - n, "]}");
	for (size_t i = regions; i > 1; i--)
		n += (size_t)snprintf(text + n, cap - n, ",\"%zu\":{}", i);
	memset(text + n, ' ', pad);
	n += pad;
	memcpy(text + n, "}}", 3);
	return text;
}

static void
test_limits(void)
{
	static const struct {
		size_t regions, nodes;
		int want;
	} rows[] = { { DERP_MAP_MAX_REGIONS, DERP_MAP_MAX_NODES, 0 },
		{ DERP_MAP_MAX_REGIONS + 1, 1, -DT_ERR_LIMIT },
		{ 1, DERP_MAP_MAX_NODES + 1, -DT_ERR_LIMIT } };
	struct derp_map *m = NULL;
	char *text;
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		text = make_text(rows[i].regions, rows[i].nodes, 0);
		EQ_INT(parse_error(text), rows[i].want, "limit %zu", i);
		free(text);
	}
	text = make_text(1, 1, 0);
	len = strlen(text);
	free(text);
	text = make_text(1, 1, DERP_MAP_MAX_TEXT - len);
	EQ_INT(parse_error(text), 0, "longest text");
	free(text);
	text = make_text(1, 1, DERP_MAP_MAX_TEXT - len + 1);
	EQ_INT(parse_error(text), -DT_ERR_TOO_LONG, "one byte longer");
	EQ_INT(derp_map_parse(text, DERP_MAP_MAX_TEXT + 1, &m, NULL),
	    -DT_ERR_TOO_LONG, "nobody asks why");
	free(text);
}

static void
test_truncation(void)
{
	char *text = make_text(3, 2, 0);
	size_t len = strlen(text);

	for (size_t n = 0; n < len; n++) {
		char *copy = malloc(n > 0 ? n : 1);
		struct derp_map *m = NULL;

		if (copy == NULL)
			abort();
		memcpy(copy, text, n);
		EQ_INT(derp_map_parse(copy, n, &m, detail), -DT_ERR_SYNTAX,
		    "cut at %zu", n);
		free(copy);
	}
	free(text);
}

static void
test_pick(void)
{
	struct derp_map *m =
	    parse("{\"Regions\":{\"9\":{\"Nodes\":[{\"HostName\":\"n9\"}]},"
		  "\"2\":{\"Nodes\":[]},\"5\":{\"Nodes\":[{\"HostName\":"
		  "\"n5\",\"STUNOnly\":true},{\"HostName\":\"m5\"}]}}}");

	EQ_STR(derp_map_pick(m, 9)->host_name, "n9", "named region");
	EQ_STR(derp_map_pick(m, 0)->host_name, "n5", "lowest with nodes");
	EQ_STR(derp_map_pick(m, 77)->host_name, "n5", "unknown region");
	EQ_STR(derp_map_pick(m, 2)->host_name, "n5", "empty region");
	EQ_INT(derp_map_pick(m, 77)->region_id, 5, "the replacement shows");
	derp_map_free(m);
}

static void
test_custom(void)
{
	struct derp_map *m = NULL;
	const struct derp_map_node *n;

	EQ_INT(derp_map_new_custom("derp.example.com", 8443, 3478, NULL, &m), 0,
	    "custom map");
	n = derp_map_pick(m, DERP_MAP_CUSTOM_REGION);
	EQ_INT(m->n_regions, 1, "one region");
	EQ_STR(m->regions[0].code, "custom", "code");
	EQ_STR(m->regions[0].name, "Custom DERP", "name");
	OK(m->omit_default_regions, "no other regions");
	EQ_STR(n->name, "custom", "node");
	EQ_STR(n->host_name, "derp.example.com", "host");
	OK(n->derp_port == 8443 && n->stun_port == 3478 &&
		n->region_id == 900 && n->cert_name[0] == '\0',
	    "ports");
	derp_map_free(m);
	EQ_INT(derp_map_new_custom("::1", 443, 0, "sha256-raw:ab", &m), 0,
	    "pinned");
	n = derp_map_pick(m, 0);
	EQ_STR(n->cert_name, "sha256-raw:ab", "pin");
	EQ_INT(n->stun_port, -1, "no STUN");
	derp_map_free(m);
	EQ_INT(derp_map_new_custom("", 443, 0, NULL, &m), -DT_ERR_SYNTAX,
	    "empty host");
	EQ_INT(
	    derp_map_new_custom("h", 0, 0, NULL, &m), -DT_ERR_SYNTAX, "port 0");
	EQ_INT(derp_map_new_custom("h\r\n", 1, 0, NULL, &m), -DT_ERR_SYNTAX,
	    "line end in host");
	EQ_INT(derp_map_new_custom("h", 1, 65536, NULL, &m), -DT_ERR_SYNTAX,
	    "STUN port 65536");
}

static void
test_builtin(void)
{
	const struct derp_map *m = derp_map_builtin();
	struct addr a;
	size_t nodes = 0;

	EQ_INT(m->n_regions, 12, "12 regions");
	for (size_t i = 0; i < m->n_regions; i++) {
		const struct derp_map_region *region = &m->regions[i];
		bool good = region->n_nodes > 0 && region->id == (int)i + 1;

		for (size_t j = 0; j < region->n_nodes; j++) {
			const struct derp_map_node *n = &region->nodes[j];

			good = good && n->region_id == region->id &&
			       addr_parse_ip(&a, n->ipv4, 1) == 0 &&
			       a.family == AF_INET &&
			       addr_parse_ip(&a, n->ipv6, 1) == 0 &&
			       a.family == AF_INET6;
			nodes++;
		}
		OK(good, "region %s", region->code);
	}
	EQ_INT(nodes, 24, "24 nodes");
	EQ_STR(derp_map_pick(m, 0)->host_name, "derp1c.tailscale.com",
	    "where a Go peer starts");
	derp_map_free(NULL);
	derp_map_free((struct derp_map *)(uintptr_t)m);
	EQ_INT(m->n_regions, 12, "freeing it does nothing");
}

/* What is written reads back as the same map. */
static void
check_write(const struct derp_map *m, const char *name)
{
	struct derp_map *back = NULL;
	char *text = NULL, *again = NULL;

	EQ_INT(derp_map_write(m, &text), 0, "%s: written", name);
	back = parse(text);
	EQ_INT(back->n_regions, m->n_regions, "%s: regions", name);
	(void)derp_map_write(back, &again);
	EQ_STR(again, text, "%s: the same again", name);
	free(text);
	free(again);
	derp_map_free(back);
}

static void
test_write(void)
{
	struct derp_map *m = NULL;
	char *text = NULL;

	check_write(derp_map_builtin(), "built-in map");
	(void)derp_map_new_custom("h", 444, 0, "sha256-raw:ab", &m);
	check_write(m, "custom map");
	(void)derp_map_write(m, &text);
	OK(strstr(text, "\"DERPPort\": 444") != NULL &&
		strstr(text, "\"STUNPort\": -1") != NULL &&
		strstr(text, "\"RegionID\": 900") != NULL &&
		strstr(text, "\"omitDefaultRegions\": true") != NULL,
	    "names as Go writes them");
	free(text);
	derp_map_free(m);
	m = parse("{\"HomeParams\":{\"RegionScore\":{\"1\":0.5}},\"Regions\":"
		  "{\"1\":{\"Avoid\":true,\"Latitude\":1.5,\"Nodes\":"
		  "[{\"HostName\":\"h\",\"STUNOnly\":true}]}}}");
	check_write(m, "scores and flags");
	(void)derp_map_write(m, &text);
	OK(strstr(text, "RegionScore") != NULL, "scores are written");
	free(text);
	derp_map_free(m);
}

int
main(void)
{
	test_full();
	test_tolerance();
	test_errors();
	test_limits();
	test_truncation();
	test_pick();
	test_custom();
	test_builtin();
	test_write();
	return tap_done();
}
