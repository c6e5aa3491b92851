/* SPDX-License-Identifier: BSD-3-Clause */
/* SSDP answers, and URLs against a base. */
#include <stdlib.h>
#include <string.h>

#include "proto/portmap/ssdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct upnp_url *u)
{
	if (u->host.family != AF_INET || u->host.port == 0 ||
	    strnlen(u->path, sizeof(u->path)) == sizeof(u->path) ||
	    strpbrk(u->path, "\r\n ") != NULL)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char base_text[] = "http://192.168.1.1:5000/a/b.xml";
	struct upnp_url base, u;

	if (ssdp_parse_response(data, size, &u) == 0)
		check(&u);
	if (upnp_url_parse(&base, base_text, sizeof(base_text) - 1) != 0)
		abort();
	if (upnp_url_resolve(&u, &base, (const char *)data, size) == 0)
		check(&u);
	return 0;
}
