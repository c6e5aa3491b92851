/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams from port 5351 of a gateway: NAT-PMP and PCP. */
#include <stdlib.h>

#include "proto/portmap/natpmp.h"
#include "proto/portmap/pcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct natpmp_response n;
	struct pcp_response p;
	int a = natpmp_parse_response(data, size, &n);
	int b = pcp_parse_response(data, size, &p);

	if (a == 0 && b == 0) /* the version tells them apart */
		abort();
	if (b == 0 && p.result == PCP_OK && p.map.lifetime_s != 0 &&
	    (p.map.external.family != AF_INET || p.map.external.port == 0))
		abort();
	return 0;
}
