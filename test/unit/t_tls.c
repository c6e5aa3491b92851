/* SPDX-License-Identifier: BSD-3-Clause */
/* Client and server joined in memory. */
#include <errno.h>
#include <stdlib.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/err.h"
#include "proto/tls/tls.h"
#include "proto/tls/tls_selfsigned.h"
#include "test/tap.h"

#define NOW INT64_C(1790000000)
#define YEAR (INT64_C(366) * 86400)
#define HOST "relay.example"

static struct tls_selfsigned self; /* for HOST */

struct link {
	struct tls_ctx *cctx, *sctx;
	struct tls *c, *s;
	size_t c_bytes, s_bytes; /* ciphertext sent */
};

/* Move ciphertext one way in pieces of at most @piece; returns bytes. */
static size_t
carry(struct tls *from, struct tls *to, size_t piece)
{
	size_t n, sum = 0;
	const uint8_t *p;

	while ((p = tls_output(from, &n)) != NULL && n > 0) {
		if (n > piece)
			n = piece;
		if (tls_input(to, p, n) < 0)
			break;
		tls_output_drop(from, n);
		sum += n;
	}
	return sum;
}

static void
shake(struct link *l, size_t piece)
{
	for (int i = 0; i < 10; i++) {
		l->c_bytes += carry(l->c, l->s, piece);
		(void)tls_step(l->s);
		l->s_bytes += carry(l->s, l->c, piece);
		(void)tls_step(l->c);
	}
}

static void
link_open(struct link *l, const struct tls_selfsigned *pair, const char *ca,
    const struct tls_peer *peer)
{
	memset(l, 0, sizeof(*l));
	if (tls_ctx_new_server(&l->sctx, pair->cert_pem, strlen(pair->cert_pem),
		pair->key_pem, strlen(pair->key_pem)) != 0 ||
	    tls_ctx_new_client(&l->cctx, ca, ca != NULL ? strlen(ca) : 0) !=
		0 ||
	    tls_new_server(&l->s, l->sctx) != 0 ||
	    tls_new_client(&l->c, l->cctx, peer) != 0) {
		OK(false, "contexts");
		exit(tap_done());
	}
}

static void
link_close(struct link *l)
{
	tls_free(l->c);
	tls_free(l->s);
	tls_ctx_free(l->cctx);
	tls_ctx_free(l->sctx);
}

static void
expect(const struct tls_selfsigned *pair, const char *ca,
    const struct tls_peer *peer, int want, const char *what)
{
	struct link l;
	int r;

	link_open(&l, pair, ca, peer);
	shake(&l, 100000);
	r = tls_step(l.c);
	EQ_INT(r, want, "%s", what);
	OK(tls_is_ready(l.c) == (want == 0), "and is %s",
	    want == 0 ? "ready" : "not ready");
	OK((tls_error_text(l.c)[0] != '\0') == (want != 0), "text: %s",
	    tls_error_text(l.c));
	if (want != 0)
		EQ_INT(tls_step(l.s), -DT_ERR_TLS, "the server gets an alert");
	link_close(&l);
}

static void
test_roots(void)
{
	struct tls_selfsigned other, ip;
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };

	expect(&self, self.cert_pem, &peer, 0, "own root");
	peer.host = HOST ".";
	expect(&self, self.cert_pem, &peer, 0, "name with a trailing dot");
	peer.host = HOST;
	EQ_INT(tls_selfsigned_make(&other, HOST, NOW), 0, "another");
	expect(&self, other.cert_pem, &peer, -DT_ERR_CERT_UNTRUSTED,
	    "another root");
	expect(&self, NULL, &peer, -DT_ERR_CERT_UNTRUSTED, "system roots");
	peer.unix_now = NOW + YEAR;
	expect(&self, self.cert_pem, &peer, -DT_ERR_CERT_UNTRUSTED, "expired");
	peer.unix_now = NOW - 7200;
	expect(&self, self.cert_pem, &peer, -DT_ERR_CERT_UNTRUSTED,
	    "not yet valid");
	peer.unix_now = NOW;
	peer.host = "other.example";
	expect(&self, self.cert_pem, &peer, -DT_ERR_CERT_UNTRUSTED,
	    "another name");
	peer.cert_name = HOST;
	expect(&self, self.cert_pem, &peer, 0, "another name allowed");
	peer.cert_name = "third.example";
	peer.host = HOST;
	expect(&self, self.cert_pem, &peer, -DT_ERR_CERT_UNTRUSTED,
	    "a third name demanded");
	EQ_INT(tls_selfsigned_make(&ip, "192.0.2.1", NOW), 0, "IPv4");
	peer = (struct tls_peer){ .host = "192.0.2.1", .unix_now = NOW };
	expect(&ip, ip.cert_pem, &peer, 0, "IPv4 literal");
	peer.host = "192.0.2.2";
	expect(&ip, ip.cert_pem, &peer, -DT_ERR_CERT_UNTRUSTED, "another IP");
	EQ_INT(tls_selfsigned_make(&ip, "2001:db8::1", NOW), 0, "IPv6");
	peer.host = "2001:db8:0::1";
	expect(&ip, ip.cert_pem, &peer, 0, "IPv6 literal, another spelling");
}

static void
test_pins(void)
{
	char pin[TLS_CTX_PIN_LEN];
	struct tls_selfsigned ip;
	struct tls_ctx *ctx;
	struct tls_peer peer = {
		.host = HOST, .cert_name = pin, .unix_now = NOW
	};

	if (tls_ctx_new_server(&ctx, self.cert_pem, strlen(self.cert_pem),
		self.key_pem, strlen(self.key_pem)) != 0)
		return;
	tls_ctx_pin(ctx, pin);
	OK(strlen(pin) == 75 && strncmp(pin, "sha256-raw:", 11) == 0,
	    "pin text");
	OK(tls_ctx_expiry(ctx) == NOW + INT64_C(365) * 86400, "expiry");
	tls_ctx_free(ctx);
	expect(&self, NULL, &peer, 0, "pin");
	peer.host = "192.0.2.7";
	expect(&self, NULL, &peer, 0, "pin, IP without SAN");
	peer.host = "other.example";
	expect(&self, NULL, &peer, -DT_ERR_CERT_UNTRUSTED, "pin, another name");
	peer.host = HOST;
	peer.unix_now = NOW + YEAR;
	expect(&self, NULL, &peer, -DT_ERR_CERT_UNTRUSTED, "pin, expired");
	peer.unix_now = NOW;
	pin[74] = pin[74] == '0' ? '1' : '0';
	expect(&self, self.cert_pem, &peer, -DT_ERR_CERT_PIN, "wrong pin");
	EQ_INT(tls_selfsigned_make(&ip, HOST, NOW), 0, "same name again");
	pin[74] = pin[74] == '0' ? '1' : '0';
	expect(&ip, self.cert_pem, &peer, -DT_ERR_CERT_PIN, "other key");
}

static void
test_chain_pin(void)
{
	struct tls_selfsigned two = self, extra;
	char pin[TLS_CTX_PIN_LEN];
	struct tls_peer peer = {
		.host = HOST, .cert_name = pin, .unix_now = NOW
	};
	struct tls_ctx *ctx;

	if (tls_selfsigned_make(&extra, "extra.example", NOW) != 0 ||
	    tls_ctx_new_server(&ctx, self.cert_pem, strlen(self.cert_pem),
		self.key_pem, strlen(self.key_pem)) != 0)
		return;
	tls_ctx_pin(ctx, pin);
	tls_ctx_free(ctx);
	(void)snprintf(two.cert_pem, sizeof(two.cert_pem), "%s%s",
	    self.cert_pem, extra.cert_pem);
	expect(&two, NULL, &peer, -DT_ERR_CERT_PIN,
	    "a pinned server with two certificates");
}

static void
test_bad_arguments(void)
{
	static const char *const bad_names[] = {
		"sha256-raw:",
		"sha256-raw:00",
		"sha256-raw:"
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
		"AAAAAAAAAAAA",
		"a name",
	};
	static const char *const bad_hosts[] = { "", ".", "a/b", "[::1]",
		"a b" };
	struct tls_ctx *ctx = NULL, *none = NULL;
	struct tls_selfsigned pair, other;
	struct tls *t = NULL;
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };

	EQ_INT(tls_ctx_new_client(&none, "nonsense", 8), -DT_ERR_SYNTAX,
	    "roots that are none");
	EQ_INT(tls_ctx_new_client(&none, "", TLS_CTX_MAX_PEM + 1),
	    -DT_ERR_TOO_LONG, "roots without end");
	EQ_INT(tls_ctx_new_server(
		   &none, "x", 1, self.key_pem, strlen(self.key_pem)),
	    -DT_ERR_SYNTAX, "bad certificate");
	EQ_INT(tls_ctx_new_server(
		   &none, self.cert_pem, strlen(self.cert_pem), "x", 1),
	    -DT_ERR_SYNTAX, "bad key");
	EQ_INT(tls_selfsigned_make(&other, HOST, NOW), 0, "make");
	EQ_INT(tls_ctx_new_server(&none, self.cert_pem, strlen(self.cert_pem),
		   other.key_pem, strlen(other.key_pem)),
	    -DT_ERR_KEY, "another certificate's key");
	OK(none == NULL, "nothing was given");
	EQ_INT(tls_selfsigned_make(&pair, "", NOW), -DT_ERR_SYNTAX, "no name");
	EQ_INT(tls_selfsigned_make(&pair, "a,DNS:b", NOW), -DT_ERR_SYNTAX,
	    "a name with a trick");
	EQ_INT(tls_ctx_new_client(&ctx, NULL, 0), 0, "system roots");
	for (size_t i = 0; i < 4; i++) {
		peer.cert_name = bad_names[i];
		EQ_INT(tls_new_client(&t, ctx, &peer), -DT_ERR_SYNTAX,
		    "cert_name \"%s\"", bad_names[i]);
	}
	peer.cert_name = NULL;
	for (size_t i = 0; i < 5; i++) {
		peer.host = bad_hosts[i];
		EQ_INT(tls_new_client(&t, ctx, &peer), -DT_ERR_SYNTAX,
		    "host \"%s\"", bad_hosts[i]);
	}
	tls_ctx_free(ctx);
	tls_ctx_free(NULL);
	tls_free(NULL);
}

static void
test_metacert(void)
{
	struct key32 key, got;
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };
	char pin[TLS_CTX_PIN_LEN];
	struct link l;

	for (size_t i = 0; i < sizeof(key.b); i++)
		key.b[i] = (uint8_t)(i * 7 + 1);
	link_open(&l, &self, self.cert_pem, &peer);
	shake(&l, 7);
	OK(tls_is_ready(l.c) && tls_is_ready(l.s), "seven bytes at a time");
	EQ_STR(tls_version_text(l.c), "TLSv1.3", "version");
	OK(!tls_peer_metacert(l.c, &got), "no meta certificate");
	tls_free(l.c);
	tls_free(l.s);
	l.c = l.s = NULL;
	EQ_INT(tls_ctx_add_metacert(l.sctx, &key, NOW), 0, "add one");
	tls_ctx_pin(l.sctx, pin);
	peer.cert_name = pin;
	if (tls_new_server(&l.s, l.sctx) != 0 ||
	    tls_new_client(&l.c, l.cctx, &peer) != 0)
		return;
	shake(&l, 100000);
	OK(tls_is_ready(l.c), "a pin does not count it");
	OK(tls_peer_metacert(l.c, &got) &&
		memcmp(got.b, key.b, sizeof(key.b)) == 0,
	    "and the key comes out");
	link_close(&l);
}

/* What the meta certificate looks like to an independent TLS client. */
static void
test_metacert_form(void)
{
	struct key32 key = { { 0xab } };
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };
	SSL_CTX *raw = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(raw);
	STACK_OF(X509) * chain;
	X509 *x;
	struct link l;
	char buf[4096];

	link_open(&l, &self, self.cert_pem, &peer);
	EQ_INT(tls_ctx_add_metacert(l.sctx, &key, NOW), 0, "add");
	tls_free(l.s);
	if (tls_new_server(&l.s, l.sctx) != 0)
		return;
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	SSL_set_connect_state(ssl);
	for (int i = 0; i < 4; i++) {
		const uint8_t *p;
		size_t n;
		int k;

		(void)SSL_do_handshake(ssl);
		while ((k = BIO_read(SSL_get_wbio(ssl), buf, sizeof(buf))) > 0)
			(void)tls_input(l.s, buf, (size_t)k);
		(void)tls_step(l.s);
		p = tls_output(l.s, &n);
		(void)BIO_write(SSL_get_rbio(ssl), p, (int)n);
		tls_output_drop(l.s, n);
	}
	OK(SSL_is_init_finished(ssl), "handshake");
	EQ_STR(SSL_get_cipher_name(ssl), "TLS_AES_128_GCM_SHA256", "suite");
	chain = SSL_get_peer_cert_chain(ssl);
	EQ_INT(sk_X509_num(chain), 2, "two certificates");
	x = sk_X509_value(chain, 1);
	EQ_INT(i2d_X509(x, NULL), 359, "size of the meta certificate");
	EQ_INT(ASN1_INTEGER_get(X509_get0_serialNumber(x)), 2, "serial");
	EQ_INT(X509_get_ext_count(x), 1, "one extension");
	EQ_INT(X509_verify(x, X509_get0_pubkey(x)), 1, "signs itself");
	EQ_INT(ASN1_TIME_cmp_time_t(
		   X509_get0_notAfter(x), (time_t)(NOW + 30 * 86400)),
	    0, "thirty days");
	SSL_free(ssl);
	SSL_CTX_free(raw);
	link_close(&l);
}

static uint8_t
pattern(size_t i)
{
	return (uint8_t)(i * 13 + (i >> 8) + (i >> 16));
}

/* Send @len bytes in writes of @step and read them at the other end. */
static void
test_data(size_t len, size_t step)
{
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };
	uint8_t *src = malloc(len), *dst = malloc(len);
	size_t sent = 0, got = 0, wire = 0;
	struct link l;
	ssize_t n;

	if (src == NULL || dst == NULL)
		exit(1);
	for (size_t i = 0; i < len; i++)
		src[i] = pattern(i);
	link_open(&l, &self, self.cert_pem, &peer);
	shake(&l, 100000);
	for (int turn = 0; got < len && turn < 100000; turn++) {
		while (sent < len) {
			size_t k = len - sent < step ? len - sent : step;

			n = tls_write(l.s, src + sent, k);
			if (n <= 0)
				break;
			sent += (size_t)n;
		}
		wire += carry(l.s, l.c, 300000);
		while ((n = tls_read(l.c, dst + got, len - got)) > 0)
			got += (size_t)n;
	}
	OK(got == len && memcmp(src, dst, len) == 0,
	    "%zu bytes in writes of %zu", len, step);
	OK(wire - len <= (len / TLS_MAX_RECORD + 8) * 40,
	    "go in full records (%zu bytes more)", wire - len);
	free(src);
	free(dst);
	link_close(&l);
}

static void
test_bounds(void)
{
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };
	static uint8_t big[2 * TLS_MAX_QUEUED];
	struct link l;
	size_t n;

	link_open(&l, &self, self.cert_pem, &peer);
	EQ_INT(tls_write(l.c, "x", 1), -EAGAIN, "no write before handshake");
	EQ_INT(tls_write_room(l.c), 0, "no room either");
	EQ_INT(tls_read(l.c, big, 1), -EAGAIN, "nothing to read");
	shake(&l, 100000);
	EQ_INT(tls_write(l.c, "", 0), 0, "empty write");
	EQ_INT(tls_write(l.c, big, sizeof(big)), TLS_MAX_QUEUED,
	    "a write takes what has room");
	EQ_INT(tls_write(l.c, big, 1), -EAGAIN, "and then nothing");
	(void)tls_output(l.c, &n);
	OK(n > TLS_MAX_QUEUED && n < TLS_MAX_QUEUED + 8192, "all is sealed");
	EQ_INT(tls_input(l.s, big, TLS_MAX_QUEUED + 1), -DT_ERR_FULL,
	    "input is bounded");
	OK(tls_input_reserve(l.s, TLS_MAX_QUEUED + 1, &n) == NULL,
	    "reserve too");
	link_close(&l);
}

static void
test_ends(void)
{
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };
	char buf[64];
	struct link l;

	link_open(&l, &self, self.cert_pem, &peer);
	shake(&l, 100000);
	EQ_INT(tls_write(l.s, "bye", 3), 3, "last words");
	tls_close(l.s);
	tls_close(l.s);
	EQ_INT(tls_write(l.s, "x", 1), -DT_ERR_CLOSED, "no write after close");
	(void)carry(l.s, l.c, 100000);
	tls_input_eof(l.c);
	EQ_INT(tls_read(l.c, buf, sizeof(buf)), 3, "are read");
	EQ_INT(tls_read(l.c, buf, sizeof(buf)), 0, "then the end");
	EQ_INT(tls_read(l.c, buf, sizeof(buf)), 0, "again");
	link_close(&l);

	link_open(&l, &self, self.cert_pem, &peer);
	shake(&l, 100000);
	EQ_INT(tls_write(l.s, "bye", 3), 3, "last words");
	(void)carry(l.s, l.c, 100000);
	tls_input_eof(l.c);
	EQ_INT(tls_read(l.c, buf, sizeof(buf)), 3, "are read");
	EQ_INT(tls_read(l.c, buf, sizeof(buf)), -DT_ERR_TRUNCATED,
	    "an end without notice is an error");
	link_close(&l);

	link_open(&l, &self, self.cert_pem, &peer);
	tls_input_eof(l.c);
	EQ_INT(tls_step(l.c), -DT_ERR_TRUNCATED, "end in the handshake");
	EQ_INT(tls_input(l.s, "GET / HTTP/1.1\r\n\r\n", 18), 0, "plain HTTP");
	EQ_INT(tls_step(l.s), -DT_ERR_TLS, "is an error");
	OK(tls_error_text(l.s)[0] != '\0', "text: %s", tls_error_text(l.s));
	EQ_INT(tls_read(l.s, buf, sizeof(buf)), -DT_ERR_TLS, "that stays");
	link_close(&l);
}

/* A flipped bit anywhere in the server's flight never gives a connection. */
static void
test_flips(void)
{
	struct tls_peer peer = { .host = HOST, .unix_now = NOW };
	size_t flight = 0, bad = 0;

	for (size_t at = 0; at == 0 || at < flight; at += 13) {
		struct link l;
		uint8_t copy[8192];
		const uint8_t *p;
		size_t n;

		link_open(&l, &self, self.cert_pem, &peer);
		(void)carry(l.c, l.s, 100000);
		(void)tls_step(l.s);
		p = tls_output(l.s, &n);
		if (n > sizeof(copy))
			n = sizeof(copy);
		memcpy(copy, p, n);
		flight = n;
		copy[at] ^= (uint8_t)(1u << (at % 8));
		(void)tls_input(l.c, copy, n);
		tls_output_drop(l.s, n);
		(void)tls_step(l.c);
		/* The unused change-cipher-spec's content excepted. */
		bad += tls_is_ready(l.c) ? 1 : 0;
		link_close(&l);
	}
	OK(flight > 500 && bad <= 1, "flipped bits in %zu bytes", flight);
}

int
main(void)
{
	if (secret_init() != 0)
		return 1;
	if (tls_selfsigned_make(&self, HOST, NOW) != 0)
		return 1;
	test_roots();
	test_pins();
	test_chain_pin();
	test_bad_arguments();
	test_metacert();
	test_metacert_form();
	test_data(3000000, 100000);
	test_data(1000000, 1200);
	test_data(20000, 1);
	test_bounds();
	test_ends();
	test_flips();
	return tap_done();
}
