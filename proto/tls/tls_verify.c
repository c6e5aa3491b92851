/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Does the certificate chain belong to whom we want to talk to?  Either it
 * leads to a trusted root and carries the name, or it is the one pinned
 * certificate.  Meta certificates ride along in both cases and prove nothing.
 */
#include <string.h>

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "lib/err.h"
#include "proto/derp/derp_metacert.h"
#include "proto/tls/tls_internal.h"

#define PIN_PREFIX "sha256-raw:"
#define PIN_PREFIX_LEN (sizeof(PIN_PREFIX) - 1)
#define MAX_NAME_TEXT 160

/* Names are those in the SAN, as Go has it; no partial wildcards. */
#define HOST_FLAGS                                                             \
	(X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |                                 \
	    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static int
parse_pin(struct key32 *ret_pin, const char *hex)
{
	if (strlen(hex) != 2 * sizeof(ret_pin->b))
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < sizeof(ret_pin->b); i++) {
		int hi = hex_digit(hex[2 * i]);
		int lo = hex_digit(hex[2 * i + 1]);

		if (hi < 0 || lo < 0)
			return -DT_ERR_SYNTAX;
		ret_pin->b[i] = (uint8_t)(hi * 16 + lo);
	}
	return 0;
}

/* One trailing dot goes; what is left must look like a name or literal. */
static int
copy_host(char dst[static ADDR_MAX_HOST], const char *src)
{
	size_t n = strlen(src);

	if (n > 0 && src[n - 1] == '.')
		n--;
	if (n == 0 || n >= ADDR_MAX_HOST)
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < n; i++)
		if (src[i] <= ' ' || src[i] > '~' || src[i] == '/' ||
		    src[i] == '[' || src[i] == ']')
			return -DT_ERR_SYNTAX;
	memcpy(dst, src, n);
	dst[n] = '\0';
	return 0;
}

int
tls_verify_want(struct tls_want *ret_want, const struct tls_peer *peer)
{
	const char *cert_name = peer->cert_name != NULL ? peer->cert_name : "";
	struct tls_want w = { .unix_now = peer->unix_now };
	struct addr a;
	int r = copy_host(w.host, peer->host);

	if (r < 0)
		return r;
	memcpy(w.name, w.host, sizeof(w.name));
	if (strncmp(cert_name, PIN_PREFIX, PIN_PREFIX_LEN) == 0) {
		r = parse_pin(&w.pin, cert_name + PIN_PREFIX_LEN);
		w.pinned = true;
	} else if (cert_name[0] != '\0') {
		r = copy_host(w.name, cert_name);
	}
	if (r < 0)
		return r;
	w.host_is_ip = addr_parse_ip(&a, w.host, 0) == 0;
	w.name_is_ip = addr_parse_ip(&a, w.name, 0) == 0;
	*ret_want = w;
	return 0;
}

size_t
tls_verify_common_name(const X509 *x, const char **ret_cn)
{
	const X509_NAME *name = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const ASN1_STRING *s;

	if (at < 0 || X509_NAME_get_index_by_NID(name, NID_commonName, at) >= 0)
		return 0;
	s = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	*ret_cn = (const char *)ASN1_STRING_get0_data(s);
	return (size_t)ASN1_STRING_length(s);
}

/* Who signed @x, in printable ASCII. */
static void
issuer_text(char out[static MAX_NAME_TEXT], const X509 *x)
{
	BIO *b = BIO_new(BIO_s_mem());
	int n = 0;

	out[0] = '\0';
	if (b == NULL || x == NULL)
		goto out;
	if (X509_NAME_print_ex(b, X509_get_issuer_name(x), 0,
		XN_FLAG_RFC2253 & ~(unsigned long)ASN1_STRFLGS_UTF8_CONVERT) <
	    0)
		goto out;
	n = BIO_read(b, out, MAX_NAME_TEXT - 1);
	if (n < 0)
		n = 0;
	out[n] = '\0';
	for (int i = 0; i < n; i++)
		if (out[i] < ' ' || out[i] > '~')
			out[i] = '?';
out:
	BIO_free(b);
}

static void
refuse(struct tls *t, int r, const char *reason, const X509 *x)
{
	char issuer[MAX_NAME_TEXT];

	issuer_text(issuer, x);
	t->r = r;
	(void)snprintf(
	    t->text, sizeof(t->text), "%s (issuer %s)", reason, issuer);
}

/* The only certificate presented besides meta certificates, or NULL. */
static X509 *
only_cert(STACK_OF(X509) * chain)
{
	X509 *found = NULL;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);
		const char *cn = NULL;
		size_t len = tls_verify_common_name(x, &cn);

		if (len > 0 && derp_metacert_is_name(cn, len))
			continue;
		if (found != NULL)
			return NULL;
		found = x;
	}
	return found;
}

static bool
is_current(const X509 *x, int64_t unix_now)
{
	time_t now = (time_t)unix_now;

	return ASN1_TIME_cmp_time_t(X509_get0_notBefore(x), now) <= 0 &&
	       ASN1_TIME_cmp_time_t(X509_get0_notAfter(x), now) >= 0;
}

static bool
verify_pinned(struct tls *t, STACK_OF(X509) * chain)
{
	const struct tls_want *w = &t->want;
	X509 *x = only_cert(chain);
	struct key32 digest;
	unsigned n = sizeof(digest.b);

	if (x == NULL) {
		refuse(t, -DT_ERR_CERT_PIN,
		    "a pinned relay must show exactly one certificate",
		    sk_X509_value(chain, 0));
		return false;
	}
	if (X509_digest(x, EVP_sha256(), digest.b, &n) != 1 ||
	    !secret_equal(digest.b, w->pin.b, sizeof(w->pin.b))) {
		refuse(t, -DT_ERR_CERT_PIN,
		    "certificate does not match the pin", x);
		return false;
	}
	if (!w->host_is_ip && X509_check_host(x, w->host, strlen(w->host),
				  HOST_FLAGS, NULL) != 1) {
		refuse(t, -DT_ERR_CERT_UNTRUSTED,
		    "pinned certificate is for another name", x);
		return false;
	}
	if (!is_current(x, w->unix_now)) {
		refuse(t, -DT_ERR_CERT_UNTRUSTED,
		    "pinned certificate is outside its dates", x);
		return false;
	}
	return true;
}

static bool
verify_rooted(struct tls *t, X509_STORE_CTX *sc)
{
	X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(sc);
	const struct tls_want *w = &t->want;
	int err;

	X509_VERIFY_PARAM_set_time(p, (time_t)w->unix_now);
	X509_VERIFY_PARAM_set_hostflags(p, HOST_FLAGS);
	if ((w->name_is_ip ? X509_VERIFY_PARAM_set1_ip_asc(p, w->name)
			   : X509_VERIFY_PARAM_set1_host(
				 p, w->name, strlen(w->name))) != 1) {
		t->r = -DT_ERR_INTERNAL;
		return false;
	}
	if (X509_verify_cert(sc) == 1)
		return true;
	err = X509_STORE_CTX_get_error(sc);
	refuse(t, -DT_ERR_CERT_UNTRUSTED, X509_verify_cert_error_string(err),
	    X509_STORE_CTX_get_current_cert(sc));
	return false;
}

int
tls_verify_chain(X509_STORE_CTX *store_ctx, void *arg)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(
	    store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls *t = SSL_get_app_data(ssl);
	bool good;

	(void)arg;
	good = t->want.pinned
		   ? verify_pinned(t, X509_STORE_CTX_get0_untrusted(store_ctx))
		   : verify_rooted(t, store_ctx);
	if (!good && X509_STORE_CTX_get_error(store_ctx) == X509_V_OK)
		X509_STORE_CTX_set_error(store_ctx, X509_V_ERR_CERT_REJECTED);
	return good ? 1 : 0;
}
