/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/session_keys.h"
#include "test/unit/token_vectors.h"

static void
test_keys(const json_t *k)
{
	struct key32 bearer, a, b, want, got;
	struct id16 session;

	vectors_hex(k, "session_id", &session, sizeof(session));
	vectors_hex(k, "bearer_secret", &bearer, sizeof(bearer));
	vectors_hex(k, "listener_derp_public", &a, sizeof(a));
	vectors_hex(k, "claimer_derp_public", &b, sizeof(b));
	vectors_hex(k, "envelope_key", &want, sizeof(want));
	session_keys_envelope(&got, &bearer, &session);
	EQ_MEM(&got, &want, sizeof(want), "envelope key");
	vectors_hex(k, "discovery_key", &want, sizeof(want));
	session_keys_disco(&got, &bearer, &session, &a, &b);
	EQ_MEM(&got, &want, sizeof(want), "disco key");
	session_keys_disco(&got, &bearer, &session, &b, &a);
	EQ_MEM(&got, &want, sizeof(want), "whoever asks");
}

/* The claim of a MAC input: the same members but mac and client. */
static bool
claim_of(struct envelope *e, const char *payload)
{
	static char text[4096];

	(void)snprintf(
	    text, sizeof(text), "{\"type\":\"claim\",\"claim\":%s}", payload);
	return envelope_parse(e, text, strlen(text)) == 0;
}

static void
test_bearer_macs(const json_t *v)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "bearer_macs"), i, e) {
		const char *name = vectors_str(e, "name");
		struct key32 bearer, want, got = { { 0 } };
		struct envelope env;

		vectors_hex(e, "bearer_secret", &bearer, sizeof(bearer));
		vectors_hex(e, "bearer_mac", &want, sizeof(want));
		if (!OK(claim_of(&env, vectors_str(e, "mac_payload")),
			"%s parses", name))
			continue;
		EQ_INT(session_keys_bearer_mac(&got, &bearer, &env.claim), 0,
		    "%s", name);
		EQ_MEM(&got, &want, sizeof(want), "bearer MAC");
		envelope_fini(&env);
	}
}

static void
test_digest(const json_t *v)
{
	const char *payload = vectors_str(
	    json_array_get(vectors_get(v, "bearer_macs"), 0), "mac_payload");
	struct key32 first, second;
	struct envelope e;

	OK(claim_of(&e, payload), "parses");
	EQ_INT(session_keys_claim_digest(&first, &e.claim), 0, "digest");
	e.claim.has_client = true;
	e.claim.client.expires_unix = 5;
	(void)session_keys_claim_digest(&second, &e.claim);
	EQ_MEM(&first, &second, sizeof(first), "client does not matter");
	e.claim.parallel = 1;
	(void)session_keys_claim_digest(&second, &e.claim);
	OK(memcmp(&first, &second, sizeof(first)) != 0, "parallel does");
	e.claim.parallel = 0;
	e.claim.bearer_mac = MESSAGE_TEXT("x");
	(void)session_keys_claim_digest(&second, &e.claim);
	OK(memcmp(&first, &second, sizeof(first)) != 0, "the MAC's text does");
	envelope_fini(&e);
}

int
main(void)
{
	json_t *v = vectors_load("envelopes.json");

	test_keys(vectors_get(v, "keys"));
	test_bearer_macs(v);
	test_digest(v);
	json_decref(v);
	return tap_done();
}
