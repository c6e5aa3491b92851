/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * NAT-PMP, RFC 6886: the bytes.  UDP to port 5351 of the gateway, the same port
 * as PCP's, told apart by the version in the first byte.
 *
 * Not libnatpmp: it reads the wall clock, keeps one request per object, throws
 * PCP's answers on the shared socket away, and would be the only reason for a
 * second library; both of its messages are a dozen bytes.
 */
#ifndef PROTO_PORTMAP_NATPMP_H
#define PROTO_PORTMAP_NATPMP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define NATPMP_PORT 5351 /* PCP's too */
#define NATPMP_VERSION 0
#define NATPMP_ADDRESS_REQUEST_LEN 2u
#define NATPMP_MAP_REQUEST_LEN 12u

enum natpmp_result {
	NATPMP_OK = 0,
	NATPMP_VERSION_UNSUPPORTED = 1,
	NATPMP_REFUSED = 2,
	NATPMP_NETWORK_FAILURE = 3,
	NATPMP_OUT_OF_RESOURCES = 4,
	NATPMP_OPCODE_UNSUPPORTED = 5,
};

enum natpmp_kind {
	NATPMP_ADDRESS = 0, /* the gateway's public address */
	NATPMP_MAP_UDP = 1,
};

struct natpmp_response {
	enum natpmp_kind kind;
	uint16_t result;        /* enum natpmp_result, or what is not in it */
	uint32_t epoch_s;       /* 0 when the answer was too short for it */
	uint16_t internal_port; /* MAP_UDP; 0 when it is cut off */
	/* Only when the result is NATPMP_OK: */
	struct addr address;    /* ADDRESS: IPv4, port 0 */
	uint16_t external_port; /* MAP_UDP, as the next */
	uint32_t lifetime_s;    /* 0: removed */
};

/** natpmp_write_address_request(): what is your public address? */
void natpmp_write_address_request(
    uint8_t out[static NATPMP_ADDRESS_REQUEST_LEN]);

/**
 * natpmp_write_map_request(): map UDP, or remove.
 * @external_port: suggestion; 0 for none and when removing.
 * @lifetime_s: 0 removes.
 */
void natpmp_write_map_request(uint8_t out[static NATPMP_MAP_REQUEST_LEN],
    uint16_t internal_port, uint16_t external_port, uint32_t lifetime_s);

/**
 * natpmp_parse_response(): bytes behind what the RFC has are ignored.
 *
 * Returns 0, -DT_ERR_TRUNCATED, -DT_ERR_VERSION (not NAT-PMP), -DT_ERR_KIND (no
 * response, or to what we never ask).  A refusal of PCP by a gateway that only
 * knows NAT-PMP comes out as NATPMP_VERSION_UNSUPPORTED of either kind.
 */
int natpmp_parse_response(
    const void *p, size_t len, struct natpmp_response *ret_response);

#endif
