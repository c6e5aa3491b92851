/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams that may be probes: what is read can be written, and nothing that
 * is read is taken for QUIC. */
#include <stdlib.h>
#include <string.h>

#include "proto/path/disco.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[UINT16_MAX];
	static const struct key32 key = { { 1, 2, 3 } };
	struct disco_packet packet, again;
	size_t len;

	if (disco_is_punch(data, size) && !disco_is_ours(data, size))
		abort();
	/* Forge a good MAC, or nothing past it would be reached. */
	if (size >= DISCO_LEN && size <= sizeof(out) && data[16] >= 1 &&
	    data[16] <= 4) {
		packet = (struct disco_packet){ .kind = data[16],
			.size = (uint16_t)size };
		memcpy(packet.nonce.b, data + 17, DISCO_NONCE_LEN);
		len = disco_build(out, sizeof(out), &key, &packet);
		if (len != 0 && disco_parse(&again, &key, out, len) != 0)
			abort();
	}
	if (disco_parse(&packet, &key, data, size) == 0 &&
	    (!disco_is_ours(data, size) ||
		disco_build(out, sizeof(out), &key, &packet) == 0))
		abort();
	return 0;
}
