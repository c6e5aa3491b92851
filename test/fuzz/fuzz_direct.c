/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A struct direct driven by a script of the fuzzer: each step is one octet of
 * what, one of which address, one of how long; good MACs are made for it, since
 * what has a bad one ends in disco_parse().
 */
#include <stdlib.h>
#include <string.h>

#include "proto/path/direct.h"

#define MAX_STEPS 200
#define MAX_OUTPUT 2000 /* of one turn; acks, probes and controls are fewer */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key32 key = { { 5 } };
static struct disco_nonce last; /* of our newest probe */
static struct addr last_to;

static struct addr
pick(uint8_t i)
{
	struct addr a = { .family = (i & 0x80) != 0 ? AF_INET6 : AF_INET,
		.port = (uint16_t)(1 + (i & 3)) };

	if ((i & 0x40) != 0)
		return last_to.family != 0 ? last_to : a;
	memcpy(a.ip, "\x0a\x00\x00\x00", 4);
	if (a.family == AF_INET6)
		memcpy(a.ip, "\x20\x01\x0d\xb8", 4);
	a.ip[3] = (uint8_t)(i >> 2 & 15);
	return a;
}

static void
packet(struct direct *d, uint8_t what, uint8_t who, struct mono now)
{
	struct disco_packet p = { .kind = (what >> 4 & 3) + 1,
		.nonce = last,
		.size = (uint16_t)(67 + who * 64) };
	uint8_t pkt[DIRECT_MAX_PACKET + 1000];
	struct addr from = pick(who);
	size_t len;

	if ((what & 0x40) != 0)
		memset(p.nonce.b, who, sizeof(p.nonce.b));
	len = disco_build(pkt, sizeof(pkt), &key, &p);
	direct_input(d, &from, pkt, len, now);
}

static struct candidate_list
list(uint8_t what, uint8_t who)
{
	struct candidate_list l = { 0 };

	for (uint8_t i = 0; i < (what >> 3); i++) {
		struct addr a = pick((uint8_t)((who + i * 5) & 0xbf));

		(void)candidate_add(&l, &a, CANDIDATE_POLICY_PEER);
	}
	return l;
}

static void
step(struct direct *d, uint8_t what, uint8_t who, struct mono now)
{
	struct candidate_list l = list(what, who);
	struct addr a = pick(who);

	switch (what & 7) {
	case 0:
		direct_set_peer(d, &l, now);
		break;
	case 1:
		l.n = l.n % 4;
		direct_set_own(d, &l, now);
		break;
	case 2:
	case 3:
		packet(d, what, who, now);
		break;
	case 4:
		direct_called(d, now);
		if ((what & 8) != 0)
			direct_network_changed(d, now);
		if ((what & 16) != 0)
			direct_set_native(d);
		break;
	case 5:
		direct_sent(d, now);
		if ((what & 8) != 0)
			direct_heard(d, &a, now);
		break;
	case 6:
		direct_send_failed(d, &a, -101, now);
		break;
	default:
		direct_too_long(d, (size_t)who * 64, now);
		break;
	}
}

static void
drain(struct direct *d, struct mono now)
{
	struct direct_out out;
	struct disco_packet p;
	int n = 0;

	while (direct_output(d, now, &out)) {
		if (++n > MAX_OUTPUT)
			abort();
		if (out.kind != DIRECT_OUT_PACKET)
			continue;
		if (out.len > DIRECT_MAX_PACKET ||
		    !candidate_may_send(&out.to) ||
		    disco_parse(&p, &key, out.pkt, out.len) < 0)
			abort();
		if (p.kind == DISCO_PROBE || p.kind == DISCO_SIZE_PROBE) {
			last = p.nonce;
			last_to = out.to;
		}
	}
	if (!mono_before(now, direct_next_deadline(d)))
		abort(); /* would spin */
	if (direct_payload(d) < 1200 || direct_payload(d) > DIRECT_MAX_PACKET)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct direct_params params = { .disco_key = key, .has_v4 = true };
	struct mono now = { 1 * MONO_SEC };
	struct direct_info info;
	struct direct *d;
	size_t known = 0;

	if (secret_init() < 0)
		abort();
	memset(&last_to, 0, sizeof(last_to));
	params.has_v6 = size % 2 == 0;
	d = direct_new(&params, now);
	if (d == NULL)
		abort();
	for (size_t i = 0; i + 3 <= size && i < (size_t)3 * MAX_STEPS; i += 3) {
		step(d, data[i], data[i + 1], now);
		drain(d, now);
		now = mono_add(now, (int64_t)data[i + 2] * data[i + 2] * 100);
		drain(d, now);
	}
	while (direct_info(d, known, &info))
		known++;
	if (known > CANDIDATE_MAX_LIST + DIRECT_MAX_REFLEXIVE + 1)
		abort();
	direct_free(d);
	return 0;
}
