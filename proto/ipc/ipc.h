/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages between derptund and its workers on fd 3 (SOCK_SEQPACKET).
 *
 * A message is a 12-byte header {u16 type, u16 flags = 0, u32 session, u32 seq}
 * and a body, all in network order, written field by field.  An answer repeats
 * the seq of its request.  Receivers must consume exactly all bytes of a body.
 * Anything not in the table is a violation: the daemon kills such a worker, a
 * worker that gets one exits with EXIT_IPC.
 */
#ifndef PROTO_IPC_IPC_H
#define PROTO_IPC_IPC_H

#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

#define IPC_FD_CONTROL 3 /* where a worker finds its message channel */
#define IPC_FD_PACKETS 4 /* where it finds the relayed packets */

#define IPC_HEADER_LEN 12
/* Largest control message: the biggest body in the table and the header. */
#define IPC_MAX_MESSAGE 65536

enum ipc_type {
#define IPC_MSG(number, name, ...) IPC_##name = number,
#include "proto/ipc/ipc_messages.def"
#undef IPC_MSG
};

enum ipc_direction { IPC_TO_WORKER, IPC_TO_DAEMON };

enum ipc_role {
	IPC_ROLE_GATE = 1,
	IPC_ROLE_SESSION = 2,
	IPC_ROLE_PORTMAP = 4,
	IPC_ROLE_ANY = 7, /* in the table only */
};

enum ipc_state {
	IPC_STATE_BORN = 1,    /* before the boot message was handled */
	IPC_STATE_RUNNING = 2, /* after it */
	IPC_STATE_ANY = 3,
};

struct ipc_header {
	uint16_t type;
	uint16_t flags; /* 0 */
	uint32_t session;
	uint32_t seq;
};

/* How a received message is judged. */
struct ipc_view {
	enum ipc_direction direction; /* the way it came */
	enum ipc_role role;   /* of the worker at the other or this end */
	enum ipc_state state; /* BORN or RUNNING */
};

/** ipc_begin(): write the header; the body follows with buf_put_*. */
void ipc_begin(
    struct buf_writer *w, enum ipc_type type, uint32_t session, uint32_t seq);

/**
 * ipc_parse(): decode and judge a received message.
 * @view: what is permitted here and now.
 * @msg, @len: the whole message.
 * @n_fds: descriptors that came with it.
 * @ret_header: the decoded header.
 * @ret_body: a reader over the body, borrowing @msg.
 *
 * Returns 0, or -DT_ERR_IPC when the type is unknown, came the wrong way, to
 * the wrong role, in the wrong state, too long, or with too many descriptors.
 */
int ipc_parse(const struct ipc_view *view, const void *msg, size_t len,
    size_t n_fds, struct ipc_header *ret_header, struct buf_reader *ret_body);

/** ipc_name(): static name of a type, "?" for unknown ones. */
const char *ipc_name(uint16_t type);

/*
 * Relayed packets on fd 4: one message is a batch of entries, each
 * {u32 length, payload}; for a gate {32-byte peer key, u32 length, payload}.
 * A batch holds at least one entry and at most IPC_MAX_BATCH bytes.
 */
#define IPC_MAX_BATCH                                                          \
	131072 /* 128 KiB: 2 DERP packets of maximal size less a               \
		  bit, or 100 QUIC packets of 1200 bytes */
#define IPC_PACKET_OVERHEAD 4
#define IPC_GATE_PACKET_OVERHEAD 36

/**
 * ipc_packet_put(): append one entry.
 * @key: 32 bytes, or NULL on a session's channel.
 * @len: payload bytes, at least 1.
 *
 * Returns 0, or -DT_ERR_FULL when it does not fit (nothing is written).
 */
int ipc_packet_put(
    struct buf_writer *w, const uint8_t *key, const void *payload, size_t len);

/**
 * ipc_packet_next(): walk through a batch.
 * @with_key: a gate's channel.
 * @ret_key: borrowed, 32 bytes; untouched unless @with_key.
 * @ret_payload, @ret_len: borrowed.
 *
 * Returns 1 for an entry, 0 at the end, -DT_ERR_IPC for a malformed batch.
 */
int ipc_packet_next(struct buf_reader *r, int with_key, const uint8_t **ret_key,
    const uint8_t **ret_payload, size_t *ret_len);

#endif
