/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/tunnel/lane_header.h"

#include <assert.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define MAGIC "DPTS"
#define MAGIC_LEN 4
#define VERSION 1

bool
lane_header_is_control(const struct lane_header *h)
{
	return h->count == 0;
}

void
lane_header_encode(
    uint8_t ret_wire[static LANE_HEADER_LEN], const struct lane_header *h)
{
	struct buf_writer w = buf_writer(ret_wire, LANE_HEADER_LEN);

	assert(h->count == 0 ? h->index == 0 : h->index < h->count);
	buf_put_bytes(&w, MAGIC, MAGIC_LEN);
	buf_put_u8(&w, VERSION);
	buf_put_u8(&w, h->count);
	buf_put_u8(&w, h->index);
	buf_put_u8(&w, 0);
	buf_put_bytes(&w, h->id.b, sizeof(h->id.b));
}

int
lane_header_decode(
    struct lane_header *ret_header, const uint8_t wire[static LANE_HEADER_LEN])
{
	struct buf_reader r = buf_reader(wire, LANE_HEADER_LEN);
	struct lane_header h;
	const uint8_t *magic = buf_peek_bytes(&r, MAGIC_LEN);

	if (magic == NULL || memcmp(magic, MAGIC, MAGIC_LEN) != 0)
		return -DT_ERR_SYNTAX;
	if (buf_get_u8(&r) != VERSION)
		return -DT_ERR_VERSION;
	h.count = buf_get_u8(&r);
	h.index = buf_get_u8(&r);
	(void)buf_get_u8(&r); /* reserved, not checked by peers either */
	buf_get_bytes(&r, h.id.b, sizeof(h.id.b));
	if (h.count == 0 ? h.index != 0 : h.index >= h.count)
		return -DT_ERR_SYNTAX;
	*ret_header = h;
	return buf_reader_end(&r);
}
