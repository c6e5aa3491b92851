/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What two ends agree on before bytes move: how many streams, in which form,
 * who dials.  Pure functions on messages; peer v0.18.2 where not marked ours.
 */
#ifndef PROTO_TRANSFER_TRANSFER_POLICY_H
#define PROTO_TRANSFER_TRANSFER_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/mono.h"
#include "proto/rendezvous/message.h"

#define TRANSFER_MAX_STREAMS 16
#define TRANSFER_PEER_STREAMS 8 /* what peer v0.18.2 uses unless told */
/* Ours: streams share a connection, so one would do; but the first byte of a
 * single plain stream waits for 256 KiB at a sender of v0.18.2, and its
 * receiver gives up after 10 s of a raw path's silence. */
#define TRANSFER_OWN_STREAMS 2
/* A file's sender lets the receiver punch first. */
#define TRANSFER_PUNCH_DELAY_US (350 * MONO_MS)

enum transfer_role {
	TRANSFER_RECEIVE_ISSUER,   /* flow A: listen, receive without a code */
	TRANSFER_SEND_CLAIMANT,    /* flow A: pipe, send to a token */
	TRANSFER_SEND_ISSUER,      /* flow B: send */
	TRANSFER_RECEIVE_CLAIMANT, /* flow B: receive CODE */
};

enum transfer_path {
	TRANSFER_PATH_UNDECIDED, /* the ready conversation is not over */
	TRANSFER_PATH_MANAGER,   /* relay, or direct below the same pipe */
	TRANSFER_PATH_RAW,       /* sockets of their own, one lane */
};

enum transfer_encoding {
	TRANSFER_PLAIN,   /* one stream: the bytes */
	TRANSFER_STRIPED, /* proto/tunnel/stripe_*: frames in order */
	TRANSFER_BLOCKS,  /* blocks_*: frames with offsets */
};

/* Streams as claim and accept word them. */
struct transfer_parallel {
	bool automatic;
	unsigned initial; /* streams; 1 .. TRANSFER_MAX_STREAMS */
	unsigned cap;     /* not used by anybody; sent as given */
};

/* What was agreed on. */
struct transfer_plan {
	bool relay_only;
	enum transfer_path path;
	bool quic_server;     /* our part, once the path is decided */
	unsigned streams;     /* unidirectional, opened by the file's sender */
	unsigned connections; /* on the manager path; stream i is on
				 connection i mod this */
	enum transfer_encoding encoding;
	uint32_t chunk_size; /* BLOCKS */
	int64_t size;        /* BLOCKS: payload; else -1 */
	int64_t punch_delay_us;
	bool raw_refused; /* a mode was selected that needs raw lanes we do not
			     serve: decline them */
};

bool transfer_policy_is_issuer(enum transfer_role role);
bool transfer_policy_is_sender(enum transfer_role role);

/** transfer_policy_fixed(): @n streams, clamped to 1 .. 16. */
struct transfer_parallel transfer_policy_fixed(unsigned n);

/** transfer_policy_normalise(): as both ends read the three members. */
struct transfer_parallel transfer_policy_normalise(
    struct message_text mode, int64_t initial, int64_t cap);

/** transfer_policy_mode_text(): "fixed" or "auto". */
struct message_text transfer_policy_mode_text(
    const struct transfer_parallel *p);

/**
 * transfer_policy_answer(): flow A's listener reads the sender's wishes.
 * Answers at most TRANSFER_OWN_STREAMS, one when the path is relay only.
 */
struct transfer_parallel transfer_policy_answer(
    const struct transfer_parallel *claimed, bool relay_only);

/** transfer_policy_is_server(): who accepts the QUIC connection. */
bool transfer_policy_is_server(
    enum transfer_role role, enum transfer_path path);

/* The file's side of a claim or accept. */
struct transfer_blocks {
	int64_t size;
	uint32_t chunk_size;
	struct message_octets header; /* borrowed from the message */
};

/**
 * transfer_policy_claim_blocks(): does a flow A claim offer blocks?
 *
 * Returns 1 with *@ret_blocks, 0 when it does not, -DT_ERR_PEER_PROTOCOL with
 * @reason when sizes, header or kind are not acceptable.
 * @reason: @cap octets, for the refusal.
 */
int transfer_policy_claim_blocks(const struct message_v2_claim *claim,
    struct transfer_blocks *ret_blocks, char *reason, size_t cap);

/** transfer_policy_accept_blocks(): likewise for a flow B accept. */
int transfer_policy_accept_blocks(const struct message_v2_accept *accept,
    struct transfer_blocks *ret_blocks, char *reason, size_t cap);

/* accept.transfer_mode. */
enum transfer_mode {
	TRANSFER_MODE_STREAM, /* absent or unknown */
	TRANSFER_MODE_BLOCKS,
	TRANSFER_MODE_BULK,       /* blocks, as long as nobody uses raw lanes */
	TRANSFER_MODE_DIRECT_TCP, /* never without our capability */
};
enum transfer_mode transfer_policy_mode(struct message_text text);

#endif
