/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What ngtcp2 tells us, turned into calls on connections and streams.  None of
 * these may read, write or delete a connection; a non-zero return ends it.
 */
#include <string.h>

#include <ngtcp2/ngtcp2_crypto.h>

#include "proto/quic/quic_internal.h"

/*
 * Packets that decrypted, of all connections.  ngtcp2 drops forged packets
 * silently and tells its decrypt callback no connection, so whoever wants to
 * know whether a packet was genuine compares this before and after.
 */
static uint64_t n_decrypted;

uint64_t
quic_callback_decrypted(void)
{
	return n_decrypted;
}

/* NOLINTBEGIN(readability-function-size): parameters are ngtcp2's */
static int
on_decrypt(uint8_t *dest, const ngtcp2_crypto_aead *aead,
    const ngtcp2_crypto_aead_ctx *ctx, const uint8_t *ciphertext,
    size_t ciphertextlen, const uint8_t *nonce, size_t noncelen,
    const uint8_t *aad, size_t aadlen)
{
	int r = ngtcp2_crypto_decrypt_cb(dest, aead, ctx, ciphertext,
	    ciphertextlen, nonce, noncelen, aad, aadlen);

	if (r == 0)
		n_decrypted++;
	return r;
}
/* NOLINTEND(readability-function-size) */

static void
on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	(void)ctx;
	secret_random(dest, len);
}

static int
on_new_cid(
    ngtcp2_conn *conn, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user)
{
	(void)conn;
	(void)len; /* QUIC_CID_LEN, the length of our first one */
	quic_endpoint_cid(user, cid);
	secret_random(token, NGTCP2_STATELESS_RESET_TOKENLEN);
	return 0;
}

static int
on_completed(ngtcp2_conn *conn, void *user)
{
	struct quic_conn *c = user;

	(void)conn;
	if (c->ep->p.server)
		quic_conn_on_ready(c);
	return 0;
}

static int
on_confirmed(ngtcp2_conn *conn, void *user)
{
	(void)conn;
	quic_conn_on_ready(user);
	return 0;
}

static int
on_stream_open(ngtcp2_conn *conn, int64_t id, void *user)
{
	struct quic_conn *c = user;
	const struct quic_events *e = &c->ep->p.events;
	struct quic_stream *s = quic_stream_new(c, id, NULL, true);

	if (s == NULL)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	if (ngtcp2_conn_set_stream_user_data(conn, id, s) != 0) {
		quic_stream_destroy(s);
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	if (e->stream_open != NULL)
		e->stream_open(c->ep->p.arg, s);
	return 0;
}

/* NOLINTBEGIN(readability-function-size): parameters are ngtcp2's */
static int
on_stream_data(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t offset,
    const uint8_t *data, size_t len, void *user, void *stream_user)
{
	(void)conn;
	(void)id;
	(void)offset;
	(void)user;
	if (stream_user != NULL)
		quic_stream_on_data(stream_user, data, len,
		    (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
	return 0;
}
/* NOLINTEND(readability-function-size) */

static int
on_acked(ngtcp2_conn *conn, int64_t id, uint64_t offset, uint64_t len,
    void *user, void *stream_user)
{
	(void)conn;
	(void)id;
	(void)user;
	if (stream_user != NULL)
		quic_stream_on_acked(stream_user, offset + len);
	return 0;
}

static int
on_stream_close(ngtcp2_conn *conn, uint32_t flags, int64_t id, uint64_t code,
    void *user, void *stream_user)
{
	struct quic_conn *c = user;

	(void)flags;
	(void)code;
	c->streams_lost += ngtcp2_conn_get_stream_loss_count(conn, id);
	if (stream_user != NULL)
		quic_stream_on_finished(stream_user);
	return 0;
}

static int
on_stream_reset(ngtcp2_conn *conn, int64_t id, uint64_t final_size,
    uint64_t code, void *user, void *stream_user)
{
	struct quic_conn *c = user;
	const struct quic_events *e = &c->ep->p.events;

	(void)conn;
	(void)id;
	(void)final_size;
	if (stream_user != NULL && e->stream_reset != NULL)
		e->stream_reset(c->ep->p.arg, stream_user, code);
	return 0;
}

static int
on_stream_credit(
    ngtcp2_conn *conn, int64_t id, uint64_t max, void *user, void *stream_user)
{
	struct quic_stream *s = stream_user;

	(void)conn;
	(void)id;
	(void)max;
	(void)user;
	if (s != NULL && s->blocked) {
		s->blocked = false;
		quic_stream_set_ready(s);
	}
	return 0;
}

static int
on_more_streams(ngtcp2_conn *conn, uint64_t max, void *user)
{
	struct quic_conn *c = user;
	const struct quic_events *e = &c->ep->p.events;

	(void)conn;
	(void)max;
	if (e->conn_streams != NULL && c->state == QUIC_CONN_READY)
		e->conn_streams(c->ep->p.arg, c);
	return 0;
}

static int
on_path_validated(ngtcp2_conn *conn, uint32_t flags, const ngtcp2_path *path,
    const ngtcp2_path *old_path, ngtcp2_path_validation_result result,
    void *user)
{
	(void)conn;
	(void)flags;
	(void)path;
	(void)old_path;
	(void)result;
	quic_renew_validated(user);
	return 0;
}

void
quic_callback_fill(ngtcp2_callbacks *cb)
{
	memset(cb, 0, sizeof(*cb));
	quic_tls_callbacks(cb);
	cb->decrypt = on_decrypt;
	cb->rand = on_rand;
	cb->get_new_connection_id = on_new_cid;
	cb->handshake_completed = on_completed;
	cb->handshake_confirmed = on_confirmed;
	cb->stream_open = on_stream_open;
	cb->recv_stream_data = on_stream_data;
	cb->acked_stream_data_offset = on_acked;
	cb->stream_close = on_stream_close;
	cb->stream_reset = on_stream_reset;
	cb->extend_max_stream_data = on_stream_credit;
	cb->extend_max_local_streams_bidi = on_more_streams;
	cb->extend_max_local_streams_uni = on_more_streams;
	cb->path_validation = on_path_validated;
}
