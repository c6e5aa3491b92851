/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One client connection to a DERP server, above a byte stream whose TCP and TLS
 * are the caller's.  Bytes and the time go in; bytes come out of a queue that
 * the caller drains; what happened is told through callbacks.
 *
 *   c = derp_client_new(...)          request (and with fast start ClientInfo)
 *                                     is in the output queue at once
 *   derp_client_input(c, ...)         bytes from the stream
 *   derp_client_output(c)             bytes for the stream: peek and drop
 *   derp_client_next_deadline(c), derp_client_on_timer(c, now)
 *
 * After any negative result of _input() or _on_timer() the connection is dead:
 * read derp_client_error_text() and free it.  There is no reconnect in here.
 */
#ifndef PROTO_DERP_CLIENT_H
#define PROTO_DERP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/fifo.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_hello.h"

/* From the start of the dial until ServerInfo, the Go client's budget. */
#define DERP_CLIENT_CONNECT_US (10 * MONO_SEC)
/* Silence after which a Ping asks whether the server still lives.  Servers
 * send KeepAlive each 60 s only, so this is what finds dead paths early. */
#define DERP_CLIENT_IDLE_US (15 * MONO_SEC)
/* ... and how long anything at all may take to arrive after that Ping. */
#define DERP_CLIENT_PING_US (10 * MONO_SEC)
/* Output queued by default: a few round trips of a fast path, no more. */
#define DERP_CLIENT_DEFAULT_OUTPUT ((size_t)256 * 1024)
/* Largest max_output. */
#define DERP_CLIENT_MAX_OUTPUT ((size_t)16 * 1024 * 1024)
/* The caller's input buffer must be able to hold this many bytes: the longest
 * frame that is not consumed piecemeal. */
#define DERP_CLIENT_MIN_BUFFER (DERP_FRAME_HEADER_LEN + DERP_FRAME_MAX_SEND)
/* derp_client_error_text() and Health texts, terminator included.  Longer
 * Health texts are cut. */
#define DERP_CLIENT_MAX_TEXT 512u

/*
 * Callbacks, any of which may be NULL.  Pointers are borrowed until the
 * callback returns.  A callback may call derp_client_send() and the getters,
 * but not _input(), _on_timer() or _free().
 */
struct derp_client_events {
	/* ServerInfo came: the server admitted us. */
	void (*ready)(void *user, const struct derp_hello_server *info);
	/* data points into the bytes given to derp_client_input(). */
	void (*packet)(void *user, const struct key32 *src, const uint8_t *data,
	    size_t len);
	/* A hint only; reason is enum derp_frame_gone or unknown. */
	void (*peer_gone)(void *user, const struct key32 *peer, uint8_t reason);
	/* Printable; "" means healthy again. */
	void (*health)(void *user, const char *text);
	void (*restarting)(
	    void *user, uint32_t reconnect_in_ms, uint32_t try_for_ms);
	/* Our Ping was answered. */
	void (*pong)(void *user, int64_t rtt_us);
};

/* Copied by derp_client_new(). */
struct derp_client_params {
	const struct key32 *own_private;
	const struct key32 *own_public;
	const char *host; /* name or address literal for the Host field */
	uint16_t port;
	bool tls;               /* scheme, for the Host field only */
	const char *path;       /* NULL: "/derp" */
	const char *ideal_node; /* or NULL */
	const char *app_name;   /* or NULL */
	const struct key32 *fast_start_key; /* from the meta certificate of a
					       TLS 1.3 handshake, or NULL */
	bool can_ack_pings;
	bool preferred; /* send NotePreferred right after ClientInfo */
	/* Packets queued: 0 is DERP_CLIENT_DEFAULT_OUTPUT; brought between
	 * DERP_CLIENT_MIN_BUFFER and DERP_CLIENT_MAX_OUTPUT.  Control frames
	 * have a little room of their own. */
	size_t max_output;
	struct mono connect_deadline; /* .us 0: now + DERP_CLIENT_CONNECT_US */
	const struct derp_client_events *events; /* keeps: caller's, constant */
	void *user;                              /* for the callbacks */
};

struct derp_client;

/**
 * derp_client_new(): a connection whose stream has just been established.
 *
 * Returns 0; -DT_ERR_KEY (own or fast start key unusable), -DT_ERR_SYNTAX (host
 * or path cannot stand in a request), -ENOMEM.
 */
int derp_client_new(const struct derp_client_params *params, struct mono now,
    struct derp_client **ret_client);

/** derp_client_free(): wipe and release; NULL is fine. */
void derp_client_free(struct derp_client *c);

/**
 * derp_client_input(): bytes from the stream.
 * @p, @len: what the caller's buffer holds, not yet consumed.
 * @ret_consumed: bytes the caller may now drop; the rest must come again, with
 *   more behind it.  Written on success only.
 *
 * Returns 0, or: -DT_ERR_HTTP_STATUS (see derp_client_http_status()),
 * -DT_ERR_NOT_RELAY (no DERP server, or none that answers properly),
 * -DT_ERR_TOO_LONG (frame above DERP_FRAME_MAX_LEN, or ServerInfo above its own
 * limit), -DT_ERR_SYNTAX, -DT_ERR_AUTH or -DT_ERR_KEY (unusable ServerKey or
 * ServerInfo), -ENOMEM, or once more the error of which the connection died.
 */
int derp_client_input(struct derp_client *c, struct mono now, const uint8_t *p,
    size_t len, size_t *ret_consumed);

/**
 * derp_client_eof(): the stream ended.  The connection is dead afterwards.
 *
 * Returns -DT_ERR_NOT_RELAY (before any DERP), -DT_ERR_PEER_REJECTED (after
 * ClientInfo, before ServerInfo: DERP servers refuse that way) or
 * -DT_ERR_CLOSED; the earlier error if it was dead already.
 */
int derp_client_eof(struct derp_client *c);

/**
 * derp_client_output(): bytes for the stream.  The queue stays the client's;
 * the caller takes with fifo_peek(), fifo_len() and fifo_drop() and does
 * nothing else to it.  Many frames lie in one span: write them as one.
 */
struct fifo *derp_client_output(struct derp_client *c);

/**
 * derp_client_send(): queue one packet.
 *
 * Returns 0, -DT_ERR_STATE (ClientInfo is not out yet, or dead),
 * -DT_ERR_TOO_LONG (above DERP_FRAME_MAX_PACKET), -DT_ERR_FULL (the output cap
 * would be passed; nothing was queued).
 */
int derp_client_send(struct derp_client *c, const struct key32 *dst,
    const void *data, size_t len);

/** derp_client_room(): largest packet that derp_client_send() takes now; 0
 * when none (an empty packet may then still fit). */
size_t derp_client_room(const struct derp_client *c);

/**
 * derp_client_set_preferred(): is this relay our home?  Sent when it changes;
 * kept until ClientInfo is out.  Returns 0, -DT_ERR_FULL or -DT_ERR_STATE.
 */
int derp_client_set_preferred(struct derp_client *c, bool preferred);

/**
 * derp_client_probe(): ping now, and time out unless anything arrives within
 * @limit_us; for use after a network change.
 *
 * Returns 0, -DT_ERR_STATE (not ready) or -DT_ERR_FULL.
 */
int derp_client_probe(struct derp_client *c, struct mono now, int64_t limit_us);

/** derp_client_next_deadline(): when to call _on_timer(); MONO_NEVER if dead */
struct mono derp_client_next_deadline(const struct derp_client *c);

/** derp_client_on_timer(): 0, or -DT_ERR_TIMEOUT; calling early is harmless. */
int derp_client_on_timer(struct derp_client *c, struct mono now);

/** derp_client_is_open(): may packets be sent (ServerInfo may still lack)? */
bool derp_client_is_open(const struct derp_client *c);
/** derp_client_is_ready(): did ServerInfo come? */
bool derp_client_is_ready(const struct derp_client *c);
/** derp_client_server_info(): NULL before ready.  The token bucket in it is
 * recorded but not applied: TCP back-pressure paces us. */
const struct derp_hello_server *derp_client_server_info(
    const struct derp_client *c);
/** derp_client_server_key(): NULL until known. */
const struct key32 *derp_client_server_key(const struct derp_client *c);
/** derp_client_http_status(): the status that was not 101; 0 if none. */
int derp_client_http_status(const struct derp_client *c);
/** derp_client_error_text(): printable detail of the error; "" if none. */
const char *derp_client_error_text(const struct derp_client *c);

#endif
