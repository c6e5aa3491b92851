/* SPDX-License-Identifier: BSD-3-Clause */
/* Our DER as two strict parsers see it. */
#include <errno.h>

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "proto/quic/identity_cert.h"
#include "test/tap.h"

/* Outer header, algorithm, signature with its header. */
#define AROUND_TBS (4 + 7 + 67)
#define NOW INT64_C(1790000000) /* 2026-09-21 13:33:20 */

static X509 *
parse(const struct identity_cert *cert)
{
	const uint8_t *p = cert->der;
	X509 *x = d2i_X509(NULL, &p, (long)cert->len);

	return x != NULL && p == cert->der + cert->len ? x : NULL;
}

static void
check_names(X509 *x)
{
	X509_NAME *subject = X509_get_subject_name(x);
	X509_NAME_ENTRY *e = X509_NAME_get_entry(subject, 0);
	ASN1_STRING *cn = X509_NAME_ENTRY_get_data(e);

	OK(X509_NAME_entry_count(subject) == 1 &&
		X509_NAME_cmp(subject, X509_get_issuer_name(x)) == 0,
	    "subject and issuer are the same single name");
	OK(ASN1_STRING_type(cn) == V_ASN1_PRINTABLESTRING &&
		ASN1_STRING_length(cn) == 8 &&
		memcmp(ASN1_STRING_get0_data(cn), "derphole", 8) == 0,
	    "CN=derphole as PrintableString");
	EQ_INT(X509_check_host(x, "derphole", 8, 0, NULL), 1,
	    "SAN matches the name");
}

static void
check_extensions(X509 *x)
{
	static const int want[] = { NID_key_usage, NID_ext_key_usage,
		NID_basic_constraints, NID_subject_alt_name };
	static const int critical[] = { 1, 0, 1, 0 };

	EQ_INT(X509_get_ext_count(x), 4, "four extensions");
	for (int i = 0; i < 4; i++) {
		X509_EXTENSION *ext = X509_get_ext(x, i);

		OK(ext != NULL &&
			OBJ_obj2nid(X509_EXTENSION_get_object(ext)) ==
			    want[i] &&
			(X509_EXTENSION_get_critical(ext) != 0) ==
			    (critical[i] != 0),
		    "extension %d in its place", i);
	}
	EQ_INT(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE, "key usage");
	EQ_INT(X509_get_extended_key_usage(x), XKU_SSL_SERVER | XKU_SSL_CLIENT,
	    "extended key usage");
	OK((X509_get_extension_flags(x) & (EXFLAG_CA | EXFLAG_INVALID)) == 0,
	    "no CA, nothing invalid");
}

static void
check_times(X509 *x, int64_t now)
{
	time_t before = (time_t)(now - 60), after = (time_t)(now + 3600);

	EQ_INT(ASN1_TIME_cmp_time_t(X509_get0_notBefore(x), before), 0,
	    "begins a minute before %lld", (long long)now);
	EQ_INT(ASN1_TIME_cmp_time_t(X509_get0_notAfter(x), after), 0,
	    "ends an hour after");
	OK(ASN1_TIME_check(X509_get0_notBefore(x)) == 1 &&
		ASN1_TIME_check(X509_get0_notAfter(x)) == 1,
	    "in a valid form");
}

static void
test_openssl(void)
{
	struct key32 seed, public_key;
	struct identity_cert cert;
	uint8_t raw[32], *der = NULL;
	size_t raw_len = sizeof(raw);
	EVP_PKEY *key;
	X509 *x;
	const ASN1_INTEGER *serial;

	secret_ed25519_keypair(&seed, &public_key);
	EQ_INT(identity_cert_make(&cert, &seed, NOW), 0, "make");
	x = parse(&cert);
	if (!OK(x != NULL, "OpenSSL reads all %zu bytes", cert.len))
		return;
	EQ_INT(X509_get_version(x), 2, "version 3");
	key = X509_get0_pubkey(x);
	OK(key != NULL && EVP_PKEY_id(key) == EVP_PKEY_ED25519 &&
		EVP_PKEY_get_raw_public_key(key, raw, &raw_len) == 1 &&
		memcmp(raw, public_key.b, 32) == 0,
	    "carries the public key");
	EQ_INT(X509_verify(x, key), 1, "signs itself");
	serial = X509_get0_serialNumber(x);
	OK(ASN1_STRING_length(serial) == 16 &&
		ASN1_STRING_type(serial) == V_ASN1_INTEGER,
	    "serial is positive and has 16 bytes");
	/* Canonical DER: what the library would write is what we wrote. */
	EQ_INT(i2d_re_X509_tbs(x, &der), (long long)(cert.len - AROUND_TBS),
	    "re-encoded length");
	OK(der != NULL && memcmp(der, cert.der + 4, cert.len - AROUND_TBS) == 0,
	    "re-encoded bytes");
	OPENSSL_free(der);
	check_names(x);
	check_extensions(x);
	check_times(x, NOW);
	X509_free(x);
}

static void
test_gnutls(void)
{
	struct key32 seed, public_key;
	struct identity_cert cert;
	gnutls_datum_t d, px, py;
	gnutls_ecc_curve_t curve;
	gnutls_x509_crt_t x;

	secret_ed25519_keypair(&seed, &public_key);
	EQ_INT(identity_cert_make(&cert, &seed, NOW), 0, "make");
	d.data = cert.der;
	d.size = (unsigned)cert.len;
	if (gnutls_x509_crt_init(&x) < 0)
		return;
	EQ_INT(gnutls_x509_crt_import(x, &d, GNUTLS_X509_FMT_DER), 0,
	    "GnuTLS reads it");
	EQ_INT(gnutls_x509_crt_check_issuer(x, x), 1, "issued by itself");
	if (gnutls_x509_crt_get_pk_ecc_raw(x, &curve, &px, &py) == 0) {
		OK(px.size == 32 && memcmp(px.data, public_key.b, 32) == 0,
		    "with the public key");
		gnutls_free(px.data);
		gnutls_free(py.data);
	}
	gnutls_x509_crt_deinit(x);
}

static void
test_times(void)
{
	static const int64_t times[] = {
		60,                    /* 1970 */
		INT64_C(951782400),    /* 2000-02-29 */
		INT64_C(1709164799),   /* 2024-02-28 23:59:59 */
		INT64_C(1735689600),   /* 2025-01-01 */
		INT64_C(2524607999),   /* last second of UTCTime */
		INT64_C(2524608060),   /* first minute of 2050 */
		INT64_C(4107542400),   /* 2100-03-01, no leap year before */
		INT64_C(253370764799), /* end of 9998 */
	};
	struct key32 seed = { { 1 } };
	struct identity_cert cert;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		X509 *x;

		EQ_INT(identity_cert_make(&cert, &seed, times[i]), 0, "make");
		x = parse(&cert);
		if (OK(x != NULL, "parses"))
			check_times(x, times[i]);
		X509_free(x);
	}
	EQ_INT(identity_cert_make(&cert, &seed, 0), 0, "the epoch itself");
	EQ_INT(identity_cert_make(&cert, &seed, -1), -ERANGE, "before 1970");
	EQ_INT(identity_cert_make(&cert, &seed, INT64_C(253370764800)), -ERANGE,
	    "after 9998");
}

/* Lengths do not depend on the random serial. */
static void
test_sizes(void)
{
	struct key32 seed = { { 2 } };
	struct identity_cert cert;
	size_t len = 0;

	for (int i = 0; i < 300; i++) {
		if (identity_cert_make(&cert, &seed, NOW) != 0)
			break;
		if (i == 0)
			len = cert.len;
		if (cert.len != len)
			len = 0;
	}
	OK(len > 300 && len < IDENTITY_CERT_MAX, "always %zu bytes", len);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	test_openssl();
	test_gnutls();
	test_times();
	test_sizes();
	return tap_done();
}
