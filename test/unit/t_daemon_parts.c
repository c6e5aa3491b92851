/* SPDX-License-Identifier: BSD-3-Clause */
/* The small pure parts of the daemon. */
#include <signal.h>
#include <stdlib.h>

#include "daemon/absence.h"
#include "daemon/backoff.h"
#include "daemon/claim_token.h"
#include "daemon/latency.h"
#include "daemon/places.h"
#include "daemon/relay_target.h"
#include "daemon/signer.h"
#include "daemon/worker_exit.h"
#include "lib/err.h"
#include "proto/token/token_derptun.h"
#include "proto/token/token_session.h"
#include "test/tap.h"

static bool
is_near(int64_t got, int64_t base)
{
	return got >= base * 3 / 4 && got <= base * 5 / 4;
}

static void
test_backoff(void)
{
	struct backoff b;
	int64_t want = 250;
	bool good = true;

	backoff_init(&b, 250, 15000, true);
	EQ_INT(backoff_next(&b), 0, "the first retry is immediate");
	for (int i = 0; i < 12; i++) {
		good = good && is_near(backoff_next(&b), want);
		want = want * 2 < 15000 ? want * 2 : 15000;
	}
	OK(good, "then doubling up to the maximum, with jitter");
	backoff_reset(&b);
	EQ_INT(backoff_next(&b), 0, "reset: immediate again");
	OK(is_near(backoff_next(&b), 250), "and from the start");
	backoff_init(&b, 1000, 30000, false);
	OK(is_near(backoff_next(&b), 1000), "without an immediate one");
}

static size_t
take_all(struct places *p, uid_t uid)
{
	size_t n = 0;

	while (places_take(p, uid, 1000, 500))
		n++;
	return n;
}

static void
test_places(void)
{
	struct places p = { 0 };

	EQ_INT(take_all(&p, 1001), PLACES_MAX_UID, "a stranger gets a few");
	EQ_INT(take_all(&p, 1002), PLACES_MAX_UID, "another one, too");
	EQ_INT(take_all(&p, 1003), PLACES_MAX_UID, "and a third");
	EQ_INT(take_all(&p, 1004), 0, "the rest is not for strangers");
	EQ_INT(take_all(&p, 1000), PLACES_RESERVED, "but for the owner");
	EQ_INT(take_all(&p, 0), 0, "full is full");
	p.n = 0;
	EQ_INT(take_all(&p, 1000), PLACES_MAX_UID, "an owner cannot have all");
	EQ_INT(take_all(&p, 500), PLACES_MAX - PLACES_MAX_UID,
	    "the daemon's own uid can");
	p.n = 0;
	EQ_INT(take_all(&p, 0), PLACES_MAX, "and root");
}

/* What a TLS 1.3 server signs: RFC 8446 section 4.4.3, its own example. */
static size_t
verify_message(uint8_t *out, const char *context, size_t hash_len)
{
	size_t n = strlen(context) + 1;

	memset(out, ' ', 64);
	memcpy(out + 64, context, n);
	memset(out + 64 + n, 1, hash_len);
	return 64 + n + hash_len;
}

static void
test_signer(void)
{
	static const char server[] = "TLS 1.3, server CertificateVerify";
	static const char client[] = "TLS 1.3, client CertificateVerify";
	uint8_t m[256];
	size_t n = verify_message(m, server, 32);
	bool good = true;

	EQ_INT(n, 130, "length with SHA-256");
	OK(signer_is_permitted(m, n), "a server's CertificateVerify");
	for (size_t i = 0; i < sizeof(m); i++)
		if (i != 130 && i != 146)
			good = good && !signer_is_permitted(m, i);
	OK(good, "no other length");
	for (size_t i = 0; i < SIGNER_PREFIX_LEN; i++) {
		m[i] ^= 1;
		good = good && !signer_is_permitted(m, n);
		m[i] ^= 1;
	}
	OK(good, "no changed byte before the hash");
	n = verify_message(m, server, 48);
	OK(signer_is_permitted(m, n), "with SHA-384");
	n = verify_message(m, client, 32);
	OK(!signer_is_permitted(m, n), "not a client's");
}

static void
test_exit_text(void)
{
	char text[WORKER_EXIT_MAX_TEXT];

	worker_exit_text(SIGKILL, text);
	EQ_STR(text, "worker died of signal 9", "killed");
	worker_exit_text(77 << 8, text);
	EQ_STR(text, "worker could not confine itself", "sandbox");
	worker_exit_text(5 << 8, text);
	EQ_STR(text, "worker exited with 5", "unknown status");
}

static void
test_targets(void)
{
	struct relay_target t[RELAY_TARGET_MAX];
	struct token_route route;
	char text[RELAY_TARGET_MAX_TEXT];
	int64_t region = 0;
	size_t n = relay_target_from_map(t, derp_map_builtin(), 4, "", &region);

	OK(n >= 1 && n <= RELAY_TARGET_MAX, "nodes of a region");
	EQ_INT(region, 4, "the region asked for");
	EQ_STR(t[0].ideal, "", "the first is ideal");
	OK(n == 1 || t[1].ideal[0] != '\0', "others name the ideal one");
	OK(t[0].literal[0].family != 0 && !t[0].use_dns, "literals, no DNS");
	n = relay_target_from_map(
	    t, derp_map_builtin(), 4711, "sha256-raw:00", &region);
	EQ_INT(region, 1, "an unknown region becomes the lowest");
	EQ_STR(t[0].cert_name, "sha256-raw:00", "a pin replaces the name");
	EQ_INT(
	    token_route_init(&route, "::1", 3, 8443, 3478, NULL), 0, "route");
	relay_target_from_route(&t[0], &route, "");
	relay_target_text(&t[0], text);
	EQ_STR(text, "[::1]:8443", "text of an IPv6 relay");
	OK(t[0].use_dns, "resolved when dialled");
}

static void
test_candidates(void)
{
	static const char custom[] =
	    "{\"Regions\":{\"900\":{\"RegionID\":900,\"Nodes\":[{\"Name\":"
	    "\"a\","
	    "\"RegionID\":900,\"HostName\":\"h\"}]},\"70000\":{\"RegionID\":"
	    "70000,\"Nodes\":[{\"Name\":\"b\",\"RegionID\":70000,"
	    "\"HostName\":\"h\"}]}}}";
	const struct derp_map *map = derp_map_builtin();
	struct derp_map *own;
	bool good = map->n_regions > 0;

	for (size_t i = 0; i < map->n_regions; i++)
		good = good && latency_is_candidate(map, &map->regions[i]) ==
				   (map->regions[i].id <= 12);
	OK(good, "public tokens name regions 1 to 12 only");
	EQ_INT(derp_map_parse(custom, strlen(custom), &own, NULL), 0, "map");
	OK(latency_is_candidate(own, &own->regions[0]), "own region 900");
	OK(!latency_is_candidate(own, &own->regions[1]),
	    "not one that a token cannot hold");
	derp_map_free(own);
}

static void
test_session_token(void)
{
	char text[TOKEN_SESSION_MAX_TEXT];
	struct session_token t;
	struct session_claim c;
	struct token_error e = { 0, "" };
	int64_t now = 1700000000;

	token_session_mint(&t, now + 60, 5, NULL, TOKEN_CAP_SHARE);
	secret_random(t.derp_public.b, 32);
	secret_random(t.quic_public.b, 32);
	EQ_INT(token_session_encode(&t, text), 0, "encode");
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now, &e), 0,
	    "share token");
	OK(c.kind == IPC_KIND_SHARE && c.region == 5 && c.token_version == 5,
	    "its fields");
	EQ_MEM(c.bearer.b, t.bearer.b, 32, "its secret");
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now + 60, &e),
	    -DT_ERR_EXPIRED, "expired");
	EQ_STR(e.text, "token expired", "and says so");
	t.capabilities = TOKEN_CAP_STDIO;
	(void)token_session_encode(&t, text); /* as above */
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now, &e),
	    -DT_ERR_KIND, "a code for something else");
	EQ_STR(e.text, "unknown session", "in the words of the peers");
	EQ_INT(claim_token_decode(
		   &c, text, TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2, now, &e),
	    -DT_ERR_KIND, "an old listener");
	EQ_STR(e.text, "external v2 transfer unsupported", "in their words");
	t.capabilities = TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2;
	(void)token_session_encode(&t, text);
	EQ_INT(claim_token_decode(
		   &c, text, TOKEN_CAP_STDIO | TOKEN_CAP_TRANSFER_V2, now, &e),
	    0, "a listener's");
	EQ_INT(c.kind, IPC_KIND_TRANSFER, "its kind");
	EQ_INT(claim_token_decode(&c, text,
		   TOKEN_CAP_STDIO_OFFER | TOKEN_CAP_TRANSFER_V2, now, &e),
	    -DT_ERR_KIND, "nothing to fetch there");
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_ATTACH, now, &e),
	    -DT_ERR_KIND, "no invitation");
	t.capabilities = TOKEN_CAP_SHARE;
	memset(t.derp_public.b, 0, 32);
	(void)token_session_encode(&t, text);
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now, &e),
	    -DT_ERR_KIND, "no listener's key");
}

static void
test_client_token(void)
{
	static char text[TOKEN_DERPTUN_MAX_SERVER_TEXT];
	struct derptun_server_token s;
	struct derptun_client_token t;
	struct session_claim c;
	struct token_error e = { 0, "" };
	int64_t now = 1700000000;

	EQ_INT(token_derptun_mint_server(&s, now, now + 100, NULL, &e), 0,
	    "server token");
	EQ_INT(token_derptun_mint_client(&t, &s, now, now + 50, &e), 0,
	    "client token");
	token_derptun_encode_client(&t, text);
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now, &e), 0,
	    "client token");
	OK(c.kind == IPC_KIND_DERPTUN && c.capabilities == 0x20 &&
		c.token_version == 5,
	    "its fields");
	EQ_MEM(c.proof.b, t.proof.b, 32, "its proof");
	OK(strncmp(c.client_name, "client-", 7) == 0, "its name");
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now + 50, &e),
	    -DT_ERR_EXPIRED, "expired");
	token_derptun_encode_server(&s, text);
	EQ_INT(claim_token_decode(&c, text, TOKEN_CAP_SHARE, now, &e),
	    -DT_ERR_KIND, "a server token claims nothing");
}

/* Asked at 0, and every ABSENCE_ASK_US; where @answers has an "n", "no" comes
 * 10 ms later.  Returns after which question it is sure, or 0. */
static unsigned
ask(struct absence *a, const char *answers)
{
	struct mono t = { 5 * MONO_SEC };

	for (unsigned n = 1; *answers != '\0'; n++, answers++) {
		absence_ask(a);
		if (*answers == 'n')
			absence_denied(a, mono_add(t, 10 * MONO_MS));
		if (absence_is_sure(a))
			return n;
		t = mono_add(t, ABSENCE_ASK_US);
	}
	return 0;
}

static void
test_absence(void)
{
	struct absence a;

	absence_init(&a);
	EQ_INT(ask(&a, "nnnnn"), 5, "away at five questions in a row");
	absence_ask(&a);
	OK(!absence_is_sure(&a), "not while a question is open");
	absence_init(&a);
	EQ_INT(ask(&a, "...................."), 0, "a relay that says nothing");
	EQ_INT(ask(&a, "nnnn.nnnn.nnnn.nnnn."), 0, "one that comes back");
	EQ_INT(ask(&a, ".n..nnnnnn"), 9, "counted from the last time there");
	absence_init(&a);
	EQ_INT(ask(&a, "nnnn"), 0, "four are too few");
	absence_init(&a);
	EQ_INT(ask(&a, "nnnn"), 0, "and four more, after we were away");
	absence_init(&a);
	for (int i = 0; i < 1000; i++)
		absence_denied(&a, (struct mono){ i });
	OK(!absence_is_sure(&a), "many, but at once");
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_absence();
	test_backoff();
	test_places();
	test_signer();
	test_exit_text();
	test_targets();
	test_candidates();
	test_session_token();
	test_client_token();
	return tap_done();
}
