/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies of the messages in ipc_messages.def.  For each: a struct, a writer
 * that appends the body to a started message, and a reader that must consume
 * the whole body.  Readers return 0 or -DT_ERR_IPC and write only on success.
 *
 * Structs with secrets are wiped by whoever holds them.
 */
#ifndef PROTO_IPC_IPC_BODY_H
#define PROTO_IPC_IPC_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/secret.h"
#include "proto/ipc/ipc_transfer.h"

/* One control envelope, as peers exchange them: 16 KiB (peer limit). */
#define IPC_MAX_ENVELOPE 16384
/* Certificate of an identity: a fixed layout of about 330 bytes. */
#define IPC_MAX_CERT 512
/* Human-readable reasons. */
#define IPC_MAX_TEXT 256
/* "client-" and 8 hex digits, with room. */
#define IPC_MAX_CLIENT_NAME 32

/* What is tunnelled; the same numbers in gate and session. */
enum ipc_kind {
	IPC_KIND_SHARE = 1, /* derphole share/open: one stream per connection */
	IPC_KIND_DERPTUN = 2,  /* derptun: lanes */
	IPC_KIND_TRANSFER = 3, /* listen/pipe, send/receive */
};

/* BOOT_GATE: the secrets of one token. */
struct ipc_boot_gate {
	enum ipc_kind kind;
	bool force_relay;
	bool verbose;          /* log debug lines */
	uint8_t token_version; /* 5 or 6 */
	struct id16 session_id;
	int64_t expires_unix;     /* seconds */
	struct key32 derp_public; /* our own relay key */
	struct key32 quic_public; /* our own identity */
	struct key32 secret;      /* bearer; derptun: signing secret */
	uint32_t capabilities;    /* the token's */
	bool held;           /* a session holds the slot already: a new gate */
	struct key32 holder; /* its peer's relay key */
	uint16_t route_len;  /* derptun version 2: raw route extension */
	uint8_t route[260];
};

/* BOOT_SESSION: what one session needs, and nothing else. */
struct ipc_boot_session {
	enum ipc_kind kind;
	bool listener; /* false: we are the claimer */
	bool force_relay;
	bool verbose;           /* log debug lines */
	bool one_stream;        /* connect --stdio */
	bool raw_direct;        /* offer it to peers of v0.18.2 */
	struct key32 own_derp;  /* public */
	struct key32 peer_derp; /* public */
	struct key32 peer_quic; /* Ed25519 public key to pin */
	struct id16 session_id;
	struct key32 envelope_key;
	struct key32 disco_key;
	/* Listener: identity key stays in the daemon, fd is the signer. */
	struct key32 own_quic; /* public; claimer: zero, made by worker */
	uint16_t cert_len;
	uint8_t cert[IPC_MAX_CERT]; /* DER */
	/* Listener: the claim this session was born with and its answer. */
	uint16_t claim_len;
	uint8_t claim[IPC_MAX_ENVELOPE];
	uint16_t decision_len;
	uint8_t decision[IPC_MAX_ENVELOPE]; /* empty for transfers */
	/* Claimer: what the claim is made of. */
	uint8_t token_version;
	uint32_t capabilities;
	struct key32 bearer;
	struct id16 client_id; /* derptun only, as the next four */
	struct id16 token_id;
	int64_t client_expires_unix;
	struct key32 proof;
	char client_name[IPC_MAX_CLIENT_NAME];
	/* Transfer only. */
	struct ipc_boot_transfer transfer;
};

void ipc_put_boot_gate(struct buf_writer *w, const struct ipc_boot_gate *b);
int ipc_get_boot_gate(struct buf_reader *r, struct ipc_boot_gate *ret_boot);
void ipc_put_boot_session(
    struct buf_writer *w, const struct ipc_boot_session *b);
int ipc_get_boot_session(
    struct buf_reader *r, struct ipc_boot_session *ret_boot);

/* STOP, ENDED: a reason.  code is 0 (asked for / clean) or -DT_ERR_* / -errno.
 */
struct ipc_reason {
	int32_t code;
	char text[IPC_MAX_TEXT]; /* NUL-terminated, already escaped */
};
void ipc_put_reason(struct buf_writer *w, int code, const char *text);
int ipc_get_reason(struct buf_reader *r, struct ipc_reason *ret_reason);

/* LOG */
struct ipc_log {
	uint8_t level;  /* enum log_level */
	char line[513]; /* NUL-terminated */
};
void ipc_put_log(
    struct buf_writer *w, uint8_t level, const char *line, size_t len);
int ipc_get_log(struct buf_reader *r, struct ipc_log *ret_log);

/* STATUS: where the session stands.  Order is the order of life. */
enum ipc_status {
	IPC_STATUS_CLAIMING = 1, /* claimer: claim is being sent */
	IPC_STATUS_CLAIMED,      /* accepted, by either side */
	IPC_STATUS_RELAY,        /* packets flow through the relay */
	IPC_STATUS_DIRECT,       /* packets flow directly */
	IPC_STATUS_READY,        /* QUIC stands: streams can start */
	IPC_STATUS_STREAM_END,   /* one_stream: the stream ended, counted */
};
struct ipc_status_body {
	uint8_t status; /* enum ipc_status */
	char text[64];  /* detail, e.g. the direct address; may be empty */
};
void ipc_put_status(struct buf_writer *w, enum ipc_status s, const char *text);
int ipc_get_status(struct buf_reader *r, struct ipc_status_body *ret_status);

/* DIAL {u32 connection}; DIALED {u32 connection, i32 result} + fd when 0. */
struct ipc_dialed {
	uint32_t connection;
	int32_t result;
};
void ipc_put_dialed(struct buf_writer *w, uint32_t connection, int result);
int ipc_get_dialed(struct buf_reader *r, struct ipc_dialed *ret_dialed);
void ipc_put_u32(struct buf_writer *w, uint32_t v);
int ipc_get_u32(struct buf_reader *r, uint32_t *ret_v);

/* DESCRIPTION: counters of a session since its birth. */
struct ipc_description {
	uint8_t status; /* enum ipc_status */
	uint8_t path;   /* 0 none, 1 relay, 2 direct */
	uint32_t streams_open;
	uint64_t streams_total;
	uint64_t streams_refused;
	uint64_t bytes_in;  /* stream bytes from the peer */
	uint64_t bytes_out; /* stream bytes to the peer */
	uint64_t packets_in;
	uint64_t packets_out;
	uint64_t packets_dropped;
	uint32_t rtt_us;  /* smoothed; 0 = not measured */
	uint32_t idle_ms; /* since the peer was last heard */
};
void ipc_put_description(struct buf_writer *w, const struct ipc_description *d);
int ipc_get_description(
    struct buf_reader *r, struct ipc_description *ret_description);

/* PROBE {u32 timeout_ms}; PROBED, CHECKED {u8 alive}. */
void ipc_put_bool(struct buf_writer *w, bool v);
int ipc_get_bool(struct buf_reader *r, bool *ret_v);

/* ACCEPT: the verdict of a gate, derived secrets only. */
struct ipc_accept {
	struct key32 peer_derp;
	struct key32 peer_quic;
	struct key32 envelope_key;
	struct key32 disco_key;
	uint16_t claim_len;
	uint8_t claim[IPC_MAX_ENVELOPE];
	uint16_t decision_len;
	uint8_t decision[IPC_MAX_ENVELOPE]; /* empty for transfers */
};
void ipc_put_accept(struct buf_writer *w, const struct ipc_accept *a);
int ipc_get_accept(struct buf_reader *r, struct ipc_accept *ret_accept);

/* ACCEPTED {key peer_derp, i32 result}; RELEASE and CHECK {key peer_derp};
 * CHECKED {key peer_derp, u8 alive} */
struct ipc_peer {
	struct key32 peer_derp;
	int32_t value; /* result or alive; 0 where the message has none */
};
void ipc_put_peer(struct buf_writer *w, const struct key32 *peer, int value);
int ipc_get_peer(struct buf_reader *r, struct ipc_peer *ret_peer);

#endif
