/* SPDX-License-Identifier: BSD-3-Clause */
/* Golden bytes: peer v0.18.2. */
#include "proto/tunnel/lane_header.h"

#include "lib/err.h"
#include "test/tap.h"

static const uint8_t control[LANE_HEADER_LEN] = { 0x44, 0x50, 0x54, 0x53, 1 };
static const uint8_t lane_0_of_12[LANE_HEADER_LEN] = { 0x44, 0x50, 0x54, 0x53,
	1, 12, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const uint8_t lane_11_of_12[LANE_HEADER_LEN] = { 0x44, 0x50, 0x54, 0x53,
	1, 12, 11, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
static const uint8_t single_lane[LANE_HEADER_LEN] = { 0x44, 0x50, 0x54, 0x53, 1,
	1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void
test_golden(const char *name, const uint8_t *wire, uint8_t count, uint8_t index)
{
	struct lane_header h = { .count = count, .index = index };
	struct lane_header got;
	uint8_t out[LANE_HEADER_LEN];

	for (uint8_t i = 0; count > 0 && i < 16; i++)
		h.id.b[i] = i;
	lane_header_encode(out, &h);
	EQ_MEM(out, wire, sizeof(out), "%s: encoded", name);
	EQ_INT(lane_header_decode(&got, wire), 0, "%s: decoded", name);
	EQ_INT(got.count, count, "%s: count", name);
	EQ_INT(got.index, index, "%s: index", name);
	EQ_MEM(got.id.b, h.id.b, 16, "%s: id", name);
	OK(lane_header_is_control(&got) == (count == 0), "%s: control", name);
}

static int
decode_changed(size_t at, uint8_t value)
{
	struct lane_header h;
	uint8_t wire[LANE_HEADER_LEN];

	memcpy(wire, lane_11_of_12, sizeof(wire));
	wire[at] = value;
	return lane_header_decode(&h, wire);
}

static void
test_hostile(void)
{
	struct lane_header h = { .count = 77 };
	uint8_t wire[LANE_HEADER_LEN];

	for (size_t i = 0; i < 4; i++)
		EQ_INT(decode_changed(i, 0), -DT_ERR_SYNTAX,
		    "magic byte %zu counts", i);
	EQ_INT(decode_changed(4, 2), -DT_ERR_VERSION, "version 2");
	EQ_INT(decode_changed(4, 0), -DT_ERR_VERSION, "version 0");
	EQ_INT(decode_changed(5, 11), -DT_ERR_SYNTAX, "index = count");
	EQ_INT(decode_changed(5, 0), -DT_ERR_SYNTAX, "control with an index");
	EQ_INT(decode_changed(6, 12), -DT_ERR_SYNTAX, "index above the last");
	EQ_INT(decode_changed(7, 255), 0, "the reserved byte is not checked");
	EQ_INT(decode_changed(5, 255), 0, "255 lanes");
	memset(wire, 0, sizeof(wire));
	OK(lane_header_decode(&h, wire) < 0 && h.count == 77,
	    "nothing is written on failure");
}

int
main(void)
{
	test_golden("control", control, 0, 0);
	test_golden("lane 0 of 12", lane_0_of_12, 12, 0);
	test_golden("lane 11 of 12", lane_11_of_12, 12, 11);
	test_golden("single lane", single_lane, 1, 0);
	test_hostile();
	return tap_done();
}
