/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One peer's session: the state that the modules of this folder share.
 *
 *	nego       claim and decision; until QUIC stands
 *	raw        ready exchange, raw-direct
 *	discovery  direct paths: sockets, addresses, which path is taken
 *	relay_back  the relay was away
 *	path_relay, path_udp   datagrams to and from the daemon, or by UDP
 *	carrier    a QUIC connection       lane    a QUIC stream
 *	splice     one local byte stream and its lanes
 *	local      claimer: listener and stdio
 *	share, derptun_server, derptun_client   what connections are for
 *	transfer   instead of nego and splices, where it is files that move
 *	msgs, path_report   control messages of and to the daemon
 *
 * Events only change state and wake the session; session_turn(), once per turn
 * of the loop, runs timers, settles splices and sends what QUIC has.
 */
#ifndef HELPERS_SESSION_SESSION_H
#define HELPERS_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "helpers/session/discovery.h"
#include "helpers/session/local.h"
#include "helpers/session/nego.h"
#include "helpers/session/path_relay.h"
#include "helpers/session/path_report.h"
#include "helpers/session/raw.h"
#include "helpers/session/relay_back.h"
#include "helpers/session/signer.h"
#include "lib/loop.h"
#include "lib/mono.h"
#include "lib/queue.h"
#include "proto/ipc/ipc_body.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/tunnel/lane_table.h"
#include "proto/tunnel/tunnel_code.h"

struct carrier;
struct lane;
struct quic_close;
struct quic_conn;
struct quic_stream;
struct splice;
struct transfer;
struct worker;

/* Local streams at a time, parked ones included: with RLIMIT_NOFILE 1200 it
 * leaves room for channels.  Go peers make 12 connections for each. */
#define SESSION_MAX_SPLICES 1024
#define SESSION_MAX_CONNS 1024
/* A stream's receive window may grow to this: what one stuck local socket can
 * make us hold. */
#define SESSION_STREAM_WINDOW_MAX ((size_t)16 << 20)
/* Liveness questions that may be open; one gate asks one at a time. */
#define SESSION_MAX_PROBES 4

/* What connections and streams mean; one table per kind and role. */
struct tunnel_ops {
	/* Claimer: accepted, dial. */
	void (*start)(struct session *s);
	void (*conn_ready)(struct session *s, struct carrier *c);
	/* @c is freed afterwards; its splice may be set. */
	void (*conn_closed)(
	    struct session *s, struct carrier *c, const struct quic_close *why);
	/* Listener: the peer opened a stream. */
	void (*stream_open)(
	    struct session *s, struct carrier *c, struct quic_stream *stream);
	/* derptun listener: the header of a lane is complete. */
	void (*lane_header)(struct session *s, struct lane *l);
	/* Claimer: give a parked splice its lanes.  0, -EAGAIN (later), or an
	 * error that ends the splice. */
	int (*attach)(struct session *s, struct splice *sp);
	/* Both sides of a splice were given up / it is about to be freed. */
	void (*splice_aborted)(
	    struct session *s, struct splice *sp, unsigned code);
	void (*splice_done)(struct session *s, struct splice *sp);
	/* Timers. */
	void (*run)(struct session *s);
	struct mono (*next_deadline)(const struct session *s);
};

struct session_probe {
	bool used;
	uint32_t seq;
	struct mono asked;
	struct mono deadline;
};

/* How it ends, decided but not yet carried out. */
struct session_ending {
	bool decided;
	int code;
	char text[IPC_MAX_TEXT];
	bool leaving;         /* every connection is being closed */
	struct mono deadline; /* draining, then leaving, ends at the latest */
};

struct session {
	struct worker *worker;
	struct loop *loop;
	struct loop_timer *timer;
	struct mono now; /* of this turn */
	bool awake;      /* the timer is set for the end of this turn */
	struct ipc_boot_session boot;
	struct signer signer;
	struct key32 own_seed; /* claimer; wiped once QUIC has it */

	enum ipc_status status;
	bool ready; /* STATUS READY was said */
	bool started;
	struct nego nego;
	struct path_mux mux;
	struct path_relay relay;
	struct discovery discovery;
	struct raw raw;
	struct path_report report;
	struct relay_back back;

	struct quic_endpoint *quic;
	size_t payload;          /* QUIC datagrams on the selected path */
	uint64_t n_genuine;      /* of quic, at the end of the last turn */
	struct mono heard;       /* when it grew, by any path */
	struct mono next_expire; /* timers while the path is full */
	uint8_t *batch_buf;
	struct quic_batch batch; /* being sent; what a full path left over */
	size_t batch_pkt;        /* first datagram not taken */
	size_t batch_off;        /* its offset in batch_buf */

	const struct tunnel_ops *tunnel;
	struct transfer *transfer; /* NULL for tunnels */
	LIST_HEAD(carrier_list, carrier) carriers;
	struct carrier *anchor; /* share: the connection; derptun: control */
	struct lane_table table;
	struct mono stock_after; /* derptun claimer: no new spare before */
	TAILQ_HEAD(splice_list, splice) splices;
	TAILQ_HEAD(dirty_list, splice) dirty;
	size_t n_splices;
	uint32_t last_id;
	struct local local;

	struct session_probe probes[SESSION_MAX_PROBES];
	struct ipc_description counts;
	struct mono stop_deadline; /* STOP came: leave politely until then */
	int stop_code;             /* with which code */
	struct session_ending ending;
};

/** session_boot(): from the boot message; before confinement. */
int session_boot(struct session *s, struct worker *w, struct buf_reader *body,
    int *fds, size_t n_fds);
/** session_start(): confined.  0 or -ENOMEM. */
int session_start(struct session *s, struct mono now);
/** session_packets(): a batch came from the relay.  0 or -DT_ERR_IPC. */
int session_packets(
    struct session *s, struct buf_reader *batch, struct mono now);
/** session_packets_writable(): the relay path has room again. */
void session_packets_writable(struct session *s, struct mono now);
/** session_stop(): the daemon wants us gone within a second.
 * @code: 0 closes in order, else the peer is told of an error. */
void session_stop(struct session *s, int code, struct mono now);

/** session_wake(): make sure that session_turn() runs soon. */
void session_wake(struct session *s);

/** session_move(): datagrams leave through @p from now on.
 * @peer: its address, NULL for the relay.  @reason: static words. */
void session_move(struct session *s, struct path *p, const struct addr *peer,
    const char *reason);

/** session_set_status(): tell the daemon, when it is news. */
void session_set_status(
    struct session *s, enum ipc_status status, const char *text);
/** session_set_ready(): streams can start. */
void session_set_ready(struct session *s, struct carrier *anchor);

/**
 * session_end(): decide to end; what the peer sent is still written out.
 * @code: 0 or -DT_ERR_* / -errno.  @text: escaped.  The first call counts.
 */
void session_end(struct session *s, int code, const char *text);
/** session_end_stream(): the one stream ended; its result is the session's,
 * whatever became of the connections meanwhile. */
void session_end_stream(struct session *s, int result, const char *text);
/** session_end_why(): likewise, for the end of the anchor connection. */
void session_end_why(struct session *s, const struct quic_close *why);

#endif
