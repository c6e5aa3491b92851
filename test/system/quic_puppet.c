/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of QUIC that does what it is told, for peers that misbehave behind a
 * correct handshake.  Datagrams come and go on descriptor FD, a socket that
 * keeps their limits; commands come on stdin, a line each:
 *
 *	dial              a client's next connection
 *	open N C          stream N (0 ..), one-way, on connection C (0 ..)
 *	bidi N C
 *	write N HEX
 *	zeros N COUNT
 *	fin N
 *	reset N CODE
 *	close C CODE
 *
 * It says "ready C" and "closed C us|peer KIND CODE REASON" on stdout,
 * and "refused N" of a stream that cannot be.
 *
 * usage: quic_puppet server|client SEED PEER_KEY FD
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/fd.h"
#include "lib/loop.h"
#include "lib/secret.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"

#define MAX_STREAMS 4096
#define MAX_CONNS 32
#define MAX_LINE 65536
#define WINDOW (16 << 20)

static struct {
	struct loop *loop;
	struct loop_timer *timer;
	struct quic_endpoint *ep;
	struct quic_conn *conns[MAX_CONNS];
	unsigned n_conns;
	int fd;
	struct {
		struct quic_stream *quic;
		uint64_t zeros; /* still to be written */
	} streams[MAX_STREAMS];
	char line[MAX_LINE];
	size_t len;
	uint8_t out[54 * QUIC_ENDPOINT_PAYLOAD];
} p;

static void
need(bool ok, const char *what)
{
	if (ok)
		return;
	(void)fprintf(stderr, "quic_puppet: %s\n", what);
	exit(2);
}

static unsigned
index_of(const struct quic_conn *c)
{
	unsigned i = 0;

	while (i < p.n_conns && p.conns[i] != c)
		i++;
	return i;
}

static void
on_ready(void *arg, struct quic_conn *c)
{
	unsigned i = index_of(c);

	(void)arg;
	if (i == p.n_conns && p.n_conns < MAX_CONNS)
		p.conns[p.n_conns++] = c;
	printf("ready %u\n", i);
}

static void
on_closed(void *arg, struct quic_conn *c, const struct quic_close *why)
{
	unsigned i = index_of(c);

	(void)arg;
	if (i < p.n_conns)
		p.conns[i] = NULL;
	printf("closed %u %s %d %" PRIu64 " %s\n", i,
	    why->by_peer ? "peer" : "us", (int)why->kind, why->code,
	    why->reason);
}

static void
on_data(
    void *arg, struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	(void)arg;
	(void)data;
	(void)fin;
	quic_stream_consume(s, len);
}

static void
pump(unsigned n)
{
	struct quic_stream *s = p.streams[n].quic;

	while (s != NULL && p.streams[n].zeros > 0) {
		size_t len;
		uint8_t *to = quic_stream_reserve(s, &len);

		if (to == NULL)
			return;
		if (len > p.streams[n].zeros)
			len = (size_t)p.streams[n].zeros;
		memset(to, 0, len);
		quic_stream_commit(s, len);
		p.streams[n].zeros -= len;
	}
}

static void
on_writable(void *arg, struct quic_stream *s)
{
	(void)arg;
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		if (p.streams[i].quic == s)
			pump(i);
}

static void
on_stream_closed(void *arg, struct quic_stream *s, bool clean)
{
	(void)arg;
	(void)clean;
	for (unsigned i = 0; i < MAX_STREAMS; i++)
		if (p.streams[i].quic == s)
			p.streams[i].quic = NULL;
}

static void
hex(uint8_t *to, size_t n, const char *text)
{
	for (size_t i = 0; i < n; i++) {
		char two[3] = { text[2 * i], text[2 * i + 1], '\0' };

		to[i] = (uint8_t)strtoul(two, NULL, 16);
	}
}

static void
write_hex(struct quic_stream *s, const char *text)
{
	static uint8_t buf[MAX_LINE / 2];
	size_t n = strlen(text) / 2;

	hex(buf, n, text);
	if (s != NULL)
		(void)quic_stream_write(s, buf, n);
}

static void
open_stream(unsigned n, unsigned c, bool bidi)
{
	struct quic_stream **s = &p.streams[n].quic;
	int r = -1;

	if (c < p.n_conns && p.conns[c] != NULL)
		r = bidi ? quic_conn_open_bidi(p.conns[c], NULL, s)
			 : quic_conn_open_uni(p.conns[c], NULL, s);
	if (r == 0)
		quic_stream_announce(*s);
	else
		printf("refused %u\n", n);
}

static void
obey(char *line)
{
	char verb[16] = "";
	unsigned n = 0;
	unsigned long long x = 0;
	int at = 0, words = sscanf(line, "%15s %u %n", verb, &n, &at);
	struct quic_stream *s = n < MAX_STREAMS ? p.streams[n].quic : NULL;

	if (words == 2)
		x = strtoull(line + at, NULL, 10);
	if (strcmp(verb, "dial") == 0 && p.n_conns < MAX_CONNS)
		need(quic_endpoint_connect(
			 p.ep, mono_now(), NULL, &p.conns[p.n_conns++]) == 0,
		    "dial");
	else if (strcmp(verb, "open") == 0 || strcmp(verb, "bidi") == 0)
		open_stream(n, (unsigned)x, verb[0] == 'b');
	else if (strcmp(verb, "write") == 0)
		write_hex(s, line + at);
	else if (strcmp(verb, "zeros") == 0)
		p.streams[n].zeros += x;
	else if (strcmp(verb, "fin") == 0 && s != NULL)
		quic_stream_fin(s);
	else if (strcmp(verb, "reset") == 0 && s != NULL)
		quic_stream_reset(s, x);
	else if (strcmp(verb, "close") == 0 && p.conns[n] != NULL)
		quic_conn_close(p.conns[n], x, "a lie");
	if (strcmp(verb, "zeros") == 0)
		pump(n);
}

static void
on_command(void *arg, unsigned events, struct mono now)
{
	ssize_t n =
	    read(STDIN_FILENO, p.line + p.len, sizeof(p.line) - 1 - p.len);
	char *end, *from = p.line;

	(void)arg;
	(void)events;
	(void)now;
	if (n <= 0)
		exit(0);
	p.len += (size_t)n;
	p.line[p.len] = '\0';
	while ((end = strchr(from, '\n')) != NULL) {
		*end = '\0';
		obey(from);
		from = end + 1;
	}
	p.len -= (size_t)(from - p.line);
	memmove(p.line, from, p.len);
}

static void
on_packet(void *arg, unsigned events, struct mono now)
{
	uint8_t buf[2048];
	ssize_t n;

	(void)arg;
	(void)events;
	while ((n = recv(p.fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		quic_endpoint_input(p.ep, now, buf, (size_t)n);
	if (n == 0)
		exit(0);
}

static void
on_timer(void *arg, struct mono now)
{
	(void)arg;
	(void)now; /* the end of this turn does the work */
}

static void
on_turn_end(void *arg, struct mono now)
{
	struct quic_batch b = {
		.buf = p.out, .cap = sizeof(p.out), .max_pkts = 54
	};

	(void)arg;
	while (quic_endpoint_output(p.ep, now, &b) > 0) {
		const uint8_t *at = p.out;

		/* What does not fit is lost, as relays lose it. */
		for (size_t i = 0; i < b.n_pkts; at += b.lens[i], i++)
			(void)send(
			    p.fd, at, b.lens[i], MSG_DONTWAIT | MSG_NOSIGNAL);
	}
	(void)fflush(stdout);
	loop_timer_at(p.timer, quic_endpoint_next_deadline(p.ep));
}

static void
watch(int fd, void (*fn)(void *arg, unsigned events, struct mono now))
{
	struct loop_io *io = loop_io_new(p.loop, fd, fn, NULL);

	need(io != NULL, "watch");
	loop_io_set(io, LOOP_READ);
}

int
main(int argc, char **argv)
{
	struct key32 seed;
	struct identity_cert cert;
	struct quic_params q = {
		.max_uni = 64,
		.send_buffer = WINDOW,
		.idle_timeout_us = 60 * MONO_SEC,
		.events = {
			.conn_ready = on_ready,
			.conn_closed = on_closed,
			.stream_data = on_data,
			.stream_writable = on_writable,
			.stream_closed = on_stream_closed,
		},
	};

	need(argc == 5 && strlen(argv[2]) == 64 && strlen(argv[3]) == 64,
	    "usage: quic_puppet server|client SEED PEER_KEY FD");
	need(secret_init() == 0, "secrets");
	hex(seed.b, sizeof(seed.b), argv[2]);
	hex(q.peer_key.b, sizeof(q.peer_key.b), argv[3]);
	need(identity_cert_make(&cert, &seed, mono_unix_seconds()) == 0,
	    "certificate");
	p.fd = atoi(argv[4]);
	q.server = strcmp(argv[1], "server") == 0;
	q.cert_der = cert.der;
	q.cert_len = cert.len;
	q.seed = &seed;
	need(quic_endpoint_new(&p.ep, &q) == 0, "endpoint");
	p.loop = loop_new();
	need(p.loop != NULL, "loop");
	p.timer = loop_timer_new(p.loop, on_timer, NULL);
	loop_set_turn_end(p.loop, on_turn_end, NULL);
	watch(STDIN_FILENO, on_command);
	watch(p.fd, on_packet);
	loop_timer_in(p.timer, 0);
	return loop_run(p.loop) < 0;
}
