/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The header in front of everything but a bare pipe (peer v0.18.2):
 *
 *	0  9  "DERPHOLE1"
 *	9  4  L, length of the JSON, at most 1 MiB
 *	13 L  {"version":1,"kind":...,"name":...,"size":...,"verify":...,
 *	      "metadata":base64}
 *
 * It stands at the start of a plain or striped stream, of each direction of an
 * ssh exchange, and whole in `block_header` of a claim or accept.
 */
#ifndef PROTO_TRANSFER_TRANSFER_HEADER_H
#define PROTO_TRANSFER_TRANSFER_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/fifo.h"

#define TRANSFER_HEADER_PREFIX 13        /* magic and length; peer v0.18.2 */
#define TRANSFER_HEADER_MAX_JSON 1048576 /* peer v0.18.2 */
/* What we write: a name of 255 octets, each at most six, and 200 more. */
#define TRANSFER_HEADER_MAX_OWN 4096
/* JSON nests one deep; the rest is room for unknown members. */
#define TRANSFER_HEADER_MAX_DEPTH 16
/* Values of the JSON in all; ours has eight.  Bounds the parser's memory. */
#define TRANSFER_HEADER_MAX_VALUES 512
/* Names longer than a path are nobody's; file systems stop at 255. */
#define TRANSFER_HEADER_MAX_NAME 4096
#define TRANSFER_HEADER_MAX_VERIFY 64     /* "XXXX-XXXX-XXXX" has 14 */
#define TRANSFER_HEADER_MAX_METADATA 1024 /* of a directory: about 60 */

enum transfer_kind {
	TRANSFER_KIND_UNKNOWN, /* see kind_text */
	TRANSFER_KIND_TEXT,
	TRANSFER_KIND_FILE,
	TRANSFER_KIND_DIRECTORY, /* "directory_tar" */
	TRANSFER_KIND_SSH_INVITE,
	TRANSFER_KIND_SSH_ACCEPT,
};

/* Texts are terminated; a name with NUL inside was refused. */
struct transfer_header {
	enum transfer_kind kind;
	char kind_text[48]; /* of an unknown kind: quoted, escaped, cut */
	uint8_t version;    /* 1; not checked, as the peer does not */
	int64_t size;       /* of the body; 0: unknown, or empty */
	char name[TRANSFER_HEADER_MAX_NAME + 1]; /* the peer's: never a path,
						   see transfer_name.h */
	char verify[TRANSFER_HEADER_MAX_VERIFY + 1]; /* "" when absent */
	size_t metadata_len;
	uint8_t metadata[TRANSFER_HEADER_MAX_METADATA];
};

/* `metadata` of a directory, for display only: a peer may lie. */
struct transfer_directory {
	int64_t file_count;
	int64_t uncompressed_bytes;
};

/** transfer_header_kind_name(): as on the wire; "" for UNKNOWN. */
const char *transfer_header_kind_name(enum transfer_kind kind);

/**
 * transfer_header_encode(): append the whole header; canonical.
 *
 * Returns 0, -DT_ERR_FULL (@w; TRANSFER_HEADER_MAX_OWN suffices for names up to
 * 255 octets), -EINVAL for UNKNOWN or a negative size.  On failure @w holds no
 * part of it.
 */
int transfer_header_encode(
    struct buf_writer *w, const struct transfer_header *h);

/**
 * transfer_header_decode(): a whole header, as in `block_header`.
 * @ret_error: may be NULL; a static text for the peer and the user, as peer
 *             v0.18.2 words it.
 *
 * Returns 0, -DT_ERR_SYNTAX (magic, JSON), -DT_ERR_TOO_LONG, -DT_ERR_TRUNCATED,
 * -DT_ERR_TRAILING, -ENOMEM.  Unknown kinds are no error here.
 */
int transfer_header_decode(struct transfer_header *ret_header, const void *p,
    size_t len, const char **ret_error);

/** transfer_header_set_directory(): fill in metadata. */
void transfer_header_set_directory(
    struct transfer_header *h, const struct transfer_directory *d);
/** transfer_header_get_directory(): 0, or -DT_ERR_SYNTAX when it is absent,
 * malformed or negative. */
int transfer_header_get_directory(
    const struct transfer_header *h, struct transfer_directory *ret_directory);

/* A header that comes in pieces.  Owner: the embedding struct.  Memory grows
 * with what really came, never with what the length claims. */
struct transfer_header_rx {
	struct fifo have;
	int error;              /* sticky */
	const char *error_text; /* of it; static */
};

void transfer_header_rx_init(struct transfer_header_rx *rx);
void transfer_header_rx_fini(struct transfer_header_rx *rx);

/**
 * transfer_header_rx_input(): the next bytes of a stream.
 * @ret_used: how many belonged to the header; the rest is body.
 * @ret_error: as for transfer_header_decode().
 *
 * Returns 1 when the header is complete (*@ret_header is written), 0 when more
 * is needed, or the errors of transfer_header_decode(), as early as the bytes
 * show them; then always the same.
 */
int transfer_header_rx_input(struct transfer_header_rx *rx, const void *p,
    size_t len, size_t *ret_used, struct transfer_header *ret_header,
    const char **ret_error);

#endif
