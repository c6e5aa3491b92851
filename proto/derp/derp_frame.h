/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DERP frames: type u8, length u32be, payload.  Parsers borrow the caller's
 * bytes, builders write into the caller's; nothing here allocates or copies a
 * packet.  Sizes are payload lengths unless a name says otherwise.  See
 * proto/PROTOCOL.derp.md.
 */
#ifndef PROTO_DERP_FRAME_H
#define PROTO_DERP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"
#include "lib/secret.h"

enum derp_frame_type {
	DERP_FRAME_SERVER_KEY = 0x01,     /* S->C, derp_hello.h */
	DERP_FRAME_CLIENT_INFO = 0x02,    /* C->S, derp_hello.h */
	DERP_FRAME_SERVER_INFO = 0x03,    /* S->C, derp_hello.h */
	DERP_FRAME_SEND_PACKET = 0x04,    /* C->S: dst[32] data */
	DERP_FRAME_RECV_PACKET = 0x05,    /* S->C: src[32] data */
	DERP_FRAME_KEEP_ALIVE = 0x06,     /* S->C: empty */
	DERP_FRAME_NOTE_PREFERRED = 0x07, /* C->S: u8, 0 = no */
	DERP_FRAME_PEER_GONE = 0x08,      /* S->C: key[32] reason u8 */
	DERP_FRAME_PEER_PRESENT = 0x09,   /* S->mesh: key ip[16] port flags */
	DERP_FRAME_FORWARD_PACKET = 0x0a, /* mesh->S: src[32] dst[32] data */
	DERP_FRAME_WATCH_CONNS = 0x10,    /* mesh->S: empty */
	DERP_FRAME_CLOSE_PEER = 0x11,     /* mesh->S: key[32] */
	DERP_FRAME_PING = 0x12,           /* both: data[8] */
	DERP_FRAME_PONG = 0x13,           /* both: data[8] */
	DERP_FRAME_HEALTH = 0x14,         /* S->C: text, empty = healthy */
	DERP_FRAME_RESTARTING = 0x15,     /* S->C: u32 ms, u32 ms */
};

enum derp_frame_gone {
	DERP_FRAME_GONE_DISCONNECTED = 0x00,
	DERP_FRAME_GONE_NOT_HERE = 0x01,
};

/* Flags of PeerPresent.  REGULAR only when no other bit is set. */
#define DERP_FRAME_PRESENT_REGULAR 0x01u
#define DERP_FRAME_PRESENT_MESH 0x02u
#define DERP_FRAME_PRESENT_PROBER 0x04u
#define DERP_FRAME_PRESENT_NOT_IDEAL 0x08u

#define DERP_FRAME_HEADER_LEN 5u
#define DERP_FRAME_KEY_LEN ((size_t)32)
#define DERP_FRAME_PING_LEN 8u
#define DERP_FRAME_PRESENT_LEN 51u
#define DERP_FRAME_RESTARTING_LEN 8u
/* Header of a frame that carries one key and then a packet. */
#define DERP_FRAME_PACKET_HEADER_LEN                                           \
	(DERP_FRAME_HEADER_LEN + DERP_FRAME_KEY_LEN)
#define DERP_FRAME_FORWARD_HEADER_LEN                                          \
	(DERP_FRAME_HEADER_LEN + 2 * DERP_FRAME_KEY_LEN)

/* Largest relayed packet: every known server refuses more. */
#define DERP_FRAME_MAX_PACKET 65536u
/* Payload of SendPacket and RecvPacket: 32 .. this. */
#define DERP_FRAME_MAX_SEND (DERP_FRAME_KEY_LEN + DERP_FRAME_MAX_PACKET)
/* Payload of ForwardPacket: 64 .. this. */
#define DERP_FRAME_MAX_FORWARD (2 * DERP_FRAME_KEY_LEN + DERP_FRAME_MAX_PACKET)
/* Payload of a client's Ping: 8 .. this. */
#define DERP_FRAME_MAX_PING 1000u
/* No frame of any type may be longer; a peer that says so is not speaking
 * DERP (the Go client's limit). */
#define DERP_FRAME_MAX_LEN 1048576u

/* One frame, borrowed from the parsed span.  type may be any byte. */
struct derp_frame {
	uint8_t type;
	const uint8_t *payload;
	size_t len;   /* bytes at payload */
	size_t total; /* bytes the frame occupies, header included */
};

/**
 * derp_frame_peek(): read the five header bytes.
 * @p: at least DERP_FRAME_HEADER_LEN bytes.
 *
 * For callers that skip or refuse a frame before all of it is there.
 */
void derp_frame_peek(const uint8_t *p, uint8_t *ret_type, uint32_t *ret_len);

/**
 * derp_frame_parse(): look at the frame that begins at @p.
 * @len: bytes there are (0 allowed).
 * @max_len: largest payload the caller takes, at most DERP_FRAME_MAX_LEN.
 * @ret_need: receives, with the result -DT_ERR_TRUNCATED, how many bytes must
 *   be at @p in all before another try is worth while (5 while the header is
 *   incomplete, then the whole frame).
 *
 * Returns 0: @ret_frame is filled and borrows @p.
 * -DT_ERR_TRUNCATED: more bytes are needed.  -DT_ERR_TOO_LONG: the announced
 * length is above @max_len; told as soon as the header is there.
 */
int derp_frame_parse(const uint8_t *p, size_t len, size_t max_len,
    struct derp_frame *ret_frame, size_t *ret_need);

/*
 * Builders.  Each writes a whole frame, or the head of one to which the packet
 * is appended as it is, and returns the bytes written.  @out must hold the size
 * named in its declaration.
 */

/** derp_frame_put_header(): any type; @len <= DERP_FRAME_MAX_LEN. */
size_t derp_frame_put_header(
    uint8_t out[static DERP_FRAME_HEADER_LEN], uint8_t type, size_t len);
/** derp_frame_put_send(): head of SendPacket for @len bytes to @dst;
 * @len <= DERP_FRAME_MAX_PACKET (asserted). */
size_t derp_frame_put_send(uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN],
    const struct key32 *dst, size_t len);
/** derp_frame_put_recv(): head of RecvPacket with @len bytes from @src. */
size_t derp_frame_put_recv(uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN],
    const struct key32 *src, size_t len);
/** derp_frame_put_forward(): head of ForwardPacket. */
size_t derp_frame_put_forward(uint8_t out[static DERP_FRAME_FORWARD_HEADER_LEN],
    const struct key32 *src, const struct key32 *dst, size_t len);

size_t derp_frame_put_keep_alive(uint8_t out[static DERP_FRAME_HEADER_LEN]);
size_t derp_frame_put_watch_conns(uint8_t out[static DERP_FRAME_HEADER_LEN]);
size_t derp_frame_put_note_preferred(
    uint8_t out[static DERP_FRAME_HEADER_LEN + 1], bool preferred);
size_t derp_frame_put_peer_gone(
    uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN + 1],
    const struct key32 *peer, uint8_t reason);
/** derp_frame_put_peer_present(): @from with family 0 is "unknown". */
size_t derp_frame_put_peer_present(
    uint8_t out[static DERP_FRAME_HEADER_LEN + DERP_FRAME_PRESENT_LEN],
    const struct key32 *peer, const struct addr *from, uint8_t flags);
size_t derp_frame_put_close_peer(
    uint8_t out[static DERP_FRAME_PACKET_HEADER_LEN], const struct key32 *peer);
/** derp_frame_put_ping(): Ping, or with @pong the answer to it. */
size_t derp_frame_put_ping(
    uint8_t out[static DERP_FRAME_HEADER_LEN + DERP_FRAME_PING_LEN], bool pong,
    const uint8_t data[static DERP_FRAME_PING_LEN]);
size_t derp_frame_put_restarting(
    uint8_t out[static DERP_FRAME_HEADER_LEN + DERP_FRAME_RESTARTING_LEN],
    uint32_t reconnect_in_ms, uint32_t try_for_ms);
/** derp_frame_put_health(): head of Health; @len bytes of text follow. */
size_t derp_frame_put_health(
    uint8_t out[static DERP_FRAME_HEADER_LEN], size_t len);

/*
 * Decoders of bodies.  The frame's type was checked by the caller.  Each
 * returns 0 or -DT_ERR_SYNTAX when the length breaks the size rule; what to do
 * then (drop the frame, close the connection) is the caller's policy.
 * Pointers borrow the frame's payload.
 */

/** derp_frame_get_packet(): SendPacket or RecvPacket, 32 .. 65568. */
int derp_frame_get_packet(const struct derp_frame *f, struct key32 *ret_key,
    const uint8_t **ret_data, size_t *ret_len);
/** derp_frame_get_forward(): ForwardPacket, 64 .. 65600. */
int derp_frame_get_forward(const struct derp_frame *f, struct key32 *ret_src,
    struct key32 *ret_dst, const uint8_t **ret_data, size_t *ret_len);
/** derp_frame_get_peer_gone(): at least 32; a missing reason reads as 0. */
int derp_frame_get_peer_gone(
    const struct derp_frame *f, struct key32 *ret_peer, uint8_t *ret_reason);
/** derp_frame_get_peer_present(): at least 32; without address and flags those
 * read as family 0 and 0.  IPv4-mapped addresses are unmapped. */
int derp_frame_get_peer_present(const struct derp_frame *f,
    struct key32 *ret_peer, struct addr *ret_from, uint8_t *ret_flags);
/** derp_frame_get_ping(): Ping or Pong, at least 8; the upper limit for a
 * client's Ping (DERP_FRAME_MAX_PING) is the server's to check. */
int derp_frame_get_ping(
    const struct derp_frame *f, uint8_t ret_data[static DERP_FRAME_PING_LEN]);
/** derp_frame_get_note_preferred(): exactly one byte. */
int derp_frame_get_note_preferred(
    const struct derp_frame *f, bool *ret_preferred);
/** derp_frame_get_close_peer(): exactly 32. */
int derp_frame_get_close_peer(
    const struct derp_frame *f, struct key32 *ret_peer);
/** derp_frame_get_restarting(): at least 8. */
int derp_frame_get_restarting(const struct derp_frame *f,
    uint32_t *ret_reconnect_in_ms, uint32_t *ret_try_for_ms);

/** derp_frame_is_disco(): does a relayed packet look like a Tailscale disco
 * message (62 bytes or more, magic first)?  A relay looks no further. */
bool derp_frame_is_disco(const uint8_t *data, size_t len);
/** derp_frame_write_asking(): such a packet without meaning: if nobody is there
 * to get it, the relay says so (GONE_NOT_HERE), which it does of no other. */
#define DERP_FRAME_ASKING_LEN 62u
void derp_frame_write_asking(uint8_t out[static DERP_FRAME_ASKING_LEN]);

#endif
