/* SPDX-License-Identifier: BSD-3-Clause */
#include "lib/damper.h"

#include <assert.h>

void
damper_init(struct damper *d, unsigned burst, int64_t every_us)
{
	assert(burst >= 1);
	*d = (struct damper){
		.burst_us = (int64_t)(burst - 1) * every_us,
		.every_us = every_us,
	};
}

struct mono
damper_next(const struct damper *d)
{
	return (struct mono){ d->due.us - d->burst_us };
}

void
damper_served(struct damper *d, struct mono now)
{
	struct mono from = mono_before(d->due, now) ? now : d->due;

	assert(!mono_before(now, damper_next(d)));
	d->due = mono_add(from, d->every_us);
}
