/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Probe timers double while nothing comes back, so that a path that carries
 * again would be noticed as late as it was dead.  ngtcp2 cannot be told; but it
 * has no clock of its own: to make a timer fire, the connection's clock jumps.
 */
#include "proto/quic/quic_internal.h"

#define NS_PER_US 1000
/* An ACK that is put off, at most 25 ms, hides the probe timer: look again. */
#define REVIVE_NS ((uint64_t)(30 * MONO_MS) * NS_PER_US)

void
quic_revive_want(struct quic_conn *c, uint64_t age_ns)
{
	c->revive_ns = age_ns;
	c->revive_until_ns = c->last_ns + REVIVE_NS;
}

/* Keep-alive is no probe: look behind it. */
static uint64_t
probe_expiry(struct quic_conn *c)
{
	uint64_t expiry;

	ngtcp2_conn_set_keep_alive_timeout(c->conn, UINT64_MAX);
	expiry = ngtcp2_conn_get_expiry(c->conn);
	ngtcp2_conn_set_keep_alive_timeout(c->conn, quic_conn_keep_alive_ns(c));
	return expiry;
}

/* Would a jump of the clock to @expiry reach the timers that kill? */
static bool
is_too_far(const struct quic_conn *c, uint64_t expiry, uint64_t age_ns)
{
	return expiry >= c->heard_ns + age_ns ||
	       (c->state == QUIC_CONN_HANDSHAKE &&
		   expiry >=
		       c->born_ns + QUIC_ENDPOINT_HANDSHAKE_US * NS_PER_US);
}

void
quic_revive_run(struct quic_conn *c, struct mono now)
{
	uint64_t ts = quic_conn_clock(c, now), expiry = probe_expiry(c);
	uint64_t age_ns = c->revive_ns;
	ngtcp2_conn_info info;
	bool is_soon;

	ngtcp2_conn_get_conn_info(c->conn, &info);
	/* One probe timeout at most is what it is without having doubled. */
	is_soon = expiry <= ts + ngtcp2_conn_get_pto(c->conn);
	if (info.bytes_in_flight > 0 && ts < c->revive_until_ns && is_soon)
		return;
	c->revive_ns = 0;
	if (info.bytes_in_flight == 0 || is_soon || expiry == UINT64_MAX ||
	    is_too_far(c, expiry, age_ns))
		return;
	c->offset_ns += expiry - ts;
	quic_conn_touch(c);
}

void
quic_revive_ask(struct quic_conn *c, struct mono now)
{
	c->asked_ns = quic_conn_clock(c, now);
	/* The peer may still be on its way back: leave it time. */
	quic_revive_want(c, c->idle_ns / 5 * 4);
	quic_conn_ping(c);
}

void
quic_revive_kick(struct quic_conn *c, struct mono now)
{
	uint64_t ts = quic_conn_clock(c, now), expiry = probe_expiry(c);

	quic_conn_touch(c);
	c->ping = true;
	if (expiry == UINT64_MAX || expiry <= ts ||
	    is_too_far(c, expiry, c->idle_ns))
		return;
	c->offset_ns += expiry - ts;
	c->ep->slots[c->slot].expiry_us = now.us;
}
