/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * STUN binding (RFC 5389) as Tailscale and derphole use it: one request, one
 * answer with the address the request came from.  No allocation, no state:
 * retransmission and matching of transactions are the caller's.
 */
#ifndef PROTO_STUN_H
#define PROTO_STUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/addr.h"

#define STUN_DEFAULT_PORT 3478
#define STUN_REQUEST_LEN 40u      /* what stun_write_request() makes */
#define STUN_MAX_RESPONSE_LEN 44u /* 32 for IPv4 */
#define STUN_MIN_LEN 20u          /* the header */
/* Longer requests are not answered: nobody sends them, and an answer is never
 * longer than the question that way. */
#define STUN_MAX_REQUEST_LEN 1472u

/* Transaction id: random, 96 bits. */
struct stun_tx {
	uint8_t b[12];
};

/** stun_is_message(): could this datagram be STUN?  Tells it from QUIC and
 * from our own packets on a shared socket: top two bits zero, magic cookie. */
bool stun_is_message(const void *p, size_t len);

/** stun_tx_equal(): same transaction? */
bool stun_tx_equal(const struct stun_tx *a, const struct stun_tx *b);

/** stun_write_request(): the request every derper answers (SOFTWARE "tailnode"
 * first, FINGERPRINT last). */
void stun_write_request(
    uint8_t out[static STUN_REQUEST_LEN], const struct stun_tx *tx);

/**
 * stun_parse_request(): is this a binding request to be answered?  SOFTWARE and
 * FINGERPRINT are not demanded, but a FINGERPRINT must be last and right, the
 * length must be exact, and every attribute well formed and, if it must be
 * comprehended, known.
 *
 * Returns 0, or an error (-DT_ERR_TRUNCATED, -DT_ERR_TOO_LONG, -DT_ERR_SYNTAX,
 * -DT_ERR_CHECKSUM, -DT_ERR_UNSUPPORTED, -DT_ERR_KIND: not a binding request),
 * upon all of which a server keeps silent.
 */
int stun_parse_request(const void *p, size_t len, struct stun_tx *ret_tx);

/**
 * stun_write_response(): binding success for a request from @from.  IPv4-mapped
 * addresses are written as IPv4.
 *
 * Returns the length in bytes, 32 or 44; 0 if @from has no family.
 */
size_t stun_write_response(uint8_t out[static STUN_MAX_RESPONSE_LEN],
    const struct stun_tx *tx, const struct addr *from);

/**
 * stun_parse_response(): our address as a server saw it.  Reads
 * XOR-MAPPED-ADDRESS (also at its old number 0x8020; the last one counts), else
 * MAPPED-ADDRESS; IPv4-mapped addresses are unmapped; bytes behind the
 * announced length are ignored.
 *
 * Returns 0, -DT_ERR_TRUNCATED, -DT_ERR_KIND (not a binding success), or
 * -DT_ERR_SYNTAX (malformed or no address).  The caller compares *@ret_tx with
 * what it sent before it believes anything.
 */
int stun_parse_response(
    const void *p, size_t len, struct stun_tx *ret_tx, struct addr *ret_mapped);

#endif
