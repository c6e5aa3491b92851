/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 24 bytes that open every stream of a derptun data plane (peer v0.18.2,
 * "DPTS" version 1): which TCP connection the stream belongs to, and which of
 * its lanes it is.
 */
#ifndef PROTO_TUNNEL_LANE_HEADER_H
#define PROTO_TUNNEL_LANE_HEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/secret.h"

#define LANE_HEADER_LEN 24

struct lane_header {
	uint8_t count;  /* lanes of the group; 0 = control stream */
	uint8_t index;  /* below count; 0 for control */
	struct id16 id; /* of the group; ignored for control */
};

/** lane_header_is_control(): the stream that marks the control connection. */
bool lane_header_is_control(const struct lane_header *h);

/** lane_header_encode(): @h must be one that lane_header_decode() takes. */
void lane_header_encode(
    uint8_t ret_wire[static LANE_HEADER_LEN], const struct lane_header *h);

/**
 * lane_header_decode(): byte 7 is ignored, as peers do.
 *
 * Returns 0, -DT_ERR_SYNTAX (bad magic or index), -DT_ERR_VERSION.
 */
int lane_header_decode(
    struct lane_header *ret_header, const uint8_t wire[static LANE_HEADER_LEN]);

#endif
