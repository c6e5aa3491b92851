/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of this folder share. */
#ifndef PROTO_TLS_TLS_INTERNAL_H
#define PROTO_TLS_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "lib/addr.h"
#include "lib/fifo.h"
#include "proto/tls/tls.h"
#include "proto/tls/tls_ctx.h"

struct tls_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *bio; /* reads and writes the fifos of a struct tls */
	bool server;
};

/* What a client's peer must show. */
struct tls_want {
	char host[ADDR_MAX_HOST]; /* without a trailing dot */
	char name[ADDR_MAX_HOST]; /* what the chain must be for */
	bool host_is_ip;
	bool name_is_ip;
	bool pinned;
	struct key32 pin; /* SHA-256 of the DER */
	int64_t unix_now;
};

struct tls {
	SSL *ssl;
	struct fifo in;  /* ciphertext from the network */
	struct fifo out; /* ciphertext to the network */
	uint8_t *stage;  /* plaintext gathered for one record, or NULL */
	size_t stage_len;
	bool eof;    /* the transport has ended */
	bool closed; /* close_notify was queued */
	bool ready;  /* handshake over, peer accepted */
	int r;       /* 0, or what ended the connection */
	struct tls_want want;
	char text[TLS_MAX_ERROR_TEXT];
};

/** tls_verify_chain(): OpenSSL's certificate verify callback for clients. */
int tls_verify_chain(X509_STORE_CTX *store_ctx, void *arg);

/** tls_verify_want(): check and copy @peer; 0 or -DT_ERR_SYNTAX. */
int tls_verify_want(struct tls_want *ret_want, const struct tls_peer *peer);

/** tls_verify_common_name(): the subject's only CN; 0 if there is none. */
size_t tls_verify_common_name(const X509 *x, const char **ret_cn);

/** tls_bio_method(): NULL when memory is out. */
BIO_METHOD *tls_bio_method(void);
/** tls_bio_new(): a BIO over @t's fifos; NULL when memory is out. */
BIO *tls_bio_new(const BIO_METHOD *method, struct tls *t);

#endif
