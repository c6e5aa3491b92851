/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Port Control Protocol, RFC 6887: the bytes of MAP for UDP over IPv4.  There
 * is no packaged client library.
 */
#ifndef PROTO_PORTMAP_PCP_H
#define PROTO_PORTMAP_PCP_H

#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define PCP_VERSION 2
#define PCP_NONCE_LEN 12
#define PCP_MAP_LEN 60u   /* request and response without options */
#define PCP_MAX_LEN 1100u /* RFC 6887 7 */

enum pcp_result {
	PCP_OK = 0,
	PCP_UNSUPP_VERSION = 1,
	PCP_NOT_AUTHORIZED = 2,
	PCP_MALFORMED_REQUEST = 3,
	PCP_UNSUPP_OPCODE = 4,
	PCP_NETWORK_FAILURE = 7,
	PCP_NO_RESOURCES = 8,
	PCP_USER_EX_QUOTA = 10,
	PCP_CANNOT_PROVIDE_EXTERNAL = 11,
	PCP_ADDRESS_MISMATCH = 12,
};

struct pcp_map {
	uint8_t nonce[PCP_NONCE_LEN];
	uint16_t internal_port;
	struct addr external; /* suggested, then assigned; family 0: none */
	uint32_t lifetime_s;  /* 0 removes; of an error: how long it lasts */
};

struct pcp_response {
	uint8_t result; /* enum pcp_result, or what is not in it */
	uint32_t epoch_s;
	struct pcp_map map; /* of an error: as requested */
};

/**
 * pcp_write_map(): a MAP request for UDP.
 * @client: our own IPv4 address, as the gateway sees it.
 * @m: when it removes, the suggestion is left out.
 */
void pcp_write_map(uint8_t out[static PCP_MAP_LEN], const struct addr *client,
    const struct pcp_map *m);

/**
 * pcp_parse_response(): options are ignored.
 *
 * Returns 0, -DT_ERR_TRUNCATED, -DT_ERR_TOO_LONG, -DT_ERR_VERSION (not PCP),
 * -DT_ERR_KIND (no response to MAP of UDP), -DT_ERR_SYNTAX (length no multiple
 * of 4, or a mapping without IPv4 address or port).  An error answer may come
 * without its MAP part; the nonce is zero then.
 */
int pcp_parse_response(
    const void *p, size_t len, struct pcp_response *ret_response);

#endif
