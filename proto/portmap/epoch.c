/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/portmap/epoch.h"

bool
epoch_update(struct epoch *e, uint32_t server_s, struct mono now)
{
	struct epoch before = *e;
	int64_t ours, theirs;

	e->known = true;
	e->server_s = server_s;
	e->heard = now;
	if (!before.known)
		return true;
	theirs = (int64_t)server_s - (int64_t)before.server_s;
	if (theirs < -1)
		return false;
	if (theirs < 0)
		theirs = 0; /* answers that overtook each other */
	ours = mono_diff(now, before.heard) / MONO_SEC;
	return ours + 2 >= theirs - theirs / 16 &&
	       theirs + 2 >= ours - ours / 16;
}
