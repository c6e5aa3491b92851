/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One stream.  What is written is kept, in chunks that never move, until the
 * peer has acknowledged it; quic_params.send_buffer bounds it.
 */
#ifndef PROTO_QUIC_QUIC_STREAM_H
#define PROTO_QUIC_QUIC_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct quic_conn;
struct quic_stream;

void *quic_stream_user(const struct quic_stream *s);
void quic_stream_set_user(struct quic_stream *s, void *user);
struct quic_conn *quic_stream_conn(const struct quic_stream *s);
/** quic_stream_id(): as on the wire (RFC 9000 2.1). */
int64_t quic_stream_id(const struct quic_stream *s);
/** quic_stream_is_uni(): does it carry data one way only? */
bool quic_stream_is_uni(const struct quic_stream *s);

/**
 * quic_stream_reserve(): room to read(2) into, without another copy.
 * @ret_len: bytes, at least 1 and at most 64 KiB.
 *
 * Returns NULL when send_buffer is full (stream_writable follows) or nothing
 * can be written any more (quic_stream_can_write() tells).  The span is valid
 * until the next call on this stream; follow with quic_stream_commit().
 */
uint8_t *quic_stream_reserve(struct quic_stream *s, size_t *ret_len);
/** quic_stream_commit(): the first @n bytes of the span are to be sent. */
void quic_stream_commit(struct quic_stream *s, size_t n);

/**
 * quic_stream_write(): copy bytes in.
 *
 * Returns how many were taken, possibly fewer than @len; -EAGAIN for none
 * (stream_writable follows), -DT_ERR_CLOSED after fin, reset or stop.
 */
ssize_t quic_stream_write(struct quic_stream *s, const void *p, size_t len);

/** quic_stream_can_write(): not finished, reset or stopped in our direction. */
bool quic_stream_can_write(const struct quic_stream *s);

/** quic_stream_fin(): our direction ends after what was written. */
void quic_stream_fin(struct quic_stream *s);

/**
 * quic_stream_announce(): make a fresh stream visible to the peer before the
 * first byte, with an empty STREAM frame.
 */
void quic_stream_announce(struct quic_stream *s);

/** quic_stream_reset(): drop what is not sent; our direction is over. */
void quic_stream_reset(struct quic_stream *s, uint64_t app_code);

/** quic_stream_stop_sending(): ask the peer to give up its direction; what
 * still comes is thrown away here, and its credit returned. */
void quic_stream_stop_sending(struct quic_stream *s, uint64_t app_code);

/**
 * quic_stream_consume(): @n bytes given by stream_data have left our memory;
 * the peer may send as many more.  Whoever does not call it stops the peer.
 */
void quic_stream_consume(struct quic_stream *s, size_t n);

/** quic_stream_unacked(): bytes written that the peer has not acknowledged. */
size_t quic_stream_unacked(const struct quic_stream *s);

/** quic_stream_is_delivered(): everything written and the FIN were
 * acknowledged. */
bool quic_stream_is_delivered(const struct quic_stream *s);

#endif
