/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One relay client from the first byte on, or from after its admission, over a
 * socket pair, while a second client is there to be sent to.
 *
 * First input byte: bit 0, start after the handshake; bit 1, feed the rest in
 * pieces of seven bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helpers/relay/relay_client.h"
#include "helpers/relay/relay_conn.h"
#include "lib/buf.h"
#include "proto/derp/derp_frame.h"
#include "proto/derp/derp_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Bytes of one input that are used: two of the largest frames. */
#define MAX_INPUT ((size_t)140000)

static struct relay relay;
static struct loop_timer *stop_timer;

static void
on_stop(void *arg, struct mono now)
{
	(void)arg;
	(void)now;
	loop_stop(relay.loop);
}

static void
on_turn_end(void *arg, struct mono now)
{
	relay_conn_turn_end(arg, now);
}

/* Let the relay react to what was written. */
static void
turn(void)
{
	for (int i = 0; i < 2; i++) {
		loop_timer_in(stop_timer, 0);
		if (loop_run(relay.loop) < 0)
			abort();
	}
}

static void
start(void)
{
	if (secret_init() < 0)
		abort();
	TAILQ_INIT(&relay.all);
	TAILQ_INIT(&relay.handshakes);
	TAILQ_INIT(&relay.dirty);
	TAILQ_INIT(&relay.dead);
	relay_pool_init(&relay.pool, 16);
	relay.loop = loop_new();
	relay.peers = relay_peers_new(8, relay_client_gone, &relay);
	relay.scratch = malloc(RELAY_SCRATCH);
	relay.max_clients = 8;
	relay.queue_packets = 4;
	relay.keepalive_us = 60 * MONO_SEC;
	memset(relay.private_key.b, 0x40, sizeof(relay.private_key.b));
	if (relay.loop == NULL || relay.peers == NULL ||
	    relay.scratch == NULL ||
	    secret_curve_public(&relay.public_key, &relay.private_key) < 0)
		abort();
	stop_timer = loop_timer_new(relay.loop, on_stop, NULL);
	if (stop_timer == NULL)
		abort();
	loop_set_turn_end(relay.loop, on_turn_end, &relay);
}

/* A new connection; returns the client's end. */
static int
connect_client(void)
{
	struct addr nobody = { .family = 0 };
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
		fds) < 0)
		abort();
	if (relay_client_accept(&relay, fds[0], &nobody, loop_now(relay.loop)) <
	    0)
		abort();
	return fds[1];
}

/* The relay may close at any time: errors are part of the game. */
static void
feed(int fd, const void *p, size_t len)
{
	char sink[4096];

	(void)send(fd, p, len, MSG_NOSIGNAL);
	turn();
	while (recv(fd, sink, sizeof(sink), 0) > 0)
		continue;
}

/* Request and ClientInfo under a key whose private bytes are all @tag. */
static void
admit(int fd, uint8_t tag)
{
	static const char request[] = "GET /derp HTTP/1.1\r\nHost:\r\n"
				      "Upgrade: DERP\r\n"
				      "Derp-Fast-Start: 1\r\n\r\n";
	uint8_t nonce[DERP_HELLO_NONCE_LEN] = { 1 };
	uint8_t out[DERP_HELLO_MAX_FRAME];
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct derp_hello_client info = { .version = 2 };
	struct key32 private_key, public_key;
	struct derp_hello_keys keys = { &private_key, &public_key,
		&relay.public_key };

	memset(private_key.b, tag, sizeof(private_key.b));
	if (secret_curve_public(&public_key, &private_key) < 0 ||
	    derp_hello_seal_client_info(&w, &keys, &info, nonce) < 0)
		abort();
	feed(fd, request, sizeof(request) - 1);
	feed(fd, out, w.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd, other;
	size_t step;

	if (size == 0)
		return 0;
	if (relay.loop == NULL)
		start();
	size = size > MAX_INPUT ? MAX_INPUT : size;
	other = connect_client();
	admit(other, 7);
	fd = connect_client();
	if ((data[0] & 1) != 0)
		admit(fd, 9);
	step = (data[0] & 2) != 0 ? 7 : size;
	for (size_t off = 1; off < size; off += step)
		feed(fd, data + off, size - off < step ? size - off : step);
	(void)close(fd);
	turn();
	(void)close(other);
	turn();
	/* Nothing of it may stay. */
	if (relay.n_conns != 0 || relay.handshake_bytes != 0 ||
	    relay_peers_counts(relay.peers).seats != 0 ||
	    relay_peers_counts(relay.peers).edges != 0 ||
	    relay.stats.gauge_current_connections != 0 ||
	    relay.stats.gauge_current_handshakes != 0 ||
	    relay.stats.gauge_current_home_connections != 0 ||
	    relay.stats.gauge_current_notideal_connections != 0)
		abort();
	return 0;
}
