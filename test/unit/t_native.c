/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "lib/err.h"
#include "proto/rendezvous/native.h"
#include "test/tap.h"

int
main(void)
{
	static const char want[] =
	    "\"control\":{\"type\":\"derptund-native/1\"}}";
	struct key32 key, other;
	uint8_t wire[NATIVE_MAX_WIRE], small[64];
	struct buf_writer w = buf_writer(wire, sizeof(wire));
	struct envelope e;

	memset(&key, 7, sizeof(key));
	memset(&other, 8, sizeof(other));
	EQ_INT(native_build(&w, &key), 0, "an announcement is built");
	OK(w.len > sizeof(want) && memcmp(wire + w.len - (sizeof(want) - 1),
				       want, sizeof(want) - 1) == 0,
	    "as a control of a type of our own, without candidates");
	OK(envelope_is_shaped(wire, w.len), "it looks like an envelope");
	EQ_INT(envelope_open(&e, wire, w.len, &other), -DT_ERR_AUTH,
	    "another key does not open it");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "the right one does");
	OK(native_is_announcement(&e), "and it is recognised");
	envelope_fini(&e);

	w = buf_writer(wire, sizeof(wire));
	EQ_INT(envelope_build_call_me_maybe(&w, &key), 0, "another control");
	EQ_INT(envelope_open(&e, wire, w.len, &key), 0, "opens");
	OK(!native_is_announcement(&e), "and is none");
	envelope_fini(&e);

	w = buf_writer(small, sizeof(small));
	EQ_INT(native_build(&w, &key), -DT_ERR_FULL, "too little room");
	return tap_done();
}
