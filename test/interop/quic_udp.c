/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Our QUIC endpoint on a UDP socket, for the interop suite.  Either role; each
 * stream carries random bytes both ways, hashed at both ends.  Prints one JSON
 * object per line, as test/interop/go does: the address (server), the result,
 * and what closed the connection.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include <openssl/evp.h>

#include "lib/addr.h"
#include "lib/err.h"
#include "lib/loop.h"
#include "lib/mono.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"

#define MAX_STREAMS 64
#define MAX_RECEIVE 64 /* datagrams in one turn */
#define RUN_US (120 * MONO_SEC)
#define BUFFER_BYTES (4 << 20)
#define BATCH 54

static const char *const kind_names[] = { "local", "application", "transport",
	"tls", "idle", "handshake", "version", "internal" };

/* One stream; index is the order of opening. */
struct lane {
	struct quic_stream *s;
	uint64_t sent, received;
	EVP_MD_CTX *sent_sum, *received_sum;
	bool fin_sent, fin_received;
	int64_t id;
};

struct prog {
	bool server, no_cert, reported;
	struct addr lo, peer;
	struct key32 seed, pin;
	const char *alpn;
	enum quic_cc cc;
	size_t n_streams, n_opened, n_done;
	uint64_t bytes, rng;
	int fd, status;
	struct loop *loop;
	struct loop_timer *timer, *limit;
	struct quic_endpoint *ep;
	struct quic_conn *conn;
	struct lane lanes[MAX_STREAMS];
	struct mono began;
	uint8_t out[BATCH * QUIC_ENDPOINT_PAYLOAD];
};

static uint64_t
next_random(struct prog *p)
{
	p->rng ^= p->rng << 13;
	p->rng ^= p->rng >> 7;
	p->rng ^= p->rng << 17;
	return p->rng;
}

static void
fill_random(struct prog *p, uint8_t *dst, size_t len)
{
	for (size_t i = 0; i < len; i += sizeof(uint64_t)) {
		uint64_t v = next_random(p);
		size_t n = len - i < sizeof(v) ? len - i : sizeof(v);

		memcpy(dst + i, &v, n);
	}
}

static void
pump(struct prog *p, struct lane *l)
{
	while (l->s != NULL && l->sent < p->bytes) {
		size_t n;
		uint8_t *dst = quic_stream_reserve(l->s, &n);

		if (dst == NULL)
			return;
		if (n > p->bytes - l->sent)
			n = (size_t)(p->bytes - l->sent);
		fill_random(p, dst, n);
		(void)EVP_DigestUpdate(l->sent_sum, dst, n);
		quic_stream_commit(l->s, n);
		l->sent += n;
	}
	if (l->s != NULL && !l->fin_sent) {
		quic_stream_fin(l->s);
		l->fin_sent = true;
	}
}

static void
begin_lane(struct prog *p, struct quic_stream *s)
{
	struct lane *l = &p->lanes[p->n_opened++];

	l->s = s;
	l->id = quic_stream_id(s);
	l->sent_sum = EVP_MD_CTX_new();
	l->received_sum = EVP_MD_CTX_new();
	if (l->sent_sum == NULL || l->received_sum == NULL ||
	    EVP_DigestInit_ex(l->sent_sum, EVP_sha256(), NULL) != 1 ||
	    EVP_DigestInit_ex(l->received_sum, EVP_sha256(), NULL) != 1)
		abort();
	quic_stream_set_user(s, l);
	pump(p, l);
}

static void
print_sum(const char *key, EVP_MD_CTX *sum)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	(void)EVP_DigestFinal_ex(sum, digest, &n);
	printf(",\"%s\":\"", key);
	for (unsigned i = 0; i < n; i++)
		printf("%02x", digest[i]);
	putchar('"');
	EVP_MD_CTX_free(sum);
}

static void
report(struct prog *p)
{
	double seconds = (double)mono_diff(mono_now(), p->began) / MONO_SEC;
	bool good = true;

	for (size_t i = 0; i < p->n_opened; i++)
		good = good && p->lanes[i].fin_received &&
		       p->lanes[i].sent == p->bytes;
	printf("{\"ok\":%s,\"seconds\":%.3f,\"streams\":[",
	    good ? "true" : "false", seconds);
	for (size_t i = 0; i < p->n_opened; i++) {
		struct lane *l = &p->lanes[i];

		printf("%s{\"id\":%" PRId64 ",\"sent\":%" PRIu64
		       ",\"received\":%" PRIu64,
		    i > 0 ? "," : "", l->id, l->sent, l->received);
		print_sum("sent_sha256", l->sent_sum);
		print_sum("received_sha256", l->received_sum);
		putchar('}');
	}
	puts("]}");
	fflush(stdout);
	p->n_opened = 0; /* the sums are gone */
	p->reported = true;
	p->status = good ? 0 : 1;
}

static void
on_ready(void *arg, struct quic_conn *c)
{
	struct prog *p = arg;

	p->conn = c;
	p->began = mono_now();
	for (size_t i = 0; !p->server && i < p->n_streams; i++) {
		struct quic_stream *s;

		if (quic_conn_open_bidi(c, NULL, &s) < 0)
			quic_conn_close(c, QUIC_CONN_CODE_ERROR, "no stream");
		else
			begin_lane(p, s);
	}
}

static void
on_closed(void *arg, struct quic_conn *c, const struct quic_close *why)
{
	struct prog *p = arg;

	(void)c;
	printf("{\"ok\":%s,\"kind\":\"%s\",\"by_peer\":%s,\"code\":%" PRIu64
	       "}\n",
	    p->reported ? "true" : "false", kind_names[why->kind],
	    why->by_peer ? "true" : "false", why->code);
	fflush(stdout);
	p->conn = NULL;
	if (!p->reported)
		p->status = 1;
}

static void
on_open(void *arg, struct quic_stream *s)
{
	struct prog *p = arg;

	if (p->n_opened < MAX_STREAMS)
		begin_lane(p, s);
}

static void
on_data(
    void *arg, struct quic_stream *s, const uint8_t *data, size_t len, bool fin)
{
	struct lane *l = quic_stream_user(s);

	(void)arg;
	if (l == NULL)
		return;
	l->fin_received = fin;
	(void)EVP_DigestUpdate(l->received_sum, data, len);
	l->received += len;
	quic_stream_consume(s, len);
}

static void
on_writable(void *arg, struct quic_stream *s)
{
	pump(arg, quic_stream_user(s));
}

static void
on_stream_closed(void *arg, struct quic_stream *s, bool clean)
{
	struct prog *p = arg;
	struct lane *l = quic_stream_user(s);

	if (l == NULL)
		return;
	/* Not clean when the peer closed before it acknowledged our FIN: the
	 * sums tell whether it has everything. */
	(void)clean;
	l->s = NULL;
	if (++p->n_done < p->n_streams || p->reported)
		return;
	report(p);
	if (!p->server && p->conn != NULL)
		quic_conn_close(p->conn, QUIC_CONN_CODE_OK, "complete");
}

static void
on_readable(void *arg, unsigned events, struct mono now)
{
	struct prog *p = arg;
	uint8_t buf[2048];

	(void)events;
	for (int i = 0; i < MAX_RECEIVE; i++) {
		struct sockaddr_storage from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(p->fd, buf, sizeof(buf), MSG_DONTWAIT,
		    (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return;
		(void)addr_from_sockaddr(
		    &p->peer, (const struct sockaddr *)&from);
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
	struct sockaddr_storage to;
	socklen_t to_len = addr_to_sockaddr(&p->peer, &to);

	while (quic_endpoint_output(p->ep, now, &b) > 0) {
		const uint8_t *at = p->out;

		for (size_t i = 0; i < b.n_pkts; at += b.lens[i], i++)
			(void)sendto(p->fd, at, b.lens[i], 0,
			    (const struct sockaddr *)&to,
			    to_len); /* lost is lost */
	}
	if ((p->reported || p->status != 0) && p->conn == NULL &&
	    quic_endpoint_is_drained(p->ep))
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
	puts("{\"ok\":false,\"kind\":\"time limit\",\"code\":0}");
	p->status = 1;
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
	static const struct option options[] = {
		{ "lo", required_argument, NULL, 'l' },
		{ "peer", required_argument, NULL, 'p' },
		{ "seed", required_argument, NULL, 's' },
		{ "pin", required_argument, NULL, 'k' },
		{ "streams", required_argument, NULL, 'n' },
		{ "bytes", required_argument, NULL, 'b' },
		{ "alpn", required_argument, NULL, 'a' },
		{ "cubic", no_argument, NULL, 'c' },
		{ "no-cert", no_argument, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	int c, r = 0;

	if (argc < 2)
		return -DT_ERR_SYNTAX;
	p->server = strcmp(argv[1], "server") == 0;
	while (r == 0 &&
	       (c = getopt_long(argc - 1, argv + 1, "", options, NULL)) != -1) {
		if (c == 'l')
			r = addr_parse(&p->lo, optarg);
		else if (c == 'p')
			r = addr_parse(&p->peer, optarg);
		else if (c == 's')
			r = hex_key(&p->seed, optarg);
		else if (c == 'k')
			r = hex_key(&p->pin, optarg);
		else if (c == 'n')
			p->n_streams = strtoul(optarg, NULL, 10);
		else if (c == 'b')
			p->bytes = strtoull(optarg, NULL, 10);
		else if (c == 'a')
			p->alpn = optarg;
		else if (c == 'c')
			p->cc = QUIC_CC_CUBIC;
		else if (c == 'x')
			p->no_cert = true;
		else
			r = -DT_ERR_SYNTAX;
	}
	if (p->n_streams < 1 || p->n_streams > MAX_STREAMS)
		return -DT_ERR_SYNTAX;
	return r;
}

static int
open_socket(struct prog *p)
{
	struct sockaddr_storage sa;
	socklen_t len = addr_to_sockaddr(&p->lo, &sa);
	const int size = BUFFER_BYTES;
	char text[ADDR_MAX_TEXT];

	p->fd = socket(p->lo.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (p->fd < 0)
		return -errno;
	(void)setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (bind(p->fd, (const struct sockaddr *)&sa, len) < 0)
		return -errno;
	len = sizeof(sa);
	if (getsockname(p->fd, (struct sockaddr *)&sa, &len) < 0)
		return -errno;
	(void)addr_from_sockaddr(&p->lo, (const struct sockaddr *)&sa);
	addr_format(&p->lo, text);
	printf("{\"addr\":\"%s\"}\n", text);
	fflush(stdout);
	return 0;
}

static int
open_endpoint(struct prog *p)
{
	struct identity_cert cert;
	struct quic_params q = {
		.server = p->server,
		.alpn = { p->alpn },
		.peer_key = p->pin,
		.cc = p->cc,
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
	if (!p->no_cert) {
		q.cert_der = cert.der;
		q.cert_len = cert.len;
		q.seed = &p->seed;
	}
	r = quic_endpoint_new(&p->ep, &q);
	if (r == 0 && !p->server)
		r = quic_endpoint_connect(p->ep, mono_now(), NULL, &p->conn);
	return r;
}

static int
run(struct prog *p)
{
	struct loop_io *io;
	int r = open_socket(p);

	if (r < 0)
		return r;
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
	static struct prog p = { .n_streams = 4, .bytes = 1 << 20 };
	int r;

	if (secret_init() < 0)
		return 3;
	(void)addr_parse(&p.lo, "127.0.0.1:0");
	secret_random(&p.rng, sizeof(p.rng));
	r = parse_args(&p, argc, argv);
	if (r == 0)
		r = run(&p);
	if (r < 0) {
		fprintf(stderr, "quic_udp: %s\n", err_str(r));
		return 2;
	}
	return p.status;
}
