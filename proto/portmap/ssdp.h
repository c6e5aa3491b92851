/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finding a UPnP gateway: UPnP Device Architecture 1.1, section 1.3.  One
 * question per kind of gateway, and what the answers say.
 */
#ifndef PROTO_PORTMAP_SSDP_H
#define PROTO_PORTMAP_SSDP_H

#include <stddef.h>

#include "lib/addr.h"
#include "lib/buf.h"
#include "proto/portmap/upnp_url.h"

#define SSDP_PORT 1900
#define SSDP_GROUP "239.255.255.250"
/* Version 2 must answer for version 1 as well; some do not. */
#define SSDP_QUESTIONS 2u
#define SSDP_MAX_QUESTION 160u

/** ssdp_write_search(): the @which-th M-SEARCH. */
void ssdp_write_search(struct buf_writer *w, unsigned which);

/**
 * ssdp_parse_response(): where a gateway's description lies.
 *
 * Returns 0, or -DT_ERR_SYNTAX: no 200 answer, not of an internet gateway, or
 * no usable LOCATION.
 */
int ssdp_parse_response(
    const void *p, size_t len, struct upnp_url *ret_location);

#endif
