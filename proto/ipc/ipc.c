/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/ipc/ipc.h"

#include <stdbool.h>

#include "lib/err.h"

struct ipc_row {
	uint16_t type;
	const char *name;
	enum ipc_direction direction;
	unsigned roles;
	unsigned states;
	uint32_t max_bytes;
	uint32_t max_fds;
};

static const struct ipc_row ipc_rows[] = {
#define IPC_MSG(number, name, dir, roles, states, bytes, fds)                  \
	{ number, #name, IPC_##dir, IPC_ROLE_##roles, IPC_STATE_##states,      \
		bytes, fds },
#include "proto/ipc/ipc_messages.def"
#undef IPC_MSG
};

#define IPC_MSG(number, name, dir, roles, states, bytes, fds)                  \
	_Static_assert((bytes) + IPC_HEADER_LEN <= IPC_MAX_MESSAGE,            \
	    #name " does not fit a message");
#include "proto/ipc/ipc_messages.def"
#undef IPC_MSG

static const struct ipc_row *
find(uint16_t type)
{
	for (size_t i = 0; i < sizeof(ipc_rows) / sizeof(ipc_rows[0]); i++)
		if (ipc_rows[i].type == type)
			return &ipc_rows[i];
	return NULL;
}

void
ipc_begin(
    struct buf_writer *w, enum ipc_type type, uint32_t session, uint32_t seq)
{
	buf_put_u16(w, (uint16_t)type);
	buf_put_u16(w, 0);
	buf_put_u32(w, session);
	buf_put_u32(w, seq);
}

static bool
permitted(const struct ipc_view *view, const struct ipc_row *row)
{
	return row->direction == view->direction &&
	       (row->roles & (unsigned)view->role) != 0 &&
	       (row->states & (unsigned)view->state) != 0;
}

int
ipc_parse(const struct ipc_view *view, const void *msg, size_t len,
    size_t n_fds, struct ipc_header *ret_header, struct buf_reader *ret_body)
{
	struct buf_reader r = buf_reader(msg, len);
	struct ipc_header h;
	const struct ipc_row *row;

	h.type = buf_get_u16(&r);
	h.flags = buf_get_u16(&r);
	h.session = buf_get_u32(&r);
	h.seq = buf_get_u32(&r);
	if (r.err != 0 || h.flags != 0)
		return -DT_ERR_IPC;
	row = find(h.type);
	if (row == NULL || !permitted(view, row))
		return -DT_ERR_IPC;
	if (buf_remaining(&r) > row->max_bytes || n_fds > row->max_fds)
		return -DT_ERR_IPC;
	*ret_header = h;
	*ret_body = buf_reader(
	    (const uint8_t *)msg + IPC_HEADER_LEN, len - IPC_HEADER_LEN);
	return 0;
}

const char *
ipc_name(uint16_t type)
{
	const struct ipc_row *row = find(type);

	return row != NULL ? row->name : "?";
}

int
ipc_packet_put(
    struct buf_writer *w, const uint8_t *key, const void *payload, size_t len)
{
	size_t overhead =
	    key != NULL ? IPC_GATE_PACKET_OVERHEAD : IPC_PACKET_OVERHEAD;

	if (w->err != 0 || len > IPC_MAX_BATCH - overhead ||
	    w->cap - w->len < len + overhead)
		return -DT_ERR_FULL;
	if (key != NULL)
		buf_put_bytes(w, key, 32);
	buf_put_u32(w, (uint32_t)len);
	buf_put_bytes(w, payload, len);
	return 0;
}

int
ipc_packet_next(struct buf_reader *r, int with_key, const uint8_t **ret_key,
    const uint8_t **ret_payload, size_t *ret_len)
{
	const uint8_t *key = NULL, *payload;
	size_t len;

	if (r->err == 0 && buf_remaining(r) == 0)
		return 0;
	if (with_key)
		key = buf_peek_bytes(r, 32);
	len = buf_get_u32(r);
	payload = buf_peek_bytes(r, len);
	if (r->err != 0 || len == 0)
		return -DT_ERR_IPC;
	if (with_key)
		*ret_key = key;
	*ret_payload = payload;
	*ret_len = len;
	return 1;
}
