/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bodies of control envelopes as structs.  Texts and lists borrow: from the
 * envelope that was parsed (until envelope_fini()), or from the caller who
 * builds one.  Zero is every member's default.  Which members may be left out
 * and in which order they are written is in schema.c.
 */
#ifndef PROTO_RENDEZVOUS_MESSAGE_H
#define PROTO_RENDEZVOUS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/secret.h"

/* UTF-8, not terminated, may contain NUL. */
struct message_text {
	const char *p;
	size_t n;
};

/** MESSAGE_TEXT(): of a string literal. */
#define MESSAGE_TEXT(s) ((struct message_text){ (s), sizeof(s) - 1 })

struct message_octets {
	const uint8_t *p;
	size_t n;
};

/* is_array tells an empty list from null; with n > 0 it does not matter. */
struct message_list {
	const struct message_text *item;
	size_t n;
	bool is_array;
};

struct message_lists {
	const struct message_list *item;
	size_t n;
	bool is_array;
};

struct message_client {
	struct id16 client_id;
	struct id16 token_id;
	struct message_text client_name;
	int64_t expires_unix;
	struct message_text proof_mac; /* 64 hex digits */
};

struct message_claim {
	uint8_t version; /* of the session token */
	struct id16 session_id;
	struct message_text bearer_mac; /* 64 hex digits */
	struct key32 derp_public;       /* of the claimer; answers go there */
	struct key32 quic_public;       /* of the claimer */
	int64_t parallel;
	struct message_list candidates;
	uint32_t capabilities;
	bool has_client; /* derptun */
	struct message_client client;
};

struct message_accept {
	uint8_t version;
	struct id16 session_id;
	int64_t parallel;
	struct message_list candidates;
	uint32_t capabilities;
};

struct message_reject {
	struct message_text code;
	struct message_text reason;
};

struct message_decision {
	bool accepted;
	bool has_accept;
	struct message_accept accept;
	bool has_reject;
	struct message_reject reject;
};

struct message_control {
	struct message_text type; /* MESSAGE_CONTROL_* */
	struct message_list candidates;
};

#define MESSAGE_CONTROL_CANDIDATES MESSAGE_TEXT("candidates")
#define MESSAGE_CONTROL_CALL_ME_MAYBE MESSAGE_TEXT("call-me-maybe")

struct message_progress {
	int64_t bytes_received;
	int64_t transfer_elapsed_ms;
	uint64_t sequence;
};

struct message_abort {
	struct message_text reason;
	bool has_bytes_transferred;
	int64_t bytes_transferred;
};

struct message_direct_tcp {
	struct message_list candidates;
	struct message_text fingerprint_sha256;
	struct message_text transfer_id;
};

struct message_v2_claim {
	struct message_text protocol; /* MESSAGE_V2_PROTOCOL */
	struct key32 quic_public;
	struct message_list candidates;
	bool relay_capable; /* false means: direct paths forbidden */
	bool receiver_limited;
	struct message_text parallel_mode;
	int64_t parallel_initial;
	int64_t parallel_cap;
	struct message_text transfer_mode;
	struct message_octets block_header;
	int64_t block_size;
	int64_t block_chunk_size;
	bool block_capable;
	bool block_packet_capable;
	bool block_packet_batch_capable;
	bool block_packet_group_capable;
	bool direct_tcp_file_capable;
	bool has_direct_tcp_file;
	struct message_direct_tcp direct_tcp_file;
};

#define MESSAGE_V2_PROTOCOL MESSAGE_TEXT("derphole-transfer-v2")

struct message_v2_accept {
	struct message_text protocol;
	bool accepted;
	struct message_list candidates;
	bool relay_capable;
	struct message_text reason;
	struct message_text parallel_mode;
	int64_t parallel_initial;
	int64_t parallel_cap;
	int64_t manager_connections;
	int64_t raw_direct_budget_ms;
	struct message_text transfer_mode;
	struct message_octets block_header;
	int64_t block_size;
	int64_t block_chunk_size;
	bool block_packet_batch_capable;
	bool block_packet_group_capable;
	bool direct_tcp_file_capable;
	bool has_direct_tcp_file;
	struct message_direct_tcp direct_tcp_file;
};

struct message_v2_complete {
	struct message_text protocol;
	int64_t bytes_received;
};

struct message_ready {
	struct message_text protocol;
	struct message_text phase; /* empty means "candidates" */
	bool raw_direct;
	struct message_list candidates;
	struct message_lists candidate_sets;
};

struct message_probe {
	int64_t train;
	int64_t rate_mbps;
	uint32_t sent;
	uint32_t received;
	bool pressure;
	bool final;
};

struct message_bulk_control {
	struct message_text protocol;
	struct message_text phase;
	uint64_t probe_run_id;
	struct message_text mode;
	int64_t selected_mbps;
	struct message_text reason;
	bool has_probe;
	struct message_probe probe;
};

#endif
