/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Contexts.  All that OpenSSL opens or fetches lazily is made to happen here,
 * before the owner confines itself: its configuration is not read at all, the
 * random generator and a digest are used once, roots are read whole (a folder
 * of roots would be opened during handshakes).
 */
#include "proto/tls/tls_ctx.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/err.h"
#include "proto/derp/derp_metacert.h"
#include "proto/tls/tls_internal.h"

/* AES-GCM first: every peer and every CPU we meet has it in hardware. */
#define SUITES_13                                                              \
	"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"                       \
	"TLS_CHACHA20_POLY1305_SHA256"
#define SUITES_12                                                              \
	"ECDHE+AES128GCM:ECDHE+AES256GCM:ECDHE-ECDSA-CHACHA20-POLY1305:"       \
	"ECDHE-RSA-CHACHA20-POLY1305"

/* Where distributions keep all roots in one file. */
static const char *const system_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Arch */
	"/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora */
	"/etc/ssl/ca-bundle.pem",                            /* openSUSE */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL */
	"/etc/ssl/cert.pem",                                 /* Alpine */
};

/* Have OpenSSL do its first-time work now. */
static bool
warm_up(void)
{
	uint8_t byte, digest[EVP_MAX_MD_SIZE];
	unsigned n;

	return OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) == 1 &&
	       RAND_bytes(&byte, 1) == 1 &&
	       EVP_Digest(&byte, 1, digest, &n, EVP_sha256(), NULL) == 1;
}

static int
new_ctx(struct tls_ctx **ret_ctx, bool server)
{
	struct tls_ctx *ctx;

	if (!warm_up())
		return -DT_ERR_INTERNAL;
	ctx = calloc(1, sizeof(*ctx));
	if (ctx == NULL)
		return -ENOMEM;
	ctx->server = server;
	ctx->bio = tls_bio_method();
	ctx->ssl =
	    SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (ctx->bio == NULL || ctx->ssl == NULL)
		goto fail;
	if (SSL_CTX_set_min_proto_version(ctx->ssl, TLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx->ssl, SUITES_13) != 1 ||
	    SSL_CTX_set_cipher_list(ctx->ssl, SUITES_12) != 1)
		goto fail;
	(void)SSL_CTX_set_options(ctx->ssl,
	    SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
		SSL_OP_CIPHER_SERVER_PREFERENCE);
	(void)SSL_CTX_set_session_cache_mode(ctx->ssl, SSL_SESS_CACHE_OFF);
	(void)SSL_CTX_set_num_tickets(ctx->ssl, 0);
	/* The chain is exactly what was given: no building, no trimming. */
	(void)SSL_CTX_set_mode(
	    ctx->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE |
			  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
			  SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_read_ahead(ctx->ssl, 1);
	*ret_ctx = ctx;
	return 0;
fail:
	tls_ctx_free(ctx);
	return -ENOMEM;
}

void
tls_ctx_free(struct tls_ctx *ctx)
{
	if (ctx == NULL)
		return;
	SSL_CTX_free(ctx->ssl);
	BIO_meth_free(ctx->bio);
	free(ctx);
}

/* No passwords: a PEM that wants one is bad. */
/* NOLINTBEGIN(readability-non-const-parameter): the type is OpenSSL's */
static int
no_password(char *buf, int size, int rwflag, void *arg)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)arg;
	return -1;
}
/* NOLINTEND(readability-non-const-parameter) */

static BIO *
pem_bio(const char *pem, size_t len)
{
	return len <= TLS_CTX_MAX_PEM ? BIO_new_mem_buf(pem, (int)len) : NULL;
}

static X509 *
next_cert(BIO *b)
{
	return PEM_read_bio_X509(b, NULL, no_password, NULL);
}

/* Returns how many certificates became roots. */
static int
add_roots(SSL_CTX *ssl, BIO *b)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ssl);
	int n = 0;
	X509 *x;

	while ((x = next_cert(b)) != NULL) {
		n += X509_STORE_add_cert(store, x) == 1 ? 1 : 0;
		X509_free(x);
	}
	ERR_clear_error();
	return n;
}

static void
add_system_roots(SSL_CTX *ssl)
{
	size_t n = sizeof(system_bundles) / sizeof(system_bundles[0]);
	int found = 0;

	for (size_t i = 0; i < n && found == 0; i++) {
		BIO *b = BIO_new_file(system_bundles[i], "r");

		if (b != NULL)
			found = add_roots(ssl, b);
		BIO_free(b);
	}
	ERR_clear_error();
}

int
tls_ctx_new_client(struct tls_ctx **ret_ctx, const char *ca_pem, size_t ca_len)
{
	struct tls_ctx *ctx;
	X509_VERIFY_PARAM *param;
	int r;

	if (ca_pem != NULL && ca_len > TLS_CTX_MAX_PEM)
		return -DT_ERR_TOO_LONG;
	r = new_ctx(&ctx, false);
	if (r < 0)
		return r;
	SSL_CTX_set_verify(ctx->ssl, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_cert_verify_callback(ctx->ssl, tls_verify_chain, NULL);
	/* Any given certificate is an anchor, a leaf too, as Go has it. */
	param = SSL_CTX_get0_param(ctx->ssl);
	(void)X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
	if (ca_pem == NULL) {
		add_system_roots(ctx->ssl);
	} else {
		BIO *b = pem_bio(ca_pem, ca_len);
		int n = b != NULL ? add_roots(ctx->ssl, b) : 0;

		BIO_free(b);
		if (n == 0) {
			tls_ctx_free(ctx);
			return -DT_ERR_SYNTAX;
		}
	}
	*ret_ctx = ctx;
	return 0;
}

static int
use_chain(SSL_CTX *ssl, BIO *b)
{
	X509 *x = next_cert(b);
	int r = -DT_ERR_SYNTAX;

	if (x == NULL)
		return r;
	if (SSL_CTX_use_certificate(ssl, x) == 1)
		r = 0;
	X509_free(x);
	while (r == 0 && (x = next_cert(b)) != NULL) {
		if (SSL_CTX_add1_chain_cert(ssl, x) != 1)
			r = -DT_ERR_SYNTAX;
		X509_free(x);
	}
	return r;
}

static int
use_key(SSL_CTX *ssl, BIO *b)
{
	EVP_PKEY *key = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
	int r = 0;

	if (key == NULL)
		return -DT_ERR_SYNTAX;
	if (SSL_CTX_use_PrivateKey(ssl, key) != 1 ||
	    SSL_CTX_check_private_key(ssl) != 1)
		r = -DT_ERR_KEY;
	EVP_PKEY_free(key);
	return r;
}

int
tls_ctx_new_server(struct tls_ctx **ret_ctx, const char *cert_pem,
    size_t cert_len, const char *key_pem, size_t key_len)
{
	struct tls_ctx *ctx;
	BIO *cert, *key;
	int r;

	if (cert_len > TLS_CTX_MAX_PEM || key_len > TLS_CTX_MAX_PEM)
		return -DT_ERR_TOO_LONG;
	r = new_ctx(&ctx, true);
	if (r < 0)
		return r;
	cert = pem_bio(cert_pem, cert_len);
	key = pem_bio(key_pem, key_len);
	r = cert != NULL && key != NULL ? use_chain(ctx->ssl, cert) : -ENOMEM;
	if (r == 0)
		r = use_key(ctx->ssl, key);
	BIO_free(cert);
	BIO_free(key);
	ERR_clear_error();
	if (r < 0) {
		tls_ctx_free(ctx);
		return r;
	}
	*ret_ctx = ctx;
	return 0;
}

static bool
set_common_name(X509 *x, const char *cn)
{
	X509_NAME *name = X509_get_subject_name(x);
	size_t len = strlen(cn);

	/* By NID with a fixed type: the usual way refuses more than 64
	 * characters. */
	return X509_NAME_add_entry_by_NID(name, NID_commonName,
		   V_ASN1_PRINTABLESTRING, (const unsigned char *)cn, (int)len,
		   -1, 0) == 1 &&
	       X509_set_issuer_name(x, name) == 1;
}

/* basicConstraints, critical, empty: as relays of the Go kind have it. */
static bool
add_constraints(X509 *x)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	bool good;

	if (bc == NULL)
		return false;
	good = X509_add1_ext_i2d(x, NID_basic_constraints, bc, 1, 0) == 1;
	BASIC_CONSTRAINTS_free(bc);
	return good;
}

static bool
set_dates(X509 *x, int64_t unix_now)
{
	return ASN1_TIME_set(X509_getm_notBefore(x),
		   (time_t)(unix_now - DERP_METACERT_VALID_SEC)) != NULL &&
	       ASN1_TIME_set(X509_getm_notAfter(x),
		   (time_t)(unix_now + DERP_METACERT_VALID_SEC)) != NULL;
}

int
tls_ctx_add_metacert(
    struct tls_ctx *ctx, const struct key32 *server_public, int64_t unix_now)
{
	char cn[DERP_METACERT_NAME_LEN + 1];
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	X509 *x = X509_new();
	int r = -DT_ERR_INTERNAL;

	assert(ctx->server);
	derp_metacert_name(cn, server_public);
	if (key == NULL || x == NULL)
		goto out;
	if (X509_set_version(x, X509_VERSION_3) != 1 ||
	    ASN1_INTEGER_set(X509_get_serialNumber(x), DERP_METACERT_SERIAL) !=
		1 ||
	    !set_common_name(x, cn) || !set_dates(x, unix_now) ||
	    X509_set_pubkey(x, key) != 1 || !add_constraints(x) ||
	    X509_sign(x, key, NULL) <= 0)
		goto out;
	if (SSL_CTX_add1_chain_cert(ctx->ssl, x) == 1)
		r = 0;
out:
	X509_free(x);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return r;
}

void
tls_ctx_pin(const struct tls_ctx *ctx, char ret_pin[static TLS_CTX_PIN_LEN])
{
	const X509 *x = SSL_CTX_get0_certificate(ctx->ssl);
	uint8_t digest[EVP_MAX_MD_SIZE] = { 0 };
	unsigned n = 0;
	char *p = ret_pin;

	assert(x != NULL && TLS_CTX_PIN_LEN == sizeof("sha256-raw:") + 64);
	(void)X509_digest(x, EVP_sha256(), digest, &n); /* a loaded one has */
	p += snprintf(ret_pin, TLS_CTX_PIN_LEN, "sha256-raw:");
	for (size_t i = 0; i < 32; i++, p += 2)
		(void)snprintf(p, 3, "%02x", digest[i]);
}

int64_t
tls_ctx_expiry(const struct tls_ctx *ctx)
{
	const X509 *x = SSL_CTX_get0_certificate(ctx->ssl);
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;
	int64_t end = 0;

	if (x != NULL && epoch != NULL &&
	    ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(x)) == 1)
		end = (int64_t)days * 86400 + seconds;
	ASN1_TIME_free(epoch);
	return end;
}
