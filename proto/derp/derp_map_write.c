/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "proto/derp/derp_map.h"

#define MAX_ID_TEXT 24 /* an int64_t and its terminator */

/* Members with their zero value are left out, as Go does.  Results are ORed
 * together: jansson fails for want of memory only. */
static int
set_string(json_t *obj, const char *name, const char *s)
{
	return s[0] == '\0' ? 0
			    : json_object_set_new(obj, name, json_string(s));
}

static int
set_true(json_t *obj, const char *name, bool b)
{
	return b ? json_object_set_new(obj, name, json_true()) : 0;
}

static int
set_real(json_t *obj, const char *name, double x)
{
	return x < 0 || x > 0 ? json_object_set_new(obj, name, json_real(x))
			      : 0;
}

static int
set_port(json_t *obj, const char *name, int32_t port, int32_t preset)
{
	return port == preset
		   ? 0
		   : json_object_set_new(obj, name, json_integer(port));
}

/* A new reference, or NULL. */
static json_t *
write_node(const struct derp_map_node *n)
{
	json_t *obj = json_object();
	int bad = 0;

	bad |= json_object_set_new(obj, "Name", json_string(n->name));
	bad |= json_object_set_new(obj, "RegionID", json_integer(n->region_id));
	bad |= json_object_set_new(obj, "HostName", json_string(n->host_name));
	bad |= set_string(obj, "CertName", n->cert_name);
	bad |= set_string(obj, "IPv4", n->ipv4);
	bad |= set_string(obj, "IPv6", n->ipv6);
	bad |=
	    set_port(obj, "STUNPort", n->stun_port, DERP_MAP_DEFAULT_STUN_PORT);
	bad |= set_true(obj, "STUNOnly", n->stun_only);
	bad |=
	    set_port(obj, "DERPPort", n->derp_port, DERP_MAP_DEFAULT_DERP_PORT);
	bad |= set_true(obj, "InsecureForTests", n->insecure_for_tests);
	bad |= set_string(obj, "STUNTestIP", n->stun_test_ip);
	bad |= set_true(obj, "CanPort80", n->can_port80);
	if (bad == 0)
		return obj;
	json_decref(obj);
	return NULL;
}

static json_t *
write_region(const struct derp_map_region *region)
{
	json_t *obj = json_object();
	json_t *nodes = json_array();
	int bad = 0;

	bad |= json_object_set_new(obj, "RegionID", json_integer(region->id));
	bad |=
	    json_object_set_new(obj, "RegionCode", json_string(region->code));
	bad |=
	    json_object_set_new(obj, "RegionName", json_string(region->name));
	bad |= set_real(obj, "Latitude", region->latitude);
	bad |= set_real(obj, "Longitude", region->longitude);
	bad |= set_true(obj, "Avoid", region->avoid);
	bad |= set_true(obj, "NoMeasureNoHome", region->no_measure_no_home);
	for (size_t i = 0; i < region->n_nodes; i++)
		bad |=
		    json_array_append_new(nodes, write_node(&region->nodes[i]));
	bad |= json_object_set_new(obj, "Nodes", nodes);
	if (bad == 0)
		return obj;
	json_decref(obj);
	return NULL;
}

/* Scores other than 1; NULL also when there are none. */
static json_t *
write_scores(const struct derp_map *m, int *bad)
{
	json_t *scores = json_object();
	char id[MAX_ID_TEXT];

	for (size_t i = 0; i < m->n_regions; i++) {
		double score = m->regions[i].score;

		if (score >= 1.0 && score <= 1.0)
			continue;
		(void)snprintf(
		    id, sizeof(id), "%lld", (long long)m->regions[i].id);
		*bad |= json_object_set_new(scores, id, json_real(score));
	}
	if (json_object_size(scores) > 0)
		return scores;
	json_decref(scores);
	return NULL;
}

int
derp_map_write(const struct derp_map *m, char **ret_text)
{
	json_t *root = json_object();
	json_t *regions = json_object();
	json_t *scores;
	char id[MAX_ID_TEXT];
	char *text = NULL;
	int bad = 0;

	scores = write_scores(m, &bad);
	if (scores != NULL)
		bad |= json_object_set_new(root, "HomeParams",
		    json_pack("{s:o}", "RegionScore", scores));
	for (size_t i = 0; i < m->n_regions; i++) {
		(void)snprintf(
		    id, sizeof(id), "%lld", (long long)m->regions[i].id);
		bad |= json_object_set_new(
		    regions, id, write_region(&m->regions[i]));
	}
	bad |= json_object_set_new(root, "Regions", regions);
	bad |= set_true(root, "omitDefaultRegions", m->omit_default_regions);
	if (bad == 0)
		text = json_dumps(root, JSON_INDENT(2));
	json_decref(root);
	if (text == NULL)
		return -ENOMEM;
	*ret_text = text;
	return 0;
}
