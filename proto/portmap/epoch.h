/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Has a gateway lost its mappings?  NAT-PMP and PCP put into every answer the
 * seconds since the gateway's table was last empty.  RFC 6887 8.5.
 */
#ifndef PROTO_PORTMAP_EPOCH_H
#define PROTO_PORTMAP_EPOCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mono.h"

/* Zero: nothing heard yet. */
struct epoch {
	bool known;
	uint32_t server_s;
	struct mono heard;
};

/**
 * epoch_update(): an answer said @server_s.
 *
 * Returns false when the gateway's clock and ours disagree by more than the RFC
 * grants (2 s and a sixteenth), or the gateway's went back by more than 1 s:
 * mappings made before are lost.
 */
bool epoch_update(struct epoch *e, uint32_t server_s, struct mono now);

#endif
