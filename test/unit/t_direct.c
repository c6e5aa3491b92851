/* SPDX-License-Identifier: BSD-3-Clause */
/* Controls, candidates, probes and answers; the path itself is in
 * t_direct_path.c, what a hostile network can do in t_direct_bound.c. */
#include "lib/err.h"
#include "test/unit/direct_rig.h"

#include <errno.h>

#define OWN "192.168.1.2:1000 198.51.100.1:1000"
#define FAR "203.0.113.7:40000"
#define LAN "192.168.1.5:40000"
#define SIX "[2001:db8::1]:40000"
#define STRANGER "203.0.113.99:5"

static void
test_quiet_at_first(void)
{
	struct rig *r = rig_new();

	rig_run(r, 60 * MONO_SEC);
	EQ_INT(r->n_log, 0, "nothing is due before anything is known");
	OK(mono_is_never(direct_next_deadline(r->d)), "and no timer runs");
	OK(rig_is_on(r, NULL), "the relay at first");
	EQ_INT(direct_payload(r->d), 1200, "least payload");
	EQ_STR(
	    direct_reason(r->d), "the peer has told no address yet", "reason");
	rig_free(r);
}

static void
test_controls(void)
{
	struct rig *r = rig_new();
	size_t mark;

	rig_own(r, OWN);
	EQ_INT(direct_peek_own(r->d)->n, 2, "own list is kept");
	rig_run(r, 0);
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, 0), 1, "told at once");
	EQ_INT(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, 0), 0,
	    "not called: peer v0.18.2 would gather before it probes");
	rig_run(r, 1 * MONO_SEC);
	EQ_INT(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, 0), 1, "but soon");
	rig_run(r, 28 * MONO_SEC);
	EQ_INT(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, 0), 29,
	    "every second for 30 s");
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, 0), 30, "both");
	mark = r->n_log;
	rig_run(r, 260 * MONO_SEC);
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 52, "then 5 s");
	rig_run(r, 60 * MONO_SEC);
	mark = r->n_log;
	rig_run(r, 300 * MONO_SEC);
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 10, "then 30 s");
	mark = r->n_log;
	rig_own(r, OWN);
	rig_run(r, 0);
	EQ_INT(r->n_log, mark, "the same list is no news");
	rig_own(r, "192.168.1.3:1000");
	rig_run(r, 10 * MONO_SEC);
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 11,
	    "another one is, and begins anew");
	mark = r->n_log;
	rig_run(r, 500 * MONO_MS);
	mark = r->n_log;
	rig_own(r, "");
	rig_run(r, 0);
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 1,
	    "an empty one too");
	rig_free(r);
}

static void
test_called(void)
{
	struct rig *r = rig_new();
	size_t mark;

	rig_own(r, OWN);
	rig_peer(r, FAR);
	(void)rig_host(r, FAR, 10 * MONO_MS);
	rig_run(r, 5 * MONO_SEC);
	OK(rig_is_on(r, FAR), "direct");
	mark = r->n_log;
	direct_called(r->d, r->now);
	rig_run(r, 0);
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 1,
	    "a call is answered while direct");
	EQ_INT(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, mark), 0,
	    "but not with a call");
	mark = r->n_log;
	for (int i = 0; i < 2000; i++) {
		direct_called(r->d, r->now);
		rig_run(r, 1 * MONO_MS);
	}
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 20,
	    "1000 calls a second: ten answers");
	rig_free(r);
}

/* Two of ours that cannot get direct must not keep each other awake. */
static void
test_calm_with_calls(void)
{
	struct rig *r = rig_new();
	size_t mark;

	rig_own(r, OWN);
	rig_peer(r, FAR);
	for (int i = 0; i < 20; i++) {
		direct_called(r->d, r->now);
		rig_run(r, 30 * MONO_SEC);
	}
	mark = r->n_log;
	for (int i = 0; i < 10; i++) {
		direct_called(r->d, r->now);
		rig_run(r, 30 * MONO_SEC);
	}
	OK(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, mark) <= 11,
	    "calls of a peer as calm as we are do not end the calm");
	rig_run(r, 60 * MONO_SEC);
	mark = r->n_log;
	direct_called(r->d, r->now);
	rig_run(r, 10 * MONO_SEC);
	OK(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, mark) >= 9,
	    "a call after long silence does");
	rig_free(r);
}

static void
test_answer(void)
{
	struct rig *r = rig_new();
	struct addr from = rig_addr(STRANGER);
	struct disco_nonce nonce;
	size_t mark;

	rig_own(r, OWN);
	rig_run(r, 0);
	mark = r->n_log;
	nonce = rig_probe(r, STRANGER);
	rig_run(r, 0);
	EQ_INT(r->n_log - mark, 2, "a stranger's probe: an ack and a probe");
	EQ_INT(r->log[mark].packet.kind, DISCO_ACK, "the ack first");
	EQ_MEM(r->log[mark].packet.nonce.b, nonce.b, 16, "the same nonce");
	OK(addr_equal(&r->log[mark].to, &from), "to the source");
	EQ_INT(r->log[mark + 1].packet.kind, DISCO_PROBE, "then the probe");
	OK(memcmp(r->log[mark + 1].packet.nonce.b, nonce.b, 16) != 0,
	    "its nonce is ours");
	mark = r->n_log;
	rig_input(r, &from, DISCO_PROBE, nonce);
	rig_run(r, 0);
	EQ_INT(rig_count(r, DISCO_ACK, STRANGER, mark), 1,
	    "a duplicate is acked again");
	EQ_INT(rig_count(r, DISCO_PROBE, NULL, mark), 0, "but no news");
	from = rig_addr("203.0.113.100:5");
	mark = r->n_log;
	rig_input(r, &from, DISCO_PROBE, nonce);
	rig_run(r, 0);
	EQ_INT(r->n_log - mark, 0, "from elsewhere it is a replay");
	/* Whoever sees it may send it sooner from elsewhere. */
	rig_peer(r, FAR);
	rig_run(r, 2 * MONO_SEC);
	nonce = rig_probe(r, "203.0.113.101:5");
	rig_run(r, 1 * MONO_SEC);
	from = rig_addr(FAR);
	mark = r->n_log;
	rig_input(r, &from, DISCO_PROBE, nonce);
	rig_run(r, 0);
	EQ_INT(rig_count(r, DISCO_ACK, FAR, mark), 1,
	    "but a candidate is answered, though it comes second");
	rig_free(r);
}

static void
test_reflexive(void)
{
	struct rig *r = rig_new();
	struct direct_info info;

	rig_own(r, OWN);
	(void)rig_host(r, STRANGER, 30 * MONO_MS);
	rig_run(r, 1 * MONO_SEC);
	(void)rig_probe(r, STRANGER);
	rig_run(r, 29 * MONO_MS);
	OK(rig_is_on(r, NULL), "being probed does not select");
	OK(direct_info(r->d, 0, &info) && info.reflexive, "it is known");
	rig_run(r, 1 * MONO_MS);
	OK(rig_is_on(r, STRANGER), "the ack does, one round trip later");
	OK(direct_info(r->d, 0, &info) && info.state == DIRECT_TRY_SELECTED &&
		info.acks == 1 && info.rtt_us == 30 * MONO_MS,
	    "and is counted");
	OK(!direct_info(r->d, 1, &info), "no other is known");
	rig_free(r);
}

static void
test_reflection(void)
{
	struct rig *r = rig_new();
	struct addr mirror = rig_addr(STRANGER), far = rig_addr(FAR);
	size_t mark;

	rig_own(r, OWN);
	rig_peer(r, FAR);
	rig_run(r, 0);
	mark = r->n_log;
	for (size_t i = 0; i < mark; i++)
		if (r->log[i].kind == DIRECT_OUT_PACKET) {
			rig_input(
			    r, &mirror, DISCO_PROBE, r->log[i].packet.nonce);
			rig_input(r, &far, DISCO_PROBE, r->log[i].packet.nonce);
		}
	rig_run(r, 10 * MONO_MS);
	EQ_INT(rig_count(r, DISCO_ACK, NULL, mark), 0,
	    "our own probes are not acked");
	EQ_INT(
	    rig_count(r, DISCO_PROBE, STRANGER, mark), 0, "nor learned from");
	rig_free(r);
}

/* What Go's manager would believe and what not: acks. */
static void
test_acks(void)
{
	struct rig *r = rig_new();
	struct addr far = rig_addr(FAR), other = rig_addr(STRANGER);
	struct disco_nonce nonce = { { 0 } };

	rig_own(r, OWN);
	rig_peer(r, FAR);
	rig_run(r, 10 * MONO_MS);
	for (size_t i = 0; i < r->n_log; i++)
		if (r->log[i].kind == DIRECT_OUT_PACKET)
			nonce = r->log[i].packet.nonce;
	rig_input(r, &far, DISCO_ACK, rig_nonce(99));
	rig_input(r, &other, DISCO_ACK, nonce);
	rig_input(r, &far, DISCO_SIZE_ACKED, nonce);
	OK(rig_is_on(r, NULL), "wrong nonce, wrong source, wrong kind");
	rig_input(r, &far, DISCO_ACK, nonce);
	OK(rig_is_on(r, FAR), "the right one still counts");
	EQ_INT(direct_generation(r->d), 1, "once");
	rig_input(r, &far, DISCO_ACK, nonce);
	EQ_INT(direct_generation(r->d), 1, "a replay changes nothing");
	rig_free(r);

	r = rig_new();
	rig_own(r, OWN);
	rig_peer(r, FAR);
	rig_host(r, FAR, 1100 * MONO_MS)->up = true;
	rig_run(r, 5 * MONO_SEC);
	OK(rig_is_on(r, NULL), "after 1.1 s an ack is too late");
	rig_free(r);
}

static void
test_schedule(void)
{
	static const int64_t want_ms[] = { 0, 60, 180, 1180, 6000, 6060, 6180,
		7180, 12000 };
	struct rig *r = rig_new();
	struct direct_info info;
	size_t n = 0;

	rig_peer(r, FAR);
	OK(direct_info(r->d, 0, &info) && info.state == DIRECT_TRY_NEW, "new");
	rig_run(r, 12 * MONO_SEC);
	for (size_t i = 0; i < r->n_log && n < 9; i++)
		if (r->log[i].kind == DIRECT_OUT_PACKET)
			EQ_INT(r->log[i].at.us - RIG_START,
			    want_ms[n++] * MONO_MS, "probe %zu", i);
	EQ_INT(n, 9, "bursts of four, 6 s apart");
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, 0), 0,
	    "no controls without own addresses");
	OK(direct_info(r->d, 0, &info) && info.state == DIRECT_TRY_PENDING,
	    "pending");
	rig_run(r, 3 * MONO_SEC);
	OK(direct_info(r->d, 0, &info) && info.state == DIRECT_TRY_SILENT,
	    "silent");
	EQ_STR(direct_reason(r->d), "no address of the peer answers", "reason");
	rig_run(r, 3600 * MONO_SEC);
	n = r->n_log;
	rig_run(r, 600 * MONO_SEC);
	EQ_INT(r->n_log - n, 40, "after an hour a burst a minute");
	n = r->n_log;
	direct_called(r->d, r->now);
	rig_run(r, 2 * MONO_SEC);
	EQ_INT(r->n_log - n, 4, "and one when the peer calls");
	n = r->n_log;
	direct_network_changed(r->d, r->now);
	rig_run(r, 0);
	EQ_INT(r->n_log - n, 0, "not beyond its budget");
	rig_run(r, 30 * MONO_SEC);
	EQ_INT(r->n_log - n, 20, "but often again in a new network");
	rig_free(r);
}

static void
test_native_calls(void)
{
	struct rig *r = rig_new();

	direct_set_native(r->d);
	rig_own(r, OWN);
	rig_run(r, 0);
	EQ_INT(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, 0), 1,
	    "a peer of ours is called at once");
	rig_free(r);
}

/* The last probe of a burst is kept for the peer's call. */
static void
test_last_waits(void)
{
	struct rig *r = rig_new();
	size_t n;

	rig_peer(r, FAR);
	rig_run(r, 100 * MONO_MS);
	direct_called(r->d, r->now);
	rig_run(r, 0);
	EQ_INT(rig_count(r, DISCO_PROBE, FAR, 0), 2, "too early a call");
	rig_run(r, 500 * MONO_MS);
	n = r->n_log;
	direct_called(r->d, r->now);
	rig_run(r, 0);
	EQ_INT(r->n_log - n, 1, "the last probe when the peer calls");
	direct_called(r->d, r->now);
	rig_run(r, 4 * MONO_SEC);
	EQ_INT(r->n_log - n, 1, "and no more");
	rig_free(r);
}

static void
test_order(void)
{
	struct rig *r = rig_new();
	struct candidate_list many = { 0 };
	size_t at_once = 0;

	rig_own(r, OWN);
	rig_run(r, 0);
	r->n_log = 0;
	rig_peer(r, FAR " " SIX " 10.9.9.9:1 " LAN);
	rig_run(r, 0);
	EQ_INT(r->n_log, 4, "all at once");
	for (size_t i = 0; i < r->n_log; i++) {
		static const char *want[] = { LAN, "10.9.9.9:1", SIX, FAR };
		struct addr a = rig_addr(want[i]);

		OK(addr_equal(&a, &r->log[i].to), "%s is number %zu", want[i],
		    i);
	}
	r->n_log = 0;
	for (size_t i = 0; i < CANDIDATE_MAX_LIST; i++) {
		many.a[i] = rig_addr("10.1.1.1:1");
		many.a[i].port = (uint16_t)(i + 1);
	}
	many.n = CANDIDATE_MAX_LIST;
	direct_set_peer(r->d, &many, r->now);
	rig_run(r, 999);
	at_once = rig_count(r, DISCO_PROBE, NULL, 0);
	OK(at_once <= 8, "never more than 8 in a millisecond");
	rig_run(r, 4 * MONO_MS);
	EQ_INT(rig_count(r, DISCO_PROBE, NULL, 0), 32, "soon all of them");
	rig_free(r);
}

static void
test_unsendable(void)
{
	struct rig *r = rig_new();
	struct direct_params params = { .has_v4 = true };
	struct direct_info info;

	rig_own(r, OWN " 172.17.0.1:77");
	rig_peer(r, "255.255.255.255:9 127.0.0.1:9 [fe80::1]:9 "
		    "172.17.0.1:77 224.0.0.1:9 0.0.0.0:9");
	rig_run(r, 60 * MONO_SEC);
	EQ_INT(rig_count(r, DISCO_PROBE, NULL, 0), 0,
	    "broadcast, loopback, scopeless, own, multicast, nowhere");
	OK(!direct_info(r->d, 0, &info), "are not even known");
	rig_free(r);

	r = rig_new();
	direct_free(r->d);
	params.disco_key = r->key;
	r->d = direct_new(&params, r->now);
	rig_peer(r, SIX);
	rig_run(r, 60 * MONO_SEC);
	EQ_INT(r->n_log, 0, "no IPv6 without a socket");
	OK(direct_info(r->d, 0, &info) && info.state == DIRECT_TRY_REFUSED &&
		info.error == -EAFNOSUPPORT,
	    "which is told");
	(void)rig_probe(r, SIX);
	rig_run(r, 0);
	EQ_INT(r->n_log, 0, "nor acks");
	rig_free(r);

	r = rig_new();
	direct_free(r->d);
	params.allow_loopback = true;
	r->d = direct_new(&params, r->now);
	rig_peer(r, "127.0.0.1:9");
	rig_run(r, 0);
	EQ_INT(r->n_log, 1, "loopback when it is permitted");
	rig_free(r);
}

static void
test_refused(void)
{
	struct rig *r = rig_new();
	struct addr far = rig_addr(FAR);
	struct direct_info info;

	rig_peer(r, FAR);
	rig_run(r, 0);
	direct_send_failed(r->d, &far, -ENETUNREACH, r->now);
	OK(direct_info(r->d, 0, &info) && info.state == DIRECT_TRY_REFUSED &&
		info.error == -ENETUNREACH,
	    "refused");
	rig_run(r, 4999 * MONO_MS);
	EQ_INT(r->n_log, 1, "left alone for 5 s");
	rig_run(r, 1 * MONO_SEC);
	EQ_INT(r->n_log, 2, "then tried once");
	direct_send_failed(r->d, &far, -ENETUNREACH, r->now);
	(void)rig_host(r, FAR, 10 * MONO_MS);
	rig_run(r, 6 * MONO_SEC);
	OK(rig_is_on(r, FAR), "and again, when it goes");
	OK(direct_info(r->d, 0, &info) && info.error == 0, "error is past");
	rig_free(r);
}

static void
test_lists(void)
{
	struct rig *r = rig_new();
	struct direct_info info;

	(void)rig_host(r, FAR, 10 * MONO_MS);
	rig_own(r, OWN);
	rig_peer(r, FAR " " LAN);
	rig_run(r, 1 * MONO_SEC);
	OK(rig_is_on(r, FAR), "direct");
	rig_peer(r, "");
	rig_run(r, 60 * MONO_SEC);
	OK(rig_is_on(r, FAR), "an emptied list does not end it");
	OK(direct_info(r->d, 0, &info) && !direct_info(r->d, 1, &info),
	    "the others are gone");
	rig_peer(r, FAR " " LAN);
	rig_run(r, 1 * MONO_SEC);
	EQ_INT(direct_generation(r->d), 1, "nor does its return change it");
	rig_own(r, OWN " " FAR);
	OK(rig_is_on(r, NULL), "an address that is ours is not the peer's");
	rig_free(r);

	r = rig_new();
	rig_peer(r, FAR " " LAN);
	rig_run(r, 1 * MONO_SEC);
	rig_peer(r, "");
	r->n_log = 0;
	rig_run(r, 60 * MONO_SEC);
	EQ_INT(r->n_log, 0, "an empty list ends probing");
	rig_free(r);
}

static void
test_accepts(void)
{
	struct rig *r = rig_new();
	struct addr far = rig_addr(FAR), lan = rig_addr(LAN),
		    other = rig_addr(STRANGER);

	(void)rig_host(r, FAR, 10 * MONO_MS);
	OK(direct_accepts(r->d, &other), "anyone while on the relay");
	rig_peer(r, FAR " " LAN);
	rig_run(r, 1 * MONO_SEC);
	OK(direct_accepts(r->d, &far), "the selected one");
	OK(direct_accepts(r->d, &lan), "a candidate");
	OK(!direct_accepts(r->d, &other), "no stranger");
	(void)rig_probe(r, STRANGER);
	OK(direct_accepts(r->d, &other), "unless it proved itself");
	rig_free(r);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_quiet_at_first();
	test_controls();
	test_called();
	test_calm_with_calls();
	test_answer();
	test_reflexive();
	test_reflection();
	test_acks();
	test_schedule();
	test_native_calls();
	test_last_waits();
	test_order();
	test_unsendable();
	test_refused();
	test_lists();
	test_accepts();
	return tap_done();
}
