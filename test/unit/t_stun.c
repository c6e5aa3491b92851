/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "proto/stun/stun.h"
#include "test/tap.h"
#include "test/unit/derp_vector.h"

static struct stun_tx tx;

static struct addr
addr_of(const char *text)
{
	struct addr a;

	if (addr_parse(&a, text) != 0)
		abort();
	return a;
}

/* A right-sized heap copy, so that ASan sees one byte too far. */
static int
parse_request(const uint8_t *p, size_t len, struct stun_tx *ret_tx)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	int r;

	if (copy == NULL)
		abort();
	memcpy(copy, p, len);
	r = stun_parse_request(copy, len, ret_tx);
	free(copy);
	return r;
}

static int
parse_response(const uint8_t *p, size_t len, struct addr *ret_addr)
{
	uint8_t *copy = malloc(len > 0 ? len : 1);
	struct stun_tx got;
	int r;

	if (copy == NULL)
		abort();
	memcpy(copy, p, len);
	r = stun_parse_response(copy, len, &got, ret_addr);
	if (r == 0 && !stun_tx_equal(&got, &tx))
		r = -DT_ERR_INTERNAL;
	free(copy);
	return r;
}

/* A message of @type with @attrs behind its header. */
static size_t
make(uint8_t *out, uint16_t type, const uint8_t *attrs, size_t attrs_len)
{
	struct buf_writer w = buf_writer(out, 2048);

	buf_put_u16(&w, type);
	buf_put_u16(&w, (uint16_t)attrs_len);
	buf_put_u32(&w, 0x2112a442);
	buf_put_bytes(&w, tx.b, sizeof(tx.b));
	buf_put_bytes(&w, attrs, attrs_len);
	return w.len;
}

static void
test_request(void)
{
	struct vector v = vector_get("stun_request");
	uint8_t out[STUN_REQUEST_LEN];
	struct stun_tx got;

	stun_write_request(out, &tx);
	EQ_INT(v.len, sizeof(out), "request has 40 bytes");
	EQ_MEM(out, v.p, sizeof(out), "request as the peer sends it");
	EQ_INT(parse_request(v.p, v.len, &got), 0, "request accepted");
	OK(stun_tx_equal(&got, &tx), "transaction id read");
	for (size_t n = 0; n < v.len; n++)
		OK(parse_request(v.p, n, &got) < 0, "request cut at %zu", n);
	for (size_t i = 0; i < v.len * 8; i++) {
		struct vector bad = v;

		if (i / 8 == 32 || i / 8 == 33)
			continue; /* another attribute, not to be understood */
		bad.p[i / 8] ^= (uint8_t)(1u << (i % 8));
		if (parse_request(bad.p, bad.len, &got) == 0)
			OK(false, "request with bit %zu flipped accepted", i);
	}
	EQ_INT(parse_request(v.p, 19, &got), -DT_ERR_TRUNCATED, "19 bytes");
	v.p[39] ^= 1;
	EQ_INT(parse_request(v.p, v.len, &got), -DT_ERR_CHECKSUM, "wrong CRC");
	v.p[39] ^= 1;
	v.p[v.len] = 0;
	EQ_INT(parse_request(v.p, v.len + 1, &got), -DT_ERR_SYNTAX,
	    "trailing byte");
	v.p[3]++;
	EQ_INT(parse_request(v.p, v.len + 1, &got), -DT_ERR_SYNTAX,
	    "trailing byte, counted");
}

static void
test_other_requests(void)
{
	static const uint8_t username[] = { 0, 6, 0, 3, 'a', 'b', 'c', 0 };
	static const uint8_t change[] = { 0, 3, 0, 4, 0, 0, 0, 6 };
	static const uint8_t cut[] = { 0x80, 0x22, 0, 9, 'a', 'b', 'c', 'd' };
	struct vector v = vector_get("stun_request");
	static uint8_t m[2048], big[1500];
	struct stun_tx got;
	size_t n;

	n = make(m, 1, NULL, 0);
	EQ_INT(parse_request(m, n, &got), 0, "no attribute at all");
	n = make(m, 1, v.p + 20, 12);
	EQ_INT(parse_request(m, n, &got), 0, "SOFTWARE alone");
	n = make(m, 1, username, sizeof(username));
	EQ_INT(parse_request(m, n, &got), 0, "odd length with padding");
	n = make(m, 1, change, sizeof(change));
	EQ_INT(parse_request(m, n, &got), -DT_ERR_UNSUPPORTED,
	    "attribute that must be comprehended");
	n = make(m, 1, cut, sizeof(cut));
	EQ_INT(parse_request(m, n, &got), -DT_ERR_SYNTAX, "attribute cut");
	n = make(m, 0x101, NULL, 0);
	EQ_INT(parse_request(m, n, &got), -DT_ERR_KIND, "a response");
	n = make(m, 0x11, NULL, 0);
	EQ_INT(parse_request(m, n, &got), -DT_ERR_KIND, "an indication");
	/* FINGERPRINT, right but followed by SOFTWARE */
	memcpy(big, v.p, 40);
	memmove(big + 40, v.p + 20, 12);
	big[3] = 32;
	EQ_INT(parse_request(big, 52, &got), -DT_ERR_SYNTAX,
	    "FINGERPRINT not last");
	memset(big, 0, sizeof(big));
	for (size_t i = 0; i < 1452; i += 4)
		big[i] = 0x80; /* empty optional attributes */
	n = make(m, 1, big, STUN_MAX_REQUEST_LEN - 20);
	EQ_INT(parse_request(m, n, &got), 0, "longest request");
	n = make(m, 1, big, STUN_MAX_REQUEST_LEN - 16);
	EQ_INT(parse_request(m, n, &got), -DT_ERR_TOO_LONG, "one too long");
}

static void
check_reply(const char *vector, const char *from, const char *seen)
{
	struct vector v = vector_get(vector);
	uint8_t out[STUN_MAX_RESPONSE_LEN];
	struct addr a = addr_of(from), want = addr_of(seen), got;

	if (strcmp(from, seen) == 0) {
		EQ_INT(stun_write_response(out, &tx, &a), v.len, "%s: length",
		    vector);
		EQ_MEM(out, v.p, v.len, "%s: bytes", vector);
	}
	EQ_INT(parse_response(v.p, v.len, &got), 0, "%s: read", vector);
	OK(addr_equal(&got, &want), "%s: address", vector);
	for (size_t n = 0; n < v.len; n++)
		EQ_INT(parse_response(v.p, n, &got), -DT_ERR_TRUNCATED,
		    "%s: cut at %zu", vector, n);
	v.p[v.len] = 0xee;
	EQ_INT(parse_response(v.p, v.len + 1, &got), 0, "%s: trailing byte",
	    vector);
}

static void
test_responses(void)
{
	struct addr mapped = addr_of("[::ffff:192.0.2.33]:40000");
	struct addr none = { 0 };
	struct vector v = vector_get("stun_reply_v4");
	uint8_t out[STUN_MAX_RESPONSE_LEN];

	check_reply("stun_reply_v4", "192.0.2.33:40000", "192.0.2.33:40000");
	check_reply(
	    "stun_reply_v6", "[2001:db8::1]:40000", "[2001:db8::1]:40000");
	check_reply("stun_reply_mapped", "[::ffff:192.0.2.33]:40000",
	    "192.0.2.33:40000");
	EQ_INT(stun_write_response(out, &tx, &mapped), v.len,
	    "mapped address is answered as IPv4");
	EQ_MEM(out, v.p, v.len, "mapped address: bytes");
	EQ_INT(stun_write_response(out, &tx, &none), 0, "no family");
}

static void
test_tolerance(void)
{
	struct vector v = vector_get("stun_reply_v4");
	static const uint8_t plain[] = { 0, 1, 0, 8, 0, 1, 0x9c, 0x40, 192, 0,
		2, 33 };
	static const uint8_t other[] = { 0, 1, 0, 8, 0, 1, 0x9c, 0x41, 9, 9, 9,
		9 };
	static const uint8_t software[] = { 0x80, 0x22, 0, 5, 'h', 'e', 'l',
		'l', 'o', 0, 0, 0 };
	static const uint8_t bad_family[] = { 0, 0x20, 0, 8, 0, 3, 0, 0, 0, 0,
		0, 0 };
	static const uint8_t short_v6[] = { 0, 0x20, 0, 8, 0, 2, 0, 0, 0, 0, 0,
		0 };
	struct addr want = addr_of("192.0.2.33:40000"), got;
	uint8_t attrs[64], m[2048];
	size_t n;

	v.p[20] = 0x80;
	EQ_INT(parse_response(v.p, v.len, &got), 0, "number 0x8020");
	OK(addr_equal(&got, &want), "number 0x8020: address");
	v.p[20] = 0;
	n = make(m, 0x101, plain, sizeof(plain));
	EQ_INT(parse_response(m, n, &got), 0, "MAPPED-ADDRESS only");
	OK(addr_equal(&got, &want), "MAPPED-ADDRESS only: address");
	memcpy(attrs, software, 12);
	memcpy(attrs + 12, v.p + 20, 12);
	memcpy(attrs + 24, other, 12);
	n = make(m, 0x101, attrs, 36);
	EQ_INT(parse_response(m, n, &got), 0, "odd padding, both addresses");
	OK(addr_equal(&got, &want), "XOR-MAPPED-ADDRESS wins");
	n = make(m, 0x101, software, sizeof(software));
	EQ_INT(parse_response(m, n, &got), -DT_ERR_SYNTAX, "no address");
	n = make(m, 0x101, software, 9);
	EQ_INT(parse_response(m, n, &got), -DT_ERR_SYNTAX, "padding missing");
	n = make(m, 0x101, bad_family, sizeof(bad_family));
	EQ_INT(parse_response(m, n, &got), -DT_ERR_SYNTAX, "family 3");
	n = make(m, 0x101, short_v6, sizeof(short_v6));
	EQ_INT(parse_response(m, n, &got), -DT_ERR_SYNTAX, "IPv6 of 4 bytes");
	n = make(m, 0x111, plain, sizeof(plain));
	EQ_INT(parse_response(m, n, &got), -DT_ERR_KIND, "an error response");
}

static void
test_classify(void)
{
	struct vector v = vector_get("stun_request");

	OK(stun_is_message(v.p, v.len), "request is STUN");
	OK(stun_is_message(v.p, 20), "20 bytes suffice");
	OK(!stun_is_message(v.p, 19), "19 bytes do not");
	v.p[0] = 0x40;
	OK(!stun_is_message(v.p, v.len), "QUIC short header is not");
	v.p[0] = 0xc0;
	OK(!stun_is_message(v.p, v.len), "QUIC long header is not");
	v.p[0] = 0;
	v.p[4] ^= 1;
	OK(!stun_is_message(v.p, v.len), "no cookie, no STUN");
}

int
main(void)
{
	struct vector v = vector_get("stun_tx");

	memcpy(tx.b, v.p, sizeof(tx.b));
	test_request();
	test_other_requests();
	test_responses();
	test_tolerance();
	test_classify();
	return tap_done();
}
