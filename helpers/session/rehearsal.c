/* SPDX-License-Identifier: BSD-3-Clause */
#include "helpers/session/rehearsal.h"

#include <stdlib.h>

#include "lib/err.h"
#include "lib/mono.h"
#include "lib/secret.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"
#include "proto/rendezvous/claimer.h"

/* Six flights are enough for a handshake that loses nothing. */
#define REHEARSAL_FLIGHTS 12
#define REHEARSAL_PACKETS 16

struct rehearsal {
	struct quic_endpoint *ends[2]; /* client, server */
	size_t n_ready;
	uint8_t buf[REHEARSAL_PACKETS * QUIC_ENDPOINT_PAYLOAD];
};

static void
on_ready(void *arg, struct quic_conn *c)
{
	struct rehearsal *r = arg;

	(void)c;
	r->n_ready++;
}

static void
on_data(
    void *arg, struct quic_stream *s, const uint8_t *p, size_t len, bool fin)
{
	(void)arg;
	(void)p;
	(void)fin;
	quic_stream_consume(s, len);
}

static int
make_end(struct rehearsal *r, bool server, const struct key32 *seed,
    const struct key32 *peer)
{
	struct quic_params p = {
		.server = server,
		.seed = seed,
		.peer_key = *peer,
		.payload = QUIC_ENDPOINT_MIN_PAYLOAD,
		.cc = QUIC_CC_BBR,
		.events = { .conn_ready = on_ready, .stream_data = on_data },
		.arg = r,
	};
	struct identity_cert cert;
	int res = identity_cert_make(&cert, seed, mono_unix_seconds());

	p.cert_der = cert.der;
	p.cert_len = cert.len;
	return res == 0 ? quic_endpoint_new(&r->ends[server], &p) : res;
}

/* What one end has for the other. */
static void
carry(struct rehearsal *r, bool from_server)
{
	struct quic_batch b = { .buf = r->buf,
		.cap = sizeof(r->buf),
		.max_pkts = REHEARSAL_PACKETS };
	struct mono now = mono_now();
	const uint8_t *p = r->buf;

	(void)quic_endpoint_output(r->ends[from_server], now, &b);
	for (size_t i = 0; i < b.n_pkts; p += b.lens[i++])
		quic_endpoint_input(r->ends[!from_server], now, p, b.lens[i]);
}

static void
handshake(struct rehearsal *r)
{
	struct key32 seeds[2], keys[2];
	struct quic_conn *conn;
	int res = 0;

	for (size_t i = 0; i < 2; i++)
		secret_ed25519_keypair(&seeds[i], &keys[i]);
	for (size_t i = 0; i < 2 && res == 0; i++)
		res = make_end(r, i == 1, &seeds[i], &keys[1 - i]);
	if (res == 0)
		res =
		    quic_endpoint_connect(r->ends[0], mono_now(), NULL, &conn);
	for (size_t i = 0; i < REHEARSAL_FLIGHTS && res == 0; i++)
		carry(r, i % 2 == 1);
	quic_endpoint_free(r->ends[0]);
	quic_endpoint_free(r->ends[1]);
	secret_wipe(seeds, sizeof(seeds));
}

/* To nobody. */
static void
claim(void)
{
	struct claimer_params p = { .version = 5 };
	struct claimer *c;
	const uint8_t *packet;
	size_t len;

	secret_random(&p.bearer, sizeof(p.bearer));
	secret_random(&p.peer_derp, sizeof(p.peer_derp));
	c = claimer_new(&p, mono_now());
	if (c != NULL)
		(void)claimer_output(c, mono_now(), &packet, &len);
	claimer_free(c);
}

bool
rehearsal_run(void)
{
	struct rehearsal *r = calloc(1, sizeof(*r));
	bool good;

	if (r == NULL)
		return false;
	claim();
	handshake(r);
	good = r->n_ready == 2;
	free(r);
	return good;
}
