/* SPDX-License-Identifier: BSD-3-Clause */
/* How connections are refused and how they end. */
#include "test/tap.h"
#include "test/unit/quic_pair.h"

static struct pair *
run_to_close(struct quic_params *a, struct quic_params *b, struct pair *p)
{
	if (pair_start(p, a, b) != 0)
		OK(false, "start");
	(void)pair_run(p, 40 * MONO_SEC, pair_both_closed);
	return p;
}

static void
expect(const struct pair_side *sd, enum quic_close_kind kind, uint64_t code,
    bool by_peer, int r, const char *what)
{
	OK(sd->n_closed == 1 && sd->why.kind == kind && sd->why.code == code &&
		sd->why.by_peer == by_peer && sd->why.r == r,
	    "%s: %s", what, sd->name);
	printf("# kind %d code %llu by_peer %d r %d\n", sd->why.kind,
	    (unsigned long long)sd->why.code, sd->why.by_peer, sd->why.r);
}

static void
test_wrong_pins(void)
{
	struct pair *p = pair_new(1);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);

	a.peer_key.b[31] ^= 1;
	run_to_close(&a, NULL, p);
	expect(&p->side[0], QUIC_CLOSE_TLS, 42, false, -DT_ERR_AUTH,
	    "client pins another key");
	expect(&p->side[1], QUIC_CLOSE_TLS, 42, true, -DT_ERR_AUTH,
	    "client pins another key");
	OK(p->side[0].n_ready == 0 && p->side[1].n_ready == 0, "never ready");
	pair_free(p);

	p = pair_new(2);
	b = pair_params(p, 1);
	b.peer_key.b[0] ^= 1;
	run_to_close(NULL, &b, p);
	expect(&p->side[0], QUIC_CLOSE_TLS, 42, true, -DT_ERR_AUTH,
	    "server pins another key");
	expect(&p->side[1], QUIC_CLOSE_TLS, 42, false, -DT_ERR_AUTH,
	    "server pins another key");
	OK(p->side[0].n_ready == 0 && p->side[1].n_ready == 0, "never ready");
	pair_free(p);
}

static void
test_no_certificate(void)
{
	struct pair *p = pair_new(3);
	struct quic_params a = pair_params(p, 0);

	a.cert_der = NULL;
	a.seed = NULL;
	run_to_close(&a, NULL, p);
	expect(&p->side[0], QUIC_CLOSE_TLS, 116, true, -DT_ERR_AUTH,
	    "no client certificate");
	expect(&p->side[1], QUIC_CLOSE_TLS, 116, false, -DT_ERR_AUTH,
	    "no client certificate");
	OK(p->side[0].n_ready == 0, "the client is never ready");
	pair_free(p);
}

static void
test_wrong_private_key(void)
{
	struct pair *p = pair_new(4);
	struct quic_params a = pair_params(p, 0);
	struct key32 other, other_public;

	secret_ed25519_keypair(&other, &other_public);
	a.seed = &other;
	run_to_close(&a, NULL, p);
	expect(&p->side[1], QUIC_CLOSE_TLS, 51, false, -DT_ERR_AUTH,
	    "certificate without its key");
	expect(&p->side[0], QUIC_CLOSE_TLS, 51, true, -DT_ERR_AUTH,
	    "certificate without its key");
	pair_free(p);
}

static void
test_alpn(void)
{
	struct pair *p = pair_new(5);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);

	a.alpn[0] = "something-else/1";
	run_to_close(&a, NULL, p);
	expect(&p->side[0], QUIC_CLOSE_TLS, 120, true, -DT_ERR_TLS,
	    "no common ALPN");
	expect(&p->side[1], QUIC_CLOSE_TLS, 120, false, -DT_ERR_TLS,
	    "no common ALPN");
	pair_free(p);

	p = pair_new(6);
	a = pair_params(p, 0);
	b = pair_params(p, 1);
	a.alpn[0] = b.alpn[0] = "native/1";
	a.alpn[1] = b.alpn[1] = QUIC_ENDPOINT_ALPN;
	if (pair_start(p, &a, &b) == 0 &&
	    OK(pair_run(p, MONO_SEC, pair_both_ready), "two protocols"))
		EQ_STR(quic_conn_alpn(p->side[0].conn), "native/1",
		    "the first common one wins");
	pair_free(p);

	p = pair_new(7);
	a = pair_params(p, 0);
	a.alpn[0] = "native/1";
	a.alpn[1] = QUIC_ENDPOINT_ALPN;
	if (pair_start(p, &a, NULL) == 0 &&
	    OK(pair_run(p, MONO_SEC, pair_both_ready), "new and old peer"))
		EQ_STR(quic_conn_alpn(p->side[1].conn), QUIC_ENDPOINT_ALPN,
		    "fall back to the old one");
	pair_free(p);
}

struct signer {
	struct key32 seed;
	int calls, refuse;
	uint8_t prefix[98];
	size_t len;
};

static int
sign_for(void *arg, const uint8_t *msg, size_t len, uint8_t ret_sig[static 64])
{
	struct signer *sg = arg;

	sg->calls++;
	sg->len = len;
	memcpy(sg->prefix, msg, len < 98 ? len : 98);
	if (sg->refuse != 0)
		return sg->refuse;
	secret_ed25519_sign(ret_sig, &sg->seed, msg, len);
	return 0;
}

/* The start of what a signer is asked to sign, RFC 8446 4.4.3. */
static bool
is_verify_input(const struct signer *sg, const char *role)
{
	char want[99];

	memset(want, ' ', 64);
	(void)snprintf(want + 64, sizeof(want) - 64,
	    "TLS 1.3, %s CertificateVerify", role);
	return sg->len == 130 && memcmp(sg->prefix, want, 98) == 0;
}

static void
test_signer(void)
{
	for (int side = 0; side < 2; side++) {
		struct pair *p = pair_new(8);
		struct quic_params q[2] = { pair_params(p, 0),
			pair_params(p, 1) };
		struct signer sg = { .seed = p->side[side].seed };
		const char *role = p->side[side].name;

		q[side].seed = NULL;
		q[side].sign = sign_for;
		q[side].sign_arg = &sg;
		if (pair_start(p, &q[0], &q[1]) == 0)
			OK(pair_run(p, MONO_SEC, pair_both_ready),
			    "%s with an outside key", role);
		EQ_INT(sg.calls, 1, "asked once");
		OK(is_verify_input(&sg, role), "for its own role");
		pair_free(p);

		p = pair_new(9);
		q[0] = pair_params(p, 0);
		q[1] = pair_params(p, 1);
		sg = (struct signer){ .refuse = -DT_ERR_AUTH };
		q[side].seed = NULL;
		q[side].sign = sign_for;
		q[side].sign_arg = &sg;
		run_to_close(&q[0], &q[1], p);
		expect(&p->side[side], QUIC_CLOSE_TLS, 80, false, -DT_ERR_TLS,
		    "the signer refuses");
		expect(&p->side[1 - side], QUIC_CLOSE_TLS, 80, true,
		    -DT_ERR_TLS, "the signer refuses");
		pair_free(p);
	}
}

static bool
client_ready(struct pair *p)
{
	return p->side[0].n_ready > 0;
}

static void
test_idle(void)
{
	struct pair *p = pair_new(10);
	struct quic_params a = pair_params(p, 0), b = pair_params(p, 1);
	int64_t began;

	a.keep_alive_us = b.keep_alive_us = -1;
	b.idle_timeout_us = 10 * MONO_SEC;
	if (pair_start(p, &a, &b) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	began = p->now.us;
	OK(pair_run(p, 60 * MONO_SEC, pair_both_closed), "silence ends both");
	printf("# after %lld ms\n", (long long)(p->now.us - began) / 1000);
	OK(p->now.us - began > 9 * MONO_SEC &&
		p->now.us - began < 12 * MONO_SEC,
	    "after the smaller of both timeouts");
	expect(
	    &p->side[0], QUIC_CLOSE_IDLE, 0, false, -DT_ERR_PEER_GONE, "idle");
	expect(
	    &p->side[1], QUIC_CLOSE_IDLE, 0, false, -DT_ERR_PEER_GONE, "idle");
	OK(quic_endpoint_is_drained(p->side[0].ep), "nothing is left to say");
	pair_free(p);

	p = pair_new(11);
	a = pair_params(p, 0);
	b = pair_params(p, 1);
	b.keep_alive_us = -1;
	if (pair_start(p, &a, &b) != 0)
		OK(false, "start");
	(void)pair_run(p, 300 * MONO_SEC, NULL);
	OK(p->side[0].n_closed == 0 && p->side[1].n_closed == 0,
	    "keep-alive on one side holds it for minutes");
	OK(p->side[0].pkts < 150, "with few packets");
	p->hole = true;
	(void)pair_run(p, 60 * MONO_SEC, pair_both_closed);
	expect(&p->side[0], QUIC_CLOSE_IDLE, 0, false, -DT_ERR_PEER_GONE,
	    "dead path");
	pair_free(p);
}

static void
test_handshake_timeout(void)
{
	struct pair *p = pair_new(12);

	p->hole = true;
	if (pair_start(p, NULL, NULL) != 0)
		OK(false, "start");
	(void)pair_run(p, 60 * MONO_SEC, NULL);
	expect(&p->side[0], QUIC_CLOSE_HANDSHAKE, 0, false, -DT_ERR_TIMEOUT,
	    "nobody answers");
	OK(p->side[0].pkts > 2, "the client has tried again");
	pair_free(p);
}

static void
test_close_codes(void)
{
	static const struct {
		uint64_t code;
		const char *reason;
		int r;
	} rows[] = {
		{ 0, "", -DT_ERR_CLOSED },
		{ 1, "dial failed", -DT_ERR_PEER_ABORTED },
	};

	for (size_t i = 0; i < 2; i++) {
		struct pair *p = pair_new(13);
		struct pair_stream *c, *s;

		if (pair_start(p, NULL, NULL) != 0 ||
		    !pair_run(p, MONO_SEC, client_ready))
			OK(false, "handshake");
		p->side[1].no_answer = true;
		c = pair_must_open(&p->side[0], 100);
		(void)pair_run(p, MONO_SEC, NULL);
		s = pair_get(&p->side[1], c->id);
		quic_conn_close(p->side[0].conn, rows[i].code, rows[i].reason);
		(void)pair_run(p, MONO_SEC, pair_both_closed);
		expect(&p->side[0], QUIC_CLOSE_LOCAL, rows[i].code, false, 0,
		    "close");
		expect(&p->side[1], QUIC_CLOSE_APP, rows[i].code, true,
		    rows[i].r, "close");
		EQ_STR(p->side[1].why.reason, rows[i].reason, "reason");
		OK(c->closed && s->closed && !c->clean && !s->clean,
		    "streams end before their connection");
		OK(quic_endpoint_is_drained(p->side[0].ep), "drained");
		EQ_INT(quic_endpoint_count(p->side[0].ep), 0, "no connection");
		pair_free(p);
	}
}

/* The packet that says good-bye is lost: the peer's next one is answered. */
static void
test_lost_close(void)
{
	struct pair *p = pair_new(14);

	if (pair_start(p, NULL, NULL) != 0 ||
	    !pair_run(p, MONO_SEC, pair_both_ready))
		OK(false, "handshake");
	(void)pair_run(p, MONO_SEC, NULL);
	p->hole = true;
	quic_conn_close(p->side[0].conn, 0, "complete");
	pair_flush(p, 0);
	p->hole = false;
	(void)pair_run(p, 20 * MONO_MS, NULL);
	EQ_INT(p->side[1].n_closed, 0, "the close was lost");
	quic_conn_ping(p->side[1].conn);
	(void)pair_run(p, 100 * MONO_MS, NULL);
	EQ_INT(p->side[1].n_closed, 1, "and is repeated when asked");
	EQ_STR(p->side[1].why.reason, "complete", "with its reason");
	(void)pair_run(p, 10 * MONO_SEC, NULL);
	pair_free(p);
}

static void
test_version(void)
{
	struct pair *p = pair_new(15);
	struct quic_params b = pair_params(p, 1);
	struct quic_batch out = {
		.buf = p->buf, .cap = sizeof(p->buf), .max_pkts = PAIR_BATCH
	};
	uint8_t pkt[1200] = { 0xc0, 0x0a, 0x1a, 0x2a, 0x3a, 8, 1, 2, 3, 4, 5, 6,
		7, 8, 3, 9, 9, 9 };

	if (quic_endpoint_new(&p->side[1].ep, &b) != 0)
		OK(false, "endpoint");
	quic_endpoint_input(p->side[1].ep, p->now, pkt, sizeof(pkt));
	quic_endpoint_input(p->side[1].ep, p->now, pkt, sizeof(pkt));
	EQ_INT(quic_endpoint_output(p->side[1].ep, p->now, &out), 1,
	    "an unknown version is answered once");
	OK(out.len == 7 + 3 + 8 + 8 && (p->buf[0] & 0x80) != 0 &&
		memcmp(p->buf + 1,
		    "\0\0\0\0\3\t\t\t\10\1\2\3\4\5\6\7\10\0\0\0"
		    "\1",
		    21) == 0,
	    "with Version Negotiation and version 1");
	quic_endpoint_input(p->side[1].ep, p->now, pkt, 1199);
	EQ_INT(quic_endpoint_output(p->side[1].ep, p->now, &out), 0,
	    "a short one is not answered");
	EQ_INT(quic_endpoint_count(p->side[1].ep), 0, "no connection");
	pair_free(p);
}

static void
test_params(void)
{
	struct pair *p = pair_new(16);
	struct quic_params a;
	struct quic_endpoint *ep = NULL;
	struct quic_conn *c;

	a = pair_params(p, 0);
	a.seed = NULL;
	EQ_INT(quic_endpoint_new(&ep, &a), -DT_ERR_KEY, "no private key");
	a = pair_params(p, 1);
	a.cert_der = NULL;
	EQ_INT(quic_endpoint_new(&ep, &a), -DT_ERR_KEY,
	    "a server without certificate");
	a = pair_params(p, 0);
	a.cert_len = 20;
	EQ_INT(quic_endpoint_new(&ep, &a), -DT_ERR_KEY, "a broken certificate");
	a = pair_params(p, 0);
	a.payload = QUIC_ENDPOINT_MIN_PAYLOAD - 1;
	EQ_INT(quic_endpoint_new(&ep, &a), -ERANGE, "payload too small");
	a.payload = QUIC_ENDPOINT_MAX_PAYLOAD + 1;
	EQ_INT(quic_endpoint_new(&ep, &a), -ERANGE, "payload too large");
	a = pair_params(p, 0);
	a.max_conns = 4097;
	EQ_INT(quic_endpoint_new(&ep, &a), -ERANGE, "too many connections");
	a = pair_params(p, 0);
	a.alpn[0] = "a-protocol-name-that-is-longer-than-32";
	EQ_INT(quic_endpoint_new(&ep, &a), -ERANGE, "ALPN too long");
	OK(ep == NULL, "nothing was given");
	a = pair_params(p, 0);
	a.max_conns = 1;
	EQ_INT(quic_endpoint_new(&ep, &a), 0, "one connection");
	EQ_INT(quic_endpoint_connect(ep, p->now, &a, &c), 0, "the first");
	OK(quic_conn_user(c) == &a, "carries the user's pointer");
	EQ_INT(quic_endpoint_connect(ep, p->now, NULL, &c), -DT_ERR_LIMIT,
	    "the second");
	EQ_INT(quic_endpoint_set_payload(ep, 1452), 0, "payload 1452");
	EQ_INT(quic_endpoint_set_payload(ep, 1453), -ERANGE, "payload 1453");
	quic_endpoint_free(ep);
	a = pair_params(p, 1);
	EQ_INT(quic_endpoint_new(&ep, &a), 0, "a server");
	EQ_INT(quic_endpoint_connect(ep, p->now, NULL, &c), -DT_ERR_STATE,
	    "does not connect");
	quic_endpoint_free(ep);
	quic_endpoint_free(NULL);
	pair_free(p);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	test_wrong_pins();
	test_no_certificate();
	test_wrong_private_key();
	test_alpn();
	test_signer();
	test_idle();
	test_handshake_timeout();
	test_close_codes();
	test_lost_close();
	test_version();
	test_params();
	return tap_done();
}
