/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the files of this folder share.  Ownership: an endpoint owns its
 * connections (slots), a connection its streams, a stream its chunks.
 */
#ifndef PROTO_QUIC_QUIC_INTERNAL_H
#define PROTO_QUIC_QUIC_INTERNAL_H

#include <ngtcp2/ngtcp2.h>

#include "lib/queue.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"
#include "proto/quic/quic_tls.h"

/* Our own connection ids: slot, tag, counter; see quic_endpoint_cid(). */
#define QUIC_CID_LEN 8
/* With malloc's header still 64 KiB: below its mmap threshold. */
#define QUIC_CHUNK_LEN (65536 - 64)
/* Spare chunks kept by an endpoint: what one stream at 1 Gb/s and 30 ms holds.
 */
#define QUIC_MAX_SPARE_CHUNKS 64

/* Bytes of a stream, kept until acknowledged; never moved: ngtcp2 points in. */
struct quic_chunk {
	struct quic_chunk *next;
	size_t len; /* bytes used */
	uint8_t data[QUIC_CHUNK_LEN];
};

enum quic_conn_state {
	QUIC_CONN_HANDSHAKE,
	QUIC_CONN_READY,
	QUIC_CONN_CLOSING, /* events are being given; no more ngtcp2 calls */
	QUIC_CONN_TOMB,    /* answers late packets with the close packet */
};

struct quic_stream {
	struct quic_conn *conn;
	void *user;
	int64_t id;
	LIST_ENTRY(quic_stream) link;        /* in conn->streams */
	TAILQ_ENTRY(quic_stream) ready_link; /* in conn->ready */
	bool is_ready;                       /* is it in conn->ready? */

	/* Sending: acked <= sent <= written are stream offsets. */
	struct quic_chunk *head; /* holds the byte at acked, or NULL */
	struct quic_chunk *tail;
	struct quic_chunk *next_chunk; /* holds the byte at sent, or NULL */
	size_t head_off;               /* bytes of head that are acked */
	size_t next_off;               /* bytes of next_chunk that are sent */
	uint64_t acked, sent, written;
	bool announce;   /* an empty frame is wanted */
	bool any_sent;   /* the peer may know of it */
	bool fin;        /* no more will be written */
	bool fin_sent;   /* ngtcp2 has it */
	bool tx_over;    /* reset or stopped: nothing is sent */
	bool blocked;    /* waits for the peer's stream credit */
	bool want_write; /* reserve() or write() fell short */

	/* Receiving. */
	uint64_t given, consumed; /* bytes */
	bool discard;             /* stop_sending was called */
	bool rx_fin;              /* FIN was given */
	bool finished;            /* ngtcp2 has forgotten the stream */
	bool remote;              /* the peer opened it */
};

LIST_HEAD(quic_stream_list, quic_stream);
TAILQ_HEAD(quic_stream_queue, quic_stream);

struct quic_conn {
	struct quic_endpoint *ep;
	ngtcp2_conn *conn; /* NULL in a tomb */
	struct quic_tls *tls;
	void *user;
	enum quic_conn_state state;
	bool ping;          /* a PING is wanted */
	bool close_wanted;  /* quic_conn_close() was called */
	uint16_t slot;      /* index in ep->slots */
	uint16_t cid_count; /* connection ids made */
	uint32_t tag;       /* random; tells users of one slot apart */
	ngtcp2_cid odcid;   /* server: what the client's first packet named */

	uint64_t offset_ns; /* added to the clock by kicks; never shrinks */
	uint64_t last_ns;   /* latest time given to ngtcp2 */
	struct mono last_received;
	struct mono tomb_until; /* when it may be forgotten */
	uint64_t born_ns;       /* clock at creation */
	uint64_t heard_ns;      /* clock at last_received */
	uint64_t idle_ns;       /* effective idle timeout */

	struct quic_stream_list streams;
	struct quic_stream_queue ready; /* have something to send */
	struct quic_stream *stop_probe; /* whose stop is looked for next */
	size_t n_finished;              /* streams with finished set */

	struct quic_close why; /* set when leaving READY */
	uint8_t *close_pkt;    /* CONNECTION_CLOSE, or NULL */
	size_t close_len;
	bool close_due;       /* send close_pkt */
	unsigned close_heard; /* packets that came to the tomb */

	uint64_t bytes_sent, bytes_received, pkts_sent, pkts_received;
	uint64_t streams_lost; /* of streams that are gone */
};

/* Datagrams of ClientHellos whose beginning is still missing: more than two
 * clients at a time are rare, and all repeat themselves after a second. */
#define QUIC_MAX_EARLY 4

struct quic_early {
	ngtcp2_cid dcid;
	size_t len; /* 0: unused */
	uint8_t pkt[QUIC_ENDPOINT_PAYLOAD];
};

/* What one pass over all slots needs, without touching the connections. */
struct quic_slot {
	struct quic_conn *conn; /* NULL: free */
	int64_t expiry_us;      /* INT64_MAX: none */
	bool dirty;             /* look at it in the next output() */
};

struct quic_endpoint {
	struct quic_params p; /* defaults filled in; pointers not kept */
	struct quic_tls_ctx *tls;
	struct quic_slot *slots; /* p.max_conns */
	size_t n_slots;          /* slots ever used: the scan's end */
	size_t n_handshakes;     /* of a server */
	size_t n_conns;          /* tombs not included */
	size_t payload_max;      /* what p.payload may be raised to */
	size_t next_slot;        /* output() starts here, for fairness */
	uint16_t slot_mask;      /* hides slot numbers in connection ids */
	bool stopped;            /* accepts nothing new */
	struct quic_chunk *spare;
	size_t n_spare;
	struct quic_early early[QUIC_MAX_EARLY];
	size_t next_early; /* overwritten next */
	uint8_t *vn_pkt;   /* pending Version Negotiation, or NULL */
	size_t vn_len;
};

/* quic_endpoint.c */

/** quic_endpoint_cid(): the next connection id of @c, QUIC_CID_LEN bytes. */
void quic_endpoint_cid(struct quic_conn *c, ngtcp2_cid *ret_cid);
/** quic_endpoint_drop(): free @c and its slot, without events. */
void quic_endpoint_drop(struct quic_conn *c);
struct quic_chunk *quic_endpoint_chunk(struct quic_endpoint *ep);
void quic_endpoint_give_chunk(
    struct quic_endpoint *ep, struct quic_chunk *chunk);

/* quic_conn.c */

/** quic_conn_new(): @hd is the client's first header on a server, else NULL. */
int quic_conn_new(
    struct quic_conn *c, const ngtcp2_pkt_hd *hd, struct mono now);
/** quic_conn_fini(): release all but the struct itself; no events. */
void quic_conn_fini(struct quic_conn *c);
/** quic_conn_clock(): @now as this connection's nanoseconds. */
uint64_t quic_conn_clock(struct quic_conn *c, struct mono now);
/**
 * quic_conn_read(): one datagram; may end the connection.
 *
 * Returns 0, or -EAGAIN when it was a server's first one and holds only a later
 * part of the ClientHello: the connection is gone without a word.
 */
int quic_conn_read(
    struct quic_conn *c, struct mono now, const uint8_t *pkt, size_t len);
/** quic_conn_expire(): run expired timers; may end the connection. */
void quic_conn_expire(struct quic_conn *c, struct mono now);
/** quic_conn_fail(): @r is ngtcp2's verdict; ends the connection. */
void quic_conn_fail(struct quic_conn *c, struct mono now, int r);
/** quic_conn_do_close(): what quic_conn_close() asked for. */
void quic_conn_do_close(struct quic_conn *c, struct mono now);
/** quic_conn_is_live(): may ngtcp2 be called for it? */
bool quic_conn_is_live(const struct quic_conn *c);
/** quic_conn_touch(): have the next output() look at it. */
void quic_conn_touch(struct quic_conn *c);
/** quic_conn_on_ready(): both sides have accepted each other. */
void quic_conn_on_ready(struct quic_conn *c);
/** quic_conn_reap(): report streams that are over and consumed. */
void quic_conn_reap(struct quic_conn *c);
/** quic_conn_expiry(): when ngtcp2 wants to be called, or the tomb ends. */
struct mono quic_conn_expiry(struct quic_conn *c);
/** quic_conn_keep_alive_ns(): configured interval; UINT64_MAX is never. */
uint64_t quic_conn_keep_alive_ns(const struct quic_conn *c);
/** quic_conn_kick(): see quic_endpoint_kick(). */
void quic_conn_kick(struct quic_conn *c, struct mono now);

/* quic_callback.c */

/** quic_callback_fill(): every callback of a connection. */
void quic_callback_fill(ngtcp2_callbacks *cb);
/** quic_callback_decrypted(): packets that decrypted so far, anywhere. */
uint64_t quic_callback_decrypted(void);

/* quic_close.c */

/** quic_close_set(): all but r, from an error of either side's QUIC. */
void quic_close_set(
    struct quic_close *why, const ngtcp2_ccerr *e, bool by_peer);
/** quic_close_finish(): fill in r. */
void quic_close_finish(struct quic_close *why);

/* quic_write.c */

/** quic_write_conn(): append datagrams of @c to @b; may end it. */
void quic_write_conn(
    struct quic_conn *c, struct mono now, struct quic_batch *b);

/* quic_stream.c */

/** quic_stream_new(): NULL when memory is out. */
struct quic_stream *quic_stream_new(
    struct quic_conn *c, int64_t id, void *user, bool remote);
/** quic_stream_retire(): report the end of a stream and release it. */
void quic_stream_retire(struct quic_stream *s);
/** quic_stream_destroy(): release it without an event. */
void quic_stream_destroy(struct quic_stream *s);
/** quic_stream_is_clean(): did everything arrive, both ways? */
bool quic_stream_is_clean(const struct quic_stream *s);
/** quic_stream_set_ready(): let the writer see it. */
void quic_stream_set_ready(struct quic_stream *s);
void quic_stream_unready(struct quic_stream *s);
/** quic_stream_on_acked(): everything below @offset was acknowledged. */
void quic_stream_on_acked(struct quic_stream *s, uint64_t offset);
/** quic_stream_on_sent(): @n more bytes were put into packets. */
void quic_stream_on_sent(struct quic_stream *s, size_t n);
/** quic_stream_on_stopped(): the peer refuses our bytes. */
void quic_stream_on_stopped(struct quic_stream *s);
/** quic_stream_on_finished(): ngtcp2 forgets it. */
void quic_stream_on_finished(struct quic_stream *s);
/** quic_stream_on_data(): bytes or FIN from the peer. */
void quic_stream_on_data(
    struct quic_stream *s, const uint8_t *p, size_t len, bool fin);

#endif
