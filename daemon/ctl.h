/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control socket: connections, lines, permissions, late answers, events and
 * the requests that go the other way.  What methods do is in
 * ctl_methods.
 */
#ifndef DAEMON_CTL_H
#define DAEMON_CTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ctl;
struct daemon;

/* Connections in all, and of one uid (root and our own excepted). */
#define CTL_MAX_CONNECTIONS 64
#define CTL_MAX_PER_UID 16
/* Descriptors that connections leave to sessions and to the sockets that come
 * with answers; a quarter where there are few. */
#define CTL_RESERVED_FDS 64
/* Lines waiting for one connection; who does not read is dropped. */
#define CTL_MAX_QUEUED ((size_t)256 * 1024)
/* Requests of one connection that wait for a late answer. */
#define CTL_MAX_LATE 64
/* How long a caller may take to dial. */
#define CTL_DIAL_US (15 * MONO_SEC)
/* Questions to callers.  DIAL has a limit; the others take as long as a disk
 * takes. */
enum ctl_ask_kind { CTL_ASK_DIAL, CTL_ASK_OPEN, CTL_ASK_SAVE };
/* Dials of one session under way. */
#define CTL_MAX_DIALS 64

/* Who asked what: for an answer given later.  Owner: who keeps it. */
struct ctl_call {
	uint32_t conn;
	json_t *id; /* a reference; NULL: answered */
};

struct ctl *ctl_new(struct daemon *d, int listen_fd);
void ctl_free(struct ctl *c);
/** ctl_count(): connections. */
size_t ctl_count(const struct ctl *c);
/** ctl_accept_last(): take what still waits before the socket is closed.
 * Returns how many connections there are then. */
size_t ctl_accept_last(struct ctl *c);

/** ctl_answer(): @result's reference is taken; NULL means {}. */
void ctl_answer(struct ctl *c, struct ctl_call *call, json_t *result);
/**
 * ctl_refuse(): an error instead.
 * @code: enum rpc_code; @r: goes into data.name, or 0.
 */
void ctl_refuse(
    struct ctl *c, struct ctl_call *call, int code, int r, const char *message);
/** ctl_forget(): nobody will answer (the connection is gone). */
void ctl_forget(struct ctl_call *call);

/**
 * ctl_event(): to the owner's connection and to all subscribers.
 * @session: 0 for events of endpoints alone.
 * @params: reference is taken.
 */
void ctl_event(struct ctl *c, uint32_t owner, uint32_t session, json_t *params);
/** ctl_event_newest(): likewise, but whoever lags behind gets only the newest
 * of them. */
void ctl_event_newest(
    struct ctl *c, uint32_t owner, uint32_t session, json_t *params);

/**
 * ctl_dial(): ask @owner to connect to its backend.  session_on_dialed() is
 * called with the outcome, never before this returned.
 *
 * Returns 0, -DT_ERR_CLOSED (no such connection), -DT_ERR_FULL, -ENOMEM.
 */
int ctl_dial(struct ctl *c, uint32_t owner, uint32_t endpoint, uint32_t session,
    uint32_t connection);

/** ctl_ask_error(): the number of the name of what keeps a caller from having
 * or sending something; -EIO for others, 0 for NULL. */
int ctl_ask_error(const char *name);

/**
 * ctl_ask_transfer(): ask @owner where to put what comes (CTL_ASK_OPEN), or to
 * save it (CTL_ASK_SAVE).  session_transfer_answered() is called with the
 * outcome, never before this returned, and also when the connection goes away.
 * @params: reference is taken.
 *
 * Returns as ctl_dial().
 */
int ctl_ask_transfer(struct ctl *c, uint32_t owner, uint32_t session,
    enum ctl_ask_kind kind, json_t *params);

#endif
