/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Requests to a UPnP gateway, as bytes for a connection of their own: GET of
 * its description, and the actions of WANIPConnection we use.  Reading the
 * answers is done where miniupnpc is.
 */
#ifndef PROTO_PORTMAP_SOAP_H
#define PROTO_PORTMAP_SOAP_H

#include <stdint.h>

#include "lib/addr.h"
#include "lib/buf.h"
#include "proto/portmap/upnp_url.h"

#define SOAP_MAX_REQUEST 2048u
/* Of what a gateway calls its service; longer ones are none. */
#define SOAP_MAX_SERVICE 128u

/* Where actions go. */
struct soap_target {
	struct upnp_url control;
	char service[SOAP_MAX_SERVICE]; /* e.g. ...:WANIPConnection:1 */
};

struct soap_mapping {
	uint16_t external_port;
	uint16_t internal_port;
	struct addr client;  /* ours; IPv4 */
	uint32_t lifetime_s; /* 0: until removed */
};

/** soap_write_get(): fetch a description. */
void soap_write_get(struct buf_writer *w, const struct upnp_url *url);
/** soap_write_address(): GetExternalIPAddress. */
void soap_write_address(struct buf_writer *w, const struct soap_target *t);
/** soap_write_add(): AddPortMapping for UDP. */
void soap_write_add(struct buf_writer *w, const struct soap_target *t,
    const struct soap_mapping *m);
/** soap_write_add_any(): AddAnyPortMapping, of WANIPConnection:2: another port
 * may be chosen. */
void soap_write_add_any(struct buf_writer *w, const struct soap_target *t,
    const struct soap_mapping *m);
/** soap_write_delete(): DeletePortMapping. */
void soap_write_delete(
    struct buf_writer *w, const struct soap_target *t, uint16_t external_port);
/** soap_write_check(): GetSpecificPortMappingEntry. */
void soap_write_check(
    struct buf_writer *w, const struct soap_target *t, uint16_t external_port);

/** soap_is_service(): may this name go into a request as it is, and is it a WAN
 * connection?  Nothing that XML or HTTP would read as its own. */
bool soap_is_service(const char *name);

#endif
