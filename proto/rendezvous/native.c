/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/rendezvous/native.h"

int
native_build(struct buf_writer *w, const struct key32 *key)
{
	struct envelope e;

	envelope_init(&e, ENVELOPE_CONTROL);
	e.control.type = MESSAGE_TEXT(NATIVE_CONTROL_TYPE);
	return envelope_build(w, &e, key);
}

bool
native_is_announcement(const struct envelope *e)
{
	return e->kind == ENVELOPE_CONTROL && e->has_control &&
	       envelope_text_equal(e->control.type, NATIVE_CONTROL_TYPE);
}
