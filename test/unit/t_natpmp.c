/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes as drawn in RFC 6886 3.2, 3.3, 3.4 and 3.5. */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/portmap/natpmp.h"
#include "test/tap.h"

static const uint8_t address_response[12] = { 0, 128, 0, 0, 0, 1, 0xe2, 0x40,
	198, 18, 0, 7 };
static const uint8_t map_response[16] = { 0, 129, 0, 0, 0, 1, 0xe2, 0x40, 0x9c,
	0x40, 0x9c, 0x41, 0, 0, 0x1c, 0x20 };

/* A right-sized heap copy, so that ASan sees one byte too far. */
static int
parse(const uint8_t *p, size_t len, struct natpmp_response *ret)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	if (copy == NULL)
		abort();
	memcpy(copy, p, len);
	r = natpmp_parse_response(copy, len, ret);
	free(copy);
	return r;
}

static void
test_requests(void)
{
	static const uint8_t address[2] = { 0, 0 };
	static const uint8_t map[12] = { 0, 1, 0, 0, 0x9c, 0x40, 0x9c, 0x41, 0,
		0, 0x1c, 0x20 };
	static const uint8_t unmap[12] = { 0, 1, 0, 0, 0x9c, 0x40, 0, 0, 0, 0,
		0, 0 };
	uint8_t out[NATPMP_MAP_REQUEST_LEN];

	natpmp_write_address_request(out);
	EQ_MEM(out, address, sizeof(address), "the public address is asked");
	natpmp_write_map_request(out, 40000, 40001, 7200);
	EQ_MEM(out, map, sizeof(map), "a mapping is asked");
	natpmp_write_map_request(out, 40000, 0, 0);
	EQ_MEM(out, unmap, sizeof(unmap), "a mapping is removed");
}

static void
test_responses(void)
{
	struct natpmp_response v;
	char text[ADDR_MAX_TEXT];

	EQ_INT(parse(address_response, 12, &v), 0, "address is read");
	EQ_INT(v.kind, NATPMP_ADDRESS, "as such");
	EQ_INT(v.result, NATPMP_OK, "result");
	EQ_INT(v.epoch_s, 123456, "epoch");
	addr_format_ip(&v.address, text);
	EQ_STR(text, "198.18.0.7", "address");
	EQ_INT(parse(map_response, 16, &v), 0, "mapping is read");
	EQ_INT(v.kind, NATPMP_MAP_UDP, "as such");
	EQ_INT(v.internal_port, 40000, "internal port");
	EQ_INT(v.external_port, 40001, "external port");
	EQ_INT(v.lifetime_s, 7200, "lifetime");
	for (size_t n = 0; n < 12; n++)
		EQ_INT(parse(address_response, n, &v), -DT_ERR_TRUNCATED,
		    "address cut at %zu", n);
	for (size_t n = 0; n < 16; n++)
		EQ_INT(parse(map_response, n, &v), -DT_ERR_TRUNCATED,
		    "mapping cut at %zu", n);
}

static void
test_errors(void)
{
	uint8_t b[16];
	struct natpmp_response v;

	memcpy(b, map_response, sizeof(b));
	b[3] = NATPMP_OUT_OF_RESOURCES;
	EQ_INT(parse(b, 16, &v), 0, "a refusal is read");
	EQ_INT(v.result, NATPMP_OUT_OF_RESOURCES, "with its reason");
	EQ_INT(v.epoch_s, 123456, "and epoch");
	EQ_INT(v.internal_port, 40000, "and port");
	EQ_INT(parse(b, 8, &v), 0, "a short one too");
	EQ_INT(v.internal_port, 0, "which has no port");
	EQ_INT(parse(b, 4, &v), 0, "and one of four bytes");
	EQ_INT(v.epoch_s, 0, "which has no epoch");
	EQ_INT(parse(b, 3, &v), -DT_ERR_TRUNCATED, "three bytes are none");
	b[2] = 0x12;
	EQ_INT(parse(b, 16, &v), 0, "an unknown result");
	EQ_INT(v.result, 0x1204, "is a result");
	memcpy(b, map_response, sizeof(b));
	b[0] = 2;
	EQ_INT(parse(b, 16, &v), -DT_ERR_VERSION, "PCP is not NAT-PMP");
	b[0] = 0;
	b[1] = 1;
	EQ_INT(parse(b, 16, &v), -DT_ERR_KIND, "a request is no response");
	b[1] = 130;
	EQ_INT(parse(b, 16, &v), -DT_ERR_KIND, "TCP was not asked");
}

int
main(void)
{
	test_requests();
	test_responses();
	test_errors();
	return tap_done();
}
