/* SPDX-License-Identifier: BSD-3-Clause */
#include "proto/ipc/ipc_transfer.h"

#include <string.h>

#include "lib/err.h"

#define FLAG_FINAL 1u
#define FLAG_STALLED 2u

static void
check(struct buf_reader *r, bool good)
{
	if (!good)
		buf_reader_fail(r, -DT_ERR_SYNTAX);
}

static bool
get_flag(struct buf_reader *r)
{
	uint8_t v = buf_get_u8(r);

	check(r, v <= 1);
	return v == 1;
}

static void
put_i64(struct buf_writer *w, int64_t v)
{
	buf_put_u64(w, (uint64_t)v);
}

/* @least: -1 where "unknown" is a value. */
static int64_t
get_i64(struct buf_reader *r, int64_t least)
{
	int64_t v = (int64_t)buf_get_u64(r);

	check(r, v >= least);
	return v;
}

/* Text is {u16 length, bytes} without NUL on the wire and with one in memory;
 * @room counts it. */
static void
put_text(struct buf_writer *w, const char *text, size_t room)
{
	size_t len = strnlen(text, room - 1);

	buf_put_u16(w, (uint16_t)len);
	buf_put_bytes(w, text, len);
}

static void
get_text(struct buf_reader *r, char *text, size_t room)
{
	uint16_t len = buf_get_u16(r);

	text[0] = '\0';
	check(r, len < room);
	if (r->err != 0)
		return;
	buf_get_bytes(r, text, len);
	if (r->err == 0) {
		text[len] = '\0';
		check(r, memchr(text, '\0', len) == NULL);
	}
}

/* All readers end here: one error for whatever was wrong. */
static int
end(const struct buf_reader *r)
{
	return buf_reader_end(r) == 0 ? 0 : -DT_ERR_IPC;
}

void
ipc_transfer_put_boot(struct buf_writer *w, const struct ipc_boot_transfer *b)
{
	buf_put_u8(w, b->role);
	buf_put_u8(w, b->structured);
	buf_put_u8(w, b->blocks);
	buf_put_u8(w, b->streams);
	put_i64(w, b->size);
	put_i64(w, b->accept_limit_ms);
	put_text(w, b->verify, sizeof(b->verify));
	buf_put_u16(w, b->header_len);
	buf_put_bytes(w, b->header, b->header_len);
}

void
ipc_transfer_get_boot(struct buf_reader *r, struct ipc_boot_transfer *ret_boot)
{
	struct ipc_boot_transfer *b = ret_boot;

	b->role = buf_get_u8(r);
	check(r, b->role <= IPC_TRANSFER_MAX_ROLE);
	b->structured = get_flag(r);
	b->blocks = get_flag(r);
	b->streams = buf_get_u8(r);
	check(r, b->streams <= IPC_TRANSFER_MAX_STREAMS);
	b->size = get_i64(r, -1);
	b->accept_limit_ms = get_i64(r, -1);
	get_text(r, b->verify, sizeof(b->verify));
	b->header_len = buf_get_u16(r);
	check(r, b->header_len <= sizeof(b->header));
	if (r->err == 0)
		buf_get_bytes(r, b->header, b->header_len);
}

void
ipc_transfer_put_source(struct buf_writer *w, const struct ipc_source *m)
{
	buf_put_u8(w, m->positioned);
	put_i64(w, m->offset);
	put_i64(w, m->size);
}

int
ipc_transfer_get_source(struct buf_reader *r, struct ipc_source *ret_source)
{
	struct ipc_source m;
	int res;

	memset(&m, 0, sizeof(m));
	m.positioned = get_flag(r);
	m.offset = get_i64(r, 0);
	m.size = get_i64(r, -1);
	res = end(r);
	if (res == 0)
		*ret_source = m;
	return res;
}

void
ipc_transfer_put_open(struct buf_writer *w, const struct ipc_open *m)
{
	buf_put_u8(w, m->kind);
	buf_put_u8(w, m->blocks);
	put_i64(w, m->size);
	put_text(w, m->name, sizeof(m->name));
	put_text(w, m->verify, sizeof(m->verify));
	put_i64(w, m->files);
	put_i64(w, m->contents);
}

int
ipc_transfer_get_open(struct buf_reader *r, struct ipc_open *ret_open)
{
	struct ipc_open m;
	int res;

	memset(&m, 0, sizeof(m));
	m.kind = buf_get_u8(r);
	check(r, m.kind <= IPC_TRANSFER_MAX_KIND);
	m.blocks = get_flag(r);
	m.size = get_i64(r, 0);
	get_text(r, m.name, sizeof(m.name));
	get_text(r, m.verify, sizeof(m.verify));
	m.files = get_i64(r, -1);
	m.contents = get_i64(r, -1);
	/* A worker may have been taken over: no path, whatever it says. */
	check(r, strchr(m.name, '/') == NULL);
	res = end(r);
	if (res == 0)
		*ret_open = m;
	return res;
}

void
ipc_transfer_put_sink(struct buf_writer *w, const struct ipc_sink *m)
{
	buf_put_u32(w, (uint32_t)m->result);
	buf_put_u8(w, m->positioned);
	buf_put_u8(w, m->sparse);
	put_i64(w, m->offset);
	put_text(w, m->reason, sizeof(m->reason));
}

int
ipc_transfer_get_sink(struct buf_reader *r, struct ipc_sink *ret_sink)
{
	struct ipc_sink m;
	int res;

	memset(&m, 0, sizeof(m));
	m.result = (int32_t)buf_get_u32(r);
	check(r, m.result <= 0);
	m.positioned = get_flag(r);
	m.sparse = get_flag(r);
	check(r, m.positioned || !m.sparse);
	m.offset = get_i64(r, 0);
	get_text(r, m.reason, sizeof(m.reason));
	res = end(r);
	if (res == 0)
		*ret_sink = m;
	return res;
}

void
ipc_transfer_put_save(struct buf_writer *w, const struct ipc_save *m)
{
	put_i64(w, m->bytes);
	put_i64(w, m->body);
}

int
ipc_transfer_get_save(struct buf_reader *r, struct ipc_save *ret_save)
{
	struct ipc_save m;
	int res;

	m.bytes = get_i64(r, 0);
	m.body = get_i64(r, 0);
	check(r, m.body <= m.bytes);
	res = end(r);
	if (res == 0)
		*ret_save = m;
	return res;
}

void
ipc_transfer_put_saved(struct buf_writer *w, const struct ipc_saved *m)
{
	buf_put_u32(w, (uint32_t)m->result);
	put_text(w, m->reason, sizeof(m->reason));
}

int
ipc_transfer_get_saved(struct buf_reader *r, struct ipc_saved *ret_saved)
{
	struct ipc_saved m;
	int res;

	memset(&m, 0, sizeof(m));
	m.result = (int32_t)buf_get_u32(r);
	check(r, m.result <= 0);
	get_text(r, m.reason, sizeof(m.reason));
	res = end(r);
	if (res == 0)
		*ret_saved = m;
	return res;
}

void
ipc_transfer_put_progress(struct buf_writer *w, const struct ipc_progress *m)
{
	put_i64(w, m->moved);
	put_i64(w, m->total);
	put_i64(w, m->peer_written);
	put_i64(w, m->peer_elapsed_ms);
	buf_put_u8(w, (uint8_t)((m->final ? FLAG_FINAL : 0u) |
				(m->stalled ? FLAG_STALLED : 0u)));
}

int
ipc_transfer_get_progress(
    struct buf_reader *r, struct ipc_progress *ret_progress)
{
	struct ipc_progress m;
	uint8_t flags;
	int res;

	memset(&m, 0, sizeof(m));
	m.moved = get_i64(r, 0);
	m.total = get_i64(r, -1);
	m.peer_written = get_i64(r, 0);
	m.peer_elapsed_ms = get_i64(r, 0);
	flags = buf_get_u8(r);
	check(r, flags <= (FLAG_FINAL | FLAG_STALLED));
	m.final = (flags & FLAG_FINAL) != 0;
	m.stalled = (flags & FLAG_STALLED) != 0;
	res = end(r);
	if (res == 0)
		*ret_progress = m;
	return res;
}
