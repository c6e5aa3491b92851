/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/tls/tls_selfsigned.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/secret.h"

#define HOUR_SEC 3600
#define YEAR_SEC (INT64_C(365) * 24 * HOUR_SEC)
#define SERIAL_BITS 127 /* positive, at most 16 bytes */
#define MAX_CN 64       /* ub-common-name, RFC 5280 appendix A.1 */

static bool
is_name(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n >= ADDR_MAX_HOST || name[0] == '.' ||
	    name[n - 1] == '.')
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			    (c >= '0' && c <= '9') || c == '-' || c == '.' ||
			    c == '_';

		if (!good)
			return false;
	}
	return true;
}

static bool
add_extension(X509 *x, int nid, const char *value)
{
	X509V3_CTX v3;
	X509_EXTENSION *ext;
	bool good;

	X509V3_set_ctx_nodb(&v3);
	X509V3_set_ctx(&v3, x, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &v3, nid, value);
	good = ext != NULL && X509_add_ext(x, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return good;
}

static bool
set_serial(X509 *x)
{
	BIGNUM *n = BN_new();
	bool good =
	    n != NULL &&
	    BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;

	BN_free(n);
	return good;
}

/* A longer name than a CN may have is in the SAN only. */
static bool
set_names(X509 *x, const char *name, bool is_ip)
{
	char san[ADDR_MAX_HOST + sizeof("DNS:")];
	X509_NAME *subject = X509_get_subject_name(x);
	const char *cn = strlen(name) <= MAX_CN ? name : "relay";

	(void)snprintf(san, sizeof(san), "%s:%s", is_ip ? "IP" : "DNS", name);
	return X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_ASC,
		   (const unsigned char *)cn, -1, -1, 0) == 1 &&
	       X509_set_issuer_name(x, subject) == 1 &&
	       add_extension(x, NID_key_usage, "critical,digitalSignature") &&
	       add_extension(x, NID_ext_key_usage, "serverAuth") &&
	       add_extension(x, NID_basic_constraints, "critical,CA:FALSE") &&
	       add_extension(x, NID_subject_alt_name, san);
}

static X509 *
make_cert(EVP_PKEY *key, const char *name, bool is_ip, int64_t unix_now)
{
	X509 *x = X509_new();

	if (x == NULL)
		return NULL;
	if (X509_set_version(x, X509_VERSION_3) == 1 && set_serial(x) &&
	    ASN1_TIME_set(X509_getm_notBefore(x),
		(time_t)(unix_now - HOUR_SEC)) != NULL &&
	    ASN1_TIME_set(
		X509_getm_notAfter(x), (time_t)(unix_now + YEAR_SEC)) != NULL &&
	    X509_set_pubkey(x, key) == 1 && set_names(x, name, is_ip) &&
	    X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	X509_free(x);
	return NULL;
}

/* Move what @b holds to @out as a string. */
static bool
take_text(BIO *b, char out[static TLS_SELFSIGNED_MAX_PEM])
{
	int n = BIO_read(b, out, TLS_SELFSIGNED_MAX_PEM - 1);

	if (n <= 0 || BIO_pending(b) > 0)
		return false;
	out[n] = '\0';
	return true;
}

int
tls_selfsigned_make(
    struct tls_selfsigned *ret_pair, const char *name, int64_t unix_now)
{
	struct tls_selfsigned pair;
	struct addr a;
	bool is_ip = addr_parse_ip(&a, name, 0) == 0;
	EVP_PKEY *key;
	X509 *x = NULL;
	BIO *b = NULL, *k = NULL;
	int r = -DT_ERR_INTERNAL;

	if (!is_ip && !is_name(name))
		return -DT_ERR_SYNTAX;
	key = EVP_EC_gen("P-256");
	if (key != NULL)
		x = make_cert(key, name, is_ip, unix_now);
	b = BIO_new(BIO_s_mem());
	k = BIO_new(BIO_s_secmem());
	if (x == NULL || b == NULL || k == NULL)
		goto out;
	if (PEM_write_bio_X509(b, x) != 1 || !take_text(b, pair.cert_pem) ||
	    PEM_write_bio_PKCS8PrivateKey(k, key, NULL, NULL, 0, NULL, NULL) !=
		1 ||
	    !take_text(k, pair.key_pem))
		goto out;
	*ret_pair = pair;
	r = 0;
out:
	secret_wipe(&pair, sizeof(pair));
	BIO_free(k);
	BIO_free(b);
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}
