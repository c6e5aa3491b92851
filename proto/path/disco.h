/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets that look for direct paths: probes and their acks, path size probes
 * between two ends of ours, and the punch that opens a NAT.  Codec only.
 *
 *	0   16  magic           16  1  kind
 *	17  16  nonce           33  32 HMAC-SHA256(disco key, bytes 0..32)
 *
 * A size probe has the same layout under a magic of its own and is followed by
 * zeros up to the size that is tried; its ack carries the size in the first two
 * octets behind the MAC (67 octets in all), covered by the MAC.
 */
#ifndef PROTO_PATH_DISCO_H
#define PROTO_PATH_DISCO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/secret.h"

#define DISCO_LEN 65      /* probe and ack, peer v0.18.2 */
#define DISCO_SIZE_ACK 67 /* ack of a size probe; native */
#define DISCO_NONCE_LEN 16
#define DISCO_PUNCH "derphole-punch" /* peer v0.18.2: whole payload, no NUL */
#define DISCO_PUNCH_LEN 14
/* Other text that peer v0.18.2 sends between its sockets. */
#define DISCO_ROUTE_CHECK "derphole-raw-direct-route-check-v1"
#define DISCO_ROUTE_CHECK_LEN 34

enum disco_kind {
	DISCO_PROBE = 1, /* peer v0.18.2 */
	DISCO_ACK = 2,   /* peer v0.18.2 */
	DISCO_SIZE_PROBE = 3,
	DISCO_SIZE_ACKED = 4,
};

/* Transaction id: random, fresh for every probe. */
struct disco_nonce {
	uint8_t b[DISCO_NONCE_LEN];
};

struct disco_packet {
	enum disco_kind kind;
	struct disco_nonce nonce;
	uint16_t size; /* SIZE_PROBE: its length; SIZE_ACKED: what arrived */
};

/** disco_is_ours(): does it begin like one of these packets, or is it a punch
 * or route check?  Such a datagram never goes to QUIC, valid or not. */
bool disco_is_ours(const uint8_t *pkt, size_t len);

/** disco_is_punch(): exactly DISCO_PUNCH? */
bool disco_is_punch(const uint8_t *pkt, size_t len);

/**
 * disco_parse(): a received datagram.
 * Returns 0, -DT_ERR_SYNTAX (not one of ours, wrong length or kind) or
 * -DT_ERR_AUTH (MAC; compared in constant time).
 */
int disco_parse(struct disco_packet *ret_packet, const struct key32 *key,
    const uint8_t *pkt, size_t len);

/**
 * disco_build(): write a packet.
 * @out, @cap: room.  A SIZE_PROBE is @packet->size octets long (at least
 * DISCO_SIZE_ACK), the others have fixed lengths.
 * Returns the length, or 0 when it does not fit.
 */
size_t disco_build(uint8_t *out, size_t cap, const struct key32 *key,
    const struct disco_packet *packet);

#endif
