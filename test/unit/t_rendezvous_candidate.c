/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/candidate.h"
#include "test/unit/token_vectors.h"

static struct message_text
text_of(const char *s)
{
	return (struct message_text){ s, strlen(s) };
}

static void
test_policy(const json_t *v)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "candidate_policy"), i, e) {
		const char *s = vectors_str(e, "text");
		struct message_text text = text_of(s);
		struct message_list list = { &text, 1, true };
		bool claim_ok = json_is_true(vectors_get(e, "claim_ok"));
		bool peer_ok = json_is_true(vectors_get(e, "peer_ok"));
		bool local_ok = json_is_true(vectors_get(e, "local_ok"));
		struct candidate_list got = { 0 };
		char out[ADDR_MAX_TEXT];
		struct addr a;

		EQ_INT(candidate_from_claim(
			   &got, &list, CANDIDATE_POLICY_PEER) == 0,
		    claim_ok, "claim policy on \"%s\"", s);
		candidate_from_peer(&got, &list, CANDIDATE_POLICY_PEER);
		EQ_INT(got.n == 1, peer_ok, "peer policy");
		EQ_INT(
		    candidate_parse(&a, text, CANDIDATE_POLICY_LOOPBACK) == 0,
		    local_ok, "local policy");
		if (!local_ok)
			continue;
		addr_format(&a, out);
		EQ_STR(out, vectors_str(e, "normalised"), "normalised");
	}
}

/* @n texts "10.0.0.K:1" in static memory. */
static struct message_list
many(size_t n)
{
	static struct message_text item[64];
	static char text[64][32];

	for (size_t i = 0; i < n; i++) {
		(void)snprintf(text[i], sizeof(text[i]), "10.0.0.%zu:1", i);
		item[i] = text_of(text[i]);
	}
	return (struct message_list){ item, n, true };
}

static void
test_limits(void)
{
	struct candidate_list got = { 0 };
	struct message_list l = many(32);
	char longest[CANDIDATE_MAX_TEXT + 8];
	struct addr a;

	EQ_INT(candidate_from_claim(&got, &l, CANDIDATE_POLICY_PEER), 0,
	    "32 in a claim");
	EQ_INT(got.n, 32, "are all there");
	l = many(33);
	EQ_INT(candidate_from_claim(&got, &l, CANDIDATE_POLICY_PEER),
	    -DT_ERR_SYNTAX, "33 in a claim");
	got.n = 0;
	candidate_from_peer(&got, &l, CANDIDATE_POLICY_PEER);
	EQ_INT(got.n, 32, "33 from a peer: the first 32");
	candidate_from_ready(&got, &l);
	EQ_INT(got.n, 32, "33 in a ready list: the first 32");
	memset(longest, '1', sizeof(longest));
	EQ_INT(candidate_parse(&a,
		   (struct message_text){ longest, CANDIDATE_MAX_TEXT + 1 },
		   CANDIDATE_POLICY_PEER),
	    -DT_ERR_SYNTAX, "129 octets");
	EQ_INT(candidate_parse(&a, (struct message_text){ "1.2.3.4:5\0", 10 },
		   CANDIDATE_POLICY_PEER),
	    -DT_ERR_SYNTAX, "NUL inside");
}

static void
test_duplicates(void)
{
	struct message_text two[] = { text_of("1.2.3.4:5"),
		text_of("[::ffff:1.2.3.4]:5") };
	struct message_list l = { two, 2, true };
	struct candidate_list got = { 0 };

	EQ_INT(candidate_from_claim(&got, &l, CANDIDATE_POLICY_PEER),
	    -DT_ERR_SYNTAX, "duplicate through mapping spoils a claim");
	candidate_from_peer(&got, &l, CANDIDATE_POLICY_PEER);
	EQ_INT(got.n, 1, "a peer's duplicate is dropped");
	EQ_INT(got.a[0].family, AF_INET, "kept as IPv4");
}

static void
test_ready(void)
{
	struct message_text sloppy[] = { text_of("[2001:DB8:0::1]:5"),
		text_of("127.0.0.1:9"), text_of("0.0.0.0:9"), text_of("junk"),
		text_of("") };
	struct message_list l = { sloppy, 5, true };
	struct candidate_list got;
	char out[ADDR_MAX_TEXT];

	candidate_from_ready(&got, &l);
	EQ_INT(got.n, 2, "two usable entries");
	addr_format(&got.a[0], out);
	EQ_STR(out, "[2001:db8::1]:5", "sloppy spelling is understood");
	OK(addr_is_loopback(&got.a[1]), "loopback is allowed");
}

static void
test_advertise(void)
{
	static const char *const in[] = { "[2001:db8::1]:5", "9.9.9.9:5",
		"127.0.0.1:5", "0.0.0.0:5", "224.0.0.1:5", "255.255.255.255:5",
		"10.0.0.1:5", "9.9.9.9:5", "10.0.0.1:0" };
	static const char *const want[] = { "10.0.0.1:5", "9.9.9.9:5",
		"[2001:db8::1]:5" };
	struct addr a[sizeof(in) / sizeof(in[0])];
	struct candidate_list got;
	struct candidate_texts texts;
	struct message_list l;

	for (size_t i = 0; i < sizeof(in) / sizeof(in[0]); i++)
		(void)addr_parse(&a[i], in[i]);
	candidate_advertise(
	    &got, a, sizeof(in) / sizeof(in[0]), CANDIDATE_POLICY_PEER);
	EQ_INT(got.n, 3, "three are worth telling");
	l = candidate_to_texts(&texts, &got);
	for (size_t i = 0; i < l.n && i < 3; i++)
		EQ_STR(l.item[i].p, want[i], "sorted as text");
	EQ_INT(candidate_may_send(&a[5]), false, "never send to broadcast");
	candidate_advertise(&got, a, 3, CANDIDATE_POLICY_LOOPBACK);
	EQ_INT(got.n, 3, "loopback where it is wanted");
}

static void
test_remove(void)
{
	struct candidate_list all, own;
	struct message_list l = many(4);

	candidate_from_peer(&all, &l, CANDIDATE_POLICY_PEER);
	l.n = 2;
	candidate_from_peer(&own, &l, CANDIDATE_POLICY_PEER);
	candidate_remove_all(&all, &own);
	EQ_INT(all.n, 2, "own addresses removed");
	OK(!candidate_contains(&all, &own.a[0]), "none is left");
}

int
main(void)
{
	json_t *v = vectors_load("envelopes.json");

	test_policy(v);
	test_limits();
	test_duplicates();
	test_ready();
	test_advertise();
	test_remove();
	json_decref(v);
	return tap_done();
}
