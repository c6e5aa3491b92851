/* SPDX-License-Identifier: BSD-3-Clause */
#include "test/sim/stream.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "test/sim/end.h"

#define ACK_LEN 32
#define MESSAGE_LEN 1200
#define SEALED 17 /* octets; the seal follows */
#define ACK_US (25 * MONO_MS)
#define SEAL 0x9ae16a3b2f90404fu

/* Nobody here tries to break it: it only has to differ. */
static uint64_t
seal(const uint8_t *p)
{
	uint64_t h = SEAL;

	for (size_t i = 0; i < SEALED; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

/* @number 0: only an ack. */
static void
say(struct end *e, uint32_t number)
{
	struct stream *s = &e->stream;
	uint8_t p[MESSAGE_LEN] = { 0 };
	struct buf_writer w = buf_writer(p, sizeof(p));
	size_t len = number > 0 ? MESSAGE_LEN : ACK_LEN;

	buf_put_u8(&w, STREAM_FIRST);
	buf_put_u64(&w, ++s->pn);
	buf_put_u32(&w, number);
	buf_put_u32(&w, s->got);
	buf_put_u64(&w, seal(p));
	s->ack = MONO_NEVER;
	if (e->ops->send(e, p, len)) {
		s->by_direct++;
		return;
	}
	s->by_relay++;
	end_relay(e, p, len);
}

static bool
is_fresh(struct stream *s, uint64_t pn)
{
	uint64_t bit = 1ull << (pn % 64);

	if (pn + STREAM_SEEN <= s->top)
		return false;
	for (; s->top < pn; s->top++)
		s->seen[(s->top + 1) % STREAM_SEEN / 64] &=
		    ~(1ull << ((s->top + 1) % 64));
	if ((s->seen[pn % STREAM_SEEN / 64] & bit) != 0)
		return false;
	s->seen[pn % STREAM_SEEN / 64] |= bit;
	return true;
}

static void
deliver(struct end *e)
{
	struct stream *s = &e->stream;
	const struct stream *from = &e->peer->stream;
	int64_t us;

	s->ahead >>= 1;
	s->got++;
	us = mono_diff(
	    net_now(e->net), from->made_at[s->got % (2 * STREAM_WINDOW)]);
	if (us > s->worst_us)
		s->worst_us = us;
}

bool
stream_input(struct end *e, const uint8_t *p, size_t len)
{
	struct stream *s = &e->stream;
	struct buf_reader r = buf_reader(p, len);
	struct mono now = net_now(e->net);
	uint32_t number, acked;
	uint64_t pn, sealed;

	if (buf_get_u8(&r) != STREAM_FIRST)
		return false;
	pn = buf_get_u64(&r);
	number = buf_get_u32(&r);
	acked = buf_get_u32(&r);
	sealed = buf_get_u64(&r);
	if (r.err != 0 || sealed != seal(p) || !is_fresh(s, pn))
		return false;
	if (number > s->got && number - s->got <= STREAM_WINDOW)
		s->ahead |= 1u << (number - s->got - 1);
	while ((s->ahead & 1) != 0)
		deliver(e);
	if (number > 0 && mono_is_never(s->ack))
		s->ack = mono_add(now, ACK_US);
	if (acked > s->acked && acked <= s->made) {
		s->acked = acked;
		s->resend = mono_add(now, STREAM_RESEND_US);
	}
	return true;
}

struct mono
stream_turn(struct end *e)
{
	struct stream *s = &e->stream;
	struct mono now = net_now(e->net), at = s->ack;

	if (s->say_us > 0 && !mono_before(now, s->say) &&
	    s->made - s->acked < STREAM_WINDOW) {
		s->say = mono_add(now, s->say_us);
		if (s->made == s->acked)
			s->resend = mono_add(now, STREAM_RESEND_US);
		s->made++;
		s->made_at[s->made % (2 * STREAM_WINDOW)] = now;
		say(e, s->made);
	}
	if (s->made > s->acked && !mono_before(now, s->resend)) {
		s->resend = mono_add(now, STREAM_RESEND_US);
		for (uint32_t i = s->acked + 1; i <= s->made; i++)
			say(e, i);
	}
	if (!mono_before(now, s->ack))
		say(e, 0);
	at = s->ack;
	if (s->made > s->acked)
		at = mono_min(at, s->resend);
	if (s->say_us > 0 && s->made - s->acked < STREAM_WINDOW)
		at = mono_min(at, s->say);
	return at;
}

void
stream_kick(struct end *e)
{
	e->stream.resend = net_now(e->net);
}

bool
stream_is_whole(const struct end *e)
{
	return e->stream.made > 0 && e->stream.acked == e->stream.made &&
	       e->peer->stream.got == e->stream.made;
}
