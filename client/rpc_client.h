/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A connection to the daemon on the loop, after its hello: our requests and
 * their answers, its events, its requests.
 */
#ifndef CLIENT_RPC_CLIENT_H
#define CLIENT_RPC_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/loop.h"

/* Requests under way; a command has one or two. */
#define RPC_CLIENT_MAX_CALLS 8

struct rpc_client;

/* Why a request failed.  Borrowed by callbacks. */
struct rpc_client_error {
	int code;            /* enum rpc_code */
	const char *message; /* never NULL */
	const char *name;    /* err_name(), or NULL */
};

struct rpc_client_params {
	struct loop *loop;
	int fd; /* socket; the client owns it, also when rpc_client_new fails */
	/* Params of an `event` notification; borrowed. */
	void (*on_event)(void *arg, const json_t *params);
	/* The daemon wants a connection: answer @id (borrowed) once. */
	void (*on_dial)(void *arg, json_t *id);
	/* Another request: answer @id (borrowed) once, perhaps later.  False:
	 * not known here. */
	bool (*on_request)(
	    void *arg, const char *method, json_t *id, const json_t *params);
	/* The daemon is gone or speaks nonsense.  Called at most once. */
	void (*on_gone)(void *arg, int r);
	void *arg;
};

/* Exactly one of @result and @error is set; both are borrowed. */
typedef void rpc_client_cb(
    void *arg, const json_t *result, const struct rpc_client_error *error);

/** rpc_client_new(): NULL when memory is out.  A callback may free it. */
struct rpc_client *rpc_client_new(const struct rpc_client_params *p);
void rpc_client_free(struct rpc_client *c);

/**
 * rpc_client_call(): send a request.
 * @params: reference is taken; the line is wiped after sending.
 * @fds: ownership is taken, also on failure.
 * @cb: called once with the answer, not when the daemon goes away before.
 *
 * Returns 0, -DT_ERR_TOO_LONG, -DT_ERR_FULL, -DT_ERR_CLOSED.
 */
int rpc_client_call(struct rpc_client *c, const char *method, json_t *params,
    const int *fds, size_t n_fds, rpc_client_cb *cb);

/**
 * rpc_client_dialed(): answer a dial.
 * @id: as on_dial() gave it; the caller's reference stays.
 * @r: 0 and a connected @fd, which is taken, or a negative error.
 */
void rpc_client_dialed(struct rpc_client *c, json_t *id, int r, int fd);

/**
 * rpc_client_answer(): answer another request.
 * @result: reference is taken; NULL means {}.
 * @fd: is taken; or -1.
 */
void rpc_client_answer(
    struct rpc_client *c, json_t *id, json_t *result, int fd);
/** rpc_client_refuse(): an error instead.  @text: for the peer and the user. */
void rpc_client_refuse(
    struct rpc_client *c, json_t *id, int r, const char *text);

#endif
