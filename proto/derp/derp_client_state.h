/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a client connection.  Private to derp_client*.c. */
#ifndef PROTO_DERP_CLIENT_STATE_H
#define PROTO_DERP_CLIENT_STATE_H

#include "proto/derp/derp_client.h"

enum derp_client_state {
	CLIENT_HTTP,
	CLIENT_KEY,
	CLIENT_FAST,
	CLIENT_OPEN,
	CLIENT_READY,
	CLIENT_DEAD,
};

/* Owner: the caller of derp_client_new().  Invariants: out.max is max_output +
 * CONTROL_ROOM; skip > 0 only in OPEN and READY; error < 0 only in DEAD. */
struct derp_client {
	enum derp_client_state state;
	int error; /* of which it died */
	struct key32 own_private;
	struct key32 own_public;
	struct key32 server_key;
	bool has_server_key;
	bool is_hello_sent;
	struct derp_hello_client hello;
	struct derp_hello_server server;
	struct fifo out;
	size_t max_output;
	size_t skip; /* bytes of the present frame still to discard */
	bool preferred;
	struct mono connect_deadline;
	struct mono heard;         /* last byte */
	struct mono ping_sent;     /* MONO_NEVER: no Pong is awaited */
	struct mono ping_deadline; /* NEVER: heard something since */
	uint8_t ping_data[DERP_FRAME_PING_LEN];
	const struct derp_client_events *events;
	void *user;
	int http_status;
	char error_text[DERP_CLIENT_MAX_TEXT];
};

/** derp_client_text(): terminated copy of the printable part of foreign text,
 * as much as @cap bytes hold. */
void derp_client_text(char *out, size_t cap, const uint8_t *p, size_t len);

/** derp_client_die(): become DEAD of @r and say why.  Returns @r. */
int derp_client_die(struct derp_client *c, int r, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** derp_client_wanted(): bytes of a frame's payload that its handler needs; the
 * rest is skipped. */
size_t derp_client_wanted(
    const struct derp_client *c, uint8_t type, size_t len);

/** derp_client_dispatch(): handle a frame in OPEN or READY that has as much of
 * its payload as derp_client_wanted() asked for.  Returns 0 or the error of
 * which the connection died. */
int derp_client_dispatch(
    struct derp_client *c, const struct derp_frame *f, struct mono now);

#endif
