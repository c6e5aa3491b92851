/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS over memory: ciphertext in and out as bytes, no sockets.  One connection
 * is driven like this, by whoever owns the socket:
 *
 *	readable:  p = tls_input_reserve(t, 16384, &n); n = recv(fd, p, n);
 *	           tls_input_commit(t, n); r = tls_step(t);
 *	           while ((n = tls_read(t, buf, sizeof(buf))) > 0) ...
 *	turn end:  p = tls_output(t, &n); n = send(fd, p, n); tls_output_drop(t,
 *n);
 *
 * TLS 1.2 and 1.3, AES-128-GCM preferred, no ALPN, no resumption, no tickets,
 * no renegotiation, no compression.  Nothing is opened after a context exists.
 * No connection raises SIGPIPE or blocks.
 */
#ifndef PROTO_TLS_TLS_H
#define PROTO_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/secret.h"
#include "proto/tls/tls_ctx.h"

/* One connection.  Owner: whoever made it. */
struct tls;

/* Plaintext of one TLS record (RFC 8446 5.1). */
#define TLS_MAX_RECORD 16384
/* Ciphertext waiting in each direction; what is beyond stays in the socket. */
#define TLS_MAX_QUEUED ((size_t)512 * 1024)
/* Longest text of tls_error_text(), terminator included. */
#define TLS_MAX_ERROR_TEXT 256

/* Whom a client wants to talk to. */
struct tls_peer {
	/*
	 * DNS name or IP literal (brackets not allowed).  Names are sent as SNI
	 * without a trailing dot; literals send none, and are checked against
	 * IP SANs when the chain is checked against roots.
	 */
	const char *host;
	/*
	 * NULL or "": chain to the context's roots and match @host.
	 * "sha256-raw:" and 64 lower-case hex digits: no roots; exactly one
	 * certificate besides "derpkey..." ones, SHA-256 over its DER equal,
	 * inside its dates, and matching @host if that is a name.
	 * Anything else: chain to the roots and match this name instead.
	 */
	const char *cert_name;
	int64_t unix_now; /* seconds, for certificate dates */
};

/**
 * tls_new_client(): a client connection; its first flight is in tls_output().
 * @ctx: from tls_ctx_new_client(); must outlive the connection.
 * @peer: copied.
 *
 * Returns 0, -ENOMEM, or -DT_ERR_SYNTAX for an unusable host or cert_name.
 */
int tls_new_client(
    struct tls **ret_tls, struct tls_ctx *ctx, const struct tls_peer *peer);

/** tls_new_server(): a server connection.  0 or -ENOMEM. */
int tls_new_server(struct tls **ret_tls, struct tls_ctx *ctx);

/** tls_free(): wipes what was buffered; sends nothing.  NULL is fine. */
void tls_free(struct tls *t);

/**
 * tls_input_reserve(): room for ciphertext from the network.
 * @ret_len: receives how much fits, at least @want.
 *
 * Returns NULL when less than @want fits: call tls_read() first, that is, stop
 * reading the socket until the reader has caught up.
 */
uint8_t *tls_input_reserve(struct tls *t, size_t want, size_t *ret_len);
/** tls_input_commit(): @n bytes of the reserved span were filled. */
void tls_input_commit(struct tls *t, size_t n);
/** tls_input(): copy @len bytes in.  0 or -DT_ERR_FULL (nothing taken). */
int tls_input(struct tls *t, const void *p, size_t len);
/** tls_input_eof(): the transport ended; without close_notify before it,
 * tls_read() then gives -DT_ERR_TRUNCATED instead of 0. */
void tls_input_eof(struct tls *t);

/**
 * tls_step(): advance the handshake with what has come in.
 *
 * Returns 0 (done, or waiting for more: see tls_is_ready()), or the error that
 * ended the connection: -DT_ERR_CERT_UNTRUSTED, -DT_ERR_CERT_PIN, -DT_ERR_TLS,
 * -DT_ERR_TRUNCATED, -ENOMEM.  An alert may wait in tls_output() even then.
 */
int tls_step(struct tls *t);

/** tls_is_ready(): is the handshake over and the peer accepted? */
bool tls_is_ready(const struct tls *t);

/**
 * tls_read(): plaintext from the peer; advances the handshake if need be.
 *
 * Returns bytes, 0 after the peer's close_notify, -EAGAIN when more ciphertext
 * is needed, or an error as tls_step() gives it.
 */
ssize_t tls_read(struct tls *t, void *p, size_t cap);

/**
 * tls_write(): plaintext to the peer.  Small writes are gathered: they leave as
 * records of up to TLS_MAX_RECORD at tls_output().
 *
 * Returns the bytes taken (may be less than @len), -EAGAIN before the handshake
 * is over or while TLS_MAX_QUEUED waits in tls_output(), or an error.
 */
ssize_t tls_write(struct tls *t, const void *p, size_t len);

/** tls_write_room(): bytes that tls_write() would take now. */
size_t tls_write_room(const struct tls *t);

/**
 * tls_output(): seal what was gathered and borrow the pending ciphertext.
 * @ret_len: bytes; 0 when there is nothing to send.
 */
const uint8_t *tls_output(struct tls *t, size_t *ret_len);
/** tls_output_drop(): the first @n bytes of tls_output() were sent. */
void tls_output_drop(struct tls *t, size_t n);

/** tls_close(): queue close_notify behind what was written.  Idempotent. */
void tls_close(struct tls *t);

/**
 * tls_error_text(): why the connection failed, in words for people: for
 * certificates the reason and the issuer, e.g. "self-signed certificate
 * (issuer CN=relay.example)".  Printable ASCII.  "" while there is no error.
 */
const char *tls_error_text(const struct tls *t);

/** tls_version_text(): "TLSv1.3", or "" before the handshake is over. */
const char *tls_version_text(const struct tls *t);

/**
 * tls_peer_metacert(): the relay's public key from its meta certificate
 * (subject "derpkey" and 64 hex digits, serial 1..255, TLS 1.3 only).
 *
 * Returns true and fills *@ret_key, or false: no fast start then.
 */
bool tls_peer_metacert(const struct tls *t, struct key32 *ret_key);

#endif
