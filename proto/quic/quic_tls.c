/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * GnuTLS under ngtcp2.  TLS 1.3 only; both sides present one certificate and
 * check nothing but the other's raw Ed25519 key.  ChaCha20 is not offered: it
 * is ten times slower here and every peer has AES-GCM.
 *
 * The server learns of a bad client certificate after the client's handshake is
 * complete, so a client counts as accepted only at handshake_confirmed.
 *
 * A signer outside (quic_sign_fn) is called in the middle of the handshake and
 * cannot be resumed: the library would skip the signature on retry.
 */
#include "proto/quic/quic_tls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include "lib/err.h"
#include "proto/quic/quic_endpoint.h"

#define SIG_LEN 64
#define MAX_SNI 253 /* RFC 1035 2.3.4 */

#define PRIORITY                                                               \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:" \
	"-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"                           \
	"-SIGN-ALL:+SIGN-EDDSA-ED25519:%DISABLE_TLS13_COMPAT_MODE"
#define PRIORITY_SERVER PRIORITY ":%SERVER_PRECEDENCE"

struct quic_tls_ctx {
	bool server;
	struct key32 pin;
	struct key32 seed; /* all zero when sign is used */
	bool has_seed;
	quic_sign_fn *sign;
	void *sign_arg;
	gnutls_certificate_credentials_t cred;
	char sni[MAX_SNI + 1];
	char alpn[QUIC_ENDPOINT_MAX_ALPN][QUIC_ENDPOINT_MAX_ALPN_LEN + 1];
	unsigned n_alpn;
};

/* ref comes first: the session's pointer is to it, and so to all of this. */
struct quic_tls {
	ngtcp2_crypto_conn_ref ref;
	ngtcp2_conn *conn;
	struct quic_tls_ctx *ctx;
	gnutls_session_t session;
};

static int
sign_data(gnutls_privkey_t key, gnutls_sign_algorithm_t algo, void *arg,
    unsigned flags, const gnutls_datum_t *data, gnutls_datum_t *ret_sig)
{
	struct quic_tls_ctx *ctx = arg;
	uint8_t *sig;
	int r = 0;

	(void)key;
	(void)flags;
	if (algo != GNUTLS_SIGN_EDDSA_ED25519)
		return GNUTLS_E_PK_SIGN_FAILED;
	sig = gnutls_malloc(SIG_LEN);
	if (sig == NULL)
		return GNUTLS_E_MEMORY_ERROR;
	if (ctx->has_seed)
		secret_ed25519_sign(sig, &ctx->seed, data->data, data->size);
	else
		r = ctx->sign(ctx->sign_arg, data->data, data->size, sig);
	if (r < 0) {
		gnutls_free(sig);
		return GNUTLS_E_PK_SIGN_FAILED;
	}
	ret_sig->data = sig;
	ret_sig->size = SIG_LEN;
	return 0;
}

static int
key_info(gnutls_privkey_t key, unsigned flags, void *arg)
{
	(void)key;
	(void)arg;
	if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO) != 0)
		return GNUTLS_PK_EDDSA_ED25519;
	if ((flags & GNUTLS_PRIVKEY_INFO_SIGN_ALGO) != 0)
		return GNUTLS_SIGN_EDDSA_ED25519;
	if ((flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) != 0)
		return 256;
	if ((flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) != 0)
		return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) ==
			       GNUTLS_SIGN_EDDSA_ED25519
			   ? 1
			   : 0;
	return -1;
}

/* Our certificate with a private key that only sign_data() can use. */
static int
load_identity(struct quic_tls_ctx *ctx, const uint8_t *der, size_t len)
{
	gnutls_datum_t cert = { (unsigned char *)NULL, 0 };
	gnutls_pcert_st pcert;
	gnutls_privkey_t key = NULL;
	uint8_t *copy = malloc(len);
	bool imported = false;
	int r = -ENOMEM;

	if (copy == NULL || gnutls_privkey_init(&key) < 0)
		goto out;
	memcpy(copy, der, len);
	cert.data = copy;
	cert.size = (unsigned)len;
	r = -DT_ERR_KEY;
	if (gnutls_pcert_import_x509_raw(
		&pcert, &cert, GNUTLS_X509_FMT_DER, 0) < 0)
		goto out;
	imported = true;
	if (gnutls_privkey_import_ext4(
		key, ctx, sign_data, NULL, NULL, NULL, key_info, 0) < 0)
		goto out;
	gnutls_certificate_set_flags(
	    ctx->cred, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	if (gnutls_certificate_set_key(ctx->cred, NULL, 0, &pcert, 1, key) < 0)
		goto out;
	imported = false; /* transferred, what pcert points to */
	key = NULL;       /* transferred */
	r = 0;
out:
	free(copy);
	if (key != NULL)
		gnutls_privkey_deinit(key);
	if (imported)
		gnutls_pcert_deinit(&pcert);
	return r;
}

static int
copy_names(struct quic_tls_ctx *ctx, const struct quic_params *p)
{
	const char *sni = p->sni != NULL ? p->sni : QUIC_ENDPOINT_SNI;
	const char *only[QUIC_ENDPOINT_MAX_ALPN] = { QUIC_ENDPOINT_ALPN };
	const char *const *alpn = p->alpn[0] != NULL ? p->alpn : only;

	if (strlen(sni) > MAX_SNI)
		return -ERANGE;
	memcpy(ctx->sni, sni, strlen(sni) + 1);
	for (; ctx->n_alpn < QUIC_ENDPOINT_MAX_ALPN; ctx->n_alpn++) {
		const char *name = alpn[ctx->n_alpn];

		if (name == NULL)
			break;
		if (name[0] == '\0' ||
		    strlen(name) > QUIC_ENDPOINT_MAX_ALPN_LEN)
			return -ERANGE;
		memcpy(ctx->alpn[ctx->n_alpn], name, strlen(name) + 1);
	}
	return 0;
}

int
quic_tls_ctx_new(struct quic_tls_ctx **ret_ctx, const struct quic_params *p)
{
	struct quic_tls_ctx *ctx = calloc(1, sizeof(*ctx));
	int r;

	if (ctx == NULL)
		return -ENOMEM;
	ctx->server = p->server;
	ctx->pin = p->peer_key;
	ctx->sign = p->sign;
	ctx->sign_arg = p->sign_arg;
	if (p->seed != NULL) {
		ctx->seed = *p->seed;
		ctx->has_seed = true;
	}
	r = copy_names(ctx, p);
	if (r < 0)
		goto fail;
	r = -ENOMEM;
	if (gnutls_certificate_allocate_credentials(&ctx->cred) < 0)
		goto fail;
	if (p->cert_der != NULL) {
		r = load_identity(ctx, p->cert_der, p->cert_len);
		if (r < 0)
			goto fail;
	}
	*ret_ctx = ctx;
	return 0;
fail:
	quic_tls_ctx_free(ctx);
	return r;
}

void
quic_tls_ctx_free(struct quic_tls_ctx *ctx)
{
	if (ctx == NULL)
		return;
	if (ctx->cred != NULL)
		gnutls_certificate_free_credentials(ctx->cred);
	secret_wipe(ctx, sizeof(*ctx));
	free(ctx);
}

static bool
has_pinned_key(gnutls_x509_crt_t crt, const struct key32 *pin)
{
	gnutls_datum_t x = { NULL, 0 }, y = { NULL, 0 };
	gnutls_ecc_curve_t curve;
	bool same;

	if (gnutls_x509_crt_get_pk_algorithm(crt, NULL) !=
	    GNUTLS_PK_EDDSA_ED25519)
		return false;
	if (gnutls_x509_crt_get_pk_ecc_raw(crt, &curve, &x, &y) < 0)
		return false;
	same = x.size == sizeof(pin->b) &&
	       secret_equal(x.data, pin->b, sizeof(pin->b));
	gnutls_free(x.data);
	gnutls_free(y.data);
	return same;
}

/* Exactly one certificate, and its key is the pinned one.  Non-zero makes the
 * library send alert 42, bad_certificate, as peer v0.18.2 does. */
static int
verify_peer(gnutls_session_t session)
{
	const ngtcp2_crypto_conn_ref *ref = gnutls_session_get_ptr(session);
	const struct quic_tls *t = ref->user_data;
	const gnutls_datum_t *list;
	gnutls_x509_crt_t crt;
	unsigned n = 0;
	bool good;

	list = gnutls_certificate_get_peers(session, &n);
	if (list == NULL || n != 1)
		return -1;
	if (gnutls_x509_crt_init(&crt) < 0)
		return -1;
	good =
	    gnutls_x509_crt_import(crt, &list[0], GNUTLS_X509_FMT_DER) == 0 &&
	    has_pinned_key(crt, &t->ctx->pin);
	gnutls_x509_crt_deinit(crt);
	return good ? 0 : -1;
}

static ngtcp2_conn *
get_conn(ngtcp2_crypto_conn_ref *ref)
{
	const struct quic_tls *t = ref->user_data;

	return t->conn;
}

static int
set_alpn(struct quic_tls *t)
{
	gnutls_datum_t list[QUIC_ENDPOINT_MAX_ALPN];

	for (unsigned i = 0; i < t->ctx->n_alpn; i++) {
		list[i].data = (unsigned char *)t->ctx->alpn[i];
		list[i].size = (unsigned)strlen(t->ctx->alpn[i]);
	}
	return gnutls_alpn_set_protocols(t->session, list, t->ctx->n_alpn,
	    GNUTLS_ALPN_MANDATORY | GNUTLS_ALPN_SERVER_PRECEDENCE);
}

static bool
configure(struct quic_tls *t)
{
	const struct quic_tls_ctx *ctx = t->ctx;
	const char *err;
	int r;

	if (gnutls_priority_set_direct(
		t->session, ctx->server ? PRIORITY_SERVER : PRIORITY, &err) < 0)
		return false;
	r = ctx->server
		? ngtcp2_crypto_gnutls_configure_server_session(t->session)
		: ngtcp2_crypto_gnutls_configure_client_session(t->session);
	if (r != 0 || gnutls_credentials_set(
			  t->session, GNUTLS_CRD_CERTIFICATE, ctx->cred) < 0)
		return false;
	if (ctx->server)
		gnutls_certificate_server_set_request(
		    t->session, GNUTLS_CERT_REQUIRE);
	else if (gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, ctx->sni,
		     strlen(ctx->sni)) < 0)
		return false;
	gnutls_session_set_verify_function(t->session, verify_peer);
	return set_alpn(t) == 0;
}

int
quic_tls_new(
    struct quic_tls **ret_tls, struct quic_tls_ctx *ctx, ngtcp2_conn *conn)
{
	const unsigned common =
	    GNUTLS_NO_TICKETS | GNUTLS_NO_END_OF_EARLY_DATA | GNUTLS_NO_SIGNAL;
	struct quic_tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	t->ctx = ctx;
	t->conn = conn;
	t->ref.get_conn = get_conn;
	t->ref.user_data = t;
	if (gnutls_init(&t->session,
		ctx->server
		    ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET | common
		    : GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT | common) < 0) {
		free(t);
		return -ENOMEM;
	}
	gnutls_session_set_ptr(t->session, &t->ref);
	if (!configure(t)) {
		quic_tls_free(t);
		return -DT_ERR_INTERNAL;
	}
	ngtcp2_conn_set_tls_native_handle(conn, t->session);
	*ret_tls = t;
	return 0;
}

void
quic_tls_free(struct quic_tls *t)
{
	if (t == NULL)
		return;
	gnutls_deinit(t->session);
	free(t);
}

const char *
quic_tls_alpn(const struct quic_tls *t)
{
	gnutls_datum_t got;

	if (gnutls_alpn_get_selected_protocol(t->session, &got) < 0)
		return "";
	for (unsigned i = 0; i < t->ctx->n_alpn; i++)
		if (strlen(t->ctx->alpn[i]) == got.size &&
		    memcmp(t->ctx->alpn[i], got.data, got.size) == 0)
			return t->ctx->alpn[i];
	return "";
}

void
quic_tls_callbacks(ngtcp2_callbacks *cb)
{
	cb->client_initial = ngtcp2_crypto_client_initial_cb;
	cb->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
	cb->recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
	cb->encrypt = ngtcp2_crypto_encrypt_cb;
	cb->decrypt = ngtcp2_crypto_decrypt_cb;
	cb->hp_mask = ngtcp2_crypto_hp_mask_cb;
	cb->recv_retry = ngtcp2_crypto_recv_retry_cb;
	cb->update_key = ngtcp2_crypto_update_key_cb;
	cb->delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
	cb->delete_crypto_cipher_ctx =
	    ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
	cb->get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
	cb->version_negotiation = ngtcp2_crypto_version_negotiation_cb;
}
