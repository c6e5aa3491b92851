/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/damper.h"
#include "test/tap.h"

#define EVERY_US (3 * MONO_SEC)

static struct damper d;
static struct mono now, last_change, last_served;
static unsigned n_served;

/* Changes each @us for @for_us, and time to serve the last of them. */
static void
change(int64_t us, int64_t for_us)
{
	struct mono end = mono_add(now, for_us);
	bool pending = false;

	while (mono_before(now, end) || pending) {
		if (mono_before(now, end)) {
			pending = true;
			last_change = now;
		}
		if (pending && !mono_before(now, damper_next(&d))) {
			damper_served(&d, now);
			last_served = now;
			n_served++;
			pending = false;
		}
		now = mono_add(now, us);
	}
}

static void
begin(unsigned burst)
{
	damper_init(&d, burst, EVERY_US);
	now = (struct mono){ 77 * MONO_SEC };
	n_served = 0;
}

int
main(void)
{
	begin(4);
	change(200 * MONO_MS, 700 * MONO_MS);
	EQ_INT(n_served, 4, "a few are served at once");
	OK(mono_diff(now, last_change) <= 200 * MONO_MS, "without delay");
	change(200 * MONO_MS, 60 * MONO_SEC);
	OK(n_served >= 4 + 18 && n_served <= 4 + 21,
	    "300 more in a minute: %u served", n_served - 4);
	OK(!mono_before(last_served, last_change) &&
		mono_diff(last_served, last_change) <= EVERY_US,
	    "the last one too");
	now = mono_add(now, 2 * EVERY_US);
	n_served = 0;
	change(MONO_MS, 2 * MONO_MS);
	EQ_INT(n_served, 2, "rest brings some back");
	now = mono_add(now, 100 * EVERY_US);
	n_served = 0;
	change(MONO_MS, 100 * MONO_MS);
	EQ_INT(n_served, 5, "but never more than the burst, and the last");
	begin(1);
	change(MONO_MS, 10 * MONO_MS);
	EQ_INT(n_served, 2, "a burst of one");
	EQ_INT(mono_diff(last_served, (struct mono){ 77 * MONO_SEC }), EVERY_US,
	    "the second after the time between");
	return tap_done();
}
