/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Tailscale's public relays as compiled into tailscale v1.96.5 (its DNS
 * fallback list): the regions that a Go peer of that version can resolve.
 */
#include "proto/derp/derp_map.h"

/* name, host, IPv4, IPv6.  All of them serve the default ports and port 80. */
#define NODE(region, n, host, v4, v6)                                          \
	{                                                                      \
		.name = (n), .host_name = (host), .cert_name = "",             \
		.ipv4 = (v4), .ipv6 = (v6), .stun_test_ip = "",                \
		.region_id = (region),                                         \
		.derp_port = DERP_MAP_DEFAULT_DERP_PORT,                       \
		.stun_port = DERP_MAP_DEFAULT_STUN_PORT, .can_port80 = true    \
	}

#define REGION(number, label, list)                                            \
	{                                                                      \
		.id = (number), .code = (label), .name = (label),              \
		.score = 1.0, .nodes = (list),                                 \
		.n_nodes = sizeof(list) / sizeof((list)[0])                    \
	}

static const struct derp_map_node region1[] = {
	NODE(1, "1c", "derp1c.tailscale.com", "104.248.8.210",
	    "2604:a880:800:10::7a0:e001"),
	NODE(1, "1d", "derp1d.tailscale.com", "165.22.33.71",
	    "2604:a880:800:10::7fe:f001"),
	NODE(1, "1e", "derp1e.tailscale.com", "64.225.56.166",
	    "2604:a880:800:10::873:4001"),
};

static const struct derp_map_node region2[] = {
	NODE(2, "2d", "derp2d.tailscale.com", "192.73.252.65",
	    "2607:f740:0:3f::287"),
	NODE(2, "2e", "derp2e.tailscale.com", "192.73.252.134",
	    "2607:f740:0:3f::44c"),
	NODE(2, "2f", "derp2f.tailscale.com", "208.111.34.178",
	    "2607:f740:0:3f::f4"),
};

static const struct derp_map_node region3[] = {
	NODE(3, "3a", "derp3.tailscale.com", "68.183.179.66",
	    "2400:6180:0:d1::67d:8001"),
};

static const struct derp_map_node region4[] = {
	NODE(4, "4c", "derp4c.tailscale.com", "134.122.77.138",
	    "2a03:b0c0:3:d0::1501:6001"),
	NODE(4, "4d", "derp4d.tailscale.com", "134.122.94.167",
	    "2a03:b0c0:3:d0::1501:b001"),
	NODE(4, "4e", "derp4e.tailscale.com", "134.122.74.153",
	    "2a03:b0c0:3:d0::29:9001"),
};

static const struct derp_map_node region5[] = {
	NODE(5, "5a", "derp5.tailscale.com", "103.43.75.49",
	    "2001:19f0:5801:10b7:5400:2ff:feaa:284c"),
};

static const struct derp_map_node region6[] = {
	NODE(6, "6a", "derp6.tailscale.com", "68.183.90.120",
	    "2400:6180:100:d0::982:d001"),
};

static const struct derp_map_node region7[] = {
	NODE(7, "7a", "derp7.tailscale.com", "167.179.89.145",
	    "2401:c080:1000:467f:5400:2ff:feee:22aa"),
};

static const struct derp_map_node region8[] = {
	NODE(8, "8b", "derp8b.tailscale.com", "46.101.74.201",
	    "2a03:b0c0:1:d0::ec1:e001"),
	NODE(8, "8c", "derp8c.tailscale.com", "206.189.16.32",
	    "2a03:b0c0:1:d0::e1f:4001"),
	NODE(8, "8d", "derp8d.tailscale.com", "178.62.44.132",
	    "2a03:b0c0:1:d0::e08:e001"),
};

static const struct derp_map_node region9[] = {
	NODE(9, "9a", "derp9.tailscale.com", "207.148.3.137",
	    "2001:19f0:6401:1d9c:5400:2ff:feef:bb82"),
	NODE(9, "9b", "derp9b.tailscale.com", "144.202.67.195",
	    "2001:19f0:6401:eb5:5400:3ff:fe8d:6d9b"),
	NODE(9, "9c", "derp9c.tailscale.com", "155.138.243.219",
	    "2001:19f0:6401:fe7:5400:3ff:fe8d:6d9c"),
};

static const struct derp_map_node region10[] = {
	NODE(10, "10a", "derp10.tailscale.com", "137.220.36.168",
	    "2001:19f0:8001:2d9:5400:2ff:feef:bbb1"),
};

static const struct derp_map_node region11[] = {
	NODE(11, "11a", "derp11.tailscale.com", "18.230.97.74",
	    "2600:1f1e:ee4:5611:ec5c:1736:d43b:a454"),
};

static const struct derp_map_node region12[] = {
	NODE(12, "12a", "derp12.tailscale.com", "216.128.144.130",
	    "2001:19f0:5c01:289:5400:3ff:fe8d:cb5e"),
	NODE(12, "12b", "derp12b.tailscale.com", "45.63.71.144",
	    "2001:19f0:5c01:48a:5400:3ff:fe8d:cb5f"),
	NODE(12, "12c", "derp12c.tailscale.com", "149.28.119.105",
	    "2001:19f0:5c01:2cb:5400:3ff:fe8d:cb60"),
};

static const struct derp_map_region regions[] = {
	REGION(1, "r1", region1),
	REGION(2, "r2", region2),
	REGION(3, "r3", region3),
	REGION(4, "r4", region4),
	REGION(5, "r5", region5),
	REGION(6, "r6", region6),
	REGION(7, "r7", region7),
	REGION(8, "r8", region8),
	REGION(9, "r9", region9),
	REGION(10, "r10", region10),
	REGION(11, "r11", region11),
	REGION(12, "r12", region12),
};

static const struct derp_map builtin = {
	.regions = regions,
	.n_regions = sizeof(regions) / sizeof(regions[0]),
};

const struct derp_map *
derp_map_builtin(void)
{
	return &builtin;
}
