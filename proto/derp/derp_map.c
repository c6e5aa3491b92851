/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A parsed map is one block for the map, one array of regions and one of nodes
 * for each region; the strings stay in the JSON tree, which the map owns.
 */
#include "proto/derp/derp_map.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "proto/derp/derp_json.h"

/* What a heap map owns beside itself. */
struct owned {
	json_t *tree; /* holds the strings of a parsed map */
	struct derp_map_region regions[DERP_MAP_MAX_REGIONS];
};

/* State of one parse.  Regions grow sorted by id. */
struct parse {
	struct derp_map *map;
	struct owned *owned;
	char *detail; /* or NULL */
};

__attribute__((format(printf, 3, 4))) static int
fail(const struct parse *p, int r, const char *fmt, ...)
{
	va_list ap;

	if (p->detail == NULL)
		return r;
	va_start(ap, fmt);
	(void)vsnprintf(p->detail, DERP_MAP_MAX_DETAIL, fmt, ap);
	va_end(ap); /* a cut text is good enough */
	return r;
}

/* Decimal, no sign, no leading zero, 1 .. DERP_MAP_MAX_REGION_ID. */
static int
parse_id(const char *text, int64_t *ret_id)
{
	int64_t id = 0;

	if (*text == '0' || *text == '\0')
		return -DT_ERR_SYNTAX;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -DT_ERR_SYNTAX;
		id = id * 10 + (*text - '0');
		if (id > DERP_MAP_MAX_REGION_ID)
			return -DT_ERR_SYNTAX;
	}
	*ret_id = id;
	return 0;
}

/* A TCP port; 0 and absent mean @preset. */
static int
get_port(const json_t *value, int32_t preset, int32_t *ret_port)
{
	int64_t n = 0;
	int r = derp_json_get_int(value, &n);

	if (r < 0)
		return r;
	if (n < 0 || n > UINT16_MAX)
		return -DT_ERR_SYNTAX;
	*ret_port = n == 0 ? preset : (int32_t)n;
	return 0;
}

/* Any negative number switches STUN off; so does one that is no port. */
static int
get_stun_port(const json_t *value, int32_t *ret_port)
{
	int64_t n = 0;
	int r = derp_json_get_int(value, &n);

	if (r < 0)
		return r;
	if (n < 0 || n > UINT16_MAX)
		*ret_port = -1;
	else
		*ret_port = n == 0 ? DERP_MAP_DEFAULT_STUN_PORT : (int32_t)n;
	return 0;
}

static int
get_node_member(
    const char *name, const json_t *value, struct derp_map_node *node)
{
	if (derp_json_is_name(name, "Name"))
		return derp_json_get_string(value, &node->name);
	if (derp_json_is_name(name, "RegionID"))
		return derp_json_get_int(value, &node->region_id);
	if (derp_json_is_name(name, "HostName"))
		return derp_json_get_string(value, &node->host_name);
	if (derp_json_is_name(name, "CertName"))
		return derp_json_get_string(value, &node->cert_name);
	if (derp_json_is_name(name, "IPv4"))
		return derp_json_get_string(value, &node->ipv4);
	if (derp_json_is_name(name, "IPv6"))
		return derp_json_get_string(value, &node->ipv6);
	if (derp_json_is_name(name, "STUNTestIP"))
		return derp_json_get_string(value, &node->stun_test_ip);
	if (derp_json_is_name(name, "STUNPort"))
		return get_stun_port(value, &node->stun_port);
	if (derp_json_is_name(name, "DERPPort"))
		return get_port(
		    value, DERP_MAP_DEFAULT_DERP_PORT, &node->derp_port);
	if (derp_json_is_name(name, "STUNOnly"))
		return derp_json_get_bool(value, &node->stun_only);
	if (derp_json_is_name(name, "CanPort80"))
		return derp_json_get_bool(value, &node->can_port80);
	if (derp_json_is_name(name, "InsecureForTests"))
		return derp_json_get_bool(value, &node->insecure_for_tests);
	return 0;
}

static void
init_node(struct derp_map_node *node, int64_t region_id)
{
	*node = (struct derp_map_node){
		.name = "",
		.host_name = "",
		.cert_name = "",
		.ipv4 = "",
		.ipv6 = "",
		.stun_test_ip = "",
		.region_id = region_id,
		.derp_port = DERP_MAP_DEFAULT_DERP_PORT,
		.stun_port = DERP_MAP_DEFAULT_STUN_PORT,
	};
}

/* Host names end up in HTTP heads and DNS questions: visible ASCII only. */
static bool
is_host(const char *s)
{
	size_t len = strlen(s);

	if (len == 0 || len >= ADDR_MAX_HOST)
		return false;
	for (size_t i = 0; i < len; i++)
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '/' || s[i] == '@')
			return false;
	return true;
}

static int
parse_node(const struct parse *p, json_t *json, int64_t region_id,
    struct derp_map_node *node)
{
	const char *name;
	json_t *value;
	int r;

	init_node(node, region_id);
	if (!json_is_object(json))
		return fail(p, -DT_ERR_SYNTAX,
		    "region %lld: a node is no object", (long long)region_id);
	json_object_foreach(json, name, value) {
		r = get_node_member(name, value, node);
		if (r < 0)
			return fail(p, r, "region %lld: bad value of %.40s",
			    (long long)region_id, name);
	}
	/* the region owns it, whatever it says itself */
	node->region_id = region_id;
	if (!is_host(node->host_name))
		return fail(p, -DT_ERR_SYNTAX,
		    "region %lld: node %.40s lacks a good HostName",
		    (long long)region_id, node->name);
	return 0;
}

static int
parse_nodes(
    const struct parse *p, const json_t *json, struct derp_map_region *region)
{
	struct derp_map_node *nodes;
	size_t n = 0, i;
	json_t *value;
	int r;

	if (json_is_null(json))
		return 0;
	if (!json_is_array(json))
		return -DT_ERR_SYNTAX;
	if (json_array_size(json) > DERP_MAP_MAX_NODES)
		return fail(p, -DT_ERR_LIMIT,
		    "region %lld has more than %u nodes", (long long)region->id,
		    DERP_MAP_MAX_NODES);
	nodes = calloc(json_array_size(json) + 1, sizeof(*nodes));
	if (nodes == NULL)
		return -ENOMEM;
	free((void *)(uintptr_t)region->nodes); /* named twice: last counts */
	region->nodes = nodes;
	region->n_nodes = 0;
	json_array_foreach(json, i, value) {
		if (json_is_null(value))
			continue;
		r = parse_node(p, value, region->id, &nodes[n]);
		if (r < 0)
			return r;
		n++;
	}
	region->n_nodes = n;
	return 0;
}

static int
get_region_member(const struct parse *p, const char *name, const json_t *value,
    struct derp_map_region *region)
{
	int64_t ignored;

	if (derp_json_is_name(name, "RegionID"))
		return derp_json_get_int(value, &ignored); /* key counts */
	if (derp_json_is_name(name, "RegionCode"))
		return derp_json_get_string(value, &region->code);
	if (derp_json_is_name(name, "RegionName"))
		return derp_json_get_string(value, &region->name);
	if (derp_json_is_name(name, "Latitude"))
		return derp_json_get_real(value, &region->latitude);
	if (derp_json_is_name(name, "Longitude"))
		return derp_json_get_real(value, &region->longitude);
	if (derp_json_is_name(name, "Avoid"))
		return derp_json_get_bool(value, &region->avoid);
	if (derp_json_is_name(name, "NoMeasureNoHome"))
		return derp_json_get_bool(value, &region->no_measure_no_home);
	if (derp_json_is_name(name, "Nodes"))
		return parse_nodes(p, value, region);
	return 0;
}

/* A place for region @id, in order.  NULL if there is one already. */
static struct derp_map_region *
insert_region(struct parse *p, int64_t id)
{
	struct derp_map_region *regions = p->owned->regions;
	size_t at = p->map->n_regions;

	while (at > 0 && regions[at - 1].id > id)
		at--;
	if (at > 0 && regions[at - 1].id == id)
		return NULL;
	memmove(&regions[at + 1], &regions[at],
	    (p->map->n_regions - at) * sizeof(*regions));
	regions[at] = (struct derp_map_region){
		.id = id, .code = "", .name = "", .score = 1.0
	};
	p->map->n_regions++;
	return &regions[at];
}

static int
parse_region(struct parse *p, const char *key, json_t *json)
{
	struct derp_map_region *region;
	const char *name;
	json_t *value;
	int64_t id;
	int r = parse_id(key, &id);

	if (r < 0)
		return fail(p, r, "bad region id %.40s", key);
	if (json_is_null(json))
		return 0;
	if (!json_is_object(json))
		return fail(
		    p, -DT_ERR_SYNTAX, "region %.40s is no object", key);
	if (p->map->n_regions == DERP_MAP_MAX_REGIONS)
		return fail(p, -DT_ERR_LIMIT, "more than %u regions",
		    DERP_MAP_MAX_REGIONS);
	region = insert_region(p, id);
	if (region == NULL)
		return fail(
		    p, -DT_ERR_SYNTAX, "region %.40s is there twice", key);
	json_object_foreach(json, name, value) {
		r = get_region_member(p, name, value, region);
		if (r < 0)
			return p->detail == NULL || p->detail[0] != '\0'
				   ? r
				   : fail(p, r, "region %s: bad value of %.40s",
					 key, name);
	}
	return 0;
}

static int
parse_regions(struct parse *p, json_t *json)
{
	const char *key;
	json_t *value;
	int r;

	if (json_is_null(json))
		return 0;
	if (!json_is_object(json))
		return fail(p, -DT_ERR_SYNTAX, "Regions is no object");
	json_object_foreach(json, key, value) {
		r = parse_region(p, key, value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int
parse_scores(struct parse *p, json_t *json)
{
	const char *key;
	json_t *value;
	double score;
	int64_t id;

	json_object_foreach(json, key, value) {
		score = 0;
		if (parse_id(key, &id) < 0 ||
		    derp_json_get_real(value, &score) < 0)
			return fail(
			    p, -DT_ERR_SYNTAX, "bad RegionScore of %.40s", key);
		for (size_t i = 0; i < p->map->n_regions; i++)
			if (p->owned->regions[i].id == id && score > 0)
				p->owned->regions[i].score = score;
	}
	return 0;
}

/* The last member called @name in any case; NULL if absent. */
static json_t *
find(json_t *obj, const char *name)
{
	json_t *value, *found = NULL;
	const char *key;

	json_object_foreach(obj, key, value)
		if (derp_json_is_name(key, name))
			found = value;
	return found;
}

static int
parse_map(struct parse *p, json_t *root)
{
	json_t *regions = find(root, "Regions");
	json_t *omit = find(root, "omitDefaultRegions");
	json_t *home = find(root, "HomeParams");
	json_t *scores = find(home, "RegionScore");
	int r;

	if (!json_is_object(root))
		return fail(p, -DT_ERR_SYNTAX, "a map is a JSON object");
	if (omit != NULL &&
	    derp_json_get_bool(omit, &p->map->omit_default_regions) < 0)
		return fail(
		    p, -DT_ERR_SYNTAX, "omitDefaultRegions is no boolean");
	r = regions != NULL ? parse_regions(p, regions) : 0;
	return r < 0 ? r : parse_scores(p, scores);
}

/* An empty map on the heap. */
static struct derp_map *
new_map(struct owned **ret_owned)
{
	struct derp_map *map = calloc(1, sizeof(*map));
	struct owned *owned = calloc(1, sizeof(*owned));

	if (map == NULL || owned == NULL) {
		free(map);
		free(owned);
		return NULL;
	}
	map->owned = owned;
	map->regions = owned->regions;
	*ret_owned = owned;
	return map;
}

int
derp_map_parse(const char *text, size_t len, struct derp_map **ret_map,
    char ret_detail[DERP_MAP_MAX_DETAIL])
{
	struct parse p = { .detail = ret_detail };
	json_error_t error;
	int r;

	if (ret_detail != NULL)
		ret_detail[0] = '\0';
	if (len > DERP_MAP_MAX_TEXT)
		return fail(&p, -DT_ERR_TOO_LONG, "more than %zu bytes",
		    DERP_MAP_MAX_TEXT);
	p.map = new_map(&p.owned);
	if (p.map == NULL)
		return -ENOMEM;
	p.owned->tree = json_loadb(text, len, 0, &error);
	if (p.owned->tree == NULL)
		r = fail(
		    &p, -DT_ERR_SYNTAX, "line %d: %s", error.line, error.text);
	else
		r = parse_map(&p, p.owned->tree);
	if (r < 0) {
		derp_map_free(p.map);
		return r;
	}
	*ret_map = p.map;
	return 0;
}

/* The JSON that a user would write for the one relay.  NULL without memory. */
static char *
custom_text(const char *host, uint16_t derp_port, int32_t stun_port,
    const char *cert_name)
{
	json_t *root;
	char *text;

	root =
	    json_pack("{s:b, s:{s:{s:s, s:s, s:[{s:s, s:s, s:i, s:i, s:s*}]}}}",
		"omitDefaultRegions", 1, "Regions", "900", "RegionCode",
		"custom", "RegionName", "Custom DERP", "Nodes", "Name",
		"custom", "HostName", host, "DERPPort", (int)derp_port,
		"STUNPort", (int)stun_port, "CertName", cert_name);
	text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

int
derp_map_new_custom(const char *host, uint16_t derp_port, int32_t stun_port,
    const char *cert_name, struct derp_map **ret_map)
{
	char *text;
	int r;

	if (!is_host(host) || derp_port == 0 || stun_port > UINT16_MAX)
		return -DT_ERR_SYNTAX;
	text = custom_text(
	    host, derp_port, stun_port > 0 ? stun_port : -1, cert_name);
	if (text == NULL)
		return -ENOMEM;
	r = derp_map_parse(text, strlen(text), ret_map, NULL);
	free(text);
	return r;
}

void
derp_map_free(struct derp_map *m)
{
	struct owned *owned;

	if (m == NULL || m->owned == NULL)
		return;
	owned = m->owned;
	for (size_t i = 0; i < m->n_regions; i++)
		free((void *)(uintptr_t)owned->regions[i].nodes);
	json_decref(owned->tree);
	free(owned);
	free(m);
}

const struct derp_map_region *
derp_map_region(const struct derp_map *m, int64_t id)
{
	for (size_t i = 0; i < m->n_regions; i++)
		if (m->regions[i].id == id)
			return &m->regions[i];
	return NULL;
}

const struct derp_map_node *
derp_map_pick(const struct derp_map *m, int64_t region_id)
{
	const struct derp_map_region *region = derp_map_region(m, region_id);

	if (region != NULL && region->n_nodes > 0)
		return &region->nodes[0];
	for (size_t i = 0; i < m->n_regions; i++)
		if (m->regions[i].n_nodes > 0)
			return &m->regions[i].nodes[0];
	return NULL;
}
