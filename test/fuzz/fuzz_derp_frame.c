/* SPDX-License-Identifier: BSD-3-Clause */
/* A stream of frames, each through every decoder of bodies. */
#include <stdlib.h>

#include "lib/err.h"
#include "proto/derp/derp_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sink;

/* Reads the borrowed bytes, so that sanitizers check the bounds. */
static void
touch(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sink = p[i];
}

static void
decode(const struct derp_frame *f)
{
	struct key32 key, key2;
	const uint8_t *p;
	uint8_t ping[DERP_FRAME_PING_LEN], u8;
	uint32_t ms, ms2;
	struct addr a;
	size_t len;
	bool yes;

	if (derp_frame_get_packet(f, &key, &p, &len) == 0) {
		touch(p, len);
		sink = derp_frame_is_disco(p, len);
	}
	if (derp_frame_get_forward(f, &key, &key2, &p, &len) == 0)
		touch(p, len);
	(void)derp_frame_get_peer_gone(f, &key, &u8);
	(void)derp_frame_get_peer_present(f, &key, &a, &u8);
	(void)derp_frame_get_ping(f, ping);
	(void)derp_frame_get_note_preferred(f, &yes);
	(void)derp_frame_get_close_peer(f, &key);
	(void)derp_frame_get_restarting(f, &ms, &ms2);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct derp_frame f;
	size_t need;
	int r;

	for (;;) {
		r = derp_frame_parse(
		    data, size, DERP_FRAME_MAX_FORWARD, &f, &need);
		if (r == -DT_ERR_TRUNCATED && need <= size)
			abort();
		if (r < 0)
			return 0;
		if (f.total > size || f.total != f.len + DERP_FRAME_HEADER_LEN)
			abort();
		decode(&f);
		data += f.total;
		size -= f.total;
	}
}
