/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * QUIC connections over one pipe of datagrams, without sockets: datagrams and
 * the time go in, datagrams and events come out.
 *
 *	datagram came:  quic_endpoint_input(ep, now, p, len);
 *	turn end:       while (quic_endpoint_output(ep, now, &batch) > 0)
 *	                        send batch.buf, cut as batch.lens says;
 *	                arm a timer for quic_endpoint_next_deadline(ep), which
 *	                only leads to another turn end.
 *
 * Events are called from inside quic_endpoint_input() and _output().  They may
 * call any quic_conn_*() and quic_stream_*() function, but of this header only
 * quic_endpoint_connect() and the read-only ones.
 *
 * Addresses do not exist here: moving the pipe from a relay to UDP and back is
 * invisible to QUIC, apart from quic_endpoint_kick() and _set_payload().
 */
#ifndef PROTO_QUIC_QUIC_ENDPOINT_H
#define PROTO_QUIC_QUIC_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "lib/secret.h"

struct quic_endpoint; /* owner: whoever made it */
struct quic_conn;     /* owner: its endpoint; see quic_conn.h */
struct quic_stream;   /* owner: its connection; see quic_stream.h */
struct quic_close;

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
/* Handshakes at a time: what a stranger can make us spend, with its 10 s. */
#define QUIC_ENDPOINT_MAX_HANDSHAKES 64
#define QUIC_ENDPOINT_HANDSHAKE_US (10 * MONO_SEC)

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
	 * nothing can be written.  Noticed when something is written.
	 */
	void (*stream_stopped)(void *arg, struct quic_stream *s);
	/*
	 * Both directions are over (ours acknowledged), or the connection is.
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

	const uint8_t *cert_der; /* our certificate; copied */
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

	size_t payload;    /* of datagrams we send; QUIC_ENDPOINT_MIN_PAYLOAD */
	size_t payload_in; /* accepted from the peer; QUIC_ENDPOINT_PAYLOAD */
	enum quic_cc cc;

	struct quic_events events;
	void *arg; /* passed to every event */
};

#define QUIC_BATCH_MAX 64 /* UDP_SEGMENT's limit on older kernels */

/* A batch for one message or one segmented send.  The caller sets the first
 * three once. */
struct quic_batch {
	uint8_t *buf;    /* at least one payload, better 54 of them */
	size_t cap;      /* bytes at buf */
	size_t max_pkts; /* 1 .. QUIC_BATCH_MAX */
	size_t n_pkts;   /* datagrams given, back to back in buf */
	size_t len;      /* sum of lens */
	uint16_t lens[QUIC_BATCH_MAX];
};

/**
 * quic_endpoint_new(): nothing is sent before quic_endpoint_connect().
 *
 * Returns 0, -ENOMEM, -DT_ERR_KEY for an unusable certificate or missing key,
 * -ERANGE for sizes outside what the fields say.
 */
int quic_endpoint_new(
    struct quic_endpoint **ret_ep, const struct quic_params *p);

/** quic_endpoint_free(): drops everything without a word to peers or a
 * callback.  Not from inside an event.  NULL is fine. */
void quic_endpoint_free(struct quic_endpoint *ep);

/**
 * quic_endpoint_connect(): a client starts another connection.
 * @user: see quic_conn_user().
 *
 * Returns 0, -DT_ERR_LIMIT, -DT_ERR_STATE on a server, -ENOMEM.
 */
int quic_endpoint_connect(struct quic_endpoint *ep, struct mono now, void *user,
    struct quic_conn **ret_conn);

/**
 * quic_endpoint_input(): one datagram.  Anything that is not QUIC for one of
 * our connections, or the start of one a server has room for, is ignored.
 */
void quic_endpoint_input(
    struct quic_endpoint *ep, struct mono now, const uint8_t *pkt, size_t len);

/**
 * quic_endpoint_output(): run expired timers and fill @b with datagrams.
 *
 * Returns their number; 0 when there is nothing to send now.
 */
size_t quic_endpoint_output(
    struct quic_endpoint *ep, struct mono now, struct quic_batch *b);

/** quic_endpoint_next_deadline(): when output() is due at the latest. */
struct mono quic_endpoint_next_deadline(const struct quic_endpoint *ep);

/**
 * quic_endpoint_kick(): the pipe has just moved to a path that works.  Pending
 * probe timers, grown while the old path was dead, fire now.
 */
void quic_endpoint_kick(struct quic_endpoint *ep, struct mono now);

/**
 * quic_endpoint_set_payload(): datagram payload from now on, lost data
 * included.  0, or -ERANGE outside MIN_PAYLOAD .. MAX_PAYLOAD.  The peer's
 * limit caps it silently.
 */
int quic_endpoint_set_payload(struct quic_endpoint *ep, size_t payload);

/**
 * quic_endpoint_stop_accepting(): a server ignores new connections from now on,
 * or not any more.
 */
void quic_endpoint_stop_accepting(struct quic_endpoint *ep, bool stop);

/** quic_endpoint_count(): connections, handshakes included; closed ones that
 * still answer late packets are not. */
size_t quic_endpoint_count(const struct quic_endpoint *ep);

/** quic_endpoint_is_drained(): would quic_endpoint_free() lose nothing that a
 * peer still has to be told? */
bool quic_endpoint_is_drained(const struct quic_endpoint *ep);

#endif
