/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "proto/rendezvous/ready.h"
#include "test/unit/token_vectors.h"

#define CANDIDATES "candidates"
#define SELECTION "selection"

static json_t *envelopes;
static struct key32 key;
static uint8_t out[READY_MAX_PACKET];

static struct mono
at_ms(int64_t ms)
{
	return (struct mono){ 5000000 + ms * MONO_MS };
}

static struct message_ready
message(const char *phase, bool raw)
{
	return (struct message_ready){ .protocol = MESSAGE_V2_PROTOCOL,
		.phase = { phase, strlen(phase) },
		.raw_direct = raw };
}

static void
hear(struct ready *r, const char *phase, bool raw, int64_t ms)
{
	struct message_ready m = message(phase, raw);

	ready_input(r, &m, at_ms(ms));
}

/* How many packets are due until @ms, counted by phase. */
struct tally {
	size_t candidates, selection, selection_true;
};

static void
count_packet(struct tally *t, const uint8_t *p, size_t n)
{
	struct envelope e;

	if (envelope_open(&e, p, n, &key) < 0) {
		OK(false, "our own packet is authentic");
		return;
	}
	if (envelope_text_equal(e.ready.phase, SELECTION))
		t->selection++;
	else
		t->candidates++;
	t->selection_true +=
	    envelope_text_equal(e.ready.phase, SELECTION) && e.ready.raw_direct;
	envelope_fini(&e);
}

static struct tally
run_until(struct ready *r, int64_t ms)
{
	struct tally t = { 0 };

	for (;;) {
		struct mono next = ready_next_deadline(r);
		struct buf_writer w = buf_writer(out, sizeof(out));

		if (mono_before(at_ms(ms), next))
			return t;
		while (ready_output(r, next, &w) == 1) {
			count_packet(&t, out, w.len);
			w = buf_writer(out, sizeof(out));
		}
	}
}

static const char *
vector(const char *name)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(envelopes, "envelopes"), i, e)
		if (strcmp(vectors_str(e, "name"), name) == 0)
			return vectors_str(e, "wire");
	printf("Bail out! no vector %s\n", name);
	exit(1);
}

static void
check_output(struct ready *r, int64_t ms, const char *name)
{
	struct buf_writer w = buf_writer(out, sizeof(out) - 1);

	EQ_INT(ready_output(r, at_ms(ms), &w), 1, "a packet is due");
	out[w.len] = '\0';
	EQ_STR((char *)out, vector(name), "as %s", name);
}

static struct ready_sets
two_sets(void)
{
	struct ready_sets s = { .n = 2 };

	(void)addr_parse(&s.set[0].a[0], "198.51.100.7:40000");
	(void)addr_parse(&s.set[0].a[1], "192.168.1.2:40000");
	s.set[0].n = 2;
	(void)addr_parse(&s.set[1].a[0], "198.51.100.7:40001");
	s.set[1].n = 1;
	return s;
}

static void
test_decline(void)
{
	struct ready *r = ready_new(&key, NULL, at_ms(0));
	struct tally t;

	check_output(r, 0, "v2_ready_candidates_declined");
	EQ_INT(ready_next_deadline(r).us, at_ms(250).us, "resent in 250 ms");
	t = run_until(r, 999);
	EQ_INT(t.candidates, 3, "resent at 250, 500, 750");
	EQ_INT(t.selection, 0, "no selection yet");
	hear(r, CANDIDATES, true, 1000);
	EQ_INT(ready_state(r), READY_SELECTION, "we cannot, so we go on");
	check_output(r, 1000, "v2_ready_candidates_declined");
	check_output(r, 1000, "v2_ready_selection_false");
	t = run_until(r, 1999);
	EQ_INT(t.candidates, 9, "reinforced every 100 ms");
	EQ_INT(t.selection, 3, "selection every 250 ms");
	hear(r, SELECTION, true, 2000);
	EQ_INT(ready_state(r), READY_DONE, "done");
	OK(!ready_is_raw_direct(r), "relay");
	OK(!ready_is_peer_silent(r), "the peer was not silent");
	t = run_until(r, 60000);
	EQ_INT(t.selection, 11, "at once and every 100 ms for 1 s");
	EQ_INT(t.candidates, 1, "candidates are over at 2000");
	OK(mono_is_never(ready_next_deadline(r)), "then quiet");
	ready_free(r);
}

static void
test_raw_direct(void)
{
	struct ready_sets local = two_sets();
	struct ready *r = ready_new(&key, &local, at_ms(0));
	struct envelope e;
	const char *text = vector("v2_ready_candidates");

	check_output(r, 0, "v2_ready_candidates");
	EQ_INT(envelope_open(&e, text, strlen(text), &key), 0, "peer's");
	ready_input(r, &e.ready, at_ms(10));
	envelope_fini(&e);
	EQ_INT(ready_state(r), READY_SELECTING, "both can");
	EQ_INT(ready_peek_peer_sets(r)->n, 2, "two sets");
	EQ_INT(ready_peek_peer_sets(r)->set[0].n, 2, "two in the first");
	ready_set_verdict(r, true, at_ms(1200));
	check_output(r, 1200, "v2_ready_candidates"); /* reinforcement */
	check_output(r, 1200, "v2_ready_selection_true");
	EQ_INT(ready_state(r), READY_SELECTION, "waits for the peer");
	OK(!ready_is_raw_direct(r), "not decided");
	hear(r, SELECTION, true, 1300);
	OK(ready_is_raw_direct(r), "both said yes");
	ready_free(r);

	r = ready_new(&key, &local, at_ms(0));
	hear(r, CANDIDATES, true, 10);
	ready_set_verdict(r, true, at_ms(100));
	hear(r, SELECTION, false, 200);
	EQ_INT(ready_state(r), READY_DONE, "done");
	OK(!ready_is_raw_direct(r), "the peer said no");
	ready_free(r);

	r = ready_new(&key, &local, at_ms(0));
	hear(r, CANDIDATES, false, 10);
	EQ_INT(ready_state(r), READY_SELECTION, "the peer cannot");
	ready_set_verdict(r, true, at_ms(20));
	hear(r, SELECTION, true, 30);
	OK(!ready_is_raw_direct(r), "a verdict out of turn is ignored");
	ready_free(r);
}

static void
test_no_verdict(void)
{
	struct ready_sets local = two_sets();
	struct ready *r = ready_new(&key, &local, at_ms(0));
	struct tally t;

	hear(r, CANDIDATES, true, 10);
	t = run_until(r, 3100);
	EQ_INT(ready_state(r), READY_SELECTION, "3 s are enough");
	OK(t.selection > 0 && t.selection_true == 0, "we say no");
	ready_free(r);
}

static void
test_silent_peer(void)
{
	struct ready *r = ready_new(&key, NULL, at_ms(0));
	struct tally t = run_until(r, 4999);

	EQ_INT(t.candidates, 20, "every 250 ms");
	EQ_INT(ready_state(r), READY_CANDIDATES, "waits for 5 s");
	t = run_until(r, 60000);
	EQ_INT(ready_state(r), READY_DONE, "no longer");
	OK(ready_is_peer_silent(r), "the peer was silent");
	OK(!ready_is_raw_direct(r), "so it is the relay");
	EQ_INT(t.candidates + t.selection, 0, "nobody to talk to");
	OK(mono_is_never(ready_next_deadline(r)), "quiet");
	/* It speaks at last. */
	hear(r, CANDIDATES, true, 70000);
	t = run_until(r, 70050);
	EQ_INT(t.candidates, 1, "it gets our candidates");
	EQ_INT(t.selection, 1, "and our no");
	hear(r, SELECTION, true, 70100);
	t = run_until(r, 80000);
	OK(t.selection >= 11, "and is answered to the end");
	EQ_INT(t.selection_true, 0, "always with no");
	EQ_INT(ready_state(r), READY_DONE, "the outcome stands");
	OK(!ready_is_raw_direct(r), "relay");
	ready_free(r);
}

static void
test_silent_after_yes(void)
{
	struct ready_sets local = two_sets();
	struct ready *r = ready_new(&key, &local, at_ms(0));
	struct tally t;

	hear(r, CANDIDATES, true, 10);
	ready_set_verdict(r, true, at_ms(100));
	t = run_until(r, 5099);
	OK(t.selection_true >= 20, "we said yes for 5 s");
	t = run_until(r, 6000);
	OK(ready_is_peer_silent(r), "nobody said anything");
	hear(r, SELECTION, true, 7000);
	t = run_until(r, 9000);
	OK(t.selection > 0 && t.selection_true == 0, "now it is a no");
	OK(!ready_is_raw_direct(r), "relay");
	ready_free(r);
}

static void
test_order(void)
{
	struct ready_sets local = two_sets();
	struct ready *r = ready_new(&key, &local, at_ms(0));
	struct tally t;

	/* Its candidates were lost. */
	hear(r, SELECTION, true, 10);
	EQ_INT(ready_state(r), READY_DONE, "selection first: we decline");
	t = run_until(r, 3000);
	OK(t.selection > 0 && t.selection_true == 0, "and say so");
	ready_free(r);

	r = ready_new(&key, &local, at_ms(0));
	hear(r, "", true, 10);
	EQ_INT(ready_state(r), READY_SELECTING, "no phase means candidates");
	hear(r, SELECTION, true, 20);
	EQ_INT(ready_state(r), READY_SELECTING, "an early verdict waits");
	ready_set_verdict(r, true, at_ms(30));
	OK(ready_is_raw_direct(r), "and counts");
	t = run_until(r, 3000);
	EQ_INT(t.selection_true, 11, "ours is reinforced");
	ready_free(r);
}

static void
test_ignored(void)
{
	struct ready *r = ready_new(&key, NULL, at_ms(0));
	struct message_ready m = message(CANDIDATES, true);

	m.protocol = MESSAGE_TEXT("derphole-transfer-v3");
	ready_input(r, &m, at_ms(1));
	hear(r, "direct-tcp-files", true, 2);
	hear(r, "future", true, 3);
	EQ_INT(ready_state(r), READY_CANDIDATES, "others are ignored");
	ready_free(r);
}

/* Two of our machines, each packet of one heard by the other at once. */
static void
test_no_ping_pong(void)
{
	struct ready *a = ready_new(&key, NULL, at_ms(0));
	struct ready *b = ready_new(&key, NULL, at_ms(700));
	size_t total = 0;
	struct mono now = at_ms(0);

	for (int round = 0; round < 1000; round++) {
		struct ready *from = a, *to = b;
		struct mono next_b = ready_next_deadline(b);
		struct buf_writer w = buf_writer(out, sizeof(out));
		struct envelope e;

		now = mono_min(ready_next_deadline(a), next_b);
		if (mono_is_never(now))
			break;
		if (!mono_before(now, next_b))
			from = b, to = a;
		if (ready_output(from, now, &w) != 1)
			continue;
		total++;
		if (envelope_open(&e, out, w.len, &key) == 0) {
			ready_input(to, &e.ready, now);
			envelope_fini(&e);
		}
	}
	OK(mono_is_never(ready_next_deadline(a)) &&
		mono_is_never(ready_next_deadline(b)),
	    "both fall quiet");
	OK(total < 70, "after %zu packets", total);
	EQ_INT(ready_state(a), READY_DONE, "one is done");
	EQ_INT(ready_state(b), READY_DONE, "so is the other");
	OK(!ready_is_peer_silent(a) && !ready_is_peer_silent(b),
	    "neither thought the other silent");
	/* A repeat here and there is not answered, a waiting peer is. */
	hear(a, CANDIDATES, false, 20000);
	EQ_INT(run_until(a, 20100).candidates, 0, "one repeat");
	hear(a, CANDIDATES, false, 20250);
	EQ_INT(run_until(a, 20300).candidates, 1, "two repeats: one answer");
	ready_free(a);
	ready_free(b);
}

static void
test_trim(void)
{
	static struct ready_sets local;
	struct buf_writer w = buf_writer(out, sizeof(out));
	struct envelope e;
	struct ready *r;

	local.n = READY_MAX_SETS;
	for (size_t i = 0; i < READY_MAX_SETS; i++) {
		for (size_t k = 0; k < CANDIDATE_MAX_LIST; k++) {
			char text[64];

			(void)snprintf(text, sizeof(text),
			    "[2001:db8:1111:2222:3333:4444:5555:66%02zx]:4%"
			    "03zu",
			    k, i);
			(void)addr_parse(&local.set[i].a[k], text);
		}
		local.set[i].n = CANDIDATE_MAX_LIST;
	}
	r = ready_new(&key, &local, at_ms(0));
	if (!OK(r != NULL, "more than fits"))
		return;
	EQ_INT(ready_output(r, at_ms(0), &w), 1, "is cut");
	OK(w.len <= ENVELOPE_MAX_WIRE, "to an envelope");
	EQ_INT(envelope_open(&e, out, w.len, &key), 0, "that is authentic");
	EQ_INT(e.ready.candidate_sets.n, READY_MAX_SETS, "with every set");
	OK(e.ready.candidate_sets.item[0].n >= 1, "none of them empty");
	envelope_fini(&e);
	w = buf_writer(out, 10);
	EQ_INT(ready_output(r, at_ms(250), &w), -DT_ERR_FULL, "no room");
	w = buf_writer(out, sizeof(out));
	EQ_INT(ready_output(r, at_ms(250), &w), 1, "it stays due");
	ready_free(r);
}

int
main(void)
{
	envelopes = vectors_load("envelopes.json");
	vectors_hex(
	    vectors_get(envelopes, "keys"), "envelope_key", &key, sizeof(key));
	test_decline();
	test_raw_direct();
	test_no_verdict();
	test_silent_peer();
	test_silent_after_yes();
	test_order();
	test_ignored();
	test_no_ping_pong();
	test_trim();
	json_decref(envelopes);
	return tap_done();
}
