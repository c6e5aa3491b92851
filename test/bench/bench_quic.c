/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How fast are the stacks alone?  Both ends in one process and thread, nothing
 * but memory between them: the sum of both ends' CPU time is the whole cost.
 *
 * usage: bench_quic quic|tls [MIB] [PAYLOAD] [bbr|cubic]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>
#include <sys/resource.h>

#include "lib/mono.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"
#include "proto/tls/tls.h"
#include "proto/tls/tls_selfsigned.h"

#define BATCH 54
#define HOST "relay.example"

struct run {
	uint64_t total, sent, got;
	struct quic_conn *conn[2];
	struct quic_stream *out;
	bool fin;
};

static uint8_t buf[BATCH * QUIC_ENDPOINT_MAX_PAYLOAD];

static void
pump(struct run *r)
{
	while (r->sent < r->total) {
		size_t n;
		uint8_t *p = quic_stream_reserve(r->out, &n);

		if (p == NULL)
			return;
		if (n > r->total - r->sent)
			n = (size_t)(r->total - r->sent);
		quic_stream_commit(r->out, n);
		r->sent += n;
	}
	quic_stream_fin(r->out);
}

static void
on_ready(void *arg, struct quic_conn *c)
{
	(void)arg;
	(void)c;
}

static void
on_data(
    void *arg, struct quic_stream *s, const uint8_t *p, size_t len, bool fin)
{
	struct run *r = arg;

	(void)p;
	r->got += len;
	r->fin = r->fin || fin;
	quic_stream_consume(s, len);
}

static void
on_writable(void *arg, struct quic_stream *s)
{
	(void)s;
	pump(arg);
}

static struct quic_endpoint *
endpoint(struct run *r, bool server, size_t payload, enum quic_cc cc)
{
	static const struct key32 seed = { { 9 } };
	struct identity_cert cert;
	struct quic_endpoint *ep = NULL;
	struct quic_params q = { .server = server,
		.seed = &seed,
		.payload = payload,
		.payload_in = payload,
		.cc = cc,
		.events = { .conn_ready = on_ready,
		    .stream_data = on_data,
		    .stream_writable = on_writable },
		.arg = r };

	(void)identity_cert_make(&cert, &seed, mono_unix_seconds());
	q.cert_der = cert.der;
	q.cert_len = cert.len;
	secret_ed25519_public(&q.peer_key, &seed);
	if (quic_endpoint_new(&ep, &q) != 0)
		abort();
	return ep;
}

static bool
move(struct quic_endpoint *from, struct quic_endpoint *to)
{
	struct quic_batch b = {
		.buf = buf, .cap = sizeof(buf), .max_pkts = BATCH
	};
	struct mono now = mono_now();
	const uint8_t *p = buf;

	if (quic_endpoint_output(from, now, &b) == 0)
		return false;
	for (size_t i = 0; i < b.n_pkts; p += b.lens[i], i++)
		quic_endpoint_input(to, now, p, b.lens[i]);
	return true;
}

static double
cpu_seconds(void)
{
	struct rusage u;

	(void)getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void
print_rate(const char *what, uint64_t bytes, struct mono began, double cpu)
{
	double s = (double)mono_diff(mono_now(), began) / 1e6;

	printf("%s: %.2f Gb/s, %.2f CPU-s/GiB for both ends, %.2f s\n", what,
	    (double)bytes * 8 / s / 1e9,
	    cpu / ((double)bytes / (1024.0 * 1024 * 1024)), s);
}

static void
bench_quic(uint64_t total, size_t payload, enum quic_cc cc)
{
	struct run r = { .total = total };
	struct quic_endpoint *ep[2] = { endpoint(&r, false, payload, cc),
		endpoint(&r, true, payload, cc) };
	struct mono began;
	double cpu;

	if (quic_endpoint_connect(ep[0], mono_now(), NULL, &r.conn[0]) != 0)
		abort();
	while (!quic_conn_is_ready(r.conn[0])) {
		(void)move(ep[0], ep[1]);
		(void)move(ep[1], ep[0]);
	}
	if (quic_conn_open_bidi(r.conn[0], NULL, &r.out) != 0)
		abort();
	began = mono_now();
	cpu = cpu_seconds();
	pump(&r);
	while (!r.fin) {
		(void)move(ep[0], ep[1]);
		(void)move(ep[1], ep[0]);
	}
	print_rate("quic", r.got, began, cpu_seconds() - cpu);
	quic_endpoint_free(ep[0]);
	quic_endpoint_free(ep[1]);
}

static void
carry(struct tls *from, struct tls *to)
{
	size_t n;
	const uint8_t *p = tls_output(from, &n);

	if (n > 0 && tls_input(to, p, n) == 0)
		tls_output_drop(from, n);
}

static void
bench_tls(uint64_t total, size_t step)
{
	static struct tls_selfsigned pair;
	struct tls_peer peer = { .host = HOST,
		.unix_now = mono_unix_seconds() };
	struct tls_ctx *cctx, *sctx;
	struct tls *c, *s;
	uint64_t got = 0, sent = 0;
	struct mono began;
	double cpu;
	ssize_t n;

	if (tls_selfsigned_make(&pair, HOST, peer.unix_now) != 0 ||
	    tls_ctx_new_server(&sctx, pair.cert_pem, strlen(pair.cert_pem),
		pair.key_pem, strlen(pair.key_pem)) != 0 ||
	    tls_ctx_new_client(&cctx, pair.cert_pem, strlen(pair.cert_pem)) !=
		0 ||
	    tls_new_server(&s, sctx) != 0 ||
	    tls_new_client(&c, cctx, &peer) != 0)
		abort();
	while (!tls_is_ready(c) || !tls_is_ready(s)) {
		carry(c, s);
		(void)tls_step(s);
		carry(s, c);
		(void)tls_step(c);
	}
	began = mono_now();
	cpu = cpu_seconds();
	while (got < total) {
		for (size_t k = 0; k < 128u * 1024 && sent < total; k += step) {
			n = tls_write(s, buf, step);
			if (n <= 0)
				break;
			sent += (size_t)n;
		}
		carry(s, c);
		while ((n = tls_read(c, buf, 65536)) > 0)
			got += (size_t)n;
	}
	print_rate("tls", got, began, cpu_seconds() - cpu);
	tls_free(c);
	tls_free(s);
	tls_ctx_free(cctx);
	tls_ctx_free(sctx);
}

int
main(int argc, char **argv)
{
	uint64_t mib = argc > 2 ? strtoull(argv[2], NULL, 10) : 1024;
	size_t size = argc > 3 ? strtoul(argv[3], NULL, 10) : 1200;
	bool cubic = argc > 4 && strcmp(argv[4], "cubic") == 0;

	if (secret_init() != 0)
		return 1;
	/* Else every turn's queues are given back to the kernel and faulted
	 * in again. */
	(void)mallopt(M_MMAP_THRESHOLD, 4 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 32 << 20);
	if (argc > 1 && strcmp(argv[1], "tls") == 0)
		bench_tls(mib << 20, size);
	else
		bench_quic(
		    mib << 20, size, cubic ? QUIC_CC_CUBIC : QUIC_CC_BBR);
	return 0;
}
