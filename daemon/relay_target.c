/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/relay_target.h"

#include <stdio.h>
#include <string.h>

static void
put_literal(struct relay_target *t, size_t i, const char *text)
{
	struct addr a;

	if (addr_parse_ip(&a, text, t->port) == 0)
		t->literal[i] = a;
}

static void
finish(struct relay_target *t, const char *pin)
{
	if (pin[0] != '\0')
		(void)snprintf(t->cert_name, sizeof(t->cert_name), "%s", pin);
}

void
relay_target_from_route(struct relay_target *ret_target,
    const struct token_route *route, const char *pin)
{
	struct relay_target t;

	memset(&t, 0, sizeof(t));
	(void)snprintf(t.host, sizeof(t.host), "%s", route->host);
	t.port = route->derp_port;
	t.use_dns = true; /* the resolver answers literals too */
	finish(&t, pin);
	*ret_target = t;
}

static void
from_node(struct relay_target *t, const struct derp_map_node *n,
    const struct derp_map_node *first, const char *pin)
{
	memset(t, 0, sizeof(*t));
	(void)snprintf(t->host, sizeof(t->host), "%s", n->host_name);
	(void)snprintf(t->cert_name, sizeof(t->cert_name), "%s", n->cert_name);
	t->port = (uint16_t)n->derp_port;
	put_literal(t, 0, n->ipv4);
	put_literal(t, 1, n->ipv6);
	/* "" asks for DNS, any other text switches the family off. */
	t->use_dns = t->literal[0].family == 0 && t->literal[1].family == 0 &&
		     (n->ipv4[0] == '\0' || n->ipv6[0] == '\0');
	if (n != first)
		(void)snprintf(t->ideal, sizeof(t->ideal), "%s", first->name);
	finish(t, pin);
}

size_t
relay_target_from_map(struct relay_target *ret_targets,
    const struct derp_map *map, int64_t region, const char *pin,
    int64_t *ret_region)
{
	const struct derp_map_node *first = derp_map_pick(map, region);
	const struct derp_map_region *in;
	size_t n = 0;

	if (first == NULL)
		return 0;
	in = derp_map_region(map, first->region_id);
	for (size_t i = 0; i < in->n_nodes && n < RELAY_TARGET_MAX; i++) {
		/* Go peers take the first node even if it is STUN only. */
		if (&in->nodes[i] == first || !in->nodes[i].stun_only)
			from_node(&ret_targets[n++], &in->nodes[i], first, pin);
	}
	*ret_region = first->region_id;
	return n;
}

bool
relay_target_equal(const struct relay_target *a, const struct relay_target *b)
{
	for (size_t i = 0; i < 2; i++)
		if (a->literal[i].family != b->literal[i].family ||
		    (a->literal[i].family != 0 &&
			!addr_equal(&a->literal[i], &b->literal[i])))
			return false;
	return strcmp(a->host, b->host) == 0 && a->port == b->port &&
	       strcmp(a->cert_name, b->cert_name) == 0 &&
	       strcmp(a->ideal, b->ideal) == 0 && a->use_dns == b->use_dns;
}

void
relay_target_text(
    const struct relay_target *t, char out[static RELAY_TARGET_MAX_TEXT])
{
	(void)snprintf(out, RELAY_TARGET_MAX_TEXT,
	    strchr(t->host, ':') != NULL ? "[%s]:%u" : "%s:%u", t->host,
	    (unsigned)t->port);
}
