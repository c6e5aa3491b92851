/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state behind the three handles.  Ownership: an endpoint owns its
 * connections (slots), a connection its streams, a stream its chunks.
 */
#ifndef PROTO_QUIC_QUIC_STATE_H
#define PROTO_QUIC_QUIC_STATE_H

#include <netinet/in.h>
#include <ngtcp2/ngtcp2.h>

#include "lib/damper.h"
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

/* Addresses that only ngtcp2 ever sees; see quic_renew.c. */
struct quic_path {
	struct sockaddr_in local, remote;
	ngtcp2_path path; /* points to the two */
	bool is_validating;
	struct damper damper;
};

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
	/* Not 0: a probe timer that has doubled is to fire now, if that is
	 * sooner than this after heard_ns. */
	uint64_t revive_ns;
	uint64_t asked_ns;        /* clock at the last quic_revive_ask() */
	uint64_t revive_until_ns; /* clock; then it is too late */
	size_t payload_cap;       /* longest datagram the peer takes */
	bool discovers;           /* ngtcp2 chooses the payload */
	bool renewable;           /* both ends can do quic_renew.c */
	struct quic_path path;

	struct quic_stream_list streams;
	struct quic_stream_queue ready; /* have something to send */
	struct quic_stream *stop_probe; /* whose stop is looked for next */
	/* Whose data went last in this batch; only compared. */
	const struct quic_stream *served;
	size_t n_finished; /* streams with finished set */

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
	size_t run_most;         /* see quic_endpoint_set_run(); 0: any */
	size_t run;              /* full datagrams since a shorter one */
	size_t next_slot;        /* output() starts here, for fairness */
	uint16_t slot_mask;      /* hides slot numbers in connection ids */
	bool stopped;            /* accepts nothing new */
	bool discovers;          /* new connections look for their payload */
	bool renewable;          /* new connections can be renewed */
	uint64_t n_genuine;      /* see quic_endpoint_genuine() */
	struct quic_chunk *spare;
	size_t n_spare;
	struct quic_early early[QUIC_MAX_EARLY];
	size_t next_early; /* overwritten next */
	uint8_t *vn_pkt;   /* pending Version Negotiation, or NULL */
	size_t vn_len;
};

#endif
