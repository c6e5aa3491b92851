/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of a structured transfer in plain or striped form: header, then
 * body, with every check on lengths.  Bytes go in, the header and pieces of the
 * body come out; nothing is kept but an unfinished header.  Block mode has its
 * header elsewhere and does not need this.
 */
#ifndef PROTO_TRANSFER_TRANSFER_INTAKE_H
#define PROTO_TRANSFER_TRANSFER_INTAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/transfer/transfer_header.h"

#define TRANSFER_INTAKE_MAX_REASON 160

/* Owner: the embedding struct. */
struct transfer_intake {
	char verify[TRANSFER_HEADER_MAX_VERIFY + 1]; /* expected; "": any */
	struct transfer_header_rx rx;
	struct transfer_header header; /* valid once has_header */
	bool has_header;
	uint64_t header_len; /* octets of it */
	uint64_t body;       /* octets given out */
	int error;           /* sticky */
	char reason[TRANSFER_INTAKE_MAX_REASON];
};

/**
 * transfer_intake_init():
 * @verify: token_session_verification() of our token; NULL accepts any.
 */
void transfer_intake_init(struct transfer_intake *in, const char *verify);
void transfer_intake_fini(struct transfer_intake *in);

/**
 * transfer_intake_input(): the next session bytes; call again with the rest
 * while any is left.
 * @ret_used: bytes taken.
 * @ret_body: the piece of them that is body, or NULL.
 *
 * Returns 0; -DT_ERR_PEER_PROTOCOL: not a header, unknown kind, wrong verify,
 * more bytes than a file's size; -ENOMEM.  See transfer_intake_reason().
 */
int transfer_intake_input(struct transfer_intake *in, const uint8_t *p,
    size_t len, size_t *ret_used, const uint8_t **ret_body,
    size_t *ret_body_len);

/**
 * transfer_intake_end(): the streams ended.
 * Returns 0, -DT_ERR_TRUNCATED: no whole header, or a file shorter than its
 * size; or the earlier error.
 */
int transfer_intake_end(struct transfer_intake *in);

/** transfer_intake_peek_header(): NULL until it was complete and accepted. */
const struct transfer_header *transfer_intake_peek_header(
    const struct transfer_intake *in);

/** transfer_intake_total(): session bytes this transfer must have, or -1. */
int64_t transfer_intake_total(const struct transfer_intake *in);

/** transfer_intake_reason(): for abort and user; "" without an error. */
const char *transfer_intake_reason(const struct transfer_intake *in);

#endif
