/* SPDX-License-Identifier: BSD-3-Clause */
/* OpenSSL's view of a connection's two ciphertext queues. */
#include <string.h>

#include "proto/tls/tls_internal.h"

static int
bio_read(BIO *b, char *dst, size_t len, size_t *ret_n)
{
	struct tls *t = BIO_get_data(b);
	size_t n = fifo_len(&t->in);

	BIO_clear_retry_flags(b);
	if (n == 0) {
		if (!t->eof)
			BIO_set_retry_read(b);
		return 0;
	}
	if (n > len)
		n = len;
	memcpy(dst, fifo_peek(&t->in), n);
	fifo_drop(&t->in, n);
	*ret_n = n;
	return 1;
}

static int
bio_write(BIO *b, const char *src, size_t len, size_t *ret_n)
{
	struct tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	if (fifo_put(&t->out, src, len) < 0) {
		BIO_set_retry_write(b);
		return 0;
	}
	*ret_n = len;
	return 1;
}

static long
bio_ctrl(BIO *b, int cmd, long num, void *p)
{
	const struct tls *t = BIO_get_data(b);

	(void)num;
	(void)p;
	switch (cmd) {
	case BIO_CTRL_FLUSH:
		return 1;
	case BIO_CTRL_EOF:
		return t->eof && fifo_len(&t->in) == 0 ? 1 : 0;
	default:
		return 0;
	}
}

BIO_METHOD *
tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "fifo");

	if (m == NULL)
		return NULL;
	if (BIO_meth_set_read_ex(m, bio_read) != 1 ||
	    BIO_meth_set_write_ex(m, bio_write) != 1 ||
	    BIO_meth_set_ctrl(m, bio_ctrl) != 1) {
		BIO_meth_free(m);
		return NULL;
	}
	return m;
}

BIO *
tls_bio_new(const BIO_METHOD *method, struct tls *t)
{
	BIO *b = BIO_new(method);

	if (b == NULL)
		return NULL;
	BIO_set_data(b, t);
	BIO_set_init(b, 1);
	return b;
}
