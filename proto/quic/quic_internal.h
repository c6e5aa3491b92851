/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that the files of this folder share. */
#ifndef PROTO_QUIC_QUIC_INTERNAL_H
#define PROTO_QUIC_QUIC_INTERNAL_H

#include <ngtcp2/ngtcp2.h>

#include "proto/quic/quic_state.h"

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

/* quic_revive.c */

/** quic_revive_want(): have a probe timer that has doubled fire soon, unless it
 * is @age_ns or more after heard_ns. */
void quic_revive_want(struct quic_conn *c, uint64_t age_ns);
/** quic_revive_run(): carry out what is wanted.  To be called when there is
 * nothing to send, as other timers would hide the one that counts. */
void quic_revive_run(struct quic_conn *c, struct mono now);
/** quic_revive_ask(): see quic_endpoint_revive(). */
void quic_revive_ask(struct quic_conn *c, struct mono now);
/** quic_revive_kick(): see quic_endpoint_kick(). */
void quic_revive_kick(struct quic_conn *c, struct mono now);

/* quic_callback.c */

/** quic_callback_fill(): every callback of a connection. */
void quic_callback_fill(ngtcp2_callbacks *cb);
/** quic_callback_decrypted(): packets that decrypted so far, anywhere. */
uint64_t quic_callback_decrypted(void);

/* quic_renew.c */

void quic_renew_init(struct quic_conn *c);
/** quic_renew_path(): on which path did a datagram come? */
const ngtcp2_path *quic_renew_path(
    struct quic_conn *c, const uint8_t *pkt, size_t len);
/** quic_renew_conn(): see quic_endpoint_renew(). */
void quic_renew_conn(struct quic_conn *c, struct mono now);
/** quic_renew_validated(): the last renewal is over, whatever came of it. */
void quic_renew_validated(struct quic_conn *c);

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
