/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DER from a fixed template: every length is below 65536, so each value is
 * written behind a four-byte header place and closed by moving it down to the
 * length's shortest form (X.690 8.1.3, 10.1).  Sequence of fields: RFC
 * 5280 4.1; key and signature: RFC 8410.
 */
#include "proto/quic/identity_cert.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "lib/buf.h"

#define TAG_BOOLEAN 0x01
#define TAG_INTEGER 0x02
#define TAG_BIT_STRING 0x03
#define TAG_OCTET_STRING 0x04
#define TAG_OID 0x06
#define TAG_PRINTABLE 0x13
#define TAG_UTC_TIME 0x17
#define TAG_GENERALIZED_TIME 0x18
#define TAG_SEQUENCE 0x30
#define TAG_SET 0x31
#define TAG_CONTEXT_0 0xa0 /* constructed, explicit */
#define TAG_CONTEXT_3 0xa3
#define TAG_DNS_NAME 0x82 /* GeneralName [2], RFC 5280 4.2.1.6 */

/* Tag and the longest length form used: 82 hh ll. */
#define HEADER_MAX 4
#define SERIAL_LEN 16
#define DAY_SECONDS 86400
#define HOUR_SECONDS 3600
#define MINUTE_SECONDS 60
/* 9998-12-31 23:59:59, so that the end still has four digits. */
#define MAX_UNIX INT64_C(253370764799)
/* UTCTime ends with 2049 (RFC 5280 4.1.2.5). */
#define UTC_TIME_LAST_YEAR 2049

static const char subject_name[] = "derphole";

/* Contents of OBJECT IDENTIFIERs. */
static const uint8_t oid_ed25519[] = { 0x2b, 0x65, 0x70 };
static const uint8_t oid_common_name[] = { 0x55, 0x04, 0x03 };
static const uint8_t oid_key_usage[] = { 0x55, 0x1d, 0x0f };
static const uint8_t oid_ext_key_usage[] = { 0x55, 0x1d, 0x25 };
static const uint8_t oid_basic_constraints[] = { 0x55, 0x1d, 0x13 };
static const uint8_t oid_alt_name[] = { 0x55, 0x1d, 0x11 };
static const uint8_t oid_server_auth[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07,
	0x03, 0x01 };
static const uint8_t oid_client_auth[] = { 0x2b, 0x06, 0x01, 0x05, 0x05, 0x07,
	0x03, 0x02 };
/* BIT STRING with digitalSignature only: 7 unused bits. */
static const uint8_t usage_bits[] = { TAG_BIT_STRING, 0x02, 0x07, 0x80 };

/* Begin a value: returns where it starts, for der_end(). */
static size_t
der_begin(struct buf_writer *w)
{
	static const uint8_t place[HEADER_MAX];
	size_t at = w->len;

	buf_put_bytes(w, place, sizeof(place));
	return at;
}

static void
der_end(struct buf_writer *w, size_t at, uint8_t tag)
{
	uint8_t h[HEADER_MAX] = { tag };
	size_t body, n = 2;

	if (w->err != 0)
		return;
	body = w->len - at - HEADER_MAX;
	assert(body <= UINT16_MAX);
	if (body < 0x80) {
		h[1] = (uint8_t)body;
	} else if (body <= UINT8_MAX) {
		h[1] = 0x81;
		h[2] = (uint8_t)body;
		n = 3;
	} else {
		h[1] = 0x82;
		h[2] = (uint8_t)(body >> 8);
		h[3] = (uint8_t)(body & 0xff);
		n = 4;
	}
	memcpy(w->p + at, h, n);
	memmove(w->p + at + n, w->p + at + HEADER_MAX, body);
	w->len = at + n + body;
}

static void
der_put(struct buf_writer *w, uint8_t tag, const void *p, size_t len)
{
	size_t at = der_begin(w);

	buf_put_bytes(w, p, len);
	der_end(w, at, tag);
}

static void
put_algorithm(struct buf_writer *w)
{
	size_t at = der_begin(w);

	der_put(w, TAG_OID, oid_ed25519, sizeof(oid_ed25519));
	der_end(w, at, TAG_SEQUENCE);
}

static void
put_name(struct buf_writer *w)
{
	size_t name = der_begin(w);
	size_t rdn = der_begin(w);
	size_t pair = der_begin(w);

	der_put(w, TAG_OID, oid_common_name, sizeof(oid_common_name));
	der_put(w, TAG_PRINTABLE, subject_name, sizeof(subject_name) - 1);
	der_end(w, pair, TAG_SEQUENCE);
	der_end(w, rdn, TAG_SET);
	der_end(w, name, TAG_SEQUENCE);
}

static void
put_digits(struct buf_writer *w, int64_t v, int n)
{
	char text[4];

	for (int i = n; i-- > 0; v /= 10)
		text[i] = (char)('0' + v % 10);
	buf_put_bytes(w, text, (size_t)n);
}

/*
 * Civil date of a day number, counted in 400-year cycles from a March that
 * begins one; workers must not call gmtime(), which opens the time zone file.
 */
static void
civil_date(int64_t days, int64_t *ret_y, int64_t *ret_m, int64_t *ret_d)
{
	int64_t z = days + 719468; /* 0000-03-01 to 1970-01-01 */
	int64_t era = z / 146097;  /* days in 400 years */
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*ret_d = doy - (153 * mp + 2) / 5 + 1;
	*ret_m = mp < 10 ? mp + 3 : mp - 9;
	*ret_y = yoe + era * 400 + (*ret_m <= 2 ? 1 : 0);
}

static void
put_time(struct buf_writer *w, int64_t t)
{
	int64_t y, m, d, sec = t % DAY_SECONDS;
	size_t at = der_begin(w);
	bool utc;

	civil_date(t / DAY_SECONDS, &y, &m, &d);
	utc = y <= UTC_TIME_LAST_YEAR;
	if (utc)
		put_digits(w, y % 100, 2);
	else
		put_digits(w, y, 4);
	put_digits(w, m, 2);
	put_digits(w, d, 2);
	put_digits(w, sec / HOUR_SECONDS, 2);
	put_digits(w, sec / MINUTE_SECONDS % 60, 2);
	put_digits(w, sec % MINUTE_SECONDS, 2);
	buf_put_u8(w, 'Z');
	der_end(w, at, utc ? TAG_UTC_TIME : TAG_GENERALIZED_TIME);
}

static void
put_validity(struct buf_writer *w, int64_t unix_now)
{
	size_t at = der_begin(w);

	put_time(w, unix_now < MINUTE_SECONDS ? 0 : unix_now - MINUTE_SECONDS);
	put_time(w, unix_now + HOUR_SECONDS);
	der_end(w, at, TAG_SEQUENCE);
}

static void
put_public_key(struct buf_writer *w, const struct key32 *public_key)
{
	size_t spki = der_begin(w);
	size_t bits;

	put_algorithm(w);
	bits = der_begin(w);
	buf_put_u8(w, 0); /* no unused bits */
	buf_put_bytes(w, public_key->b, sizeof(public_key->b));
	der_end(w, bits, TAG_BIT_STRING);
	der_end(w, spki, TAG_SEQUENCE);
}

/* Begin an extension; its value follows, then end_extension(). */
static void
begin_extension(struct buf_writer *w, const uint8_t oid[static 3],
    bool critical, size_t ret_at[static 2])
{
	static const uint8_t true_byte = 0xff;

	ret_at[0] = der_begin(w);
	der_put(w, TAG_OID, oid, 3);
	if (critical)
		der_put(w, TAG_BOOLEAN, &true_byte, 1);
	ret_at[1] = der_begin(w);
}

static void
end_extension(struct buf_writer *w, const size_t at[static 2])
{
	der_end(w, at[1], TAG_OCTET_STRING);
	der_end(w, at[0], TAG_SEQUENCE);
}

static void
put_extensions(struct buf_writer *w)
{
	size_t outer = der_begin(w);
	size_t list = der_begin(w);
	size_t at[2], seq;

	begin_extension(w, oid_key_usage, true, at);
	buf_put_bytes(w, usage_bits, sizeof(usage_bits));
	end_extension(w, at);

	begin_extension(w, oid_ext_key_usage, false, at);
	seq = der_begin(w);
	der_put(w, TAG_OID, oid_server_auth, sizeof(oid_server_auth));
	der_put(w, TAG_OID, oid_client_auth, sizeof(oid_client_auth));
	der_end(w, seq, TAG_SEQUENCE);
	end_extension(w, at);

	begin_extension(w, oid_basic_constraints, true, at);
	der_put(w, TAG_SEQUENCE, NULL, 0); /* cA is FALSE by default */
	end_extension(w, at);

	begin_extension(w, oid_alt_name, false, at);
	seq = der_begin(w);
	der_put(w, TAG_DNS_NAME, subject_name, sizeof(subject_name) - 1);
	der_end(w, seq, TAG_SEQUENCE);
	end_extension(w, at);

	der_end(w, list, TAG_SEQUENCE);
	der_end(w, outer, TAG_CONTEXT_3);
}

static void
put_serial(struct buf_writer *w)
{
	uint8_t serial[SERIAL_LEN];

	secret_random(serial, sizeof(serial));
	/* Positive, and no zero byte in front: shortest form. */
	serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40);
	der_put(w, TAG_INTEGER, serial, sizeof(serial));
}

static void
put_tbs(struct buf_writer *w, const struct key32 *public_key, int64_t unix_now)
{
	static const uint8_t version_3 = 2;
	size_t tbs = der_begin(w);
	size_t version = der_begin(w);

	der_put(w, TAG_INTEGER, &version_3, 1);
	der_end(w, version, TAG_CONTEXT_0);
	put_serial(w);
	put_algorithm(w);
	put_name(w);
	put_validity(w, unix_now);
	put_name(w);
	put_public_key(w, public_key);
	put_extensions(w);
	der_end(w, tbs, TAG_SEQUENCE);
}

int
identity_cert_make(
    struct identity_cert *ret_cert, const struct key32 *seed, int64_t unix_now)
{
	struct identity_cert cert;
	struct key32 public_key;
	struct buf_writer w;
	size_t outer, tbs, bits;
	uint8_t sig[64];

	if (unix_now < 0 || unix_now > MAX_UNIX)
		return -ERANGE;
	secret_ed25519_public(&public_key, seed);
	w = buf_writer(cert.der, sizeof(cert.der));
	outer = der_begin(&w);
	tbs = w.len;
	put_tbs(&w, &public_key, unix_now);
	if (w.err != 0)
		return w.err;
	secret_ed25519_sign(sig, seed, cert.der + tbs, w.len - tbs);
	put_algorithm(&w);
	bits = der_begin(&w);
	buf_put_u8(&w, 0);
	buf_put_bytes(&w, sig, sizeof(sig));
	der_end(&w, bits, TAG_BIT_STRING);
	der_end(&w, outer, TAG_SEQUENCE);
	if (w.err != 0)
		return w.err;
	cert.len = w.len;
	*ret_cert = cert;
	return 0;
}
