/* SPDX-License-Identifier: BSD-3-Clause */
/* XML of a gateway: as a description, and as an action's answer. */
#include <stdlib.h>
#include <string.h>

#include "helpers/portmap/upnp_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char text[] = "http://192.168.1.1:5000/a/root.xml";
	struct upnp_xml_description d;
	struct upnp_xml_reply v;
	struct upnp_url url;
	struct addr host;

	if (upnp_url_parse(&url, text, sizeof(text) - 1) != 0)
		abort();
	if (upnp_xml_get_description(data, size, &url, &d) == 0) {
		if (d.n < 1 || d.n > UPNP_XML_MAX_TARGETS)
			abort();
		for (size_t i = 0; i < d.n; i++) {
			host = d.targets[i].control.host;
			host.port = url.host.port;
			if (!addr_equal(&host, &url.host) ||
			    !soap_is_service(d.targets[i].service))
				abort();
		}
	}
	upnp_xml_get_reply(data, size, &v);
	if ((v.address.family != 0 && v.address.family != AF_INET) ||
	    v.error < 0 || v.error > 999)
		abort();
	return 0;
}
