/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/schema.h"

#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/message.h"

/* S is redefined before each table: the struct it describes. */
#define ALWAYS(t, m)                                                           \
	{                                                                      \
#m, SCHEMA_##t, false, offsetof(struct S, m), 0, NULL          \
	}
#define OPT(t, m)                                                              \
	{                                                                      \
#m, SCHEMA_##t, true, offsetof(struct S, m), 0, NULL           \
	}
#define OBJECT(m, o) OBJECT_NAMED(m, #m, o)
#define OBJECT_NAMED(m, name, o)                                               \
	{                                                                      \
		name, SCHEMA_OBJECT, true, offsetof(struct S, m),              \
		    offsetof(struct S, has_##m), &(o)                          \
	}
#define SCHEMA_OF(fields)                                                      \
	{                                                                      \
		(fields), sizeof(fields) / sizeof((fields)[0])                 \
	}

#define S message_client
static const struct schema_field client_fields[] = {
	ALWAYS(ID16, client_id),
	ALWAYS(ID16, token_id),
	ALWAYS(TEXT, client_name),
	ALWAYS(I64, expires_unix),
	ALWAYS(TEXT, proof_mac),
};
static const struct schema client = SCHEMA_OF(client_fields);
#undef S

#define S message_claim
static const struct schema_field claim_fields[] = {
	ALWAYS(U8, version),
	ALWAYS(ID16, session_id),
	ALWAYS(TEXT, bearer_mac),
	ALWAYS(KEY32, derp_public),
	ALWAYS(KEY32, quic_public),
	OPT(I64, parallel),
	OPT(LIST, candidates),
	OPT(U32, capabilities),
	OBJECT(client, client),
};
static const struct schema claim = SCHEMA_OF(claim_fields);

static const struct schema_field bearer_fields[] = {
	ALWAYS(U8, version),
	ALWAYS(ID16, session_id),
	ALWAYS(KEY32, derp_public),
	ALWAYS(KEY32, quic_public),
	OPT(I64, parallel),
	OPT(LIST, candidates),
	ALWAYS(U32, capabilities),
};
const struct schema schema_bearer = SCHEMA_OF(bearer_fields);
#undef S

#define S message_accept
static const struct schema_field accept_fields[] = {
	ALWAYS(U8, version),
	ALWAYS(ID16, session_id),
	OPT(I64, parallel),
	OPT(LIST, candidates),
	ALWAYS(U32, capabilities),
};
static const struct schema accept_schema = SCHEMA_OF(accept_fields);
#undef S

#define S message_reject
static const struct schema_field reject_fields[] = {
	ALWAYS(TEXT, code),
	OPT(TEXT, reason),
};
static const struct schema reject = SCHEMA_OF(reject_fields);
#undef S

#define S message_decision
static const struct schema_field decision_fields[] = {
	ALWAYS(BOOL, accepted),
	OBJECT(accept, accept_schema),
	OBJECT(reject, reject),
};
static const struct schema decision = SCHEMA_OF(decision_fields);
#undef S

#define S message_control
static const struct schema_field control_fields[] = {
	ALWAYS(TEXT, type),
	OPT(LIST, candidates),
};
static const struct schema control = SCHEMA_OF(control_fields);
#undef S

#define S message_progress
static const struct schema_field progress_fields[] = {
	ALWAYS(I64, bytes_received),
	ALWAYS(I64, transfer_elapsed_ms),
	OPT(U64, sequence),
};
static const struct schema progress = SCHEMA_OF(progress_fields);
#undef S

#define S message_abort
static const struct schema_field abort_fields[] = {
	OPT(TEXT, reason),
	{ "bytes_transferred", SCHEMA_I64_PTR, true,
	    offsetof(struct S, bytes_transferred),
	    offsetof(struct S, has_bytes_transferred), NULL },
};
static const struct schema abort_schema = SCHEMA_OF(abort_fields);
#undef S

#define S message_direct_tcp
static const struct schema_field direct_tcp_fields[] = {
	ALWAYS(LIST, candidates),
	ALWAYS(TEXT, fingerprint_sha256),
	ALWAYS(TEXT, transfer_id),
};
static const struct schema direct_tcp = SCHEMA_OF(direct_tcp_fields);
#undef S

#define S message_v2_claim
static const struct schema_field v2_claim_fields[] = {
	ALWAYS(TEXT, protocol),
	ALWAYS(KEY32, quic_public),
	OPT(LIST, candidates),
	ALWAYS(BOOL, relay_capable),
	OPT(BOOL, receiver_limited),
	OPT(TEXT, parallel_mode),
	OPT(I64, parallel_initial),
	OPT(I64, parallel_cap),
	OPT(TEXT, transfer_mode),
	OPT(OCTETS, block_header),
	OPT(I64, block_size),
	OPT(I64, block_chunk_size),
	OPT(BOOL, block_capable),
	OPT(BOOL, block_packet_capable),
	OPT(BOOL, block_packet_batch_capable),
	OPT(BOOL, block_packet_group_capable),
	OPT(BOOL, direct_tcp_file_capable),
	OBJECT(direct_tcp_file, direct_tcp),
};
static const struct schema v2_claim = SCHEMA_OF(v2_claim_fields);
#undef S

#define S message_v2_accept
static const struct schema_field v2_accept_fields[] = {
	ALWAYS(TEXT, protocol),
	ALWAYS(BOOL, accepted),
	OPT(LIST, candidates),
	ALWAYS(BOOL, relay_capable),
	OPT(TEXT, reason),
	OPT(TEXT, parallel_mode),
	OPT(I64, parallel_initial),
	OPT(I64, parallel_cap),
	OPT(I64, manager_connections),
	OPT(I64, raw_direct_budget_ms),
	OPT(TEXT, transfer_mode),
	OPT(OCTETS, block_header),
	OPT(I64, block_size),
	OPT(I64, block_chunk_size),
	OPT(BOOL, block_packet_batch_capable),
	OPT(BOOL, block_packet_group_capable),
	OPT(BOOL, direct_tcp_file_capable),
	OBJECT(direct_tcp_file, direct_tcp),
};
static const struct schema v2_accept = SCHEMA_OF(v2_accept_fields);
#undef S

#define S message_v2_complete
static const struct schema_field v2_complete_fields[] = {
	ALWAYS(TEXT, protocol),
	ALWAYS(I64, bytes_received),
};
static const struct schema v2_complete = SCHEMA_OF(v2_complete_fields);
#undef S

#define S message_ready
static const struct schema_field ready_fields[] = {
	ALWAYS(TEXT, protocol),
	OPT(TEXT, phase),
	OPT(BOOL, raw_direct),
	OPT(LIST, candidates),
	OPT(LISTS, candidate_sets),
};
static const struct schema ready = SCHEMA_OF(ready_fields);
#undef S

#define S message_probe
static const struct schema_field probe_fields[] = {
	ALWAYS(I64, train),
	ALWAYS(I64, rate_mbps),
	ALWAYS(U32, sent),
	ALWAYS(U32, received),
	ALWAYS(BOOL, pressure),
	ALWAYS(BOOL, final),
};
static const struct schema probe = SCHEMA_OF(probe_fields);
#undef S

#define S message_bulk_control
static const struct schema_field bulk_control_fields[] = {
	ALWAYS(TEXT, protocol),
	ALWAYS(TEXT, phase),
	ALWAYS(U64, probe_run_id),
	ALWAYS(TEXT, mode),
	OPT(I64, selected_mbps),
	OPT(TEXT, reason),
	OBJECT(probe, probe),
};
static const struct schema bulk_control = SCHEMA_OF(bulk_control_fields);
#undef S

#define S envelope
static const struct schema_field envelope_fields[] = {
	ALWAYS(TEXT, type),
	OPT(TEXT, mac),
	OBJECT(claim, claim),
	OBJECT(decision, decision),
	OBJECT(control, control),
	OBJECT(progress, progress),
	OBJECT_NAMED(abort, "abort", abort_schema),
	OBJECT(v2_claim, v2_claim),
	OBJECT(v2_accept, v2_accept),
	OBJECT(v2_complete, v2_complete),
	OBJECT_NAMED(ready, "v2_data_plane_ready", ready),
	OBJECT_NAMED(bulk_control, "v2_bulk_control", bulk_control),
};
const struct schema schema_envelope = SCHEMA_OF(envelope_fields);
#undef S
