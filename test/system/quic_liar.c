/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A QUIC endpoint over UDP that opens one-way streams and writes what it is
 * told: the end of a lying sender that speaks real QUIC.
 *
 * usage: quic_liar client|server ADDRESS SEED PIN [cut:]FILE...
 *
 * A server says hello to the address first, with one octet: where it is.  Keys
 * are in hex; every file is a stream, ended by a FIN unless cut.  Ends when the
 * connection does; prints who closed it, with which code and reason.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"

#define MAX_STREAMS 16
#define RUN_US (60 * MONO_SEC)
#define BATCH 32
#define MAX_RECEIVE 64 /* datagrams in one turn */

struct lie {
	const char *path;
	bool is_cut;
	FILE *file;
	struct quic_stream *s;
	bool is_over;
};

struct prog {
	bool is_server;
	struct addr peer;
	struct key32 seed, pin;
	int fd;
	struct loop *loop;
	struct loop_timer *timer, *limit;
	struct quic_endpoint *ep;
	struct quic_conn *conn;
	struct lie lies[MAX_STREAMS];
	size_t n_lies;
	bool is_closed;
	uint8_t out[BATCH * QUIC_ENDPOINT_PAYLOAD];
};

static void
pump(struct lie *l)
{
	uint8_t *dst;
	size_t n;

	while (l->s != NULL && !l->is_over &&
	       (dst = quic_stream_reserve(l->s, &n)) != NULL) {
		size_t got = fread(dst, 1, n, l->file);

		if (got > 0)
			quic_stream_commit(l->s, got);
		l->is_over = got < n;
	}
	if (l->s != NULL && l->is_over && !l->is_cut) {
		quic_stream_fin(l->s);
		l->is_cut = true; /* done */
	}
}

static void
on_ready(void *arg, struct quic_conn *c)
{
	struct prog *p = arg;

	p->conn = c;
	for (size_t i = 0; i < p->n_lies; i++) {
		struct lie *l = &p->lies[i];

		if (quic_conn_open_uni(c, l, &l->s) < 0) {
			quic_conn_close(c, QUIC_CONN_CODE_ERROR, "no stream");
			return;
		}
		pump(l);
	}
}

static void
on_closed(void *arg, struct quic_conn *c, const struct quic_close *why)
{
	struct prog *p = arg;

	(void)c;
	printf("closed by %s kind=%d code=%" PRIu64 "\n",
	    why->by_peer ? "peer" : "us", (int)why->kind, why->code);
	fflush(stdout);
	p->conn = NULL;
	p->is_closed = true;
	for (size_t i = 0; i < p->n_lies; i++)
		p->lies[i].s = NULL;
}

static void
on_open(void *arg, struct quic_stream *s)
{
	(void)arg;
	(void)s;
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
on_writable(void *arg, struct quic_stream *s)
{
	struct lie *l = quic_stream_user(s);

	(void)arg;
	if (l != NULL)
		pump(l);
}

static void
on_stream_closed(void *arg, struct quic_stream *s, bool clean)
{
	struct lie *l = quic_stream_user(s);

	(void)arg;
	(void)clean;
	if (l != NULL)
		l->s = NULL;
}

static void
on_readable(void *arg, unsigned events, struct mono now)
{
	struct prog *p = arg;
	uint8_t buf[2048];

	(void)events;
	for (int i = 0; i < MAX_RECEIVE; i++) {
		ssize_t n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0)
			return;
		quic_endpoint_input(p->ep, now, buf, (size_t)n);
	}
}

static void
on_turn_end(void *arg, struct mono now)
{
	struct prog *p = arg;
	struct quic_batch b = {
		.buf = p->out, .cap = sizeof(p->out), .max_pkts = BATCH
	};

	while (quic_endpoint_output(p->ep, now, &b) > 0) {
		const uint8_t *at = p->out;

		for (size_t i = 0; i < b.n_pkts; at += b.lens[i], i++)
			(void)send(p->fd, at, b.lens[i], 0); /* lost is lost */
	}
	if (p->is_closed)
		loop_stop(p->loop);
	loop_timer_at(p->timer, quic_endpoint_next_deadline(p->ep));
}

static void
on_timer(void *arg, struct mono now)
{
	(void)arg;
	(void)now; /* the end of this turn does the work */
}

static void
on_limit(void *arg, struct mono now)
{
	struct prog *p = arg;

	(void)now;
	puts("time limit");
	loop_stop(p->loop);
}

static int
hex_key(struct key32 *ret_key, const char *hex)
{
	if (strlen(hex) != 64)
		return -DT_ERR_SYNTAX;
	for (size_t i = 0; i < 32; i++) {
		char two[3] = { hex[2 * i], hex[2 * i + 1], '\0' };
		char *end;

		ret_key->b[i] = (uint8_t)strtoul(two, &end, 16);
		if (*end != '\0')
			return -DT_ERR_SYNTAX;
	}
	return 0;
}

static int
parse_args(struct prog *p, int argc, char **argv)
{
	int r;

	if (argc < 6 || argc - 5 > MAX_STREAMS)
		return -DT_ERR_SYNTAX;
	p->is_server = strcmp(argv[1], "server") == 0;
	r = addr_parse(&p->peer, argv[2]);
	if (r == 0)
		r = hex_key(&p->seed, argv[3]);
	if (r == 0)
		r = hex_key(&p->pin, argv[4]);
	for (int i = 5; i < argc && r == 0; i++) {
		struct lie *l = &p->lies[p->n_lies++];

		l->is_cut = strncmp(argv[i], "cut:", 4) == 0;
		l->path = argv[i] + (l->is_cut ? 4 : 0);
		l->file = fopen(l->path, "rb");
		if (l->file == NULL)
			r = -errno;
	}
	return r;
}

static int
open_socket(struct prog *p)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&p->peer, &sa);

	p->fd = socket(p->peer.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0 || connect(p->fd, (const struct sockaddr *)&sa, len) != 0)
		return -errno;
	if (p->is_server && send(p->fd, "", 1, 0) != 1)
		return -errno;
	return 0;
}

static int
open_endpoint(struct prog *p)
{
	struct identity_cert cert;
	struct quic_params q = {
		.server = p->is_server,
		.alpn = { "derphole-quic/1" },
		.peer_key = p->pin,
		.events = {
			.conn_ready = on_ready,
			.conn_closed = on_closed,
			.stream_open = on_open,
			.stream_data = on_data,
			.stream_writable = on_writable,
			.stream_closed = on_stream_closed,
		},
		.arg = p,
	};
	int r = identity_cert_make(&cert, &p->seed, mono_unix_seconds());

	if (r < 0)
		return r;
	q.cert_der = cert.der;
	q.cert_len = cert.len;
	q.seed = &p->seed;
	r = quic_endpoint_new(&p->ep, &q);
	if (r == 0 && !p->is_server)
		r = quic_endpoint_connect(p->ep, mono_now(), NULL, &p->conn);
	return r;
}

static int
run(struct prog *p)
{
	struct loop_io *io;
	int r = open_socket(p);

	if (r == 0)
		r = open_endpoint(p);
	if (r < 0)
		return r;
	p->loop = loop_new();
	if (p->loop == NULL)
		return -ENOMEM;
	io = loop_io_new(p->loop, p->fd, on_readable, p);
	p->timer = loop_timer_new(p->loop, on_timer, p);
	p->limit = loop_timer_new(p->loop, on_limit, p);
	if (io == NULL || p->timer == NULL || p->limit == NULL)
		return -ENOMEM;
	loop_io_set(io, LOOP_READ);
	loop_set_turn_end(p->loop, on_turn_end, p);
	loop_timer_in(p->timer, 0);
	loop_timer_in(p->limit, RUN_US);
	r = loop_run(p->loop);
	loop_timer_free(p->limit);
	loop_timer_free(p->timer);
	loop_io_free(io);
	loop_free(p->loop);
	quic_endpoint_free(p->ep);
	(void)close(p->fd);
	return r;
}

int
main(int argc, char **argv)
{
	static struct prog p;
	int r;

	if (secret_init() < 0)
		return 3;
	r = parse_args(&p, argc, argv);
	if (r == 0)
		r = run(&p);
	for (size_t i = 0; i < p.n_lies; i++)
		if (p.lies[i].file != NULL)
			(void)fclose(p.lies[i].file);
	if (r < 0) {
		fprintf(stderr, "quic_liar: %s\n", err_str(r));
		return 2;
	}
	return p.is_closed ? 0 : 1;
}
