/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/err.h"
#include "proto/rendezvous/envelope.h"
#include "test/unit/token_vectors.h"

#define MAX_TEXT 20000

static uint8_t wire[MAX_TEXT];

static const json_t *
find(const json_t *v, const char *list, const char *name)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, list), i, e)
		if (strcmp(vectors_str(e, "name"), name) == 0)
			return e;
	printf("Bail out! no vector %s\n", name);
	exit(1);
}

static struct key32
key_of(const json_t *e)
{
	struct key32 key;

	vectors_hex(e, "envelope_key", &key, sizeof(key));
	return key;
}

static void
test_vectors(const json_t *v)
{
	const json_t *e;
	size_t i;

	EQ_INT(json_array_size(vectors_get(v, "envelopes")), 48, "48 vectors");
	json_array_foreach(vectors_get(v, "envelopes"), i, e) {
		const char *name = vectors_str(e, "name");
		const char *text = vectors_str(e, "wire");
		struct buf_writer w = buf_writer(wire, sizeof(wire));
		struct key32 key = key_of(e), other = key;
		struct envelope env;

		if (!OK(envelope_open(&env, text, strlen(text), &key) == 0,
			"%s is authentic", name))
			continue;
		OK(env.kind != ENVELOPE_UNKNOWN, "of known kind");
		EQ_INT(envelope_build(&w, &env, &key), 0, "built again");
		OK(w.len == strlen(text) && memcmp(wire, text, w.len) == 0,
		    "octet for octet");
		other.b[31] ^= 1;
		EQ_INT(envelope_verify(&env, &other), -DT_ERR_AUTH,
		    "not under another key");
		envelope_fini(&env);
	}
}

static bool
may_refuse(const char *name)
{
	return strcmp(name, "case_folded_key") == 0 ||
	       strcmp(name, "extra_array_element") == 0;
}

static void
test_canonicalisation(const json_t *v)
{
	const json_t *e;
	size_t i;

	json_array_foreach(vectors_get(v, "canonicalisation"), i, e) {
		const char *name = vectors_str(e, "name");
		const char *text = vectors_str(e, "wire");
		const char *verdict = vectors_str(e, "verdict");
		struct key32 key = key_of(e);
		struct envelope env;
		int r = envelope_open(&env, text, strlen(text), &key);

		if (strcmp(verdict, "not-an-envelope") == 0)
			EQ_INT(r, -DT_ERR_SYNTAX, "%s: no envelope", name);
		else if (strcmp(verdict, "ignore") == 0)
			EQ_INT(r, -DT_ERR_AUTH, "%s: ignored", name);
		else if (may_refuse(name))
			OK(r < 0, "%s: we are stricter", name);
		else
			EQ_INT(r, 0, "%s: accepted", name);
		if (r == 0)
			envelope_fini(&env);
	}
}

static void
test_built_by_hand(const json_t *v)
{
	const json_t *reject = find(v, "envelopes", "decision_reject_claimed");
	const json_t *call = find(v, "envelopes", "control_call_me_maybe");
	const json_t *list = find(v, "envelopes", "control_candidates");
	const json_t *none = find(v, "envelopes", "control_candidates_empty");
	const json_t *abort_v = find(v, "envelopes", "abort_canceled");
	struct key32 key = key_of(call);
	struct candidate_list own = { 0 };
	struct buf_writer w;
	struct envelope e;

	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_call_me_maybe(&w, &key), 0, "call-me-maybe");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, vectors_str(call, "wire"), "as the vector");
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_candidates(&w, &own, &key), 0, "no candidates");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, vectors_str(none, "wire"), "as the vector");
	(void)addr_parse(&own.a[0], "203.0.113.10:12345");
	(void)addr_parse(&own.a[1], "[2001:db8::10]:12345");
	own.n = 2;
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_candidates(&w, &own, &key), 0, "candidates");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, vectors_str(list, "wire"), "as the vector");
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_abort(&w, "canceled", 0, &key), 0, "abort");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, vectors_str(abort_v, "wire"), "as the vector");
	envelope_init(&e, ENVELOPE_DECISION);
	e.decision.has_reject = true;
	e.decision.reject.code = MESSAGE_TEXT("claimed");
	e.decision.reject.reason = MESSAGE_TEXT("session already claimed");
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build(&w, &e, &key), 0, "reject");
	wire[w.len] = '\0';
	EQ_STR((char *)wire, vectors_str(reject, "wire"), "as the vector");
}

/* No single flipped bit may be accepted with another meaning. */
static void
test_bit_flips(const json_t *v, const char *name)
{
	const json_t *e = find(v, "envelopes", name);
	const char *text = vectors_str(e, "wire");
	size_t n = strlen(text), changed = 0, accepted = 0;
	struct key32 key = key_of(e);
	static char copy[MAX_TEXT];

	for (size_t i = 0; i < n * 8; i++) {
		struct buf_writer w = buf_writer(wire, sizeof(wire));
		struct envelope env;

		memcpy(copy, text, n);
		copy[i / 8] = (char)(copy[i / 8] ^ (1 << i % 8));
		if (envelope_open(&env, copy, n, &key) < 0)
			continue;
		accepted++;
		(void)envelope_build(&w, &env, &key);
		changed += w.len != n || memcmp(wire, text, n) != 0;
		envelope_fini(&env);
	}
	EQ_INT(changed, 0, "%s: no flip changes the meaning", name);
	EQ_INT(accepted, 0, "and none is accepted");
}

static void
test_truncation(const json_t *v)
{
	const json_t *e = find(v, "envelopes", "v2_claim_offer_receive");
	const char *text = vectors_str(e, "wire");
	size_t n = strlen(text), parsed = 0;

	for (size_t i = 0; i < n; i++) {
		char *copy = malloc(i + 1);
		struct envelope env;

		if (copy == NULL)
			exit(1);
		memcpy(copy, text, i);
		if (envelope_parse(&env, copy, i) == 0) {
			parsed++;
			envelope_fini(&env);
		}
		free(copy);
	}
	EQ_INT(parsed, 0, "no truncation parses");
}

/* control with an unknown member that fills it up to @n octets. */
static void
padded(char *out, size_t n)
{
	static const char head[] = "{\"type\":\"control\",\"x\":\"";
	size_t at = sizeof(head) - 1;

	memcpy(out, head, at);
	memset(out + at, 'p', n - at - 2);
	memcpy(out + n - 2, "\"}", 2);
}

static int
parse_and_drop(const char *text, size_t n)
{
	struct envelope e;
	int r = envelope_parse(&e, text, n);

	if (r == 0)
		envelope_fini(&e);
	return r;
}

static void
test_size(void)
{
	static char text[MAX_TEXT];

	padded(text, ENVELOPE_MAX_WIRE);
	EQ_INT(parse_and_drop(text, ENVELOPE_MAX_WIRE), 0, "16384 octets");
	padded(text, ENVELOPE_MAX_WIRE + 1);
	EQ_INT(parse_and_drop(text, ENVELOPE_MAX_WIRE + 1), -DT_ERR_SYNTAX,
	    "16385 octets");
	OK(!envelope_is_shaped(text, ENVELOPE_MAX_WIRE + 1), "not even shaped");
	OK(!envelope_is_shaped("", 0), "empty is not shaped");
	OK(!envelope_is_shaped(" {", 2), "blank first is not shaped");
	OK(envelope_is_shaped("{", 1), "one brace is shaped");
	EQ_INT(parse_and_drop("{", 1), -DT_ERR_SYNTAX, "but no envelope");
	EQ_INT(parse_and_drop("{\x9a\x01\x02\xff\x00\x80", 7), -DT_ERR_SYNTAX,
	    "a QUIC packet that begins with a brace");
}

/* {"type":"x","u":<@n times @unit, then @tail>} */
static int
parse_repeated(const char *unit, size_t n, const char *tail)
{
	static char text[MAX_TEXT];
	size_t len =
	    (size_t)snprintf(text, sizeof(text), "{\"type\":\"x\",\"u\":");

	for (size_t i = 0; i < n && len < MAX_TEXT - 64; i++)
		len += (size_t)snprintf(
		    text + len, sizeof(text) - len, "%s", unit);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%s}", tail);
	return parse_and_drop(text, len);
}

static void
test_hostile(void)
{
	char deep[128];

	EQ_INT(parse_repeated("[", 16000, ""), -DT_ERR_SYNTAX, "deep nesting");
	memset(deep, ']', 31);
	deep[31] = '\0';
	EQ_INT(parse_repeated("[", 31, deep), 0, "32 levels");
	memset(deep, ']', 32);
	deep[32] = '\0';
	EQ_INT(parse_repeated("[", 32, deep), -DT_ERR_SYNTAX, "33 levels");
	EQ_INT(parse_repeated("1", 16000, ""), 0, "a very long number");
	EQ_INT(parse_repeated("[", 1, "1]"), 0, "an array");
	EQ_INT(parse_and_drop("{\"type\":\"x\",\"u\":1e999999}", 25), 0,
	    "a number beyond any range, unread");
	EQ_INT(parse_and_drop("{\"type\":\"x\",\"u\":01}", 19), -DT_ERR_SYNTAX,
	    "a leading zero");
	EQ_INT(parse_and_drop("{\"type\":\"x\",\"u\":1.}", 19), -DT_ERR_SYNTAX,
	    "no fraction after the point");
	EQ_INT(parse_and_drop("{\"type\":\"x\",\"u\":-}", 18), -DT_ERR_SYNTAX,
	    "a sign alone");
	EQ_INT(parse_and_drop("{\"type\":\"control\",\"type\":\"abort\"}", 33),
	    -DT_ERR_SYNTAX, "duplicate type");
	EQ_INT(parse_and_drop("{\"u\":1,\"u\":1}", 13), -DT_ERR_SYNTAX,
	    "duplicate unknown member");
	EQ_INT(parse_and_drop("{\"type\":5}", 10), -DT_ERR_SYNTAX,
	    "type is a number");
	EQ_INT(parse_and_drop("{\"abort\":[]}", 12), -DT_ERR_SYNTAX,
	    "body is an array");
	EQ_INT(parse_and_drop("{\"type\":\"\xff\"}", 12), -DT_ERR_SYNTAX,
	    "invalid UTF-8");
	EQ_INT(parse_and_drop("{}", 2), 0, "nothing at all is an envelope");
}

/* Numbers of one abort or progress body. */
static int
parse_sequence(const char *number, uint64_t *ret_value)
{
	struct envelope e;
	char text[256];
	int r;

	(void)snprintf(text, sizeof(text),
	    "{\"type\":\"progress\",\"progress\":{\"bytes_received\":1,"
	    "\"sequence\":%s}}",
	    number);
	r = envelope_parse(&e, text, strlen(text));
	if (r < 0)
		return r;
	*ret_value = e.progress.sequence;
	envelope_fini(&e);
	return 0;
}

static void
test_integers(void)
{
	static const struct {
		const char *number;
		bool good;
		uint64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", true, (uint64_t)INT64_MAX + 1 },
		{ "18446744073709551615", true, UINT64_MAX },
		{ "18446744073709551616", false, 0 },
		{ "-1", false, 0 },
		{ "1.0", false, 0 },
		{ "1e0", false, 0 },
		{ "2.5", false, 0 },
		{ "\"1\"", false, 0 },
	};
	uint64_t v;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = parse_sequence(cases[i].number, &v);

		EQ_INT(r, cases[i].good ? 0 : -DT_ERR_SYNTAX, "sequence %s",
		    cases[i].number);
		if (r == 0)
			OK(v == cases[i].value, "has its value");
	}
}

static void
test_big_round_trip(void)
{
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct key32 key = { { 7 } };
	struct envelope e;

	envelope_init(&e, ENVELOPE_BULK_CONTROL);
	e.bulk_control.protocol = MESSAGE_V2_PROTOCOL;
	e.bulk_control.probe_run_id = UINT64_MAX;
	e.has_progress = true;
	e.progress.sequence = UINT64_MAX - 1;
	e.progress.bytes_received = INT64_MIN;
	EQ_INT(envelope_build(&w, &e, &key), 0, "largest integers");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "are authentic");
	OK(e.bulk_control.probe_run_id == UINT64_MAX, "2^64 - 1 survives");
	OK(e.progress.sequence == UINT64_MAX - 1, "2^64 - 2 beside it");
	OK(e.progress.bytes_received == INT64_MIN, "-2^63 survives");
	envelope_fini(&e);
}

static void
test_strings(void)
{
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct key32 key = { { 9 } };
	char reason[2000];
	struct envelope e;

	for (size_t i = 0; i < 128; i++)
		reason[i] = (char)i;
	memcpy(reason + 128, "\xe2\x80\xa8\xf0\x9f\x95\xb3", 7);
	envelope_init(&e, ENVELOPE_ABORT);
	e.abort.reason = (struct message_text){ reason, 135 };
	EQ_INT(envelope_build(&w, &e, &key), 0, "every ASCII character");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "is authentic");
	OK(e.abort.reason.n == 135 &&
		memcmp(e.abort.reason.p, reason, 135) == 0,
	    "and the same");
	envelope_fini(&e);
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_abort(&w, "bad \xff octet", 3, &key), 0,
	    "invalid UTF-8 is signed");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "repaired");
	OK(envelope_text_equal(e.abort.reason, "bad \xef\xbf\xbd octet"),
	    "with the replacement character");
	envelope_fini(&e);
	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	memcpy(reason + ENVELOPE_MAX_REASON - 1, "\xc3\xa9", 2);
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_abort(&w, reason, 0, &key), 0, "long reason");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "is authentic");
	EQ_INT(e.abort.reason.n, ENVELOPE_MAX_REASON - 1, "cut at a character");
	envelope_fini(&e);
}

static void
test_sanitise(void)
{
	char out[16];

	envelope_text_sanitise(MESSAGE_TEXT("a\x1b[2J\x7f\xc2\x9b"
					    "b\n"),
	    out, sizeof(out));
	EQ_STR(out, "a?[2J??b?", "controls become question marks");
	envelope_text_sanitise(MESSAGE_TEXT("caf\xc3\xa9"), out, 5);
	EQ_STR(out, "caf", "cut before a split character");
	envelope_text_sanitise(MESSAGE_TEXT("\xe2\x80\xa8"
					    "a\xe2\x80\xae"
					    "b\xe2\x81\xa6\xe2\x81\xa9"),
	    out, sizeof(out));
	EQ_STR(out, "?a?b??", "nor turn the direction");
	envelope_text_sanitise(
	    MESSAGE_TEXT("\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xaa"), out,
	    sizeof(out));
	EQ_STR(out, "\xe2\x80\xa7\xe2\x80\xaf\xe2\x81\xaa",
	    "their neighbours stay");
	envelope_text_sanitise((struct message_text){ NULL, 0 }, out, 5);
	EQ_STR(out, "", "nothing");
}

static void
test_writer_limits(void)
{
	struct key32 key = { { 1 } };
	static char reason[ENVELOPE_MAX_WIRE];
	struct buf_writer w = buf_writer(wire, 60);
	struct envelope e;

	EQ_INT(envelope_build_call_me_maybe(&w, &key), -DT_ERR_FULL,
	    "too small a buffer");
	EQ_INT(w.len, 0, "nothing was written");
	memset(reason, 'x', sizeof(reason));
	envelope_init(&e, ENVELOPE_ABORT);
	e.abort.reason.p = reason;
	/* {"type":"abort","mac":"43","abort":{"reason":"..."}} */
	e.abort.reason.n = ENVELOPE_MAX_WIRE - 90;
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build(&w, &e, &key), 0, "the longest envelope");
	EQ_INT(w.len, ENVELOPE_MAX_WIRE, "has 16384 octets");
	e.abort.reason.n++;
	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build(&w, &e, &key), -DT_ERR_TOO_LONG, "one more");
	EQ_INT(w.len, 0, "nothing was written");
}

static void
test_body(const json_t *v)
{
	struct key32 key =
	    key_of(find(v, "envelopes", "control_call_me_maybe"));
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct envelope e;

	envelope_init(&e, ENVELOPE_CONTROL);
	e.has_control = false;
	EQ_INT(envelope_build(&w, &e, &key), 0, "control without body");
	EQ_INT(envelope_open(&e, wire, w.len, &key), -DT_ERR_PEER_PROTOCOL,
	    "is authentic nonsense");
	w = buf_writer(wire, sizeof(wire));
	envelope_init(&e, ENVELOPE_ABORT);
	e.has_abort = false;
	EQ_INT(envelope_build(&w, &e, &key), 0, "abort without body");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "is fine");
	EQ_INT(e.kind, ENVELOPE_ABORT, "and an abort");
	envelope_fini(&e);
}

/* Canonical text can be six times as long as what came. */
static void
test_growth(void)
{
	static char text[ENVELOPE_MAX_WIRE];
	struct key32 key = { { 3 } };
	struct envelope e;
	static const char head[] =
	    "{\"type\":\"abort\",\"mac\":\"0123456789012345678901234567890123"
	    "456789012\",\"abort\":{\"reason\":\"";
	size_t at = sizeof(head) - 1;

	memcpy(text, head, at);
	memset(text + at, '<', sizeof(text) - at - 3);
	memcpy(text + sizeof(text) - 3, "\"}}", 3);
	EQ_INT(envelope_parse(&e, text, sizeof(text)), 0, "16 KiB of '<'");
	EQ_INT(envelope_verify(&e, &key), -DT_ERR_AUTH, "is judged by its MAC");
	envelope_fini(&e);
}

int
main(void)
{
	json_t *v = vectors_load("envelopes.json");

	test_vectors(v);
	test_canonicalisation(v);
	test_built_by_hand(v);
	test_bit_flips(v, "control_candidates");
	test_bit_flips(v, "v2_ready_candidates_null_set");
	test_truncation(v);
	test_size();
	test_hostile();
	test_integers();
	test_big_round_trip();
	test_strings();
	test_sanitise();
	test_writer_limits();
	test_body(v);
	test_growth();
	json_decref(v);
	return tap_done();
}
