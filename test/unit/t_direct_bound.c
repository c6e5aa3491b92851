/* SPDX-License-Identifier: BSD-3-Clause */
/* What a hostile peer or network gets out of a struct direct: little. */
#include "test/unit/direct_rig.h"

#define OWN "192.168.1.2:1000 198.51.100.1:1000"
#define FAR "203.0.113.7:40000"
#define VICTIM "192.0.2.66:53"
#ifdef VALGRIND
#define ROUNDS 1000
#define RANDOM_RUNS 3
#else
#define ROUNDS 10000
#define RANDOM_RUNS 60
#endif

static uint64_t random_state;

static uint32_t
below(uint32_t n)
{
	random_state =
	    random_state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(random_state >> 33) % n;
}

static void
test_forged(void)
{
	struct rig *r = rig_new();
	struct addr far = rig_addr(FAR);
	struct disco_packet packet = { .kind = DISCO_PROBE };
	uint8_t pkt[200] = { 0 };
	size_t mark;

	rig_own(r, OWN);
	rig_peer(r, FAR);
	rig_run(r, 500 * MONO_MS);
	mark = r->n_log;
	for (size_t len = 0; len <= sizeof(pkt); len++)
		for (packet.kind = 1; packet.kind <= 4; packet.kind++) {
			struct key32 other = { { 1 } };

			packet.size = (uint16_t)len;
			(void)disco_build(pkt, sizeof(pkt), &other, &packet);
			direct_input(r->d, &far, pkt, len, r->now);
		}
	direct_input(r->d, &far, (const uint8_t *)"derphole-probe", 14, r->now);
	direct_input(r->d, &far, (const uint8_t *)"derphole-ack", 12, r->now);
	direct_input(r->d, &far, (const uint8_t *)DISCO_PUNCH, 14, r->now);
	rig_run(r, 100 * MONO_MS);
	EQ_INT(r->n_log - mark, 0, "forged packets get no answer");
	OK(rig_is_on(r, NULL), "and select nothing");
	rig_free(r);
}

/* A list that flips wants us to flood a third party. */
static void
test_flip(void)
{
	struct rig *r = rig_new();

	rig_own(r, OWN);
	for (int i = 0; i < ROUNDS; i++) {
		rig_peer(r, i % 2 == 0 ? FAR " " VICTIM : FAR);
		rig_run(r, 7 * MONO_MS);
	}
	OK(rig_densest(r, VICTIM, 6 * MONO_SEC) <= DIRECT_MAX_TRIES,
	    "a list that flips: still 4 probes in 6 s");
	OK(rig_densest(r, FAR, 6 * MONO_SEC) <= DIRECT_MAX_TRIES,
	    "for those that stay, too");
	rig_free(r);

	/* Also by way of so many addresses that memory might run out. */
	r = rig_new();
	rig_own(r, OWN);
	for (int i = 0; i < ROUNDS; i++) {
		struct candidate_list list = { 0 };

		while (list.n < CANDIDATE_MAX_LIST) {
			list.a[list.n] = rig_addr("10.0.0.1:1");
			list.a[list.n].ip[2] = (uint8_t)below(256);
			list.a[list.n++].ip[3] = (uint8_t)below(250);
		}
		if (i % 40 == 0)
			list.a[0] = rig_addr(VICTIM);
		direct_set_peer(r->d, &list, r->now);
		rig_run(r, 5 * MONO_MS);
	}
	OK(rig_densest(r, VICTIM, 6 * MONO_SEC) <= DIRECT_MAX_TRIES,
	    "many flipping addresses: still 4 in 6 s for each");
	OK(r->n_log < (size_t)ROUNDS, "and few in all: %zu", r->n_log);
	rig_free(r);
}

/* Lists do not get room from memories: but time gives it back. */
static void
test_room_returns(void)
{
	struct rig *r = rig_new();
	struct candidate_list list = { .n = CANDIDATE_MAX_LIST };

	rig_own(r, OWN);
	for (uint8_t k = 0; k < 6; k++) {
		for (size_t i = 0; i < list.n; i++) {
			list.a[i] = rig_addr("10.0.0.1:1");
			list.a[i].ip[2] = k;
			list.a[i].ip[3] = (uint8_t)i;
		}
		direct_set_peer(r->d, &list, r->now);
		rig_run(r, 20 * MONO_MS);
	}
	(void)rig_host(r, FAR, 10 * MONO_MS);
	rig_peer(r, FAR);
	rig_run(r, 8 * MONO_SEC);
	OK(rig_is_on(r, FAR), "an honest list is admitted soon after");
	rig_free(r);
}

static void
test_ack_flood(void)
{
	struct rig *r = rig_new();
	size_t mark, total;
	struct addr far = rig_addr(FAR);

	rig_own(r, OWN);
	rig_peer(r, FAR);
	(void)rig_host(r, FAR, 10 * MONO_MS);
	rig_run(r, 1 * MONO_SEC);
	mark = r->n_log;
	/* One source, a peer gone mad: 20000 good probes in a second. */
	for (int i = 0; i < ROUNDS; i++) {
		(void)rig_probe(r, FAR);
		rig_run(r, MONO_SEC / ROUNDS);
	}
	total = rig_count(r, DISCO_ACK, NULL, mark);
	OK(total >= 10 && total <= 80, "acks to one source are bounded: %zu",
	    total);
	/* Many sources: replays that we do not remember. */
	rig_run(r, 10 * MONO_SEC);
	mark = r->n_log;
	for (int i = 0; i < ROUNDS; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "198.18.%u.%u:7", below(256),
		    below(255));
		(void)rig_probe(r, text);
		rig_run(r, MONO_SEC / ROUNDS);
	}
	total = rig_count(r, DISCO_ACK, NULL, mark);
	OK(total <= 400, "acks to all are bounded: %zu", total);
	OK(rig_is_on(r, FAR), "the path stays");
	EQ_INT(direct_generation(r->d), 1, "unchanged");
	OK(direct_accepts(r->d, &far), "and usable");
	mark = r->n_log;
	(void)rig_probe(r, FAR);
	rig_run(r, 0);
	EQ_INT(rig_count(r, DISCO_ACK, FAR, mark), 1,
	    "strangers take no acks from those we know");
	/* Nor do these, although known, from the path. */
	rig_run(r, 10 * MONO_SEC);
	mark = r->n_log;
	for (int i = 0; i < 2000; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "198.18.0.%d:7", i % 8);
		(void)rig_probe(r, text);
		if (i % 100 == 99)
			(void)rig_probe(r, FAR);
		rig_run(r, 1 * MONO_MS);
	}
	EQ_INT(rig_count(r, DISCO_ACK, FAR, mark), 20, "nor do those");
	rig_free(r);
}

/* Probes from forged sources, fresh ones: no more than the budgets and a few
 * leave for them. */
static void
test_trigger_flood(void)
{
	struct rig *r = rig_new();
	size_t mark = r->n_log, total;

	rig_own(r, OWN);
	for (int i = 0; i < ROUNDS; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "198.18.0.%d:7", i % 8);
		(void)rig_probe(r, text);
		rig_run(r, 5 * MONO_SEC / ROUNDS);
	}
	total = rig_count(r, DISCO_PROBE, NULL, mark);
	OK(total >= 32 && total <= 8 * 4 + 16 * 6,
	    "probes to forged sources are bounded: %zu", total);
	rig_free(r);
}

/* Strangers do not drive out a source that answered. */
static void
test_reflexive_eviction(void)
{
	struct rig *r = rig_new();
	struct direct_info info;
	bool kept = false;
	size_t n = 0;

	rig_own(r, OWN);
	(void)rig_host(r, FAR, 10 * MONO_MS);
	(void)rig_host(r, "203.0.113.8:1", 30 * MONO_MS);
	(void)rig_probe(r, FAR);
	rig_run(r, 1 * MONO_SEC);
	direct_send_failed(r->d, direct_selected(r->d), -1, r->now);
	for (int i = 0; i < 300; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "198.18.0.%d:7", i % 250);
		(void)rig_probe(r, text);
	}
	while (direct_info(r->d, n, &info)) {
		struct addr far = rig_addr(FAR);

		kept |= addr_equal(&info.addr, &far);
		n++;
	}
	EQ_INT(n, DIRECT_MAX_REFLEXIVE, "eight sources, no more");
	OK(kept, "the one that answered is one of them");
	rig_run(r, 90 * MONO_SEC);
	for (n = 0; direct_info(r->d, n, &info); n++)
		;
	EQ_INT(n, 1, "the silent are forgotten");
	rig_free(r);
}

/* Random everything for some virtual minutes: bounds hold, time goes on, and
 * when the network is well at the end the path is direct. */
static void
random_step(struct rig *r)
{
	static const char *addrs[] = { FAR, "203.0.113.8:1", "10.7.7.7:7",
		"[2001:db8::9]:9", VICTIM, "192.168.1.9:9", "203.0.113.9:1" };
	char list[300] = "";
	struct rig_host *h = &r->host[below((uint32_t)r->n_hosts)];
	struct addr a = rig_addr(addrs[below(7)]);

	switch (below(12)) {
	case 0:
		for (size_t i = 0; i < 7; i++)
			if (below(2) == 0) {
				size_t n = strlen(list);

				(void)snprintf(list + n, sizeof(list) - n,
				    " %s", addrs[i]);
			}
		rig_peer(r, list);
		break;
	case 1:
		rig_own(r, below(2) == 0 ? OWN : OWN " 10.1.2.3:4");
		break;
	case 2:
		direct_called(r->d, r->now);
		break;
	case 3:
		direct_network_changed(r->d, r->now);
		break;
	case 4:
		(void)rig_probe(r, addrs[below(7)]);
		break;
	case 5:
		direct_send_failed(r->d, &a, -101, r->now);
		break;
	case 6:
		direct_too_long(r->d, 1200 + below(15000), r->now);
		break;
	case 7:
		direct_heard(r->d, &a, r->now);
		break;
	case 8:
		h->up = below(3) > 0;
		break;
	case 9:
		h->mtu = 1200 + below(16000);
		break;
	case 10:
		r->chatty = below(2) == 0;
		r->hears = below(2) == 0;
		r->chat = r->now;
		break;
	default:
		direct_set_native(r->d);
		break;
	}
}

static void
test_random(uint64_t seed)
{
	struct rig *r = rig_new();
	size_t n = 0;
	struct direct_info info;

	random_state = seed;
	(void)rig_host(r, FAR, 20 * MONO_MS);
	(void)rig_host(r, "10.7.7.7:7", 30 * MONO_MS);
	(void)rig_host(r, "[2001:db8::9]:9", 300 * MONO_MS);
	for (int i = 0; i < 400; i++) {
		random_step(r);
		rig_run(r, (int64_t)below(2000) * MONO_MS);
		if (direct_payload(r->d) < 1200 ||
		    direct_payload(r->d) > DIRECT_MAX_PACKET)
			OK(false, "payload, seed %llu",
			    (unsigned long long)seed);
	}
	while (direct_info(r->d, n, &info))
		n++;
	OK(n <= CANDIDATE_MAX_LIST + DIRECT_MAX_REFLEXIVE + 1,
	    "seed %llu: table", (unsigned long long)seed);
	if (rig_densest(r, VICTIM, 6 * MONO_SEC) > DIRECT_MAX_TRIES + 8)
		OK(false, "budget, seed %llu", (unsigned long long)seed);
	for (size_t i = 0; i < r->n_hosts; i++) {
		r->host[i].up = true;
		r->host[i].mtu = 1452;
	}
	rig_peer(r, FAR " 10.7.7.7:7");
	rig_run(r, 40 * MONO_SEC);
	OK(direct_selected(r->d) != NULL, "seed %llu: direct in the end: %s",
	    (unsigned long long)seed, direct_reason(r->d));
	rig_free(r);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_forged();
	test_flip();
	test_room_returns();
	test_ack_flood();
	test_trigger_flood();
	test_reflexive_eviction();
	for (uint64_t seed = 1; seed <= RANDOM_RUNS; seed++)
		test_random(seed);
	return tap_done();
}
