/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/stun/stun_gather.h"

#include <stdlib.h>

#include "lib/secret.h"
#include "test/tap.h"

#define LOG_MAX 1024

struct request {
	struct addr to;
	struct mono at;
	struct stun_tx tx;
};

static struct mono now;
static struct request asked_log[LOG_MAX];
static size_t n_asked;

static struct addr
addr(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse(&a, text) < 0)
		abort();
	return a;
}

static struct stun_gather *
start(size_t n)
{
	struct addr servers[12];
	struct stun_gather *g;

	now = (struct mono){ 9 * MONO_SEC };
	n_asked = 0;
	g = stun_gather_new(now);
	if (g == NULL)
		abort();
	for (size_t i = 0; i < n; i++) {
		servers[i] = addr("192.0.2.1:3478");
		servers[i].ip[3] = (uint8_t)(i + 1);
	}
	stun_gather_set_servers(g, servers, n, now);
	return g;
}

static void
run(struct stun_gather *g, int64_t us)
{
	struct mono end = mono_add(now, us);
	uint8_t pkt[STUN_REQUEST_LEN];

	for (;;) {
		struct addr to;

		while (stun_gather_output(g, now, &to, pkt)) {
			if (n_asked == LOG_MAX)
				abort();
			asked_log[n_asked] =
			    (struct request){ .to = to, .at = now };
			if (stun_parse_request(
				pkt, sizeof(pkt), &asked_log[n_asked++].tx) < 0)
				abort();
		}
		if (mono_before(end, stun_gather_next_deadline(g)))
			break;
		if (mono_before(now, stun_gather_next_deadline(g)))
			now = stun_gather_next_deadline(g);
	}
	now = end;
}

/* Server number @i answers its last request. */
static bool
answer(struct stun_gather *g, size_t i, const char *mapped)
{
	uint8_t pkt[STUN_MAX_RESPONSE_LEN];
	struct addr a = addr(mapped);
	size_t k = n_asked;
	size_t len;

	while (k-- > 0)
		if (asked_log[k].to.ip[3] == i + 1)
			break;
	len = stun_write_response(pkt, &asked_log[k].tx, &a);
	return stun_gather_input(g, &asked_log[k].to, pkt, len, now);
}

static void
is_mapped(struct stun_gather *g, const char *want)
{
	struct addr mapped[STUN_GATHER_MAX_MAPPED];
	size_t n = stun_gather_mapped(g, mapped);
	char text[200] = "";

	for (size_t i = 0; i < n; i++) {
		char one[ADDR_MAX_TEXT];
		size_t len = strlen(text);

		addr_format(&mapped[i], one);
		(void)snprintf(text + len, sizeof(text) - len, "%s%s",
		    i > 0 ? " " : "", one);
	}
	EQ_STR(text, want, "mapped is %s", want);
}

static void
test_schedule(void)
{
	static const int64_t want_ms[] = { 0, 200, 600, 3000, 3200, 3600, 9000,
		9200, 9600, 21000, 21200, 21600, 46000, 46200, 46600, 96000,
		96200, 96600, 146000, 146200, 146600 };
	static const size_t n = sizeof(want_ms) / sizeof(want_ms[0]);
	struct stun_gather *g = start(1);
	size_t asked, answered;

	run(g, 180 * MONO_SEC);
	EQ_INT(n_asked, n, "so many requests");
	for (size_t i = 0; i < n && i < n_asked; i++)
		EQ_INT(
		    mono_diff(asked_log[i].at, (struct mono){ 9 * MONO_SEC }),
		    want_ms[i] * MONO_MS, "request %zu", i);
	OK(stun_tx_equal(&asked_log[0].tx, &asked_log[2].tx),
	    "one transaction a round");
	OK(!stun_tx_equal(&asked_log[2].tx, &asked_log[3].tx),
	    "another in the next");
	stun_gather_counts(g, &asked, &answered);
	EQ_INT(asked, 1, "asked");
	EQ_INT(answered, 0, "no answer");
	is_mapped(g, "");
	OK(!stun_gather_is_symmetric(g), "who knows");
	stun_gather_free(g);
	stun_gather_free(NULL);
	g = start(0);
	OK(mono_is_never(stun_gather_next_deadline(g)), "no server, no timer");
	stun_gather_free(g);
	g = start(12);
	run(g, 0);
	EQ_INT(n_asked, STUN_GATHER_MAX_SERVERS, "never more than eight");
	stun_gather_free(g);
}

static void
test_answers(void)
{
	struct stun_gather *g = start(3);
	size_t asked, answered;

	run(g, 20 * MONO_MS);
	OK(answer(g, 1, "203.0.113.1:70"), "the first answer is news");
	is_mapped(g, "203.0.113.1:70");
	OK(!answer(g, 1, "203.0.113.1:71"), "its copy is not believed");
	OK(!answer(g, 0, "203.0.113.1:70"), "the same from another: no news");
	OK(!stun_gather_is_symmetric(g), "two agree");
	run(g, 1 * MONO_SEC);
	EQ_INT(n_asked, 5, "only the silent one is asked again");
	OK(!answer(g, 2, "203.0.113.1:99"), "a single other: not believed");
	OK(stun_gather_is_symmetric(g), "but tells of the NAT");
	is_mapped(g, "203.0.113.1:70");
	stun_gather_counts(g, &asked, &answered);
	EQ_INT(answered, 3, "all answered");
	run(g, 7 * MONO_SEC);
	EQ_INT(n_asked, 14, "asked again in 3 s, three times each");
	OK(answer(g, 0, "203.0.113.1:99"), "a second voice");
	is_mapped(g, "203.0.113.1:70 203.0.113.1:99");
	OK(answer(g, 1, "203.0.113.1:99"), "the first one is gone");
	is_mapped(g, "203.0.113.1:99");
	stun_gather_free(g);
}

static void
test_forged(void)
{
	struct stun_gather *g = start(2);
	uint8_t pkt[STUN_MAX_RESPONSE_LEN];
	struct addr evil = addr("198.51.100.66:1"), none = addr("0.0.0.0:5");
	struct addr other = addr("192.0.2.2:3478"), mapped;
	struct stun_tx tx = { { 0 } };
	size_t len;

	run(g, 10 * MONO_MS);
	len = stun_write_response(pkt, &tx, &evil);
	OK(!stun_gather_input(g, &asked_log[0].to, pkt, len, now),
	    "guessed id");
	len = stun_write_response(pkt, &asked_log[0].tx, &evil);
	OK(!stun_gather_input(g, &evil, pkt, len, now), "wrong source");
	OK(!stun_gather_input(g, &other, pkt, len, now), "another server");
	for (size_t i = 0; i < len; i++)
		if (stun_gather_input(g, &asked_log[0].to, pkt, i, now))
			OK(false, "cut at %zu", i);
	mapped = none;
	len = stun_write_response(pkt, &asked_log[0].tx, &mapped);
	OK(!stun_gather_input(g, &asked_log[0].to, pkt, len, now),
	    "no address");
	mapped = addr("203.0.113.1:0");
	len = stun_write_response(pkt, &asked_log[0].tx, &mapped);
	OK(!stun_gather_input(g, &asked_log[0].to, pkt, len, now), "no port");
	is_mapped(g, "");
	OK(answer(g, 0, "203.0.113.1:1"), "the real one still counts");
	stun_gather_free(g);
}

static void
test_loss(void)
{
	struct stun_gather *g = start(1);

	run(g, 700 * MONO_MS);
	OK(answer(g, 0, "203.0.113.1:70"), "an answer to the third request");
	run(g, 30 * MONO_SEC);
	is_mapped(g, "203.0.113.1:70");
	OK(!answer(g, 0, "203.0.113.1:70"), "late, but known");
	run(g, 60 * MONO_SEC);
	is_mapped(g, "203.0.113.1:70");
	run(g, 200 * MONO_SEC);
	is_mapped(g, "");
	stun_gather_free(g);
}

/* A path dies, and for a while no packet passes at all; then the NAT maps us
 * elsewhere. */
static void
test_outage(void)
{
	struct stun_gather *g = start(1);

	run(g, 0);
	OK(answer(g, 0, "203.0.113.1:70"), "before");
	run(g, 60 * MONO_SEC);
	stun_gather_restart(g, now);
	n_asked = 0;
	run(g, 2900 * MONO_MS);
	EQ_INT(n_asked, 3, "a round in vain");
	run(g, 100 * MONO_MS);
	EQ_INT(n_asked, 4, "the next one follows soon");
	OK(answer(g, 0, "203.0.113.1:71"), "and is answered");
	is_mapped(g, "203.0.113.1:71");
	run(g, 6 * MONO_SEC);
	EQ_INT(n_asked, 5, "one more, as the NAT may think again");
	OK(answer(g, 0, "203.0.113.1:72"), "it did");
	is_mapped(g, "203.0.113.1:72");
	stun_gather_free(g);
}

static void
test_changes(void)
{
	struct stun_gather *g = start(2);
	struct addr servers[2] = { addr("192.0.2.2:3478"),
		addr("192.0.2.3:3478") };

	run(g, 0);
	OK(answer(g, 0, "203.0.113.1:70"), "one");
	OK(!answer(g, 1, "203.0.113.1:70"), "two");
	stun_gather_set_servers(g, servers, 2, now);
	n_asked = 0;
	run(g, 0);
	EQ_INT(n_asked, 1, "only the new server is asked");
	is_mapped(g, "203.0.113.1:70");
	stun_gather_restart(g, now);
	is_mapped(g, "");
	n_asked = 0;
	run(g, 0);
	EQ_INT(n_asked, 2, "all afresh");
	OK(answer(g, 1, "203.0.113.2:70"), "another network");
	is_mapped(g, "203.0.113.2:70");
	stun_gather_set_servers(g, servers, 0, now);
	is_mapped(g, "");
	stun_gather_free(g);
}

static void
test_pause(void)
{
	struct stun_gather *g = start(1);

	run(g, 0);
	(void)answer(g, 0, "203.0.113.1:70");
	stun_gather_pause(g, true, now);
	run(g, 100 * MONO_SEC);
	EQ_INT(n_asked, 1, "nothing while paused");
	OK(mono_is_never(stun_gather_next_deadline(g)), "no timer");
	is_mapped(g, "203.0.113.1:70");
	stun_gather_pause(g, false, now);
	run(g, 0);
	EQ_INT(n_asked, 2, "then at once");
	stun_gather_pause(g, true, now);
	run(g, 100 * MONO_SEC);
	EQ_INT(n_asked, 4, "a round begun is finished");
	stun_gather_pause(g, false, now);
	run(g, 0);
	stun_gather_pause(g, false, now);
	run(g, 0);
	EQ_INT(n_asked, 5, "once");
	stun_gather_free(g);
}

/* Restarted five times a second for a minute, as by a bad cable. */
static void
test_flapping(bool answers)
{
	struct stun_gather *g = start(2);
	struct mono last;
	size_t before;

	for (int i = 0; i < 300; i++) {
		stun_gather_restart(g, now);
		run(g, 0);
		if (answers) {
			(void)answer(g, 0, "203.0.113.1:70");
			(void)answer(g, 1, "203.0.113.1:70");
		}
		run(g, 200 * MONO_MS);
	}
	last = now;
	/* 24 restarts, with one request or three to each of two servers. */
	printf("# %zu requests\n", n_asked);
	OK(n_asked <= (answers ? 1u : 3u) * 2 * 25,
	    "%s servers are not asked all the time",
	    answers ? "answering" : "silent");
	OK(n_asked >= 2 * 22, "but now and then");
	before = n_asked;
	stun_gather_restart(g, now);
	run(g, STUN_GATHER_REST_US);
	OK(n_asked > before, "and once more after the last change");
	OK(!mono_before(asked_log[n_asked - 1].at, last), "really");
	now = mono_add(now, 60 * MONO_SEC);
	run(g, 0);
	before = n_asked;
	stun_gather_restart(g, now);
	run(g, 0);
	EQ_INT(n_asked, before + 2, "after rest a change is served at once");
	stun_gather_free(g);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_schedule();
	test_answers();
	test_forged();
	test_loss();
	test_outage();
	test_changes();
	test_pause();
	test_flapping(true);
	test_flapping(false);
	return tap_done();
}
