/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/path/punch.h"

#include <stdlib.h>

#include "test/tap.h"

#define LOG_MAX 4096

static struct mono now;
static struct addr sent[LOG_MAX];
static size_t n_sent;

static struct addr
addr(const char *text)
{
	struct addr a = { 0 };

	if (addr_parse(&a, text) < 0)
		abort();
	return a;
}

static struct punch *
start(const char *first, const char *second, int64_t delay_us)
{
	struct candidate_list peer = { 0 };
	struct punch *p;

	if (first != NULL)
		peer.a[peer.n++] = addr(first);
	if (second != NULL)
		peer.a[peer.n++] = addr(second);
	now = (struct mono){ 50 * MONO_SEC };
	n_sent = 0;
	p = punch_new(&peer, delay_us, now);
	if (p == NULL)
		abort();
	return p;
}

static void
drain(struct punch *p)
{
	while (n_sent < LOG_MAX && punch_output(p, now, &sent[n_sent]))
		n_sent++;
}

static void
run(struct punch *p, int64_t us)
{
	struct mono end = mono_add(now, us);

	for (;;) {
		drain(p);
		if (mono_before(end, punch_next_deadline(p)))
			break;
		now = punch_next_deadline(p);
	}
	now = end;
	drain(p);
}

static void
hear(struct punch *p, const char *from)
{
	struct addr a = addr(from);

	punch_input(p, &a, now);
}

static void
is_found(struct punch *p, const char *want)
{
	char text[ADDR_MAX_TEXT];

	EQ_INT(punch_state(p), PUNCH_FOUND, "found");
	addr_format(punch_peek_address(p), text);
	EQ_STR(text, want, "the right one");
	punch_free(p);
}

static void
test_silence(void)
{
	struct punch *p = start("203.0.113.7:1", "10.0.0.1:1", 0);

	run(p, 0);
	EQ_INT(n_sent, 2, "all candidates at once");
	run(p, 1199 * MONO_MS);
	EQ_INT(n_sent, 2 * 48, "and every 25 ms");
	EQ_INT(punch_state(p), PUNCH_RUNNING, "up to 1.2 s");
	run(p, 1 * MONO_MS);
	EQ_INT(punch_state(p), PUNCH_FAILED, "then it failed");
	EQ_INT(n_sent, 2 * 48, "and is quiet");
	OK(mono_is_never(punch_next_deadline(p)), "for good");
	hear(p, "203.0.113.7:1");
	EQ_INT(punch_state(p), PUNCH_FAILED, "too late");
	punch_free(p);

	p = start("203.0.113.7:1", NULL, PUNCH_CLIENT_DELAY_US);
	run(p, 349 * MONO_MS);
	EQ_INT(n_sent, 0, "a client waits");
	run(p, 1 * MONO_MS);
	EQ_INT(n_sent, 1, "350 ms");
	punch_free(p);

	p = start(NULL, NULL, 0);
	run(p, 1200 * MONO_MS);
	EQ_INT(n_sent, 0, "nobody to punch");
	EQ_INT(punch_state(p), PUNCH_FAILED, "and nobody came");
	punch_free(p);
	punch_free(NULL);
}

static void
test_found(void)
{
	struct punch *p = start("203.0.113.7:1", NULL, 0);

	run(p, 100 * MONO_MS);
	hear(p, "203.0.113.7:1");
	run(p, 249 * MONO_MS);
	EQ_INT(punch_state(p), PUNCH_RUNNING, "lingers");
	run(p, 1 * MONO_MS);
	is_found(p, "203.0.113.7:1");

	p = start("203.0.113.7:1", NULL, 0);
	run(p, 1100 * MONO_MS);
	hear(p, "203.0.113.7:1");
	run(p, 100 * MONO_MS);
	is_found(p, "203.0.113.7:1");
}

static void
test_replies(void)
{
	struct punch *p = start(NULL, NULL, 0);

	for (int i = 0; i < 1000; i++) {
		hear(p, "203.0.113.7:1");
		run(p, 1 * MONO_MS);
	}
	EQ_INT(n_sent, 10, "a reply each 100 ms");
	is_found(p, "203.0.113.7:1");
	p = start(NULL, NULL, 0);
	hear(p, "255.255.255.255:1");
	hear(p, "224.0.0.1:1");
	hear(p, "203.0.113.7:0");
	run(p, 1 * MONO_MS);
	EQ_INT(n_sent, 0, "nothing to where nothing may go");
	punch_free(p);
}

static void
test_order(void)
{
	struct punch *p = start("10.0.0.1:1", NULL, 0);

	hear(p, "203.0.113.99:1");
	hear(p, "10.0.0.1:1");
	run(p, 300 * MONO_MS);
	is_found(p, "10.0.0.1:1");

	p = start("10.0.0.1:1", "203.0.113.7:1", 0);
	hear(p, "10.0.0.1:1");
	hear(p, "203.0.113.7:1");
	run(p, 300 * MONO_MS);
	is_found(p, "203.0.113.7:1");

	static const char *ranked[] = { "127.0.0.1:9", "169.254.0.1:9",
		"100.64.0.1:9", "192.168.0.1:9", "[2001:db8::1]:9" };

	for (size_t i = 1; i < 5; i++) {
		p = start(NULL, NULL, 0);
		hear(p, ranked[i - 1]);
		hear(p, ranked[i]);
		run(p, 800 * MONO_MS);
		is_found(p, ranked[i]);
	}
	p = start(NULL, NULL, 0);
	hear(p, "[fd7a:115c:a1e0::1]:9");
	hear(p, "[fd00::1]:9");
	run(p, 800 * MONO_MS);
	is_found(p, "[fd00::1]:9");
}

/* Strangers that fill the table first. */
static void
test_crowd(void)
{
	struct punch *p = start("203.0.113.7:1", NULL, 0);
	size_t replies = 0;

	for (int i = 1; i < 250; i++) {
		char text[40];

		(void)snprintf(text, sizeof(text), "198.51.100.%d:1", i);
		hear(p, text);
	}
	drain(p);
	for (size_t i = 0; i < n_sent; i++)
		if (sent[i].ip[0] == 198)
			replies++;
	EQ_INT(replies, PUNCH_MAX_SOURCES, "few strangers are answered");
	hear(p, "203.0.113.7:1");
	run(p, 300 * MONO_MS);
	is_found(p, "203.0.113.7:1");
}

/* Whoever learned the port punches it at once; the client comes later. */
static void
test_early_stranger(void)
{
	struct punch *p = start("203.0.113.7:1", NULL, 0);

	for (int i = 0; i < 45; i++) {
		hear(p, "198.51.100.1:1");
		run(p, 10 * MONO_MS);
	}
	EQ_INT(punch_state(p), PUNCH_RUNNING, "a stranger does not end it");
	hear(p, "203.0.113.7:1");
	run(p, 249 * MONO_MS);
	EQ_INT(punch_state(p), PUNCH_RUNNING, "lingers");
	run(p, 1 * MONO_MS);
	is_found(p, "203.0.113.7:1");

	/* It may be the peer behind another NAT mapping. */
	p = start("203.0.113.7:1", NULL, 0);
	run(p, 10 * MONO_MS);
	hear(p, "203.0.113.7:2");
	run(p, 740 * MONO_MS);
	is_found(p, "203.0.113.7:2");

	/* A listener begins at once. */
	p = start("203.0.113.7:1", NULL, PUNCH_CLIENT_DELAY_US);
	hear(p, "203.0.113.7:2");
	run(p, 399 * MONO_MS);
	EQ_INT(punch_state(p), PUNCH_RUNNING, "a client waits less");
	run(p, 1 * MONO_MS);
	is_found(p, "203.0.113.7:2");
}

int
main(void)
{
	test_silence();
	test_found();
	test_replies();
	test_order();
	test_crowd();
	test_early_stranger();
	return tap_done();
}
