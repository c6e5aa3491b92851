/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The XML of a gateway, read with miniupnpc's parser.  Of that library only
 * what works on bytes is used: the rest makes sockets, which this process may
 * not, and blocks.
 */
#ifndef HELPERS_PORTMAP_UPNP_XML_H
#define HELPERS_PORTMAP_UPNP_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "proto/portmap/soap.h"

/* A gateway may have an IP and a PPP connection; miniupnpc keeps two. */
#define UPNP_XML_MAX_TARGETS 2u
/* What is not a code of UPnP: 402 to 799. */
#define UPNP_XML_ODD_ERROR 501

struct upnp_xml_description {
	size_t n; /* at least 1 */
	struct soap_target targets[UPNP_XML_MAX_TARGETS];
};

/**
 * upnp_xml_get_description(): the WAN connections in a device description.
 * @url: where it was fetched.  Control URLs at any other address are left out.
 *
 * Returns 0, -DT_ERR_SYNTAX (none that can be used), or -ENOMEM.
 */
int upnp_xml_get_description(const void *p, size_t len,
    const struct upnp_url *url, struct upnp_xml_description *ret_description);

struct upnp_xml_reply {
	int error;              /* errorCode of a fault, or 0 */
	struct addr address;    /* NewExternalIPAddress; family 0: none */
	struct addr client;     /* NewInternalClient; family 0: none */
	uint16_t internal_port; /* NewInternalPort; 0: none */
	uint16_t reserved_port; /* NewReservedPort; 0: none */
	bool permanent;         /* NewLeaseDuration is 0 */
};

/** upnp_xml_get_reply(): the values of an action's answer that we know; a fault
 * when memory is out. */
void upnp_xml_get_reply(
    const void *p, size_t len, struct upnp_xml_reply *ret_reply);

#endif
