/* SPDX-License-Identifier: BSD-3-Clause */
/* A QUIC stream as the session sees it. */
#ifndef HELPERS_SESSION_LANE_H
#define HELPERS_SESSION_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/tunnel/lane_header.h"

struct carrier;
struct quic_stream;
struct session;
struct splice;

enum lane_kind {
	LANE_HEADER,  /* derptun listener: the 24 bytes are still coming */
	LANE_CONTROL, /* derptun: says nothing any more */
	LANE_DATA,    /* part of a splice */
	LANE_DEAD,    /* refused or given up; waits for its end */
};

/* Owner: its QUIC stream's user pointer. */
struct lane {
	struct session *s;
	struct quic_stream *stream;
	struct carrier *carrier;
	enum lane_kind kind;
	struct splice *splice; /* DATA */
	size_t index;          /* in the splice */
	size_t owed; /* bytes taken whose credit was not returned yet */
	uint8_t head[LANE_HEADER_LEN];
	size_t head_len;
};

/** lane_new(): for @stream, whose user pointer it becomes.  NULL: no memory. */
struct lane *lane_new(struct session *s, struct carrier *c,
    struct quic_stream *stream, enum lane_kind kind);
/** lane_free(): the stream is closed. */
void lane_free(struct lane *l);

/** lane_input(): bytes of the peer. */
void lane_input(struct lane *l, const uint8_t *p, size_t len, bool fin);

/** lane_kill(): give both directions up with an application code. */
void lane_kill(struct lane *l, unsigned code);

/** lane_credit(): @n bytes left our memory; returns how many of them were owed
 * to this lane. */
size_t lane_credit(struct lane *l, size_t n);

#endif
