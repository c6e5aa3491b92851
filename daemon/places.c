/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/places.h"

static size_t
count(const struct places *p, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->uids[i] == uid;
	return n;
}

bool
places_take(struct places *p, uid_t uid, uid_t owner, uid_t own)
{
	bool is_ours = uid == 0 || uid == own;
	size_t most =
	    is_ours || uid == owner ? PLACES_MAX : PLACES_MAX - PLACES_RESERVED;

	if (p->n >= most || (!is_ours && count(p, uid) >= PLACES_MAX_UID))
		return false;
	p->uids[p->n++] = uid;
	return true;
}
