/* SPDX-License-Identifier: BSD-3-Clause */
/* A peer that stands still for a while, and then answers all at once. */
#include "proto/path/direct_state.h"
#include "test/unit/direct_rig.h"

#define LAN "192.168.1.2:4000"
#define PUBLIC "203.0.113.9:4000"
#define VPN "100.100.1.2:4000"

#ifdef VALGRIND
#define STEP_MS 5000
#else
#define STEP_MS 500
#endif
#define BEGINNINGS (60000 / STEP_MS)

static struct rig *
rig_of_two(const char *near, int64_t near_ms, const char *far, int64_t far_ms)
{
	struct rig *r = rig_new();
	char both[128];

	(void)snprintf(both, sizeof(both), "%s %s", near, far);
	(void)rig_host(r, near, near_ms * MONO_MS);
	(void)rig_host(r, far, far_ms * MONO_MS);
	direct_set_native(r->d);
	rig_own(r, "192.168.1.9:1");
	rig_peer(r, both);
	r->chatty = true;
	r->hears = true;
	return r;
}

/* Does a pause of @ms that begins @at ms after the start move the path? */
static bool
moves(struct rig *r, const char *near, int64_t at, int64_t ms)
{
	bool moved = false;

	rig_run(r, at * MONO_MS);
	if (!rig_is_on(r, near))
		return true;
	r->held = mono_add(r->now, ms * MONO_MS);
	r->hears = false;
	rig_run(r, ms * MONO_MS);
	r->hears = true;
	for (int i = 0; i < 200; i++) {
		rig_run(r, 25 * MONO_MS);
		moved = moved || !rig_is_on(r, near);
	}
	return moved;
}

/* The nearer address is the nearer one still, whenever the pause begins.  Where
 * a look at the others falls into it at the wrong moment, by far fewer moves
 * than there are beginnings. */
static void
test_pause(int64_t ms)
{
	unsigned lan = 0, far = 0;

	for (int64_t at = 5000; at < 65000; at += STEP_MS) {
		struct rig *r = rig_of_two(LAN, 1, PUBLIC, 8);

		lan += moves(r, LAN, at, ms);
		rig_free(r);
		r = rig_of_two(PUBLIC, 20, VPN, 60);
		far += moves(r, PUBLIC, at, ms);
		rig_free(r);
	}
	EQ_INT(
	    lan, 0, "a pause of %lld ms: stays in the network", (long long)ms);
	OK(far <= BEGINNINGS / 12, "and beside a VPN, but for %u of %d", far,
	    BEGINNINGS);
}

/* What lasts is learned. */
static void
test_slower(void)
{
	struct rig *r = rig_of_two(PUBLIC, 1, VPN, 200);

	rig_run(r, 30 * MONO_SEC);
	OK(rig_is_on(r, PUBLIC), "the nearer one");
	r->host[0].rtt_us = 400 * MONO_MS;
	rig_run(r, 120 * MONO_SEC);
	OK(rig_is_on(r, VPN), "is left when it has become the farther one");
	rig_free(r);
}

int
main(void)
{
	if (secret_init() < 0)
		return 1;
	test_pause(1000);
	test_pause(1300);
	test_pause(1500);
	test_slower();
	return tap_done();
}
