/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connected TCP socket on the loop, with or without TLS: bytes in by
 * callback, bytes out through a bounded queue.  Knows no protocol above.
 */
#ifndef DAEMON_STREAM_H
#define DAEMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/loop.h"
#include "proto/tls/tls.h"

struct stream;

struct stream_params {
	struct loop *loop;
	int fd;              /* connected, non-blocking; moves on success */
	struct tls_ctx *tls; /* NULL: plain; outlives the stream */
	const char *host;    /* for TLS; borrowed */
	const char *cert_name;
	size_t max_input; /* bytes that may wait for more */
	/* The other end is who it should be; with plain TCP in the next turn */
	void (*on_ready)(void *arg, struct mono now);
	/*
	 * @len bytes have come in, old unconsumed ones first.  Returns how many
	 * are done with (the rest comes again with more behind it), or a
	 * negative error that ends the stream.  May free the stream: then the
	 * result does not matter.
	 */
	ssize_t (*on_input)(
	    void *arg, const uint8_t *p, size_t len, struct mono now);
	/* Everything written has left for the socket. */
	void (*on_drained)(void *arg, struct mono now);
	/* Once: r 0 is an orderly end by the peer.  @text tells more, or "". */
	void (*on_closed)(void *arg, int r, const char *text, struct mono now);
	void *arg;
};

/** stream_new(): returns 0 or a negative error (fd stays the caller's). */
int stream_new(const struct stream_params *p, struct stream **ret_stream);
/** stream_free(): closes the socket.  NULL is fine; fine in callbacks. */
void stream_free(struct stream *s);

/** stream_write(): queue bytes; returns how many were taken. */
size_t stream_write(struct stream *s, const void *p, size_t len);
/** stream_flush(): hand what is queued to the socket.  May call on_drained or
 * on_closed; the owner calls it at the end of a turn. */
void stream_flush(struct stream *s, struct mono now);
/**
 * stream_end(): nothing more will be written.  When what is queued has left,
 * the peer is told; what it still sends is thrown away, until on_closed().
 * Again is fine.
 */
void stream_end(struct stream *s, struct mono now);
/** stream_queued(): bytes not yet taken by the socket. */
size_t stream_queued(const struct stream *s);
/** stream_local(): our end of it; family 0 when that is not known. */
struct addr stream_local(const struct stream *s);
/** stream_tls(): NULL for plain streams. */
const struct tls *stream_tls(const struct stream *s);

#endif
