/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Control envelopes: one JSON object is the whole payload of one DERP packet,
 * authenticated by a MAC over the canonical text of every known member.  There
 * is no freshness in it: accept only kinds that make sense for your role and
 * state, and make duplicates harmless.
 */
#ifndef PROTO_RENDEZVOUS_ENVELOPE_H
#define PROTO_RENDEZVOUS_ENVELOPE_H

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/rendezvous/candidate.h"
#include "proto/rendezvous/message.h"

/* Larger payloads are no envelopes for the peer either. */
#define ENVELOPE_MAX_WIRE 16384
/* Reasons are cut to this many octets of valid UTF-8 before they are sent. */
#define ENVELOPE_MAX_REASON 1024

enum envelope_kind {
	ENVELOPE_UNKNOWN, /* a type we do not know: ignore it */
	ENVELOPE_CLAIM,
	ENVELOPE_DECISION,
	ENVELOPE_CONTROL,
	ENVELOPE_PROGRESS,
	ENVELOPE_ABORT,
	ENVELOPE_V2_CLAIM,
	ENVELOPE_V2_ACCEPT,
	ENVELOPE_V2_COMPLETE,
	ENVELOPE_READY, /* v2_data_plane_ready */
	ENVELOPE_BULK_CONTROL,
};

struct codec_memory;

/*
 * All bodies side by side, because the MAC covers all that are present, not
 * only the one the type names.  A parsed envelope owns what its texts and
 * lists point to; a built one borrows from its maker.
 */
struct envelope {
	enum envelope_kind kind;
	struct message_text type;
	struct message_text mac;
	bool has_claim;
	struct message_claim claim;
	bool has_decision;
	struct message_decision decision;
	bool has_control;
	struct message_control control;
	bool has_progress;
	struct message_progress progress;
	bool has_abort;
	struct message_abort abort;
	bool has_v2_claim;
	struct message_v2_claim v2_claim;
	bool has_v2_accept;
	struct message_v2_accept v2_accept;
	bool has_v2_complete;
	struct message_v2_complete v2_complete;
	bool has_ready;
	struct message_ready ready;
	bool has_bulk_control;
	struct message_bulk_control bulk_control;
	struct codec_memory *memory; /* NULL in a built one */
};

/** envelope_is_shaped(): cheap first test; false means "QUIC datagram". */
bool envelope_is_shaped(const void *p, size_t len);

/**
 * envelope_parse(): read one payload; nothing is authenticated yet.
 *
 * Strict names, exact array lengths, no duplicate members; unknown members and
 * any order are fine.  Returns 0 (then envelope_fini() is due), -DT_ERR_SYNTAX
 * when the payload is no envelope (it may be a QUIC datagram), -ENOMEM.
 */
int envelope_parse(struct envelope *ret_envelope, const void *p, size_t len);

/**
 * envelope_verify(): does the MAC fit, and is the body there that the type
 * needs (progress and abort need none)?
 *
 * Returns 0, -DT_ERR_AUTH (be silent), -DT_ERR_PEER_PROTOCOL, -ENOMEM.
 */
int envelope_verify(const struct envelope *e, const struct key32 *key);

/** envelope_open(): parse and verify in one step.  Errors of both. */
int envelope_open(struct envelope *ret_envelope, const void *p, size_t len,
    const struct key32 *key);

/** envelope_init(): an empty envelope of @kind (not ENVELOPE_UNKNOWN), with
 * the has_ flag of its body set; fill in the body, then envelope_build(). */
void envelope_init(struct envelope *e, enum envelope_kind kind);

/** envelope_fini(): release what envelope_parse() took. */
void envelope_fini(struct envelope *e);

/**
 * envelope_build(): sign and write @e; its mac member is not read.
 *
 * Returns 0, -DT_ERR_FULL (@w too small), -DT_ERR_TOO_LONG (above
 * ENVELOPE_MAX_WIRE), -ENOMEM.  On failure @w holds no part of it.
 */
int envelope_build(
    struct buf_writer *w, const struct envelope *e, const struct key32 *key);

/** envelope_build_candidates(): control "candidates"; @own is advertisable (see
 * candidate_advertise()).  An empty list clears the peer's view. */
int envelope_build_candidates(struct buf_writer *w,
    const struct candidate_list *own, const struct key32 *key);

/** envelope_build_call_me_maybe(): control "call-me-maybe". */
int envelope_build_call_me_maybe(struct buf_writer *w, const struct key32 *key);

/** envelope_build_abort(): @reason is terminated, cut and repaired. */
int envelope_build_abort(struct buf_writer *w, const char *reason,
    int64_t bytes_transferred, const struct key32 *key);

/**
 * envelope_text_equal(): is @t exactly @s (terminated)?
 */
bool envelope_text_equal(struct message_text t, const char *s);

/**
 * envelope_text_sanitise(): for terminals and logs: control characters, line
 * separators and bidirectional overrides become '?', the text is cut at a
 * character boundary and terminated.
 */
void envelope_text_sanitise(struct message_text t, char *out, size_t cap);

#endif
