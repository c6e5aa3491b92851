/* SPDX-License-Identifier: BSD-3-Clause */
#include "daemon/absence.h"

void
absence_init(struct absence *a)
{
	a->since = a->last = MONO_NEVER;
	a->is_denied = false;
}

void
absence_ask(struct absence *a)
{
	if (!a->is_denied)
		a->since = MONO_NEVER;
	a->is_denied = false;
}

void
absence_denied(struct absence *a, struct mono now)
{
	if (mono_is_never(a->since))
		a->since = now;
	a->last = now;
	a->is_denied = true;
}

bool
absence_is_sure(const struct absence *a)
{
	return a->is_denied && mono_diff(a->last, a->since) >= ABSENCE_SURE_US;
}
