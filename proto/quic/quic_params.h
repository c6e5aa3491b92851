/* SPDX-License-Identifier: BSD-3-Clause */
/* What a QUIC endpoint is given at birth, and the events it reports. */
#ifndef PROTO_QUIC_QUIC_PARAMS_H
#define PROTO_QUIC_QUIC_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/secret.h"

struct quic_conn;
struct quic_stream;
struct quic_close; /* see quic_conn.h */

#define QUIC_ENDPOINT_ALPN "derphole-quic/1" /* peer v0.18.2 */
#define QUIC_ENDPOINT_SNI "derphole"         /* peer v0.18.2 */
#define QUIC_ENDPOINT_MAX_ALPN 4
#define QUIC_ENDPOINT_MAX_ALPN_LEN 32
/* The smallest payload QUIC may use (RFC 9000 14), for relayed paths. */
#define QUIC_ENDPOINT_MIN_PAYLOAD 1200
/* What we and peer v0.18.2 accept: 1500 minus IPv6 and UDP headers. */
#define QUIC_ENDPOINT_PAYLOAD 1452
/* Native peers on a relay: packets of this size halve the cost. */
#define QUIC_ENDPOINT_MAX_PAYLOAD 16000

enum quic_cc {
	QUIC_CC_BBR,   /* keeps its rate under random loss */
	QUIC_CC_CUBIC, /* better after a jump from a short to a long RTT */
};

/*
 * Signs for a key that lives elsewhere.
 * @msg, @len: a TLS 1.3 CertificateVerify input, 130 or 146 bytes.
 * @ret_sig: the Ed25519 signature.
 *
 * Called from inside quic_endpoint_input(); may block briefly, cannot be
 * resumed.  Returns 0, or negative: the handshake fails (alert 80).
 */
typedef int quic_sign_fn(
    void *arg, const uint8_t *msg, size_t len, uint8_t ret_sig[static 64]);

/*
 * What happens.  Any may be NULL except stream_data.  Pointers to connections
 * and streams are valid until their closed event has returned; that one comes
 * exactly once for each, streams before their connection.
 */
struct quic_events {
	/* Both sides have accepted each other. */
	void (*conn_ready)(void *arg, struct quic_conn *c);
	void (*conn_closed)(
	    void *arg, struct quic_conn *c, const struct quic_close *why);
	/* The peer lets us open more streams than before. */
	void (*conn_streams)(void *arg, struct quic_conn *c);
	/* The peer opened a stream. */
	void (*stream_open)(void *arg, struct quic_stream *s);
	/*
	 * @len bytes came, in order; all are the callee's to keep.  Give the
	 * room back with quic_stream_consume() as they leave.  @fin: nothing
	 * follows (@len may be 0).
	 */
	void (*stream_data)(void *arg, struct quic_stream *s, const uint8_t *p,
	    size_t len, bool fin);
	/* quic_stream_reserve() had nothing to give, and has again. */
	void (*stream_writable)(void *arg, struct quic_stream *s);
	/* The peer gave up sending; no more stream_data. */
	void (*stream_reset)(
	    void *arg, struct quic_stream *s, uint64_t app_code);
	/*
	 * The peer does not want what we send: what was queued is gone and
	 * nothing can be written.
	 */
	void (*stream_stopped)(void *arg, struct quic_stream *s);
	/*
	 * Both directions are over: ours acknowledged, the peer's all consumed
	 * (quic_stream_consume() or _stop_sending()).  Or the connection is.
	 * @clean: every byte and both FINs arrived.
	 */
	void (*stream_closed)(void *arg, struct quic_stream *s, bool clean);
};

/* Zero means the default named beside it. */
struct quic_params {
	bool server; /* accepts; else connects */

	/* In order of preference; none: QUIC_ENDPOINT_ALPN.  Strings are
	 * copied. */
	const char *alpn[QUIC_ENDPOINT_MAX_ALPN];
	const char *sni; /* client; NULL: QUIC_ENDPOINT_SNI */

	/* Our certificate, copied.  NULL: a client that shows none. */
	const uint8_t *cert_der;
	size_t cert_len;
	const struct key32 *seed; /* its private key (copied, wiped), or NULL */
	quic_sign_fn *sign;       /* used when seed is NULL */
	void *sign_arg;
	struct key32 peer_key; /* the only Ed25519 key accepted from the peer */

	int64_t idle_timeout_us; /* 30 s */
	int64_t keep_alive_us;   /* 5 s; negative: never */
	uint32_t max_conns;      /* 1024; the most is 4096 */
	uint32_t max_bidi;       /* streams the peer may have open; 64 */
	uint32_t max_uni;        /* likewise; 0 */

	/*
	 * Receive windows bound what a peer can make us hold.  The first is
	 * what it may send unasked; it grows to the second while the reader
	 * keeps up.  16 MiB for a stream carry 1.3 Gb/s at 100 ms RTT.
	 */
	uint64_t stream_window;     /* 4 MiB */
	uint64_t stream_window_max; /* 16 MiB */
	uint64_t conn_window;       /* 8 MiB */
	uint64_t conn_window_max;   /* 32 MiB */
	size_t send_buffer;         /* unacknowledged bytes per stream; 8 MiB */

	size_t payload;    /* of datagrams we send, as far as the peer takes
			      it; QUIC_ENDPOINT_MIN_PAYLOAD, which is also all
			      that handshakes use */
	size_t payload_in; /* accepted from the peer; QUIC_ENDPOINT_PAYLOAD */
	enum quic_cc cc;

	struct quic_events events;
	void *arg; /* passed to every event */
};

#endif
