/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON-RPC 2.0 on the control socket: one message per line, at most 64 KiB,
 * both directions.  Requests come from either side: callers ask the daemon for
 * methods of rpc_methods.def, the daemon asks a caller to `dial`.
 *
 * Descriptors: a line that carries some says "fds": N beside "jsonrpc".
 *
 * Notifications the daemon sends:
 *   hello {protocol, version, pid, uid, netns, system}   first line, always
 *   event {event, session?, endpoint?, ...}              see rpc_events below
 * Requests the daemon sends:
 *   dial {endpoint, session, connection} -> {} with one descriptor, or error
 *   transfer.open {session, kind, name, size, blocks, verify} ->
 *     {positioned, offset} with the descriptor that takes what comes, or error;
 *     kind: text, file or directory (a tar stream); size 0: unknown, or empty;
 *     blocks: only writes by offset will do
 *   transfer.save {session, bytes, body} -> {} or error: all is written; keep
 * it and answer when it is safe.  body: bytes of the file, bytes: with header
 *
 * relay parameters (object "relay" of several methods), all optional:
 *   server   string   DERPHOLE_DERP_SERVER URL; only when a token is minted
 *   pin      string   "sha256-raw:HEX" of the relay's certificate
 *   ca_fd    integer  index among the line's descriptors of a memfd with PEM
 *                     text, sealed against writing, shrinking and growing
 *   map      string   path-free JSON text of a DERP map (at most 48 KiB)
 *   map_url  string   http or https URL of a DERP map
 *
 * Events (member "event"): waiting, claimed, relay, direct, ready,
 * stream-end, reconnecting {delay_ms, reason}, relay-state {state, host, port,
 * reason}, progress {moved, total, peer_written, peer_elapsed_ms, final,
 * stalled} (payload bytes; total -1: unknown), ended {code, name, reason}.
 * `ended` is the last one of its object.
 */
#ifndef PROTO_RPC_RPC_H
#define PROTO_RPC_RPC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RPC_MAX_LINE 65536
#define RPC_PROTOCOL 1
/* Nesting of JSON accepted; our own messages need 5. */
#define RPC_MAX_DEPTH 16

/* JSON-RPC 2.0 section 5.1, and ours from -32000 down. */
enum rpc_code {
	RPC_PARSE_ERROR = -32700,
	RPC_INVALID_REQUEST = -32600,
	RPC_METHOD_NOT_FOUND = -32601,
	RPC_INVALID_PARAMS = -32602,
	RPC_INTERNAL = -32603,
	RPC_FAILED = -32000,    /* data.name is an err_name() */
	RPC_FORBIDDEN = -32001, /* this uid may not */
	RPC_NOT_FOUND = -32002, /* no such session or endpoint */
	RPC_BUSY = -32003,      /* a limit is reached */
	RPC_BAD_TOKEN = -32004, /* message is the text for the user */
};

enum rpc_class { RPC_CLASS_READ, RPC_CLASS_CHANGE };

enum rpc_method {
#define RPC_METHOD(name, ident, cls, fds, doc) RPC_##ident,
#define RPC_PARAM(...)
#define RPC_RESULT(...)
#include "proto/rpc/rpc_methods.def"
#undef RPC_METHOD
#undef RPC_PARAM
#undef RPC_RESULT
	RPC_METHOD_COUNT
};

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

/* A decoded line.  All json_t are borrowed from root; free with rpc_fini(). */
struct rpc_message {
	enum rpc_kind kind;
	json_t *root;
	json_t *id;         /* request, response: string, integer or null */
	const char *method; /* request, notification */
	json_t *params;     /* object, or NULL */
	json_t *result;     /* response: this or error */
	json_t *error;
	size_t fds; /* how many descriptors the line says it carries */
};

/**
 * rpc_parse(): decode one line.
 * @ret_code: on failure the JSON-RPC code to answer with.
 *
 * Returns 0, or -DT_ERR_SYNTAX (not JSON, duplicate members, batch, wrong
 * shape), -DT_ERR_TOO_LONG.
 */
int rpc_parse(const char *line, size_t len, struct rpc_message *ret_message,
    int *ret_code);
void rpc_fini(struct rpc_message *m);

/**
 * rpc_check(): find the method and check params and fds against the table.
 * @ret_why: on failure a static text for the error's message.
 *
 * Returns 0, or a negative enum rpc_code.
 */
int rpc_check(const struct rpc_message *m, enum rpc_method *ret_method,
    const char **ret_why);
/** rpc_method_class(): read or change. */
enum rpc_class rpc_method_class(enum rpc_method m);
/** rpc_discover(): the result of rpc.discover; NULL when memory is out. */
json_t *rpc_discover(void);

/*
 * Writers: each returns a malloc'ed line without newline and its length, or
 * NULL when memory is out or the line exceeds RPC_MAX_LINE.  They take over the
 * reference of params, result and data (also on failure); NULL means {}.
 */
char *rpc_request(int64_t id, const char *method, json_t *params, size_t fds,
    size_t *ret_len);
char *rpc_notification(const char *method, json_t *params, size_t *ret_len);
char *rpc_response(json_t *id, json_t *result, size_t fds, size_t *ret_len);
char *rpc_error(
    json_t *id, int code, const char *message, json_t *data, size_t *ret_len);

#endif
