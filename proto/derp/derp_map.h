/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DERP maps: which relays there are.  A map is immutable once made; its strings
 * are never NULL and live as long as the map.
 */
#ifndef PROTO_DERP_MAP_H
#define PROTO_DERP_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The public map has about 30 regions of about 3 nodes in 20 KiB. */
#define DERP_MAP_MAX_REGIONS 256u
#define DERP_MAP_MAX_NODES 64u /* in one region */
#define DERP_MAP_MAX_TEXT ((size_t)1024 * 1024)
/* Largest integer that every JSON reader keeps exactly. */
#define DERP_MAP_MAX_REGION_ID ((INT64_C(1) << 53) - 1)
/* Tokens hold 16 bits of a region id. */
#define DERP_MAP_MAX_TOKEN_REGION 65535

#define DERP_MAP_CUSTOM_REGION 900 /* 900 .. 999 are the user's */
#define DERP_MAP_DEFAULT_DERP_PORT 443
#define DERP_MAP_DEFAULT_STUN_PORT 3478

/* Text of what is wrong with a map, terminator included. */
#define DERP_MAP_MAX_DETAIL 160u

struct derp_map_node {
	const char *name;      /* unique in the map */
	const char *host_name; /* never empty */
	const char *cert_name; /* "": host_name; "sha256-raw:HEX": a pin */
	const char *ipv4;      /* literal; "": ask DNS; else: family off */
	const char *ipv6;      /* likewise */
	const char *stun_test_ip;
	int64_t region_id;
	int32_t derp_port; /* 1 .. 65535; the default is filled in */
	int32_t stun_port; /* likewise; -1: no STUN here */
	bool stun_only;    /* no DERP on this node */
	bool can_port80;
	bool insecure_for_tests;
};

struct derp_map_region {
	int64_t id; /* 1 .. DERP_MAP_MAX_REGION_ID */
	const char *code;
	const char *name;
	double latitude;
	double longitude;
	double score; /* of HomeParams; multiplies latency, > 0, default 1 */
	bool avoid;
	bool no_measure_no_home;
	const struct derp_map_node *nodes;
	size_t n_nodes;
};

/* Regions are in ascending order of id. */
struct derp_map {
	const struct derp_map_region *regions;
	size_t n_regions;
	bool omit_default_regions;
	void *owned; /* private to derp_map.c; NULL for the built-in map */
};

/**
 * derp_map_parse(): a map from JSON text.  Member names match in any ASCII
 * case, unknown members and null regions or nodes are skipped.
 * @ret_detail: what is wrong, on failure; may be NULL.
 *
 * Returns 0, -DT_ERR_TOO_LONG (text), -DT_ERR_SYNTAX (JSON, type, host name,
 * port or id out of range), -DT_ERR_LIMIT (regions or nodes), -ENOMEM.
 */
int derp_map_parse(const char *text, size_t len, struct derp_map **ret_map,
    char ret_detail[DERP_MAP_MAX_DETAIL]);

/**
 * derp_map_new_custom(): the one-node map of a relay given by address (region
 * 900 "custom"), addresses left to DNS, default regions omitted.
 * @stun_port: 0 or -1 for none.
 * @cert_name: a pin, another name, or NULL.
 *
 * Returns 0, -DT_ERR_SYNTAX (empty or over-long host, port 0) or -ENOMEM.
 */
int derp_map_new_custom(const char *host, uint16_t derp_port, int32_t stun_port,
    const char *cert_name, struct derp_map **ret_map);

/** derp_map_free(): NULL and the built-in map are fine. */
void derp_map_free(struct derp_map *m);

/**
 * derp_map_builtin(): regions 1 .. 12 as compiled into tailscale v1.96.5, which
 * Go peers of the public level know.  Addresses age; a fetched map is better.
 */
const struct derp_map *derp_map_builtin(void);

/** derp_map_write(): JSON text of @m.  The caller frees it with free().
 * Returns 0 or -ENOMEM. */
int derp_map_write(const struct derp_map *m, char **ret_text);

/** derp_map_region(): by id; NULL if absent. */
const struct derp_map_region *derp_map_region(
    const struct derp_map *m, int64_t id);

/**
 * derp_map_pick(): the node that a Go peer takes for a token's region: the
 * first node of that region; or, with id 0 or an unknown or empty region, of
 * the lowest region that has nodes.  STUN-only nodes are not skipped.  Compare
 * node->region_id to learn whether the region was replaced.
 *
 * Returns NULL if the map has no node.
 */
const struct derp_map_node *derp_map_pick(
    const struct derp_map *m, int64_t region_id);

#endif
