/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection is an SSL object between two bounded ciphertext queues.
 *
 * Outgoing plaintext is gathered in a stage of one record, so that many small
 * writes become few records; whole records pass it by.  The stage is sealed by
 * tls_output() and never outlives it: idle connections hold no buffers.
 *
 * The first error stays (r, text).  Whatever alert OpenSSL wrote for it remains
 * in the output queue.
 */
#include "proto/tls/tls.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "lib/err.h"
#include "proto/derp/derp_metacert.h"
#include "proto/tls/tls_internal.h"

/* Record headers and tags of a full queue, a handshake flight, an alert. */
#define OUT_SLACK ((size_t)64 * 1024)
/* The output queue's first size for bulk data, for 128 KiB batches: growing
 * there step by step would copy it all once more. */
#define OUT_BLOCK ((size_t)160 * 1024)
#define MAX_SERIAL 20 /* bytes, RFC 5280 4.1.2.2 */

/* A connection without a role. */
static struct tls *
make(struct tls_ctx *ctx)
{
	struct tls *t = calloc(1, sizeof(*t));
	BIO *b;

	if (t == NULL)
		return NULL;
	fifo_init(&t->in, TLS_MAX_QUEUED);
	fifo_init(&t->out, TLS_MAX_QUEUED + OUT_SLACK);
	t->ssl = SSL_new(ctx->ssl);
	b = t->ssl != NULL ? tls_bio_new(ctx->bio, t) : NULL;
	if (b == NULL)
		goto fail;
	SSL_set_bio(t->ssl, b, b);
	if (SSL_set_app_data(t->ssl, t) != 1)
		goto fail;
	return t;
fail:
	tls_free(t);
	return NULL;
}

int
tls_new_client(
    struct tls **ret_tls, struct tls_ctx *ctx, const struct tls_peer *peer)
{
	struct tls_want want;
	struct tls *t;
	int r;

	assert(!ctx->server);
	r = tls_verify_want(&want, peer);
	if (r < 0)
		return r;
	t = make(ctx);
	if (t == NULL)
		return -ENOMEM;
	t->want = want;
	SSL_set_connect_state(t->ssl);
	if (!want.host_is_ip &&
	    SSL_set_tlsext_host_name(t->ssl, want.host) != 1) {
		tls_free(t);
		return -ENOMEM;
	}
	(void)tls_step(t); /* the first flight needs no peer; errors stay */
	*ret_tls = t;
	return 0;
}

int
tls_new_server(struct tls **ret_tls, struct tls_ctx *ctx)
{
	struct tls *t;

	assert(ctx->server);
	t = make(ctx);
	if (t == NULL)
		return -ENOMEM;
	SSL_set_accept_state(t->ssl);
	*ret_tls = t;
	return 0;
}

static void
drop_stage(struct tls *t)
{
	if (t->stage != NULL)
		secret_wipe(t->stage, t->stage_len);
	free(t->stage);
	t->stage = NULL;
	t->stage_len = 0;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	SSL_free(t->ssl);
	drop_stage(t);
	fifo_fini(&t->in);
	fifo_fini(&t->out);
	free(t);
}

uint8_t *
tls_input_reserve(struct tls *t, size_t want, size_t *ret_len)
{
	return fifo_reserve(&t->in, want, ret_len);
}

void
tls_input_commit(struct tls *t, size_t n)
{
	fifo_commit(&t->in, n);
}

int
tls_input(struct tls *t, const void *p, size_t len)
{
	return fifo_put(&t->in, p, len);
}

void
tls_input_eof(struct tls *t)
{
	t->eof = true;
}

/* The reason of OpenSSL's first queued error, kept unless a better one is. */
static void
keep_error(struct tls *t, int r)
{
	unsigned long e = ERR_peek_error();
	const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;

	if (t->r == 0)
		t->r = r;
	if (t->text[0] != '\0')
		return;
	if (r == -DT_ERR_TRUNCATED)
		reason = "connection ended without close_notify";
	(void)snprintf(t->text, sizeof(t->text), "%s",
	    reason != NULL ? reason : err_str(t->r));
}

static bool
is_eof_error(void)
{
	return ERR_GET_REASON(ERR_peek_error()) ==
	       SSL_R_UNEXPECTED_EOF_WHILE_READING;
}

/*
 * What a failed SSL call means: -EAGAIN, 0 for close_notify, or the error that
 * stays.
 */
static int
result(struct tls *t, int ret)
{
	int err = SSL_get_error(t->ssl, ret);

	switch (err) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_SYSCALL:
		keep_error(t, t->eof ? -DT_ERR_TRUNCATED : -DT_ERR_TLS);
		break;
	default:
		keep_error(t, is_eof_error() ? -DT_ERR_TRUNCATED : -DT_ERR_TLS);
		break;
	}
	ERR_clear_error();
	return t->r;
}

int
tls_step(struct tls *t)
{
	int ret, r;

	if (t->r < 0 || t->ready)
		return t->r;
	ERR_clear_error();
	ret = SSL_do_handshake(t->ssl);
	if (ret == 1) {
		t->ready = true;
		return 0;
	}
	r = result(t, ret);
	return r == -EAGAIN ? 0 : r;
}

bool
tls_is_ready(const struct tls *t)
{
	return t->ready && t->r == 0;
}

ssize_t
tls_read(struct tls *t, void *p, size_t cap)
{
	size_t n = 0;
	int ret, r;

	r = tls_step(t);
	if (r < 0)
		return r;
	if (!t->ready)
		return -EAGAIN;
	ERR_clear_error();
	ret = SSL_read_ex(t->ssl, p, cap, &n);
	return ret == 1 ? (ssize_t)n : result(t, ret);
}

size_t
tls_write_room(const struct tls *t)
{
	size_t used = fifo_len(&t->out) + t->stage_len;

	if (!tls_is_ready(t) || t->closed || used >= TLS_MAX_QUEUED)
		return 0;
	return TLS_MAX_QUEUED - used;
}

/* At most one record; the queue has room for it. */
static int
seal(struct tls *t, const uint8_t *p, size_t len)
{
	size_t n = 0;
	int ret;

	if (len == TLS_MAX_RECORD && fifo_len(&t->out) == 0)
		(void)fifo_reserve(&t->out, OUT_BLOCK, &n); /* only a hint */
	ERR_clear_error();
	ret = SSL_write_ex(t->ssl, p, len, &n);
	if (ret != 1)
		return result(t, ret);
	assert(n == len);
	return 0;
}

static int
flush_stage(struct tls *t)
{
	int r;

	if (t->stage_len == 0)
		return 0;
	r = seal(t, t->stage, t->stage_len);
	drop_stage(t);
	return r;
}

/* Takes up to one record of @len bytes; returns how many, or an error. */
static ssize_t
take(struct tls *t, const uint8_t *p, size_t len)
{
	size_t n = TLS_MAX_RECORD - t->stage_len;
	int r = 0;

	if (t->stage_len == 0 && len >= TLS_MAX_RECORD) {
		r = seal(t, p, TLS_MAX_RECORD);
		return r < 0 ? r : TLS_MAX_RECORD;
	}
	if (t->stage == NULL)
		t->stage = malloc(TLS_MAX_RECORD);
	if (t->stage == NULL)
		return -ENOMEM;
	if (n > len)
		n = len;
	memcpy(t->stage + t->stage_len, p, n);
	t->stage_len += n;
	if (t->stage_len == TLS_MAX_RECORD)
		r = flush_stage(t);
	return r < 0 ? r : (ssize_t)n;
}

ssize_t
tls_write(struct tls *t, const void *p, size_t len)
{
	const uint8_t *src = p;
	size_t room = tls_write_room(t), done = 0;

	if (t->r < 0)
		return t->r;
	if (t->closed)
		return -DT_ERR_CLOSED;
	if (room == 0)
		return len == 0 ? 0 : -EAGAIN;
	if (len > room)
		len = room;
	while (done < len) {
		ssize_t n = take(t, src + done, len - done);

		if (n < 0)
			return done > 0 ? (ssize_t)done : n;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

const uint8_t *
tls_output(struct tls *t, size_t *ret_len)
{
	(void)flush_stage(t); /* its error stays for the next call */
	*ret_len = fifo_len(&t->out);
	return fifo_peek(&t->out);
}

void
tls_output_drop(struct tls *t, size_t n)
{
	fifo_drop(&t->out, n);
}

void
tls_close(struct tls *t)
{
	if (t->closed)
		return;
	(void)flush_stage(t);
	t->closed = true;
	if (!tls_is_ready(t))
		return;
	ERR_clear_error();
	(void)SSL_shutdown(t->ssl); /* 0: the peer's is not awaited */
}

const char *
tls_error_text(const struct tls *t)
{
	return t->text;
}

const char *
tls_version_text(const struct tls *t)
{
	return t->ready ? SSL_get_version(t->ssl) : "";
}

bool
tls_peer_metacert(const struct tls *t, struct key32 *ret_key)
{
	STACK_OF(X509) * chain;

	if (!tls_is_ready(t) || SSL_version(t->ssl) < TLS1_3_VERSION)
		return false;
	chain = SSL_get_peer_cert_chain(t->ssl);
	for (int i = 0; i < sk_X509_num(chain); i++) {
		const X509 *x = sk_X509_value(chain, i);
		const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
		const char *cn = NULL;
		size_t len = tls_verify_common_name(x, &cn);
		int serial_len = ASN1_STRING_length(serial);

		/* An INTEGER's own type tells its sign, not its bytes. */
		if (len == 0 || serial_len > MAX_SERIAL ||
		    ASN1_STRING_type(serial) != V_ASN1_INTEGER)
			continue;
		if (derp_metacert_parse(cn, len, ASN1_STRING_get0_data(serial),
			(size_t)serial_len, ret_key) == 0)
			return true;
	}
	return false;
}
