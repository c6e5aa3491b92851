/* SPDX-License-Identifier: BSD-3-Clause */
/* The selected path: choice, death, return, roaming, payload. */
#include <errno.h>

#include "test/unit/direct_rig.h"

#define OWN "192.168.1.2:1000 198.51.100.1:1000"
#define FAR "203.0.113.7:40000"
#define FAR2 "203.0.113.8:40000"
#define LAN "192.168.7.5:40000"
#define SIX "[2001:db8::1]:40000"

static struct rig *
rig_with(const char *peer)
{
	struct rig *r = rig_new();

	rig_own(r, OWN);
	rig_peer(r, peer);
	return r;
}

/* Which of two wins, when both are probed at once? */
static bool
beats(const char *a, int64_t a_ms, const char *b, int64_t b_ms)
{
	char both[200];
	struct rig *r;
	bool won;

	(void)snprintf(both, sizeof(both), "%s %s", a, b);
	r = rig_with(both);
	(void)rig_host(r, a, a_ms * MONO_MS);
	(void)rig_host(r, b, b_ms * MONO_MS);
	rig_run(r, 1 * MONO_SEC);
	won = rig_is_on(r, a);
	rig_free(r);
	return won;
}

static void
test_choice(void)
{
	OK(beats(LAN, 25, FAR, 10), "private 25 ms before public 10 ms");
	OK(beats(FAR, 10, LAN, 36), "public 10 ms before private 36 ms");
	OK(beats(SIX, 20, FAR, 20), "IPv6 before IPv4 at the same distance");
	OK(beats(FAR, 10, SIX, 15), "but not when it is farther");
	OK(beats(FAR, 10, FAR2, 12), "the first to answer");
}

/* A better address appears while direct. */
static bool
moves(int64_t old_ms, const char *to, int64_t new_ms)
{
	struct rig *r = rig_with(FAR);
	bool moved;

	(void)rig_host(r, FAR, old_ms * MONO_MS);
	rig_run(r, 5 * MONO_SEC);
	(void)rig_host(r, to, new_ms * MONO_MS);
	rig_peer(r, FAR " " LAN " " FAR2 " " SIX);
	rig_run(r, 1 * MONO_SEC);
	moved = rig_is_on(r, to);
	rig_free(r);
	return moved;
}

static void
test_hysteresis(void)
{
	OK(!moves(20, FAR2, 16), "4 ms are not enough");
	OK(moves(20, FAR2, 15), "5 ms are");
	OK(moves(20, LAN, 34), "a private one may be farther");
	OK(!moves(20, LAN, 36), "not too far");
}

static void
test_better_later(void)
{
	struct rig *r = rig_with(FAR " " FAR2);
	struct rig_host *two;
	size_t mark;

	(void)rig_host(r, FAR, 40 * MONO_MS);
	two = rig_host(r, FAR2, 4 * MONO_MS);
	two->up = false;
	rig_run(r, 1500 * MONO_MS);
	OK(rig_is_on(r, FAR), "the one that answers");
	two->up = true;
	rig_run(r, 1 * MONO_SEC);
	OK(rig_is_on(r, FAR2), "2 s later the better one is found");
	EQ_STR(direct_reason(r->d), "a better address answered", "reason");
	mark = r->n_log;
	rig_run(r, 600 * MONO_SEC);
	OK(rig_count(r, DISCO_PROBE, FAR, mark) == 0,
	    "what cannot win is not asked");
	rig_host(r, LAN, 5 * MONO_MS)->up = false;
	rig_peer(r, FAR " " FAR2 " " LAN);
	rig_run(r, 600 * MONO_SEC);
	mark = r->n_log;
	rig_run(r, 600 * MONO_SEC);
	OK(rig_count(r, DISCO_PROBE, LAN, mark) <= 11,
	    "what could is asked once a minute");
	rig_free(r);
}

static void
test_idle(void)
{
	struct rig *r = rig_with(FAR);
	size_t mark;

	(void)rig_host(r, FAR, 20 * MONO_MS);
	rig_run(r, 30 * MONO_SEC);
	mark = r->n_log;
	rig_run(r, 600 * MONO_SEC);
	OK(r->n_log - mark >= 38 && r->n_log - mark <= 41,
	    "idle: a probe every 15 s, nothing else");
	EQ_INT(direct_generation(r->d), 1, "and no change");
	r->chatty = true;
	r->hears = true;
	mark = r->n_log;
	rig_run(r, 100 * MONO_SEC);
	OK(r->n_log - mark >= 19 && r->n_log - mark <= 21,
	    "in use: proof every 5 s, nothing else");
	r->hears = false;
	mark = r->n_log;
	rig_run(r, 100 * MONO_SEC);
	OK(r->n_log - mark >= 80 && r->n_log - mark <= 101,
	    "sending only: proof every second");
	EQ_INT(direct_generation(r->d), 1, "still no change");
	rig_free(r);
}

static void
test_return(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);

	r->chatty = r->hears = true;
	rig_run(r, 30 * MONO_SEC);
	EQ_INT(direct_returns(r->d), 0, "proof now and then is no return");
	h->up = false;
	rig_run(r, 1800 * MONO_MS);
	EQ_INT(direct_returns(r->d), 0, "nor is silence");
	h->up = true;
	rig_run(r, 300 * MONO_MS);
	EQ_INT(direct_returns(r->d), 1, "the next probe's ack is one");
	rig_run(r, 30 * MONO_SEC);
	EQ_INT(direct_returns(r->d), 1, "and the only one");
	/* Too short for a probe to stay unanswered: what the peer would say is
	 * lost as well, so nothing of it is heard until the probe's ack. */
	h->up = r->hears = false;
	rig_run(r, 900 * MONO_MS);
	h->up = true;
	rig_run(r, 250 * MONO_MS);
	EQ_INT(direct_returns(r->d), 2, "an ack after a second's silence");
	r->hears = true;
	rig_run(r, 30 * MONO_SEC);
	EQ_INT(direct_returns(r->d), 2, "once for each silence");
	EQ_INT(direct_generation(r->d), 1, "nothing moved");
	rig_free(r);
	r = rig_with(FAR);
	rig_host(r, FAR, 20 * MONO_MS)->mtu = 1452;
	direct_set_native(r->d);
	r->chatty = r->hears = true;
	rig_run(r, 60 * MONO_SEC);
	OK(rig_is_on(r, FAR), "direct");
	EQ_INT(direct_returns(r->d), 0, "size probes are no silence");
	rig_free(r);
}

/* Only the peer's direction is left, and little is said, at any time since the
 * last proof. */
static void
test_half_death(void)
{
	struct addr far = rig_addr(FAR);
	unsigned dead = 0;

	for (int64_t ms = 20000; ms < 25000; ms += 500) {
		struct rig *r = rig_with(FAR);
		struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);

		r->chatty = r->hears = true;
		rig_run(r, ms * MONO_MS);
		r->chatty = h->up = false;
		direct_sent(r->d, r->now);
		rig_run(r, 1100 * MONO_MS);
		direct_heard(r->d, &far, r->now);
		rig_run(r, 1550 * MONO_MS);
		dead += rig_is_on(r, NULL);
		rig_free(r);
	}
	EQ_INT(dead, 10, "dead in time though the peer was heard");
}

static void
test_death(bool hears)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	size_t mark;
	int64_t us = 0;

	r->chatty = true;
	r->hears = hears;
	rig_run(r, 60 * MONO_SEC);
	OK(rig_is_on(r, FAR), "alive");
	h->up = false;
	mark = r->n_log;
	while (!rig_is_on(r, NULL) && us < 20 * MONO_SEC) {
		rig_run(r, 10 * MONO_MS);
		us += 10 * MONO_MS;
	}
	OK(us <= 2650 * MONO_MS && us >= 1400 * MONO_MS, "dead after %lld ms",
	    (long long)(us / 1000));
	OK(rig_count(r, DISCO_PROBE, FAR, mark) >= 3, "having been asked");
	EQ_STR(direct_reason(r->d), "the direct path fell silent", "reason");
	mark = r->n_log;
	rig_run(r, 0);
	EQ_INT(rig_controls(r, DIRECT_OUT_CALL_ME_MAYBE, 0) > 0, 1, "called");
	rig_run(r, 28 * MONO_SEC);
	EQ_INT(
	    rig_count(r, DISCO_PROBE, FAR, mark), 28, "and tried every second");
	h->up = true;
	rig_run(r, 1100 * MONO_MS);
	OK(rig_is_on(r, FAR), "back within a second of its return");
	h->up = false;
	rig_run(r, 1000 * MONO_SEC);
	mark = r->n_log;
	rig_run(r, 600 * MONO_SEC);
	EQ_INT(rig_count(r, DISCO_PROBE, FAR, mark), 40,
	    "a path long dead is tried every 15 s");
	rig_free(r);
}

/* Data comes in, but nothing of ours arrives: no ack ever. */
static void
test_one_way_death(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	struct addr far = rig_addr(FAR);
	int64_t us = 0;

	rig_run(r, 10 * MONO_SEC);
	h->up = false;
	while (!rig_is_on(r, NULL) && us < 60 * MONO_SEC) {
		if (direct_selected(r->d) != NULL) {
			direct_sent(r->d, r->now);
			direct_heard(r->d, &far, r->now);
			(void)rig_probe(r, FAR);
		}
		rig_run(r, 50 * MONO_MS);
		us += 50 * MONO_MS;
	}
	OK(us <= 8 * MONO_SEC, "one-way death is noticed, after %lld ms",
	    (long long)(us / 1000));
	rig_free(r);
}

static void
test_flapping(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	size_t acks;
	struct direct_info info;

	r->chatty = true;
	r->hears = true;
	rig_run(r, 5 * MONO_SEC);
	h->up = false;
	rig_run(r, 4 * MONO_SEC);
	h->up = true;
	rig_run(r, 2 * MONO_SEC);
	OK(rig_is_on(r, FAR), "back after the first death");
	h->up = false;
	rig_run(r, 4 * MONO_SEC);
	OK(rig_is_on(r, NULL), "died again");
	OK(direct_info(r->d, 0, &info), "known");
	acks = info.acks;
	h->up = true;
	while (rig_is_on(r, NULL))
		rig_run(r, 1 * MONO_MS);
	OK(direct_info(r->d, 0, &info), "known");
	EQ_INT(info.acks - acks, 2, "now two answers in a row are wanted");
	rig_free(r);
}

static void
test_takeover(void)
{
	struct rig *r = rig_with(FAR " " FAR2);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	int64_t us = 0;

	(void)rig_host(r, FAR2, 60 * MONO_MS);
	r->chatty = true;
	rig_run(r, 10 * MONO_SEC);
	OK(rig_is_on(r, FAR), "on the near one");
	h->up = false;
	while (rig_is_on(r, FAR) && us < 10 * MONO_SEC) {
		rig_run(r, 10 * MONO_MS);
		us += 10 * MONO_MS;
	}
	OK(rig_is_on(r, FAR2), "the other one takes over without a detour");
	OK(us <= 1600 * MONO_MS, "after %lld ms", (long long)(us / 1000));
	EQ_STR(direct_reason(r->d), "the former address fell silent", "reason");
	rig_free(r);
}

static void
test_roaming(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	struct addr moved = rig_addr("203.0.113.50:9");

	(void)rig_host(r, "203.0.113.50:9", 20 * MONO_MS);
	r->chatty = true;
	r->hears = true;
	rig_run(r, 10 * MONO_SEC);
	h->up = false;
	rig_run(r, 600 * MONO_MS);
	(void)rig_probe(r, "203.0.113.50:9");
	rig_run(r, 25 * MONO_MS);
	OK(rig_is_on(r, "203.0.113.50:9"),
	    "the peer's new address is used a round trip after its probe");
	rig_free(r);

	/* The same, but only data tells: a NAT forgot its mapping. */
	r = rig_with(FAR);
	h = rig_host(r, FAR, 20 * MONO_MS);
	(void)rig_host(r, "203.0.113.50:9", 20 * MONO_MS);
	r->chatty = true;
	r->hears = true;
	rig_run(r, 10 * MONO_SEC);
	OK(!direct_accepts(r->d, &moved), "a stranger at first");
	h->up = false;
	rig_run(r, 1400 * MONO_MS);
	OK(direct_accepts(r->d, &moved), "believed when the path is silent");
	direct_heard(r->d, &moved, r->now);
	rig_run(r, 25 * MONO_MS);
	OK(rig_is_on(r, "203.0.113.50:9"), "and followed");
	rig_free(r);
}

static void
test_network_changed(void)
{
	struct rig *r = rig_with(FAR " " FAR2);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	size_t mark;

	rig_run(r, 10 * MONO_SEC);
	mark = r->n_log;
	direct_network_changed(r->d, r->now);
	rig_run(r, 0);
	EQ_INT(rig_count(r, DISCO_PROBE, FAR, mark), 1, "asked at once");
	EQ_INT(rig_count(r, DISCO_PROBE, FAR2, mark), 1, "the other too");
	EQ_INT(rig_controls(r, DIRECT_OUT_CANDIDATES, mark), 1, "told");
	rig_run(r, 5 * MONO_SEC);
	OK(rig_is_on(r, FAR), "still there");
	h->up = false;
	direct_network_changed(r->d, r->now);
	rig_run(r, 1100 * MONO_MS);
	OK(rig_is_on(r, NULL), "given up within a second");
	rig_free(r);
}

static void
test_refused(void)
{
	struct rig *r = rig_with(FAR " " FAR2);
	struct addr far = rig_addr(FAR);
	size_t mark;

	(void)rig_host(r, FAR, 20 * MONO_MS);
	rig_host(r, FAR2, 50 * MONO_MS)->up = true;
	rig_run(r, 10 * MONO_SEC);
	mark = r->n_log;
	direct_send_failed(r->d, &far, -ENETUNREACH, r->now);
	OK(rig_is_on(r, NULL), "relay at once");
	EQ_STR(direct_reason(r->d), "the socket refused to send", "reason");
	rig_run(r, 51 * MONO_MS);
	OK(rig_is_on(r, FAR2), "and the other path a round trip later");
	EQ_INT(rig_count(r, DISCO_PROBE, FAR, mark), 0, "not the refused one");
	rig_free(r);
}

/* A native peer calls: it is on the relay, so something is wrong. */
static void
test_called_while_direct(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	size_t mark;

	direct_set_native(r->d);
	rig_run(r, 10 * MONO_SEC);
	mark = r->n_log;
	direct_called(r->d, r->now);
	rig_run(r, 1 * MONO_SEC);
	EQ_INT(rig_count(r, DISCO_PROBE, FAR, mark), 1, "proven at once");
	h->up = false;
	direct_called(r->d, r->now);
	rig_run(r, 1100 * MONO_MS);
	OK(rig_is_on(r, NULL), "given up early");
	rig_free(r);
}

static size_t
payload_of(size_t mtu)
{
	struct rig *r = rig_with(FAR);
	size_t got;

	rig_host(r, FAR, 20 * MONO_MS)->mtu = mtu;
	direct_set_native(r->d);
	rig_run(r, 20 * MONO_SEC);
	got = direct_selected(r->d) != NULL ? direct_payload(r->d) : 0;
	rig_free(r);
	return got;
}

static void
test_payload(void)
{
	static const size_t ladder[] = { 1200, 1232, 1372, 1452, 8932, 16000 };
	struct rig *r = rig_with(FAR);

	for (size_t i = 0; i < 6; i++) {
		EQ_INT(payload_of(ladder[i]), ladder[i], "payload of %zu",
		    ladder[i]);
		EQ_INT(payload_of(ladder[i] - 1), i > 0 ? ladder[i - 1] : 0,
		    "of one less");
	}
	(void)rig_host(r, FAR, 20 * MONO_MS);
	rig_run(r, 60 * MONO_SEC);
	EQ_INT(direct_payload(r->d), 1200, "1200 to a peer of v0.18.2");
	EQ_INT(rig_count(r, DISCO_SIZE_PROBE, NULL, 0), 0, "and no questions");
	direct_set_native(r->d);
	rig_run(r, 65 * MONO_MS);
	EQ_INT(direct_payload(r->d), 16000, "native: three round trips");
	rig_free(r);
}

static void
test_payload_shrinks(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);
	uint32_t before;

	h->mtu = 1452;
	r->chatty = true;
	r->hears = true;
	direct_set_native(r->d);
	rig_run(r, 5 * MONO_SEC);
	EQ_INT(direct_payload(r->d), 1452, "Ethernet");
	h->mtu = 1300;
	rig_run(r, 8 * MONO_SEC);
	EQ_INT(direct_payload(r->d), 1232, "a smaller path is noticed");
	before = direct_generation(r->d);
	h->mtu = 9000;
	rig_run(r, 70 * MONO_SEC);
	EQ_INT(direct_payload(r->d), 8932, "a larger one later");
	OK(direct_generation(r->d) != before, "and told");
	before = direct_generation(r->d);
	direct_too_long(r->d, 8932, r->now);
	EQ_INT(direct_payload(r->d), 1200, "refused: the least at once");
	OK(direct_generation(r->d) != before, "told");
	h->mtu = 1452;
	rig_run(r, 2 * MONO_SEC);
	EQ_INT(direct_payload(r->d), 1452, "then the best below");
	direct_too_long(r->d, 8932, r->now);
	EQ_INT(direct_payload(r->d), 1452, "a refused probe takes nothing");
	direct_too_long(r->d, 1200, r->now);
	OK(rig_is_on(r, NULL), "a path without 1200 octets is none");
	rig_free(r);
}

/* A path that carries small packets only answers every probe: it is left alone
 * for a while however the peer probes. */
static void
test_narrow(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);

	r->chatty = true;
	r->hears = true;
	direct_set_native(r->d);
	rig_run(r, 5 * MONO_SEC);
	h->mtu = 1100;
	rig_run(r, 10 * MONO_SEC);
	OK(rig_is_on(r, NULL), "less than 1200 octets: relay");
	for (int i = 0; i < 15; i++) {
		(void)rig_probe(r, FAR);
		direct_called(r->d, r->now);
		rig_run(r, 1 * MONO_SEC);
		if (!rig_is_on(r, NULL))
			break;
	}
	OK(rig_is_on(r, NULL), "and so it stays");
	h->mtu = 1452;
	rig_run(r, 20 * MONO_SEC);
	OK(rig_is_on(r, FAR), "until it is tried again");
	EQ_INT(direct_payload(r->d), 1452, "and is wider");
	h->mtu = 1100;
	rig_run(r, 10 * MONO_SEC);
	OK(rig_is_on(r, NULL), "narrow again");
	h->mtu = 1452;
	direct_network_changed(r->d, r->now);
	rig_run(r, 1 * MONO_SEC);
	OK(rig_is_on(r, FAR), "a new network is tried at once");
	rig_free(r);
}

/* Loss of everything must not be taken for a small path. */
static void
test_payload_blackhole(void)
{
	struct rig *r = rig_with(FAR);
	struct rig_host *h = rig_host(r, FAR, 20 * MONO_MS);

	h->mtu = 1452;
	r->chatty = true;
	r->hears = true;
	direct_set_native(r->d);
	rig_run(r, 5 * MONO_SEC);
	h->up = false;
	rig_run(r, 5 * MONO_SEC);
	EQ_STR(direct_reason(r->d), "the direct path fell silent", "reason");
	rig_free(r);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_choice();
	test_hysteresis();
	test_better_later();
	test_idle();
	test_return();
	test_half_death();
	test_death(true);
	test_death(false);
	test_one_way_death();
	test_flapping();
	test_takeover();
	test_roaming();
	test_network_changed();
	test_refused();
	test_called_while_direct();
	test_payload();
	test_payload_shrinks();
	test_narrow();
	test_payload_blackhole();
	return tap_done();
}
