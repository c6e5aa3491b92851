/* SPDX-License-Identifier: BSD-3-Clause */
/* Bytes as drawn in RFC 6887 7.1, 7.2, 11.1; the epoch of 8.5. */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/portmap/epoch.h"
#include "proto/portmap/pcp.h"
#include "test/tap.h"

/* clang-format off */
static const uint8_t request[60] = {
	2, 1, 0, 0,  0, 0, 0x1c, 0x20,                     /* MAP, 7200 s */
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 168, 1, 9,
	'n', 'o', 'n', 'c', 'e', '-', 'n', 'o', 'n', 'c', 'e', '!',
	17, 0, 0, 0,  0x9c, 0x40, 0x9c, 0x41,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 18, 0, 7,
};
static const uint8_t response[60] = {
	2, 0x81, 0, 0,  0, 0, 0x1c, 0x20,  0, 1, 0xe2, 0x40,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	'n', 'o', 'n', 'c', 'e', '-', 'n', 'o', 'n', 'c', 'e', '!',
	17, 0, 0, 0,  0x9c, 0x40, 0x9c, 0x41,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 198, 18, 0, 7,
};
/* clang-format on */

static int
parse(const uint8_t *p, size_t len, struct pcp_response *ret)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	if (copy == NULL)
		abort();
	memcpy(copy, p, len);
	r = pcp_parse_response(copy, len, ret);
	free(copy);
	return r;
}

static void
test_request(void)
{
	struct pcp_map m = { .internal_port = 40000, .lifetime_s = 7200 };
	uint8_t out[PCP_MAP_LEN], removal[PCP_MAP_LEN];
	struct addr client;

	memcpy(m.nonce, "nonce-nonce!", 12);
	(void)addr_parse(&m.external, "198.18.0.7:40001");
	(void)addr_parse_ip(&client, "192.168.1.9", 0);
	pcp_write_map(out, &client, &m);
	EQ_MEM(out, request, sizeof(request), "MAP with a suggestion");
	memcpy(removal, request, sizeof(removal));
	memset(removal + 4, 0, 4);
	memset(removal + 42, 0, 2);
	memset(removal + 56, 0, 4);
	m.lifetime_s = 0;
	pcp_write_map(out, &client, &m);
	EQ_MEM(out, removal, sizeof(removal), "a removal suggests nothing");
}

static void
test_response(void)
{
	struct pcp_response v;
	uint8_t b[PCP_MAX_LEN + 4];
	char text[ADDR_MAX_TEXT];

	EQ_INT(parse(response, 60, &v), 0, "a mapping is read");
	EQ_INT(v.result, PCP_OK, "result");
	EQ_INT(v.epoch_s, 123456, "epoch");
	EQ_INT(v.map.lifetime_s, 7200, "lifetime");
	EQ_MEM(v.map.nonce, "nonce-nonce!", 12, "nonce");
	EQ_INT(v.map.internal_port, 40000, "internal port");
	addr_format(&v.map.external, text);
	EQ_STR(text, "198.18.0.7:40001", "external address");
	EQ_INT(parse(response, 0, &v), -DT_ERR_TRUNCATED, "nothing");
	for (size_t n = 1; n < 60; n++)
		OK(parse(response, n, &v) < 0, "cut at %zu", n);
	memset(b, 0, sizeof(b));
	memcpy(b, response, 60);
	EQ_INT(parse(b, PCP_MAX_LEN, &v), 0, "options are ignored");
	EQ_INT(parse(b, PCP_MAX_LEN + 4, &v), -DT_ERR_TOO_LONG, "too long");
	EQ_INT(parse(b, 62, &v), -DT_ERR_SYNTAX, "no multiple of four");
}

/* @at changed to @value: what comes out? */
static int
changed(size_t at, uint8_t value, size_t len)
{
	struct pcp_response v;
	uint8_t b[60];

	memcpy(b, response, sizeof(b));
	b[at] = value;
	return parse(b, len, &v);
}

static void
test_errors(void)
{
	struct pcp_response v;
	uint8_t b[60];

	EQ_INT(changed(0, 0, 60), -DT_ERR_VERSION, "NAT-PMP is not PCP");
	EQ_INT(changed(1, 1, 60), -DT_ERR_KIND, "a request is no response");
	EQ_INT(changed(1, 0x80, 60), -DT_ERR_KIND, "ANNOUNCE was not asked");
	EQ_INT(changed(36, 6, 60), -DT_ERR_KIND, "nor was TCP");
	EQ_INT(changed(55, 0, 60), -DT_ERR_SYNTAX, "a mapping to IPv6");
	memcpy(b, response, sizeof(b));
	b[42] = b[43] = 0;
	EQ_INT(parse(b, 60, &v), -DT_ERR_SYNTAX, "a mapping to port 0");
	b[4] = b[5] = b[6] = b[7] = 0;
	EQ_INT(parse(b, 60, &v), 0, "is a removal when it has no life");
	b[3] = PCP_NO_RESOURCES;
	b[7] = 30;
	EQ_INT(parse(b, 60, &v), 0, "a refusal is read");
	EQ_INT(v.result, PCP_NO_RESOURCES, "with its reason");
	EQ_INT(v.map.lifetime_s, 30, "and how long it lasts");
	EQ_INT(parse(b, 24, &v), 0, "also without its MAP part");
	OK(v.map.internal_port == 0 && v.map.nonce[0] == 0, "which is zero");
}

static struct mono
at(int64_t s)
{
	return (struct mono){ (1000 + s) * MONO_SEC };
}

static void
test_epoch(void)
{
	struct epoch e = { 0 };

	OK(epoch_update(&e, 500, at(0)), "the first answer is believed");
	OK(epoch_update(&e, 560, at(60)), "clocks agree");
	OK(epoch_update(&e, 559, at(60)), "one second back is an overtaking");
	OK(!epoch_update(&e, 557, at(60)), "two are a restart");
	OK(epoch_update(&e, 617, at(120)), "from there on");
	OK(epoch_update(&e, 617 + 1500, at(120 + 1600)), "1/16 slow is fine");
	OK(!epoch_update(&e, 2117 + 1497, at(1720 + 1600)), "slower is not");
	OK(epoch_update(&e, 3614 + 1600, at(3320 + 1502)), "1/16 fast is fine");
	OK(!epoch_update(&e, 5214 + 1600, at(4822 + 1490)), "faster is not");
	OK(epoch_update(&e, 6814, at(6312)), "and then it goes on");
	OK(!epoch_update(&e, 3, at(6372)), "a real restart");
}

int
main(void)
{
	test_request();
	test_response();
	test_errors();
	test_epoch();
	return tap_done();
}
