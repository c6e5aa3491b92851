/* SPDX-License-Identifier: BSD-3-Clause */
/* A foreign client whose ClientHello fills several datagrams, as those with
 * post-quantum key shares do, and whose datagrams arrive in the wrong order. */
#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <netinet/in.h>

#include "proto/quic/quic_tls.h"
#include "test/tap.h"
#include "test/unit/quic_pair.h"

#define PADDING_LEN 1216  /* X25519MLKEM768 */
#define EXT_PRIVATE 65300 /* nobody has it */
#define MAX_FLIGHT 8

struct foreign {
	ngtcp2_crypto_conn_ref ref;
	ngtcp2_conn *conn;
	gnutls_session_t session;
	gnutls_certificate_credentials_t cred;
	bool completed;
};

static struct sockaddr_in any = { .sin_family = AF_INET };
static const ngtcp2_path path = {
	.local = { (ngtcp2_sockaddr *)(void *)&any, sizeof(any) },
	.remote = { (ngtcp2_sockaddr *)(void *)&any, sizeof(any) },
	.user_data = NULL,
};

static ngtcp2_conn *
get_conn(ngtcp2_crypto_conn_ref *ref)
{
	return ((struct foreign *)ref->user_data)->conn;
}

static void
on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	secret_random(dest, len);
}

static int
on_cid(
    ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
	(void)conn;
	(void)user;
	cid->datalen = len;
	secret_random(cid->data, len);
	secret_random(token, NGTCP2_STATELESS_RESET_TOKENLEN);
	return 0;
}

static int
on_completed(ngtcp2_conn *conn, void *user)
{
	(void)conn;
	((struct foreign *)user)->completed = true;
	return 0;
}

/* As large as a post-quantum key share. */
static int
send_padding(gnutls_session_t session, gnutls_buffer_t data)
{
	static const uint8_t zeros[PADDING_LEN];

	(void)session;
	return gnutls_buffer_append_data(data, zeros, sizeof(zeros)) == 0
		   ? PADDING_LEN
		   : GNUTLS_E_MEMORY_ERROR;
}

static int
recv_padding(gnutls_session_t session, const unsigned char *p, size_t len)
{
	(void)session;
	(void)p;
	(void)len;
	return 0;
}

static bool
set_extensions(struct foreign *f)
{
	static char name[] = QUIC_ENDPOINT_ALPN;
	gnutls_datum_t alpn = { (unsigned char *)name, sizeof(name) - 1 };

	return gnutls_alpn_set_protocols(f->session, &alpn, 1, 0) == 0 &&
	       gnutls_session_ext_register(f->session, "padding", EXT_PRIVATE,
		   GNUTLS_EXT_TLS, recv_padding, send_padding, NULL, NULL, NULL,
		   GNUTLS_EXT_FLAG_CLIENT_HELLO) == 0;
}

/* @scid_len: 0 as clients with one connection have it. */
static void
foreign_init(struct foreign *f, size_t scid_len, uint64_t ts)
{
	ngtcp2_callbacks cb = { 0 };
	ngtcp2_settings settings;
	ngtcp2_transport_params t;
	ngtcp2_cid dcid = { .datalen = 18 }, scid = { .datalen = scid_len };

	quic_tls_callbacks(&cb);
	cb.rand = on_rand;
	cb.get_new_connection_id = on_cid;
	cb.handshake_completed = on_completed;
	secret_random(dcid.data, dcid.datalen);
	secret_random(scid.data, scid.datalen);
	ngtcp2_settings_default(&settings);
	settings.initial_ts = ts;
	ngtcp2_transport_params_default(&t);
	t.initial_max_data = 1u << 20;
	if (ngtcp2_conn_client_new(&f->conn, &dcid, &scid, &path,
		NGTCP2_PROTO_VER_V1, &cb, &settings, &t, NULL, f) != 0 ||
	    gnutls_init(&f->session, GNUTLS_CLIENT) != 0 ||
	    gnutls_priority_set_direct(
		f->session, "NORMAL:-VERS-ALL:+VERS-TLS1.3", NULL) != 0 ||
	    ngtcp2_crypto_gnutls_configure_client_session(f->session) != 0 ||
	    gnutls_certificate_allocate_credentials(&f->cred) != 0 ||
	    gnutls_credentials_set(
		f->session, GNUTLS_CRD_CERTIFICATE, f->cred) != 0 ||
	    !set_extensions(f))
		abort();
	f->ref.get_conn = get_conn;
	f->ref.user_data = f;
	gnutls_session_set_ptr(f->session, &f->ref);
	ngtcp2_conn_set_tls_native_handle(f->conn, f->session);
}

static void
foreign_fini(struct foreign *f)
{
	ngtcp2_conn_del(f->conn);
	gnutls_deinit(f->session);
	gnutls_certificate_free_credentials(f->cred);
}

static ngtcp2_ssize
foreign_write(struct foreign *f, uint8_t *dst, uint64_t ts)
{
	ngtcp2_pkt_info pi;

	return ngtcp2_conn_write_pkt(f->conn, NULL, &pi, dst, 1200, ts);
}

static void
test_split(size_t scid_len, bool reversed)
{
	struct pair *p = pair_new(1);
	struct foreign f = { 0 };
	struct quic_params b = pair_params(p, 1);
	struct quic_batch out = {
		.buf = p->buf, .cap = sizeof(p->buf), .max_pkts = PAIR_BATCH
	};
	uint8_t pkts[MAX_FLIGHT][1200];
	size_t lens[MAX_FLIGHT], n = 0, off = 0;
	uint64_t ts = (uint64_t)p->now.us * 1000;
	const ngtcp2_pkt_info pi = { 0 };

	if (quic_endpoint_new(&p->side[1].ep, &b) != 0)
		abort();
	foreign_init(&f, scid_len, ts);
	for (; n < MAX_FLIGHT; n++) {
		ngtcp2_ssize len = foreign_write(&f, pkts[n], ts);

		if (len <= 0)
			break;
		lens[n] = (size_t)len;
	}
	OK(n >= 2, "the hello takes %zu datagrams", n);
	for (size_t i = 0; i < n; i++) {
		size_t k = reversed ? n - 1 - i : i;

		quic_endpoint_input(p->side[1].ep, p->now, pkts[k], lens[k]);
	}
	quic_endpoint_input(p->side[1].ep, p->now, pkts[0], lens[0]);
	EQ_INT(quic_endpoint_count(p->side[1].ep), 1,
	    "they make one connection, a repeated one too");
	while (quic_endpoint_output(p->side[1].ep, p->now, &out) > 0) {
		off = 0;
		for (size_t k = 0; k < out.n_pkts; off += out.lens[k], k++)
			EQ_INT(ngtcp2_conn_read_pkt(f.conn, &path, &pi,
				   p->buf + off, out.lens[k], ts),
			    0, "answer is read");
	}
	OK(f.completed, "handshake with %s order, %zu bytes of source id",
	    reversed ? "reversed" : "right", scid_len);
	foreign_fini(&f);
	pair_free(p);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	test_split(8, false);
	test_split(8, true);
	test_split(0, true);
	return tap_done();
}
