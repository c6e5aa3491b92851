/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What QUIC does for a session, as far as paths matter: numbered messages that
 * are sealed, repeated until acked and delivered in order, each once.  A
 * datagram that is forged, or a copy, is no sign of the peer.
 */
#ifndef TEST_SIM_STREAM_H
#define TEST_SIM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"

#define STREAM_WINDOW 32 /* messages not acked */
#define STREAM_SEEN 4096 /* packet numbers remembered */
#define STREAM_SAY_US (20 * MONO_MS)
#define STREAM_RESEND_US (300 * MONO_MS)
#define STREAM_FIRST 0x41 /* first octet, as QUIC's short header */

struct end;

struct stream {
	int64_t say_us; /* a message every so often; 0: none (any more) */
	uint32_t made, acked, got;
	uint32_t ahead; /* bit i: got + 1 + i is there */
	struct mono made_at[2 * STREAM_WINDOW];
	struct mono say, resend, ack;
	uint64_t pn, top; /* packet numbers: sent, highest seen */
	uint64_t seen[STREAM_SEEN / 64];
	int64_t worst_us; /* from made to delivered, of those delivered here */
	size_t by_direct, by_relay;
};

/** stream_input(): a datagram; is it a fresh one of the peer? */
bool stream_input(struct end *e, const uint8_t *p, size_t len);
/** stream_turn(): say what is due; returns when it wants to be called. */
struct mono stream_turn(struct end *e);
/** stream_kick(): the path changed: repeat at once what may be lost. */
void stream_kick(struct end *e);
/** stream_is_whole(): everything that was made is delivered. */
bool stream_is_whole(const struct end *e);

#endif
