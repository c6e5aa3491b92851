/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bodies are written and read field by field, in the order of their structs.
 * Variable parts are {u16 length, bytes}; a reader checks every length against
 * the room of its struct before it copies.
 */
#include "proto/ipc/ipc_body.h"

#include <string.h>

#include "lib/err.h"

static void
put_key(struct buf_writer *w, const struct key32 *k)
{
	buf_put_bytes(w, k->b, sizeof(k->b));
}

static void
get_key(struct buf_reader *r, struct key32 *k)
{
	buf_get_bytes(r, k->b, sizeof(k->b));
}

static void
put_id(struct buf_writer *w, const struct id16 *id)
{
	buf_put_bytes(w, id->b, sizeof(id->b));
}

static void
get_id(struct buf_reader *r, struct id16 *id)
{
	buf_get_bytes(r, id->b, sizeof(id->b));
}

static void
put_blob(struct buf_writer *w, const void *p, size_t len)
{
	buf_put_u16(w, (uint16_t)len);
	buf_put_bytes(w, p, len);
}

static void
get_blob(struct buf_reader *r, void *p, size_t room, uint16_t *ret_len)
{
	uint16_t len = buf_get_u16(r);

	if (r->err == 0 && len > room)
		r->err = -DT_ERR_TOO_LONG;
	*ret_len = r->err == 0 ? len : 0;
	buf_get_bytes(r, p, *ret_len);
}

/* Text is a blob without NUL on the wire and with one in memory. */
static void
put_text(struct buf_writer *w, const char *text, size_t room)
{
	put_blob(w, text, strnlen(text, room - 1));
}

static void
get_text(struct buf_reader *r, char *text, size_t room)
{
	uint16_t len;

	get_blob(r, text, room - 1, &len);
	text[len] = '\0';
	if (memchr(text, '\0', len) != NULL)
		r->err = -DT_ERR_SYNTAX;
}

static bool
get_flag(struct buf_reader *r)
{
	uint8_t v = buf_get_u8(r);

	if (v > 1 && r->err == 0)
		r->err = -DT_ERR_SYNTAX;
	return v == 1;
}

static enum ipc_kind
get_kind(struct buf_reader *r)
{
	uint8_t v = buf_get_u8(r);

	if (v == IPC_KIND_SHARE)
		return IPC_KIND_SHARE;
	if (v == IPC_KIND_TRANSFER)
		return IPC_KIND_TRANSFER;
	if (v != IPC_KIND_DERPTUN && r->err == 0)
		r->err = -DT_ERR_SYNTAX;
	return IPC_KIND_DERPTUN;
}

/* All readers end here: one error for whatever was wrong. */
static int
end(const struct buf_reader *r)
{
	return buf_reader_end(r) == 0 ? 0 : -DT_ERR_IPC;
}

void
ipc_put_boot_gate(struct buf_writer *w, const struct ipc_boot_gate *b)
{
	buf_put_u8(w, (uint8_t)b->kind);
	buf_put_u8(w, b->force_relay);
	buf_put_u8(w, b->verbose);
	buf_put_u8(w, b->token_version);
	put_id(w, &b->session_id);
	buf_put_u64(w, (uint64_t)b->expires_unix);
	put_key(w, &b->derp_public);
	put_key(w, &b->quic_public);
	put_key(w, &b->secret);
	buf_put_u32(w, b->capabilities);
	buf_put_u8(w, b->held);
	put_key(w, &b->holder);
	put_blob(w, b->route, b->route_len);
}

int
ipc_get_boot_gate(struct buf_reader *r, struct ipc_boot_gate *ret_boot)
{
	struct ipc_boot_gate b;
	int res;

	memset(&b, 0, sizeof(b));
	b.kind = get_kind(r);
	b.force_relay = get_flag(r);
	b.verbose = get_flag(r);
	b.token_version = buf_get_u8(r);
	get_id(r, &b.session_id);
	b.expires_unix = (int64_t)buf_get_u64(r);
	get_key(r, &b.derp_public);
	get_key(r, &b.quic_public);
	get_key(r, &b.secret);
	b.capabilities = buf_get_u32(r);
	b.held = get_flag(r);
	get_key(r, &b.holder);
	get_blob(r, b.route, sizeof(b.route), &b.route_len);
	res = end(r);
	if (res == 0)
		*ret_boot = b;
	secret_wipe(&b, sizeof(b));
	return res;
}

static void
put_claimer(struct buf_writer *w, const struct ipc_boot_session *b)
{
	buf_put_u8(w, b->token_version);
	buf_put_u32(w, b->capabilities);
	put_key(w, &b->bearer);
	put_id(w, &b->client_id);
	put_id(w, &b->token_id);
	buf_put_u64(w, (uint64_t)b->client_expires_unix);
	put_key(w, &b->proof);
	put_text(w, b->client_name, sizeof(b->client_name));
}

static void
get_claimer(struct buf_reader *r, struct ipc_boot_session *b)
{
	b->token_version = buf_get_u8(r);
	b->capabilities = buf_get_u32(r);
	get_key(r, &b->bearer);
	get_id(r, &b->client_id);
	get_id(r, &b->token_id);
	b->client_expires_unix = (int64_t)buf_get_u64(r);
	get_key(r, &b->proof);
	get_text(r, b->client_name, sizeof(b->client_name));
}

void
ipc_put_boot_session(struct buf_writer *w, const struct ipc_boot_session *b)
{
	buf_put_u8(w, (uint8_t)b->kind);
	buf_put_u8(w, b->listener);
	buf_put_u8(w, b->force_relay);
	buf_put_u8(w, b->verbose);
	buf_put_u8(w, b->one_stream);
	buf_put_u8(w, b->raw_direct);
	put_key(w, &b->own_derp);
	put_key(w, &b->peer_derp);
	put_key(w, &b->peer_quic);
	put_id(w, &b->session_id);
	put_key(w, &b->envelope_key);
	put_key(w, &b->disco_key);
	put_key(w, &b->own_quic);
	put_blob(w, b->cert, b->cert_len);
	put_blob(w, b->claim, b->claim_len);
	put_blob(w, b->decision, b->decision_len);
	put_claimer(w, b);
	if (b->kind == IPC_KIND_TRANSFER)
		ipc_transfer_put_boot(w, &b->transfer);
}

int
ipc_get_boot_session(struct buf_reader *r, struct ipc_boot_session *ret_boot)
{
	int res;

	/* 33 KiB: decoded in place rather than copied; wiped on failure. */
	memset(ret_boot, 0, sizeof(*ret_boot));
	ret_boot->kind = get_kind(r);
	ret_boot->listener = get_flag(r);
	ret_boot->force_relay = get_flag(r);
	ret_boot->verbose = get_flag(r);
	ret_boot->one_stream = get_flag(r);
	ret_boot->raw_direct = get_flag(r);
	get_key(r, &ret_boot->own_derp);
	get_key(r, &ret_boot->peer_derp);
	get_key(r, &ret_boot->peer_quic);
	get_id(r, &ret_boot->session_id);
	get_key(r, &ret_boot->envelope_key);
	get_key(r, &ret_boot->disco_key);
	get_key(r, &ret_boot->own_quic);
	get_blob(
	    r, ret_boot->cert, sizeof(ret_boot->cert), &ret_boot->cert_len);
	get_blob(
	    r, ret_boot->claim, sizeof(ret_boot->claim), &ret_boot->claim_len);
	get_blob(r, ret_boot->decision, sizeof(ret_boot->decision),
	    &ret_boot->decision_len);
	get_claimer(r, ret_boot);
	if (ret_boot->kind == IPC_KIND_TRANSFER)
		ipc_transfer_get_boot(r, &ret_boot->transfer);
	res = end(r);
	if (res != 0)
		secret_wipe(ret_boot, sizeof(*ret_boot));
	return res;
}

void
ipc_put_reason(struct buf_writer *w, int code, const char *text)
{
	buf_put_u32(w, (uint32_t)code);
	put_text(w, text, IPC_MAX_TEXT);
}

int
ipc_get_reason(struct buf_reader *r, struct ipc_reason *ret_reason)
{
	struct ipc_reason v;
	int res;

	memset(&v, 0, sizeof(v));
	v.code = (int32_t)buf_get_u32(r);
	get_text(r, v.text, sizeof(v.text));
	res = end(r);
	if (res == 0)
		*ret_reason = v;
	return res;
}

void
ipc_put_log(struct buf_writer *w, uint8_t level, const char *line, size_t len)
{
	size_t max = sizeof(((struct ipc_log *)0)->line) - 1;

	buf_put_u8(w, level);
	put_blob(w, line, len < max ? len : max);
}

int
ipc_get_log(struct buf_reader *r, struct ipc_log *ret_log)
{
	struct ipc_log v;
	int res;

	memset(&v, 0, sizeof(v));
	v.level = buf_get_u8(r);
	get_text(r, v.line, sizeof(v.line));
	res = end(r);
	if (res == 0)
		*ret_log = v;
	return res;
}

void
ipc_put_status(struct buf_writer *w, enum ipc_status s, const char *text)
{
	buf_put_u8(w, (uint8_t)s);
	put_text(w, text, sizeof(((struct ipc_status_body *)0)->text));
}

int
ipc_get_status(struct buf_reader *r, struct ipc_status_body *ret_status)
{
	struct ipc_status_body v;
	int res;

	memset(&v, 0, sizeof(v));
	v.status = buf_get_u8(r);
	get_text(r, v.text, sizeof(v.text));
	res = end(r);
	if (res == 0 && (v.status < IPC_STATUS_CLAIMING ||
			    v.status > IPC_STATUS_STREAM_END))
		res = -DT_ERR_IPC;
	if (res == 0)
		*ret_status = v;
	return res;
}

void
ipc_put_dialed(struct buf_writer *w, uint32_t connection, int result)
{
	buf_put_u32(w, connection);
	buf_put_u32(w, (uint32_t)result);
}

int
ipc_get_dialed(struct buf_reader *r, struct ipc_dialed *ret_dialed)
{
	struct ipc_dialed v;
	int res;

	v.connection = buf_get_u32(r);
	v.result = (int32_t)buf_get_u32(r);
	res = end(r);
	if (res == 0)
		*ret_dialed = v;
	return res;
}

void
ipc_put_u32(struct buf_writer *w, uint32_t v)
{
	buf_put_u32(w, v);
}

int
ipc_get_u32(struct buf_reader *r, uint32_t *ret_v)
{
	uint32_t v = buf_get_u32(r);
	int res = end(r);

	if (res == 0)
		*ret_v = v;
	return res;
}

void
ipc_put_description(struct buf_writer *w, const struct ipc_description *d)
{
	buf_put_u8(w, d->status);
	buf_put_u8(w, d->path);
	buf_put_u32(w, d->streams_open);
	buf_put_u64(w, d->streams_total);
	buf_put_u64(w, d->streams_refused);
	buf_put_u64(w, d->bytes_in);
	buf_put_u64(w, d->bytes_out);
	buf_put_u64(w, d->packets_in);
	buf_put_u64(w, d->packets_out);
	buf_put_u64(w, d->packets_dropped);
	buf_put_u32(w, d->rtt_us);
	buf_put_u32(w, d->idle_ms);
}

int
ipc_get_description(
    struct buf_reader *r, struct ipc_description *ret_description)
{
	struct ipc_description d;
	int res;

	memset(&d, 0, sizeof(d));
	d.status = buf_get_u8(r);
	d.path = buf_get_u8(r);
	d.streams_open = buf_get_u32(r);
	d.streams_total = buf_get_u64(r);
	d.streams_refused = buf_get_u64(r);
	d.bytes_in = buf_get_u64(r);
	d.bytes_out = buf_get_u64(r);
	d.packets_in = buf_get_u64(r);
	d.packets_out = buf_get_u64(r);
	d.packets_dropped = buf_get_u64(r);
	d.rtt_us = buf_get_u32(r);
	d.idle_ms = buf_get_u32(r);
	res = end(r);
	if (res == 0)
		*ret_description = d;
	return res;
}

void
ipc_put_bool(struct buf_writer *w, bool v)
{
	buf_put_u8(w, v);
}

int
ipc_get_bool(struct buf_reader *r, bool *ret_v)
{
	bool v = get_flag(r);
	int res = end(r);

	if (res == 0)
		*ret_v = v;
	return res;
}

void
ipc_put_accept(struct buf_writer *w, const struct ipc_accept *a)
{
	put_key(w, &a->peer_derp);
	put_key(w, &a->peer_quic);
	put_key(w, &a->envelope_key);
	put_key(w, &a->disco_key);
	put_blob(w, a->claim, a->claim_len);
	put_blob(w, a->decision, a->decision_len);
}

int
ipc_get_accept(struct buf_reader *r, struct ipc_accept *ret_accept)
{
	int res;

	memset(ret_accept, 0, sizeof(*ret_accept));
	get_key(r, &ret_accept->peer_derp);
	get_key(r, &ret_accept->peer_quic);
	get_key(r, &ret_accept->envelope_key);
	get_key(r, &ret_accept->disco_key);
	get_blob(r, ret_accept->claim, sizeof(ret_accept->claim),
	    &ret_accept->claim_len);
	get_blob(r, ret_accept->decision, sizeof(ret_accept->decision),
	    &ret_accept->decision_len);
	res = end(r);
	if (res != 0)
		secret_wipe(ret_accept, sizeof(*ret_accept));
	return res;
}

void
ipc_put_peer(struct buf_writer *w, const struct key32 *peer, int value)
{
	put_key(w, peer);
	buf_put_u32(w, (uint32_t)value);
}

int
ipc_get_peer(struct buf_reader *r, struct ipc_peer *ret_peer)
{
	struct ipc_peer v;
	int res;

	get_key(r, &v.peer_derp);
	v.value = (int32_t)buf_get_u32(r);
	res = end(r);
	if (res == 0)
		*ret_peer = v;
	return res;
}
