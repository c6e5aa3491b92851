/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datagrams into a server and a client endpoint.  The input is a list of
 * datagrams, each behind two bytes of length; output is read in between and
 * time goes on.
 */
#include <stdlib.h>

#include "lib/buf.h"
#include "proto/quic/identity_cert.h"
#include "proto/quic/quic_conn.h"
#include "proto/quic/quic_endpoint.h"
#include "proto/quic/quic_stream.h"

#define UNIX_NOW INT64_C(1790000000)
#define STEP_US (50 * MONO_MS)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
on_data(
    void *arg, struct quic_stream *s, const uint8_t *p, size_t len, bool fin)
{
	(void)arg;
	(void)p;
	(void)fin;
	quic_stream_consume(s, len);
}

static struct quic_endpoint *
endpoint(bool server, struct mono now)
{
	static const struct key32 seed = { { 7 } };
	struct identity_cert cert;
	struct quic_endpoint *ep = NULL;
	struct quic_conn *c;
	struct quic_params p = { .server = server,
		.seed = &seed,
		.max_conns = 8,
		.events = { .stream_data = on_data } };

	if (identity_cert_make(&cert, &seed, UNIX_NOW) != 0)
		abort();
	p.cert_der = cert.der;
	p.cert_len = cert.len;
	secret_ed25519_public(&p.peer_key, &seed);
	if (quic_endpoint_new(&ep, &p) != 0)
		abort();
	if (!server && quic_endpoint_connect(ep, now, NULL, &c) != 0)
		abort();
	return ep;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[54 * QUIC_ENDPOINT_PAYLOAD];
	struct mono now = { MONO_SEC };
	struct buf_reader r = buf_reader(data, size);
	struct quic_endpoint *ep[2];
	struct quic_batch b = {
		.buf = buf, .cap = sizeof(buf), .max_pkts = 54
	};

	if (secret_init() != 0)
		abort();
	ep[0] = endpoint(true, now);
	ep[1] = endpoint(false, now);
	while (buf_remaining(&r) > 2) {
		size_t n = buf_get_u16(&r);
		const uint8_t *pkt;

		if (n > buf_remaining(&r))
			n = buf_remaining(&r);
		pkt = buf_peek_bytes(&r, n);
		now = mono_add(now, STEP_US);
		for (int i = 0; i < 2; i++) {
			quic_endpoint_input(ep[i], now, pkt, n);
			while (quic_endpoint_output(ep[i], now, &b) > 0)
				;
		}
	}
	quic_endpoint_free(ep[0]);
	quic_endpoint_free(ep[1]);
	return 0;
}
